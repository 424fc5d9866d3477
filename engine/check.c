/* Known-answer runs: whether a device computes what it should, and a model on it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The answer is known from the plain C back end, which is the definition of every operation. Where
 * a model is too large for it, there is what holds for all: numbers are finite, and a sample has
 * the same bits alone, in a batch and once more. */
#include <math.h>
#include <string.h>

#include "error.h"
#include "json.h"
#include "model.h"
#include "rng.h"
#include "task.h"
#include "weights-made.h"

enum { BATCH = 2 };
/* Sums of another order are off by a millionth, products in TF32 or bf16 by a thousandth or more,
 * in f16 by an eighth of that. */
static const double allowed_of[] = {
    [DIM_PRECISION_F32] = 1e-4, [DIM_PRECISION_BF16] = 0.06, [DIM_PRECISION_F16] = 0.0075};
/* What plain C does in about a second, and the numbers that it may take for it. */
static const double ref_flop = 1e9;
static const gint64 ref_parameters = 40000000;

/* ---- runs ------------------------------------------------------------------------------------ */

/* Two samples with times and labels of their own. */
typedef struct {
    DimArray x; /* [2, C, h, w]; for a decoder the latent */
    float t[BATCH];
    gint64 y[BATCH];
} Inputs;

static gboolean fill_inputs(Inputs *in, int channels, int h, int w, GError **error)
{
    const gint64 sizes[] = {BATCH, channels, h, w};

    if (!dim_array_alloc(&in->x, 4, sizes, error))
        return FALSE;
    for (int i = 0; i < BATCH; i++)
        dim_noise_fill(in->x.data + (gsize)i * channels * h * w, i, channels, h, w, 1);
    return TRUE;
}

/* A grid that is small, and not the same both ways. */
static gboolean make_inputs(Inputs *in, const DimModel *model, int rows, int columns,
                            GError **error)
{
    const DimModelSpec *spec = model->spec;
    const float last = spec->has_schedule ? (float)spec->timesteps : 1000;
    DimNetFacts facts = {0};

    spec->net->facts(spec->net_config, &facts);
    in->t[0] = 0.25f * last;
    in->t[1] = 0.875f * last;
    in->y[0] = 0;
    in->y[1] = MAX(facts.n_labels - (facts.has_null_label ? 0 : 1), 0);
    return fill_inputs(in, facts.in_channels, rows * facts.height_multiple,
                       columns * facts.width_multiple, error);
}

/* Samples from `first` on through the network or, where there is none, the decoder. */
static gboolean run(DimModel *model, const Inputs *in, int first, DimArray *out, DimTask *task,
                    GError **error)
{
    DimArray x = in->x;

    x.sizes[0] -= first;
    x.data += first * (dim_array_count(&in->x) / BATCH);
    return model->net ? dim_model_forward(model, &x, in->t + first, in->y + first, out, task, error)
                      : dim_model_decode(model, &x, -1, out, task, error);
}

static gboolean fail(GError **error, const DimModel *model, const char *what)
{
    const DimModelSpec *spec = model->spec;

    return dim_fail(error, DIM_ERROR_DEVICE, dk_device_describe(model->dk), "%s of family %s: %s",
                    model->net ? "a backbone" : "an autoencoder",
                    model->net ? spec->net->family : spec->autoencoder->family, what);
}

/* Both samples, then the second alone: its bits must be there again. `out` is of both. */
static gboolean run_repeatedly(DimModel *model, const Inputs *in, DimArray *out, DimTask *task,
                               GError **error)
{
    DimArray alone = {0};

    if (!run(model, in, 0, out, task, error))
        return FALSE;
    const gint64 n = dim_array_count(out), half = n / BATCH;
    gboolean good = TRUE;
    for (gint64 i = 0; good && i < n; i++)
        if (!isfinite(out->data[i]))
            good = fail(error, model, "the answer is not finite; expected numbers");
    for (int again = 0; good && again < 2; again++) {
        good = run(model, in, 1, &alone, task, error);
        if (good && memcmp(alone.data, out->data + half, (gsize)half * sizeof *out->data))
            good = fail(error, model,
                        again ? "the same input gave two answers; expected the same bits"
                              : "a sample in a batch gave another answer than alone; expected the "
                                "same bits");
        dim_array_clear(&alone);
    }
    if (!good)
        dim_array_clear(out);
    return good;
}

/* Root mean square of the difference over that of the answer. */
static double difference(const DimArray *got, const DimArray *wanted)
{
    const gint64 n = dim_array_count(wanted);
    double off = 0, size = 0;

    for (gint64 i = 0; i < n; i++) {
        const double d = (double)got->data[i] - wanted->data[i];
        off += d * d;
        size += (double)wanted->data[i] * wanted->data[i];
    }
    return sqrt(off / MAX(size, 1e-30));
}

static gboolean compare(const DimModel *model, const DimArray *got, const DimArray *wanted,
                        DimCheck *check, GError **error)
{
    const double allowed = allowed_of[model->precision];
    const double off = difference(got, wanted);

    if (off <= allowed) {
        check->difference = MAX(check->difference, off);
        return TRUE;
    }
    g_autofree char *what =
        g_strdup_printf("the answer is off by %.2g of its size; expected at most %g", off, allowed);
    return fail(error, model, what);
}

/* ---- a device -------------------------------------------------------------------------------- */

/* Small networks that use every operation, with tails in every direction. */
static const struct {
    const char *family;
    gboolean is_autoencoder;
    int h, w; /* tokens; latent pixels */
    const char *config;
} built_in[] = {
    {"dim", FALSE, 6, 11,
     "{\"hidden_size\": 88, \"depth\": 5, \"num_classes\": 5, \"final_conv\": true}"},
    {"dit", FALSE, 7, 13,
     "{\"hidden_size\": 144, \"depth\": 2, \"num_heads\": 2, \"num_classes\": 5}"},
    {"diffussm", FALSE, 10, 9,
     "{\"hidden_size\": 72, \"depth\": 2, \"d_state\": 24, \"num_classes\": 5}"},
    {"kl", TRUE, 5, 7,
     "{\"ch\": 24, \"ch_mult\": [1, 2], \"num_res_blocks\": 1, \"norm_groups\": 8}"},
    {"tae", TRUE, 3, 5, "{\"width\": 12}"},
    {"linear", TRUE, 5, 7, "{\"block\": 4, \"latent_channels\": 13}"},
};

/* A model without a folder. */
typedef struct {
    DimModel model; /* its spec is the next one */
    DimModelSpec spec;
    DimWeights *weights;
} Made;

static void made_clear(Made *made)
{
    dim_model_plan_clear(&made->model);
    if (made->model.net)
        made->spec.net->free(made->model.dk, made->model.net);
    if (made->model.ae)
        made->spec.autoencoder->free(made->model.dk, made->model.ae);
    dim_weights_close(&made->weights);
    g_free(made->spec.net_config);
    g_free(made->spec.autoencoder_config);
}

static gboolean load_made(Made *made, GError **error)
{
    DimModelSpec *spec = &made->spec;
    DkDevice *dk = made->model.dk;

    if (!spec->net) {
        const DimAutoencoderFiles files = {made->weights, made->weights};
        made->model.ae = spec->autoencoder->load(dk, spec->autoencoder_config, 1, &files,
                                                 DIM_PARTS_DECODER, NULL, error);
        return made->model.ae != NULL;
    }
    dk_device_set_products(dk, dim_precision_products(made->model.precision));
    made->model.net = spec->net->load(dk, spec->net_config, made->weights, NULL, error);
    dk_device_set_products(dk, DK_PRODUCTS_F32);
    return made->model.net != NULL;
}

/* Network i of the table on a device. */
static gboolean make(Made *made, DkDevice *dk, int i, DimPrecision precision, GError **error)
{
    DimModelSpec *spec = &made->spec;
    const char *text = built_in[i].config;
    json_t *config = dim_json_parse(text, strlen(text), built_in[i].family, error);

    *made = (Made){.model = {.dk = dk, .spec = spec, .precision = precision}};
    if (built_in[i].is_autoencoder) {
        made->model.parts = DIM_PARTS_DECODER;
        spec->autoencoder = dim_autoencoder_class(built_in[i].family);
        spec->autoencoder_config = spec->autoencoder->parse(config, "built-in", error);
        made->weights =
            dim_weights_list_autoencoder(spec->autoencoder, spec->autoencoder_config, error);
    } else {
        made->model.parts = DIM_PARTS_BACKBONE;
        spec->net = dim_net_class(built_in[i].family);
        spec->net_config = spec->net->parse(config, "built-in", error);
        made->weights = dim_weights_list_net(spec->net, spec->net_config, 8, error);
    }
    json_decref(config);
    return made->weights && dim_weights_fill(made->weights, 0, error) && load_made(made, error);
}

static gboolean make_latent(Inputs *in, const DimModelSpec *spec, int h, int w, GError **error)
{
    DimAutoencoderFacts facts = {0};

    spec->autoencoder->facts(spec->autoencoder_config, &facts);
    return fill_inputs(in, facts.channels, h, w, error);
}

/* Network i on a device, repeatedly or, as the answer to compare with, once. */
static gboolean answer(DkDevice *dk, int i, DimPrecision precision, const DimArray *wanted,
                       DimArray *out, DimCheck *check, GError **error)
{
    Inputs in = {0};
    Made made;
    DimArray got = {0};

    gboolean good =
        make(&made, dk, i, precision, error) &&
        (made.spec.net ? make_inputs(&in, &made.model, built_in[i].h, built_in[i].w, error)
                       : make_latent(&in, &made.spec, built_in[i].h, built_in[i].w, error));
    if (good && !wanted)
        good = run(&made.model, &in, 0, out, NULL, error);
    else if (good)
        good = run_repeatedly(&made.model, &in, &got, NULL, error) &&
               compare(&made.model, &got, wanted, check, error);
    dim_array_clear(&got);
    dim_array_clear(&in.x);
    made_clear(&made);
    return good;
}

static gboolean check_built_in(DkDevice *dk, DkDevice *ref, int i, DimCheck *check, GError **error)
{
    DimArray wanted = {0};
    gboolean good = answer(ref, i, DIM_PRECISION_F32, NULL, &wanted, check, error) &&
                    answer(dk, i, DIM_PRECISION_F32, &wanted, NULL, check, error);

    if (good && !built_in[i].is_autoencoder && dk_device_has_fast_bf16(dk)) {
        DimCheck rounded = {0};
        good = answer(dk, i, DIM_PRECISION_BF16, &wanted, NULL, &rounded, error);
    }
    dim_array_clear(&wanted);
    return good;
}

gboolean dim_device_check(DimDevice *device, DimCheck *check, GError **error)
{
    DkDevice *dk = dim_device_dk(device);
    const gint64 begin = g_get_monotonic_time();
    DimCheck found = {.difference = 0};
    DimDevice *ref = dim_device_open("ref", 1, error);
    gboolean good = ref != NULL;

    for (int i = 0; good && i < (int)G_N_ELEMENTS(built_in); i++)
        good = check_built_in(dk, dim_device_dk(ref), i, &found, error);
    dim_device_close(&ref);
    found.seconds = (double)(g_get_monotonic_time() - begin) / G_USEC_PER_SEC;
    if (good && check)
        *check = found;
    return good;
}

/* ---- a model --------------------------------------------------------------------------------- */

/* One part of a model: what computes is the whole model with the other part hidden. */
static gboolean try_part(DimModel *model, DimModel *ref, const Inputs *in, DimCheck *check,
                         DimTask *task, GError **error)
{
    DimArray got = {0}, wanted = {0};
    gboolean good = run_repeatedly(model, in, &got, task, error);

    if (good && ref)
        good = run(ref, in, 0, &wanted, task, error) && compare(model, &got, &wanted, check, error);
    dim_array_clear(&got);
    dim_array_clear(&wanted);
    return good;
}

static gboolean try_backbone(DimModel *model, DimModel *ref, DimCheck *check, DimTask *task,
                             GError **error)
{
    Inputs in = {0};
    const gboolean good =
        make_inputs(&in, model, 2, 3, error) && try_part(model, ref, &in, check, task, error);

    dim_array_clear(&in.x);
    return good;
}

static gboolean try_decoder(DimModel *model, DimModel *ref, DimCheck *check, DimTask *task,
                            GError **error)
{
    Inputs in = {0};
    DimModel plain = ref ? *ref : (DimModel){0}, own = *model;

    plain.net = own.net = NULL; /* `run` then decodes */
    own.precision = DIM_PRECISION_F32;
    const gboolean good = make_latent(&in, model->spec, 2, 3, error) &&
                          try_part(&own, ref ? &plain : NULL, &in, check, task, error);
    dim_array_clear(&in.x);
    return good;
}

/* What the runs of plain C would take. */
static gboolean is_affordable(const DimModel *model)
{
    const DimModelSpec *spec = model->spec;
    double flop = 0, decoding = 0;
    gint64 bytes;

    if (model->parts & DIM_PARTS_BACKBONE) {
        DimNetFacts facts = {0};
        spec->net->facts(spec->net_config, &facts);
        flop = spec->net->flop(spec->net_config, BATCH, 2 * facts.height_multiple,
                               3 * facts.width_multiple);
    }
    if (model->parts & DIM_PARTS_DECODER)
        spec->autoencoder->estimate(spec->autoencoder_config, 2, 3, -1, &bytes, &decoding);
    return flop + BATCH * decoding <= ref_flop &&
           spec->info.backbone.parameters + spec->info.autoencoder.parameters <= ref_parameters;
}

gboolean dim_model_try(DimModel *model, DimCheck *check, DimTask *task, GError **error)
{
    const gint64 begin = g_get_monotonic_time();
    const DimParts parts = model->parts & (DIM_PARTS_BACKBONE | DIM_PARTS_DECODER);
    DimCheck found = {.difference = -1};
    DimDevice *device = NULL;
    DimModel *ref = NULL;
    gboolean good = TRUE;

    if (parts && is_affordable(model))
        good = (device = dim_device_open("ref", 1, error)) &&
               (ref = dim_model_open(device, model->spec->info.folder, parts, DIM_PRECISION_F32,
                                     task, error));
    if (good && parts & DIM_PARTS_BACKBONE)
        good = try_backbone(model, ref, &found, task, error);
    if (good && parts & DIM_PARTS_DECODER)
        good = try_decoder(model, ref, &found, task, error);
    dim_model_close(&ref);
    dim_device_close(&device);
    found.seconds = (double)(g_get_monotonic_time() - begin) / G_USEC_PER_SEC;
    if (good && check)
        *check = found;
    return good;
}
