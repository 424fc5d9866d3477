/* Family `linear`: principal components of pixel blocks, one matrix product each way.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A block of f x f pixels is a column u of 3 f² numbers, p = c f² + a f + b for colour c, row a,
 * column b: encode   z[k] = s / scale[k] Σ_p (u[p] - mean[p]) basis[p, k] decode   u[p] = mean[p] +
 * Σ_k z[k] scale[k] / s basis[p, k] with s the model's scale factor. Everything but z and u is
 * folded into one matrix and one bias a direction. No block sees another, so there is nothing to
 * tile. */
#include <math.h>
#include <string.h>

#include "autoencoder.h"
#include "error.h"
#include "json.h"
#include "model.h"
#include "weights-upload.h"
#include "weights.h"

typedef struct {
    int block;    /* f */
    int channels; /* C */
} LinearConfig;

typedef struct {
    LinearConfig config;
    DkWeight *encode, *decode; /* [C, 3 f²] and [3 f², C]; NULL: not loaded */
    DimVectors vectors;
    DkTensor encode_bias, decode_bias;
} Linear;

static int block_numbers(const LinearConfig *c)
{
    return 3 * c->block * c->block;
}

static void *linear_parse(const json_t *json, const char *origin, GError **error)
{
    static const char *const keys[] = {"block", "latent_channels", NULL};
    gint64 block = 8, channels = 16;

    if (!dim_json_only(json, keys, origin, error) ||
        !dim_json_get_int(json, "block", 1, 64, &block, origin, error) ||
        !dim_json_get_int(json, "latent_channels", 1, 3 * block * block, &channels, origin, error))
        return NULL;
    LinearConfig *config = g_new(LinearConfig, 1);
    *config = (LinearConfig){.block = (int)block, .channels = (int)channels};
    return config;
}

static void linear_facts(const void *config, DimAutoencoderFacts *facts)
{
    const LinearConfig *c = config;

    *facts = (DimAutoencoderFacts){.channels = c->channels,
                                   .factor = c->block,
                                   .in_channels = 3,
                                   .out_channels = 3,
                                   .default_scale_factor = 1,
                                   .has_files = TRUE};
}

/* One file, whichever of the two it was opened for. */
static DimWeights *file_of(const DimAutoencoderFiles *files)
{
    return files->decoder ? files->decoder : files->encoder;
}

static gboolean linear_walk(const void *config, DimNeedFn need, void *data, GError **error)
{
    const LinearConfig *c = config;
    const gint64 n = block_numbers(c), k = c->channels;

    return need("mean", 1, &n, data, error) && need("basis", 2, (gint64[]){n, k}, data, error) &&
           need("scale", 1, &k, data, error);
}

typedef struct {
    const DimWeights *weights;
    const DimTensor **tensors;
    int n;
} Find;

static gboolean find_tensor(const char *name, int rank, const gint64 *sizes, void *data,
                            GError **error)
{
    Find *find = data;
    return (find->tensors[find->n++] = dim_weights_need(find->weights, name, rank, sizes, error)) !=
           NULL;
}

/* mean, basis, scale */
static gboolean find_tensors(const LinearConfig *c, const DimWeights *weights,
                             const DimTensor *tensors[3], GError **error)
{
    Find find = {weights, tensors, 0};
    return linear_walk(c, find_tensor, &find, error);
}

static int linear_check(const void *config, const DimAutoencoderFiles *files, gint64 *parameters,
                        GError **error)
{
    const DimTensor *tensors[3];

    if (!find_tensors(config, file_of(files), tensors, error))
        return 0;
    *parameters = tensors[0]->count + tensors[1]->count + tensors[2]->count;
    return DIM_PARTS_ENCODER | DIM_PARTS_DECODER;
}

/* The tensor "scale" divided by the scale factor: numbers to multiply and to divide by. g_free. */
static float *read_gains(DimWeights *file, const DimTensor *scale, double scale_factor,
                         GError **error)
{
    float *gains = dim_weights_values(file, scale, error);

    for (gint64 k = 0; gains && k < scale->count; k++) {
        const float value = gains[k];
        gains[k] = (float)(value / scale_factor);
        if (gains[k] > 0 && isfinite(gains[k]) && isfinite(1 / gains[k]))
            continue;
        dim_fail(error, DIM_ERROR_FORMAT, file->origin,
                 "tensor \"scale\" holds %g; expected positive numbers that can be divided by",
                 (double)value);
        g_clear_pointer(&gains, g_free);
    }
    return gains;
}

static gboolean linear_check_values(const void *config, const DimAutoencoderFiles *files,
                                    GError **error)
{
    const DimTensor *tensors[3];

    if (!find_tensors(config, file_of(files), tensors, error))
        return FALSE;
    g_autofree float *gains = read_gains(file_of(files), tensors[2], 1, error);
    return gains != NULL;
}

static gboolean load_decode(DkDevice *dk, Linear *ae, const float *mean, const float *basis,
                            const float *gain)
{
    const int f2 = ae->config.block * ae->config.block, n = 3 * f2, channels = ae->config.channels;
    g_autofree float *matrix = g_try_new(float, (gsize)n *channels);
    g_autofree float *bias = g_try_new(float, n);

    if (!matrix || !bias)
        return FALSE;
    /* dk_unpatchify wants a token's numbers in the order row, column, colour. */
    for (int p = 0; p < n; p++) {
        const int row = p % f2 * 3 + p / f2;
        bias[row] = mean[p];
        for (int k = 0; k < channels; k++)
            matrix[(gsize)row * channels + k] = basis[(gsize)p * channels + k] * gain[k];
    }
    ae->decode_bias = dim_vectors_put(&ae->vectors, dk, bias, n);
    ae->decode = dk_weight_linear(dk, matrix, n, channels);
    return ae->decode != NULL;
}

static gboolean load_encode(DkDevice *dk, Linear *ae, const float *mean, const float *basis,
                            const float *gain)
{
    const int n = block_numbers(&ae->config), channels = ae->config.channels;
    g_autofree float *matrix = g_try_new(float, (gsize)n *channels);
    g_autofree float *bias = g_try_new(float, channels);

    if (!matrix || !bias)
        return FALSE;
    for (int k = 0; k < channels; k++) {
        double sum = 0;
        for (int p = 0; p < n; p++) {
            const float b = basis[(gsize)p * channels + k];
            matrix[(gsize)k * n + p] = b / gain[k];
            sum += (double)mean[p] * b;
        }
        bias[k] = (float)(-sum / gain[k]);
    }
    ae->encode_bias = dim_vectors_put(&ae->vectors, dk, bias, channels);
    ae->encode = dk_weight_linear(dk, matrix, channels, n);
    return ae->encode != NULL;
}

static void linear_free(DkDevice *dk, DimAutoencoder *autoencoder)
{
    Linear *ae = (Linear *)autoencoder;

    dk_weight_free(dk, &ae->encode);
    dk_weight_free(dk, &ae->decode);
    dim_vectors_clear(&ae->vectors, dk);
    g_free(ae);
}

static DimAutoencoder *linear_load(DkDevice *dk, const void *config, double scale_factor,
                                   const DimAutoencoderFiles *files, DimParts parts, DimTask *task,
                                   GError **error)
{
    const LinearConfig *c = config;
    DimWeights *file = file_of(files);
    const DimTensor *tensors[3];

    if (!find_tensors(c, file, tensors, error))
        return NULL;
    g_autofree float *mean = dim_weights_values(file, tensors[0], error);
    g_autofree float *basis = mean ? dim_weights_values(file, tensors[1], error) : NULL;
    g_autofree float *gain = basis ? read_gains(file, tensors[2], scale_factor, error) : NULL;
    if (!gain)
        return NULL;

    Linear *ae = g_new0(Linear, 1);
    ae->config = *c;
    dim_vectors_room(&ae->vectors, block_numbers(c));
    dim_vectors_room(&ae->vectors, c->channels);
    const gboolean begun = dim_vectors_begin(&ae->vectors, dk, error);
    if (begun && (!(parts & DIM_PARTS_DECODER) || load_decode(dk, ae, mean, basis, gain)) &&
        (!(parts & DIM_PARTS_ENCODER) || load_encode(dk, ae, mean, basis, gain)))
        return (DimAutoencoder *)ae;
    if (begun)
        dim_dk_fail_weight(dk, file->origin, tensors[1]->count * sizeof(float), error);
    linear_free(dk, (DimAutoencoder *)ae);
    return NULL;
}

/* Activations of one picture of h x w blocks; the latent and the picture twice, as planes and as
 * tokens. */
typedef struct {
    DkTensor z, z_tokens, u, image;
} LinearRoom;

static LinearRoom take_room(DimArena *arena, const LinearConfig *c, int h, int w)
{
    const gint64 l = (gint64)h * w, f = c->block, n = block_numbers(c), channels = c->channels;

    return (LinearRoom){
        .z = dim_arena_take(arena, DK_F32, 4, (gint64[]){1, channels, h, w}),
        .z_tokens = dim_arena_take(arena, DK_F32, 3, (gint64[]){1, l, channels}),
        .u = dim_arena_take(arena, DK_F32, 3, (gint64[]){1, l, n}),
        .image = dim_arena_take(arena, DK_F32, 4, (gint64[]){1, 3, h * f, w * f}),
    };
}

static gboolean prepare(DimArena *arena, LinearRoom *room, DkDevice *dk, const LinearConfig *c,
                        const DimArray *z, GError **error)
{
    const int h = (int)z->sizes[2], w = (int)z->sizes[3];

    dim_arena_dry(arena);
    take_room(arena, c, h, w);
    if (!dim_arena_commit(arena, dk, error))
        return FALSE;
    *room = take_room(arena, c, h, w);
    return TRUE;
}

static gboolean linear_decode(DkDevice *dk, DimAutoencoder *autoencoder, const DimArray *z,
                              int tile, DimArray *image, const DimNetProgress *progress,
                              GError **error)
{
    const Linear *ae = (const Linear *)autoencoder;
    DimArena arena;
    LinearRoom r;

    if (!prepare(&arena, &r, dk, &ae->config, z, error))
        return FALSE;
    for (gint64 b = 0; b < z->sizes[0]; b++) {
        dk_write(dk, r.z, z->data + b * dk_tensor_count(r.z));
        dk_patchify(dk, r.z_tokens, r.z, 1);
        dk_linear(dk, r.u, r.z_tokens, ae->decode, ae->decode_bias, DK_ACT_NONE, false);
        dk_unpatchify(dk, r.image, r.u, ae->config.block);
        dk_read(dk, image->data + b * dk_tensor_count(r.image), r.image);
        dim_net_progress(progress, (b + 1.0) / z->sizes[0]);
    }
    dim_arena_clear(&arena);
    return dim_dk_check(dk, "decoding", error);
}

static gboolean linear_encode(DkDevice *dk, DimAutoencoder *autoencoder, const DimArray *image,
                              DimArray *z, const DimNetProgress *progress, GError **error)
{
    const Linear *ae = (const Linear *)autoencoder;
    DimArena arena;
    LinearRoom r;

    if (!prepare(&arena, &r, dk, &ae->config, z, error))
        return FALSE;
    for (gint64 b = 0; b < z->sizes[0]; b++) {
        dk_write(dk, r.image, image->data + b * dk_tensor_count(r.image));
        dk_patchify(dk, r.u, r.image, ae->config.block);
        dk_linear(dk, r.z_tokens, r.u, ae->encode, ae->encode_bias, DK_ACT_NONE, false);
        dk_unpatchify(dk, r.z, r.z_tokens, 1);
        dk_read(dk, z->data + b * dk_tensor_count(r.z), r.z);
        dim_net_progress(progress, (b + 1.0) / z->sizes[0]);
    }
    dim_arena_clear(&arena);
    return dim_dk_check(dk, "encoding", error);
}

static void linear_estimate(const void *config, int h, int w, int tile, gint64 *bytes, double *flop)
{
    const LinearConfig *c = config;
    DimArena arena;

    dim_arena_dry(&arena);
    take_room(&arena, c, h, w);
    *bytes = arena.overflow ? G_MAXINT64 : (gint64)arena.peak;
    *flop = 2.0 * h * w * block_numbers(c) * c->channels;
}

const DimAutoencoderClass dim_vae_linear = {
    .family = "linear",
    .parse = linear_parse,
    .recognise = dim_linear_recognise,
    .facts = linear_facts,
    .check = linear_check,
    .walk = linear_walk,
    .check_values = linear_check_values,
    .load = linear_load,
    .free = linear_free,
    .decode = linear_decode,
    .encode = linear_encode,
    .estimate = linear_estimate,
};
