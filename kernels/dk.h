/* Public kernel interface: devices, buffers, tensor views, and one prototype for each operation.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Conventions
 *   - B batch, L tokens, D or E channels, N states, H W rows and columns, C image channels.
 *   - Activations are token-major: [B, L, D] and [B, H, W, C], channels innermost.
 *   - Operations return nothing: they are enqueued on the device. A wrong shape is the caller's
 * mistake and stops the program in dk.c; what the world does (no memory, a lost card, a cancel)
 * sticks to the device until dk_sync fetches it, and makes the operations in between do nothing.
 *   - An output may not overlap an input unless the comment says so.
 *   - Results do not depend on the number of threads, nor a batch item's on the other items.
 *   - No operation allocates, but for the device's one scratch block, which grows to the largest
 * need seen: the second evaluation of the same sizes allocates nothing.
 */
#ifndef DK_H
#define DK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#include <atomic>
using std::atomic_int;
extern "C" {
#else
#include <stdatomic.h>
#endif

typedef struct DkDevice DkDevice;
typedef struct DkBuffer DkBuffer;
typedef struct DkWeight DkWeight;
typedef struct DkRepeat DkRepeat;

typedef enum { DK_OK, DK_NO_MEMORY, DK_CANCELLED, DK_DEVICE_FAILED } DkStatus;
typedef enum { DK_F32, DK_F64, DK_I32 } DkType;
/* GELU in its tanh form: x / 2 · (1 + tanh (sqrt (2 / π) (x + 0.044715 x³))) */
typedef enum { DK_ACT_NONE, DK_ACT_SILU, DK_ACT_RELU, DK_ACT_TANH, DK_ACT_GELU } DkAct;
typedef enum { DK_NORM_RMS, DK_NORM_LAYER } DkNorm;
typedef enum { DK_RESIZE_NEAREST, DK_RESIZE_BOX, DK_RESIZE_BILINEAR } DkResize;
typedef enum { DK_PRODUCTS_F32, DK_PRODUCTS_BF16, DK_PRODUCTS_F16 } DkProducts;
typedef enum { DK_BACKEND_REF, DK_BACKEND_CPU, DK_BACKEND_CUDA } DkBackend;

/* Instruction sets of the CPU back end, as a mask: what may be used, not what is there. */
enum { DK_ISA_AVX2 = 1, DK_ISA_AVX512 = 2, DK_ISA_ALL = 0xff };

enum { DK_MAX_RANK = 4, DK_PROBLEM_BYTES = 256 };

/* A view into a buffer. Row-major; the last axis is contiguous, `row_stride` elements lie between
 * the starts of consecutive rows (a row is one run of the last axis; all leading axes together
 * count the rows). */
typedef struct {
    DkBuffer *buffer; /* NULL: the empty tensor, where an operand is optional */
    size_t offset;    /* bytes */
    DkType type;
    int rank;
    int64_t sizes[DK_MAX_RANK];
    int64_t row_stride;
} DkTensor;

/* Zeros around an image; rows and columns. */
typedef struct {
    int top, bottom, left, right;
} DkPad;

/* ---- devices, memory, copies
 * ------------------------------------------------------------------------- */

/* Opens a back end. n_threads 0: the physical cores this process may use. isa: mask of DK_ISA_*,
 * the ref back end ignores it. NULL when the back end is not built, its hardware is absent, or
 * memory is short. All operations on a device come from one thread at a time. */
DkDevice *dk_device_open(DkBackend backend, int n_threads, unsigned isa);
/* The same; where it answers NULL, `problem` is one line that says why. */
DkDevice *dk_device_try(DkBackend backend, int n_threads, unsigned isa,
                        char problem[DK_PROBLEM_BYTES]);
void dk_device_close(
    DkDevice **dev); /* takes NULL inside, leaves NULL; buffers and weights are freed before */

/* One line for people: back end, instruction set, threads. Borrowed. */
const char *dk_device_describe(const DkDevice *dev);
int dk_device_threads(const DkDevice *dev);
/* Work of the host that is no operation: part (data, i) for 0 <= i < n on the device's threads, in
 * any order and several at a time; no more of them once the device is told to stop. `ns` is what
 * one takes, roughly. */
void dk_host_each(DkDevice *dev, int64_t n, double ns, void (*part)(void *data, int64_t i),
                  void *data);
/* What the card or its driver said of the last DK_DEVICE_FAILED; "": nothing. Borrowed. */
const char *dk_device_problem(const DkDevice *dev);

/* Bytes now held by buffers, weights and scratch, and the most that ever were. */
size_t dk_device_bytes(const DkDevice *dev);
size_t dk_device_peak_bytes(const DkDevice *dev);
/* What a card's own memory has left; INT64_MAX: the device computes in the machine's memory, or
 * does not know. */
int64_t dk_device_free_bytes(const DkDevice *dev);

/* Linear weights made from now on, and dk_linear_backward_weight, take both operands rounded to
 * nearest, ties to even: to bf16 (8 bits) or f16 (11 bits, multiples of 2^-24, at most 65504: what
 * is finite beyond becomes that). Products and sums are f32 as ever. F32 at first. Convolutions
 * stay f32; attention is told at each call. */
void dk_device_set_products(DkDevice *dev, DkProducts products);
/* Whether bf16 products are faster than f32 ones here. */
bool dk_device_has_fast_bf16(const DkDevice *dev);

/* `flag` (may be NULL) is polled between and inside long operations; once non-zero, every operation
 * is skipped and dk_sync answers DK_CANCELLED. At most 100 ms of one thread's work lie between two
 * looks. What a card has been given already still runs: fewer than 64 launches, or one repeat and
 * as many before it. */
void dk_device_set_cancel(DkDevice *dev, const atomic_int *flag);

/* Waits for all that was enqueued; answers the first error since the last call and clears it. */
DkStatus dk_sync(DkDevice *dev);
const char *dk_status_text(DkStatus status); /* static */

/* Time by operation. Off at first; switching it on clears the counts. flop: 2 a multiply-add, by
 * the textbook formula. */
typedef struct {
    const char *op; /* static */
    double seconds, flop;
    int64_t calls;
} DkProfile;
void dk_profile_enable(DkDevice *dev, bool on);
int dk_profile_read(const DkDevice *dev, DkProfile *entries,
                    int n_max); /* how many were filled, longest first */

/* 64-byte aligned, contents undefined. NULL: no memory. */
DkBuffer *dk_buffer_new(DkDevice *dev, size_t bytes);
void dk_buffer_free(DkDevice *dev, DkBuffer **buffer);

size_t dk_type_size(DkType type);
/* A contiguous view of the whole shape at a byte offset (a multiple of 64 for the first row). */
DkTensor dk_tensor(DkBuffer *buffer, size_t offset, DkType type, int rank, const int64_t *sizes);
/* Columns first..first+count-1 of the last axis. */
DkTensor dk_tensor_columns(DkTensor t, int64_t first, int64_t count);
/* Items first..first+count-1 of the first axis. */
DkTensor dk_tensor_slice(DkTensor t, int64_t first, int64_t count);
/* The same elements in another shape; only for tensors without gaps between rows, or where the last
 * axis stays. */
DkTensor dk_tensor_reshape(DkTensor t, int rank, const int64_t *sizes);
bool dk_tensor_is_empty(DkTensor t);
int64_t dk_tensor_count(DkTensor t); /* elements */

/* Contiguous host memory to the tensor and back. The read waits for what was enqueued before. */
void dk_write(DkDevice *dev, DkTensor y, const void *host);
void dk_read(DkDevice *dev, void *host, DkTensor x);

/* ---- what is run again and again
 * ----------------------------------------------------------------------- */

/* Runs enqueue (data), which enqueues the same operations on the same tensors whenever it is
 * called. A device that gains by it keeps them as *kept (NULL at first) when they come for the
 * second time, and runs that in place of the call from then on. So enqueue takes nothing from the
 * host and makes nothing: it calls no dk_write, dk_read, dk_sync, and makes or frees no buffers and
 * weights, all of which outlive *kept; what changes lies in buffers that are written before. While
 * the profile is on, it is called each time. */
void dk_repeat(DkDevice *dev, DkRepeat **kept, void (*enqueue)(void *data), void *data);
void dk_repeat_free(DkDevice *dev, DkRepeat **kept); /* takes NULL inside, leaves NULL */

/* ---- weights, packed once as the back end likes them
 * -------------------------------------------------- */

/* For dk_linear: w[N, K] row-major on the host, N outputs. NULL: no memory. The host copy may go
 * afterwards. */
DkWeight *dk_weight_linear(DkDevice *dev, const float *w, int64_t n, int64_t k);
/* For dk_conv2d: w[O, I, kh, kw] on the host. */
DkWeight *dk_weight_conv2d(DkDevice *dev, const float *w, int64_t out, int64_t in, int kh, int kw);
/* For dk_selective_scan: a[E, N] on the host, the continuous A (negative), not its logarithm. */
DkWeight *dk_weight_scan(DkDevice *dev, const float *a, int64_t e, int64_t n);
/* For dk_s4d_scan: of n complex states of each of d channels the decay from token to token and the
 * gain at which they are read, [D, N, 2] each (real, imaginary), and the skip [D]; on the host. */
DkWeight *dk_weight_s4d(DkDevice *dev, const double *decay, const double *gain, const double *skip,
                        int64_t d, int64_t n);
void dk_weight_free(DkDevice *dev, DkWeight **w);
/* What the device was set to when w was made. */
DkProducts dk_weight_products(const DkWeight *w);

/* ---- products
 * ----------------------------------------------------------------------------------------- */

/* y[.., N] = act (x[.., K] · wᵀ + b[N] + (accumulate ? y : 0)); b may be empty. */
void dk_linear(DkDevice *dev, DkTensor y, DkTensor x, const DkWeight *w, DkTensor b, DkAct act,
               bool accumulate);
/* y[B, Ho, Wo, O] = act (x[B, H, W, I] * w + b[O] + (accumulate ? y : 0)), cross-correlation with
 * zero padding; Ho = (H + top + bottom - kh) / stride + 1, likewise Wo. Rows of x and y are
 * contiguous over W and C. */
void dk_conv2d(DkDevice *dev, DkTensor y, DkTensor x, const DkWeight *w, DkTensor b, int stride,
               DkPad pad, DkAct act, bool accumulate);
/* Softmax attention, n_heads heads side by side in the channels: y[B, Lq, D] from q[B, Lq, D], k[B,
 * L, D], v[B, L, D]; logits are divided by sqrt (D / n_heads). Memory does not grow with Lq · L.
 * BF16, F16: q, k and v are rounded to these, and so is each e^(logit - the largest so far) before
 * it multiplies v; sums, of these powers, too, are as ever. */
void dk_attention(DkDevice *dev, DkTensor y, DkTensor q, DkTensor k, DkTensor v, int n_heads,
                  DkProducts products);

/* ---- state-space layers
 * -------------------------------------------------------------------------------- */

/* Causal depth-wise convolution along the tokens taken in the order `order` (i32 permutation of L,
 * the row of the i-th token; empty: as stored): y at token i = act (b[E] + Σ_a w[E, a] · x at token
 * i - (k-1) + a), a < k <= 8. y and x are [B, L, E] in stored order. */
void dk_conv1d_dw(DkDevice *dev, DkTensor y, DkTensor x, DkTensor w, DkTensor b, DkTensor order,
                  DkAct act);
/* Mamba's recurrence (arXiv 2312.00752, eq. 2 with the zero-order hold of its section 2): tokens in
 * the order `order`, δ = softplus (dt),  S[e, n] = exp (δ A[e, n]) S[e, n] + δ u B[n],  y = (Σ_n
 * S[e, n] C[n] + d[e] u) · silu (z). u, dt, z, y [B, L, E]; bmat, cmat [B, L, N]; d [E]; z may be
 * empty: no gate. y may be u, dt or z itself. */
void dk_selective_scan(DkDevice *dev, DkTensor y, DkTensor u, DkTensor dt, const DkWeight *a,
                       DkTensor bmat, DkTensor cmat, DkTensor d, DkTensor z, DkTensor order);

/* S4D's recurrence (arXiv 2206.11893), complex states X[d, n] that are 0 before the first token:
 * X = decay X + u,  y = 2 Re Σ_n gain X + skip u. `ahead` takes the tokens as stored, `back` from
 * the last to the first; either may be NULL. u [B, L, D]; y [B, L, D], or [B, L, 2D] of both side
 * by side. */
void dk_s4d_scan(DkDevice *dev, DkTensor y, DkTensor u, const DkWeight *ahead,
                 const DkWeight *back);

/* ---- norms, elementwise
 * -------------------------------------------------------------------------------- */

/* y = norm (x) · w · (1 + scale) + shift over the rows of x[B, L, D]; w [D], scale and shift [B,
 * D], each may be empty. RMS: x / sqrt (mean x² + eps); LAYER: (x - mean) / sqrt (var + eps). y may
 * be x. */
void dk_norm_modulate(DkDevice *dev, DkTensor y, DkTensor x, DkTensor w, DkTensor scale,
                      DkTensor shift, DkNorm norm, float eps);
/* x[B, L, D] += gate[B, D] · y[B, L, D] */
void dk_gate_add(DkDevice *dev, DkTensor x, DkTensor gate, DkTensor y);
/* y[M, N] = x[M, N] + b[N]; y may be x */
void dk_add_row(DkDevice *dev, DkTensor y, DkTensor x, DkTensor b);
/* y = act (x); y may be x */
void dk_act(DkDevice *dev, DkTensor y, DkTensor x, DkAct act);
/* y = a·x + b·y; with b = 0, y is not read; y may be x */
void dk_axpby(DkDevice *dev, DkTensor y, float a, DkTensor x, float b);
/* Per picture and group of C/G consecutive channels: adds (count, mean, M2) of x[B, H, W, C] to
 * stats[B, G, 3] (f64), row by row in order, so that a picture given in strips leaves the same bits
 * as one given whole. Clear with dk_clear. */
void dk_group_stats(DkDevice *dev, DkTensor stats, DkTensor x);
/* y = act ((x - mean) / sqrt (M2 / count + eps) · w[C] + b[C]); y may be x */
void dk_group_apply(DkDevice *dev, DkTensor y, DkTensor x, DkTensor stats, DkTensor w, DkTensor b,
                    float eps, DkAct act);
/* all elements 0 */
void dk_clear(DkDevice *dev, DkTensor y);

/* ---- images and rows
 * ------------------------------------------------------------------------------------ */

/* Depth-wise 3x3 cross-correlation with zero padding 1: x, y [B, H, W, D]; w [D, 9] row-major taps;
 * b [D]. */
void dk_conv2d_dw(DkDevice *dev, DkTensor y, DkTensor x, DkTensor w, DkTensor b);
/* y[B, h·w, C·p·p], order (c, a, b) inside a token, from x[B, C, h·p, w·p]; p = 1 turns NCHW into
 * NHWC. */
void dk_patchify(DkDevice *dev, DkTensor y, DkTensor x, int p);
/* y[B, C, h·p, w·p] from x[B, h·w, p·p·C], order (a, b, c) inside a token; p = 1 turns NHWC into
 * NCHW. */
void dk_unpatchify(DkDevice *dev, DkTensor y, DkTensor x, int p);
/* y[b, l] = x[b, rows[l]]; a negative rows[l] leaves y's row as it is. y [B, L, D], x [B or 1, M,
 * D], rows [L] i32. */
void dk_gather(DkDevice *dev, DkTensor y, DkTensor x, DkTensor rows);
/* y[B, H', W', C] from x[B, H, W, C]. NEAREST: H', W' multiples of H, W, each value repeated; BOX:
 * the other way, means of cells; BILINEAR: any sizes, half-pixel centres, no anti-aliasing. */
void dk_resize(DkDevice *dev, DkTensor y, DkTensor x, DkResize mode);

#ifdef __cplusplus
}
#endif
#endif
