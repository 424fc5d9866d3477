/* Values of tensors: any float type and any strides to f32 in row-major order, finite or refused.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Both formats are little-endian, and nothing is aligned: elements are loaded with memcpy. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"
#include "task.h"
#include "weights.h"

enum { CHUNK = 4096, ADVISE_BYTES = 1 << 20 };

static inline float load_f32(const guint8 *p)
{
    guint32 bits;
    float value;

    memcpy(&bits, p, sizeof bits);
    bits = GUINT32_FROM_LE(bits);
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline guint16 load_u16(const guint8 *p)
{
    guint16 bits;

    memcpy(&bits, p, sizeof bits);
    return GUINT16_FROM_LE(bits);
}

static inline float load_bf16(const guint8 *p)
{
    const guint32 bits = (guint32)load_u16(p) << 16;
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float load_f16(const guint8 *p)
{
    const guint32 half = load_u16(p), exponent = half >> 10 & 31, fraction = half & 0x3ff;
    guint32 bits = (half & 0x8000) << 16;
    float value;

    if (exponent == 0) { /* zero or subnormal: a multiple of 2^-24, exact in f32 */
        value = (float)fraction * 0x1p-24f;
        return bits ? -value : value;
    }
    bits |= (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline guint64 load_u64(const guint8 *p)
{
    guint64 bits;

    memcpy(&bits, p, sizeof bits);
    return GUINT64_FROM_LE(bits);
}

static inline float load_f64(const guint8 *p)
{
    const guint64 bits = load_u64(p);
    double value;

    memcpy(&value, &bits, sizeof value);
    return (float)value;
}

static inline gboolean is_finite(float value)
{
    guint32 bits;

    memcpy(&bits, &value, sizeof bits);
    return (bits & 0x7f800000) != 0x7f800000;
}

static inline gboolean is_finite_f64(const guint8 *p)
{
    return (load_u64(p) >> 52 & 0x7ff) != 0x7ff;
}

/* n elements, `step` bytes apart; FALSE when one is not finite. With a constant step the loop is
 * vectorised. */
#define DEFINE_CONVERT(name, load)                                                                 \
    static inline gboolean name##_run(float *out, const guint8 *p, gint64 n, gint64 step)          \
    {                                                                                              \
        gboolean finite = TRUE;                                                                    \
        for (gint64 i = 0; i < n; i++) {                                                           \
            out[i] = load(p + i * step);                                                           \
            finite &= is_finite(out[i]);                                                           \
        }                                                                                          \
        return finite;                                                                             \
    }                                                                                              \
    static gboolean name(float *out, const guint8 *p, gint64 n, gint64 step, int bytes)            \
    {                                                                                              \
        return step == bytes ? name##_run(out, p, n, bytes) : name##_run(out, p, n, step);         \
    }
DEFINE_CONVERT(convert_f32, load_f32)
DEFINE_CONVERT(convert_f16, load_f16)
DEFINE_CONVERT(convert_bf16, load_bf16)
DEFINE_CONVERT(convert_f64, load_f64)

static gboolean convert(DimType type, float *out, const guint8 *p, gint64 n, gint64 step)
{
    switch (type) {
    case DIM_TYPE_F32:
        return convert_f32(out, p, n, step, 4);
    case DIM_TYPE_F16:
        return convert_f16(out, p, n, step, 2);
    case DIM_TYPE_BF16:
        return convert_bf16(out, p, n, step, 2);
    default:
        return convert_f64(out, p, n, step, 8);
    }
}

/* A tensor as runs of equal steps: sides of 1 are gone, axes that follow on one another are one. */
typedef struct {
    int rank; /* 1 and up; the last axis is the run */
    gint64 sizes[DIM_MAX_RANK], strides[DIM_MAX_RANK];
    gint64 index[DIM_MAX_RANK];
    gint64 offset; /* elements, of the run at hand */
} Runs;

static Runs runs_begin(const DimEntry *entry)
{
    Runs runs = {.rank = 1, .sizes = {1}, .strides = {1}};
    int last = 0;

    for (int i = 0; i < entry->tensor.rank; i++) {
        const gint64 size = entry->tensor.sizes[i], stride = entry->strides[i];
        if (size == 1)
            continue;
        if (runs.sizes[last] == 1 || runs.strides[last] == size * stride)
            runs.sizes[last] *= size;
        else
            runs.sizes[++last] = size;
        runs.strides[last] = stride;
    }
    runs.rank = last + 1;
    return runs;
}

static gboolean runs_next(Runs *runs)
{
    for (int i = runs->rank - 2; i >= 0; i--) {
        runs->offset += runs->strides[i];
        if (++runs->index[i] < runs->sizes[i])
            return TRUE;
        runs->offset -= runs->sizes[i] * runs->strides[i];
        runs->index[i] = 0;
    }
    return FALSE;
}

static void advise(const DimWeights *weights, const DimEntry *entry, int advice)
{
    const gsize page = (gsize)sysconf(_SC_PAGESIZE), skew = (gsize)entry->data % page;
    const gsize bytes = (gsize)entry->tensor.count * (gsize)dim_type_bits(entry->type) / 8;

    if (bytes >= ADVISE_BYTES && !weights->values) /* what is no file cannot be read again */
        madvise((void *)(entry->data - skew), bytes, advice);
}

static gboolean verify(const DimWeights *weights, const DimEntry *entry, GError **error)
{
    return !entry->record || dim_zip_verify(entry->record, weights->origin, error);
}

static gboolean fail_value(const DimWeights *weights, const DimEntry *entry, GError **error)
{
    const char *fault =
        entry->type == DIM_TYPE_F64 ? "NaN, infinite or too large for float32" : "NaN or infinite";
    return dim_fail(error, DIM_ERROR_FORMAT, weights->origin,
                    "tensor " DIM_NAME " has a value that is %s; expected finite numbers",
                    entry->tensor.name, fault);
}

gboolean dim_weights_read_f32(DimWeights *weights, const DimTensor *tensor, float *out,
                              GError **error)
{
    const DimEntry *entry = (const DimEntry *)tensor;

    if (entry->type > DIM_TYPE_F64)
        return dim_fail(error, DIM_ERROR_FORMAT, weights->origin,
                        "tensor " DIM_NAME " has type %s; expected F32, F16, BF16 or F64",
                        tensor->name, tensor->dtype);
    if (tensor->count == 0)
        return TRUE;
    if (!verify(weights, entry, error))
        return FALSE;
    advise(weights, entry, MADV_SEQUENTIAL);
    const gint64 bytes = dim_type_bits(entry->type) / 8;
    Runs runs = runs_begin(entry);
    const gint64 n = runs.sizes[runs.rank - 1], step = runs.strides[runs.rank - 1] * bytes;
    do {
        if (!convert(entry->type, out, entry->data + runs.offset * bytes, n, step))
            return fail_value(weights, entry, error);
        out += n;
    } while (runs_next(&runs));
    /* What was read once is not read again: the file shall not count as our memory, too. */
    advise(weights, entry, MADV_DONTNEED);
    return TRUE;
}

gboolean dim_weights_read_i64(DimWeights *weights, const DimTensor *tensor, gint64 *out,
                              GError **error)
{
    const DimEntry *entry = (const DimEntry *)tensor;

    if (entry->type != DIM_TYPE_I64)
        return dim_fail(error, DIM_ERROR_FORMAT, weights->origin,
                        "tensor " DIM_NAME " has type %s; expected I64", tensor->name,
                        tensor->dtype);
    if (tensor->count == 0)
        return TRUE;
    if (!verify(weights, entry, error))
        return FALSE;
    Runs runs = runs_begin(entry);
    const gint64 n = runs.sizes[runs.rank - 1], step = runs.strides[runs.rank - 1];
    do {
        for (gint64 i = 0; i < n; i++)
            *out++ = (gint64)load_u64(entry->data + (runs.offset + i * step) * 8);
    } while (runs_next(&runs));
    return TRUE;
}

/* Whether n numbers, `step` bytes apart, are finite in their own type: an F64 beyond float32 is, as
 * long as nobody computes with it. */
static gboolean are_finite(DimType type, const guint8 *p, gint64 n, gint64 step)
{
    float scratch[CHUNK];
    gboolean finite = TRUE;

    if (type == DIM_TYPE_F64) {
        for (gint64 i = 0; i < n; i++)
            finite &= is_finite_f64(p + i * step);
        return finite;
    }
    for (gint64 i = 0; i < n && finite; i += CHUNK)
        finite = convert(type, scratch, p + i * step, MIN(CHUNK, n - i), step);
    return finite;
}

static gboolean check_values(const DimWeights *weights, const DimEntry *entry, DimTask *task,
                             GError **error)
{
    const gboolean is_complex = entry->type == DIM_TYPE_C64;
    const DimType type = is_complex ? DIM_TYPE_F32 : entry->type;
    const gint64 bytes = dim_type_bits(entry->type) / 8;
    Runs runs = runs_begin(entry);
    const gint64 n = runs.sizes[runs.rank - 1], step = runs.strides[runs.rank - 1] * bytes;

    if (type > DIM_TYPE_F64)
        return TRUE;
    advise(weights, entry, MADV_SEQUENTIAL);
    do {
        for (gint64 i = 0; i < n; i += ADVISE_BYTES) {
            const guint8 *p = entry->data + runs.offset * bytes + i * step;
            const gint64 some = MIN(ADVISE_BYTES, n - i);
            if (!dim_task_go_on(task, error))
                return FALSE;
            if (!are_finite(type, p, some, step) ||
                (is_complex && !are_finite(type, p + 4, some, step)))
                return fail_value(weights, entry, error);
        }
    } while (runs_next(&runs));
    return TRUE;
}

gboolean dim_weights_check(DimWeights *weights, DimTask *task, GError **error)
{
    for (int i = 0; i < weights->n_entries; i++) {
        const DimEntry *entry = &weights->entries[i];
        if (!dim_task_go_on(task, error))
            return FALSE;
        if (entry->tensor.count > 0 &&
            (!verify(weights, entry, error) || !check_values(weights, entry, task, error)))
            return FALSE;
        dim_task_advance(task, (i + 1.0) / weights->n_entries);
    }
    return TRUE;
}
