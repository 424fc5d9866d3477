/* Operations of one element, or of one element and one of a row.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/vec-math.h"

typedef enum { GATE_ADD, ADD_ROW, ACT, SCALE, AXPBY } Kind;

typedef struct {
    DkTensor y, x, by; /* `by`: the gate, one row a picture, or the bias, one for all */
    float a, b;
    DkAct act;
} Elementwise;

static inline __attribute__((always_inline)) Vec compute(const Elementwise *op, Kind kind,
                                                         DkAct act, const float *y, const float *x,
                                                         const float *by, int64_t n)
{
    const Vec in = vec_load_first(x, n);
    switch (kind) {
    case GATE_ADD:
        return vec_fma(vec_load_first(by, n), in, vec_load_first(y, n));
    case ADD_ROW:
        return in + vec_load_first(by, n);
    case ACT:
        return vec_act(in, act);
    case SCALE:
        return op->a * in;
    case AXPBY:
        return vec_fma(vec_all(op->a), in, op->b * vec_load_first(y, n));
    }
    return in;
}

/* Rows first..last-1; `kind` and `act` are constants where this is inlined. */
static inline __attribute__((always_inline)) void over_vectors(const Elementwise *op, int64_t first,
                                                               int64_t last, Kind kind, DkAct act)
{
    const int64_t columns = dk_columns(op->x);
    for (int64_t row = first; row < last; row++) {
        float *y = dk_row(op->y, row);
        const float *x = dk_row(op->x, row), *by = NULL;
        if (kind == GATE_ADD || kind == ADD_ROW)
            by = dk_row(op->by, kind == GATE_ADD ? row / op->x.sizes[1] : 0);
        int64_t i = 0;
        for (; i + VEC_LANES <= columns; i += VEC_LANES)
            vec_store(y + i, compute(op, kind, act, y + i, x + i, by ? by + i : NULL, VEC_LANES));
        const int64_t n = columns - i;
        if (n)
            vec_store_first(y + i, compute(op, kind, act, y + i, x + i, by ? by + i : NULL, n), n);
    }
}

static void gate_add_part(const void *op, int64_t first, int64_t last, int thread)
{
    over_vectors(op, first, last, GATE_ADD, DK_ACT_NONE);
}

static void add_row_part(const void *op, int64_t first, int64_t last, int thread)
{
    over_vectors(op, first, last, ADD_ROW, DK_ACT_NONE);
}

/* A loop for each: constants do not stay in registers of one that chooses inside. */
static void act_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Elementwise *k = op;
    switch (k->act) {
    case DK_ACT_SILU:
        over_vectors(k, first, last, ACT, DK_ACT_SILU);
        break;
    case DK_ACT_RELU:
        over_vectors(k, first, last, ACT, DK_ACT_RELU);
        break;
    case DK_ACT_TANH:
        over_vectors(k, first, last, ACT, DK_ACT_TANH);
        break;
    case DK_ACT_GELU:
        over_vectors(k, first, last, ACT, DK_ACT_GELU);
        break;
    case DK_ACT_NONE:
        over_vectors(k, first, last, ACT, DK_ACT_NONE);
        break;
    }
}

static void scale_part(const void *op, int64_t first, int64_t last, int thread)
{
    over_vectors(op, first, last, SCALE, DK_ACT_NONE);
}

static void axpby_part(const void *op, int64_t first, int64_t last, int thread)
{
    over_vectors(op, first, last, AXPBY, DK_ACT_NONE);
}

/* Elements first.. of a tensor without gaps, as a matrix; of a slice it may begin anywhere. */
static DkTensor part_of(DkTensor t, int64_t first, int64_t rows, int64_t columns)
{
    t.offset += (size_t)first * sizeof(float);
    t.rank = 2;
    t.sizes[0] = rows;
    t.sizes[1] = t.row_stride = columns;
    return t;
}

static void over_matrix(DkDevice *dev, Elementwise op, double ns, DkPart part)
{
    dk_cpu_parallel(dev, dk_rows(op.x), ns * (double)dk_columns(op.x), part, &op);
}

/* Rows without gaps are one run of numbers, cut anew into rows of a length that suits us. */
static void over_elements(DkDevice *dev, Elementwise op, double ns, DkPart part)
{
    enum { RUN = 1024 };
    const int64_t columns = dk_columns(op.x), count = dk_tensor_count(op.x), rest = count % RUN;
    Elementwise cut = op;
    if (op.x.row_stride != columns || op.y.row_stride != columns) {
        over_matrix(dev, op, ns, part);
        return;
    }
    if (count >= RUN) {
        cut.x = part_of(op.x, 0, count / RUN, RUN);
        cut.y = part_of(op.y, 0, count / RUN, RUN);
        over_matrix(dev, cut, ns, part);
    }
    if (rest) {
        cut.x = part_of(op.x, count - rest, 1, rest);
        cut.y = part_of(op.y, count - rest, 1, rest);
        over_matrix(dev, cut, ns, part);
    }
}

void DK_SIMD(gate_add)(DkDevice *dev, DkTensor x, DkTensor gate, DkTensor y)
{
    over_matrix(dev, (Elementwise){.y = x, .x = y, .by = gate}, 0.5, gate_add_part);
}

void DK_SIMD(add_row)(DkDevice *dev, DkTensor y, DkTensor x, DkTensor b)
{
    over_matrix(dev, (Elementwise){.y = y, .x = x, .by = b}, 0.5, add_row_part);
}

void DK_SIMD(act)(DkDevice *dev, DkTensor y, DkTensor x, DkAct act)
{
    over_elements(dev, (Elementwise){.y = y, .x = x, .act = act}, 1, act_part);
}

void DK_SIMD(axpby)(DkDevice *dev, DkTensor y, float a, DkTensor x, float b)
{
    over_elements(dev, (Elementwise){.y = y, .x = x, .a = a, .b = b}, 0.5,
                  b == 0 ? scale_part : axpby_part);
}
