/* Properties of the autoencoders that no golden case can show: bands, batches, threads, cancel,
 * memory, names.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#include "engine/autoencoder.h"
#include "engine/model.h"
#include "engine/vae-kl.h"
#include "engine/weights.h"

/* ---- random models
 * ----------------------------------------------------------------------------------- */

typedef struct {
    GPtrArray *names; /* of char */
    GArray *arrays;   /* of DimArray */
    GRand *rand;
    const char *leave_out; /* a tensor that is not written, NULL: none */
} Model;

static void fill(GRand *rand, DimArray *array, double scale, double mean)
{
    for (gint64 i = 0; i < dim_array_count(array); i++)
        array->data[i] = (float)(mean + scale * g_rand_double_range(rand, -1, 1));
}

static void add_tensor(Model *m, const char *name, int rank, const gint64 *sizes, double scale,
                       double mean)
{
    DimArray array;

    if (m->leave_out && !strcmp(m->leave_out, name))
        return;
    g_assert_true(dim_array_alloc(&array, rank, sizes, NULL));
    fill(m->rand, &array, scale, mean);
    g_array_append_val(m->arrays, array);
    g_ptr_array_add(m->names, g_strdup(name));
}

/* Weights that keep activations near 1, gains about 1, biases about 0. */
static gboolean add_needed(const DimNeed *need, void *data)
{
    const DimLayer *l = &need->layer;
    const gint64 sizes[] = {l->out + l->unused, l->in, l->kernel, l->kernel};

    if (need->is_bias || l->kernel == 0)
        add_tensor(data, need->name, 1, sizes, 0.3, need->is_bias ? 0 : 1);
    else
        add_tensor(data, need->name, l->is_matrix ? 2 : 4, sizes,
                   1.7 / sqrt((double)l->in * l->kernel * l->kernel), 0);
    return TRUE;
}

static void model_begin(Model *m, guint32 seed)
{
    *m = (Model){g_ptr_array_new_with_free_func(g_free),
                 g_array_new(FALSE, FALSE, sizeof(DimArray)), g_rand_new_with_seed(seed), NULL};
}

/* Writes a safetensors file and opens it; the folder goes at once, as the file is mapped. */
static DimWeights *model_end(Model *m)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = g_dir_make_tmp("dim-autoencoder-XXXXXX", &error);
    g_assert_no_error(error);
    g_autofree char *file = g_build_filename(folder, "w.safetensors", NULL);

    dim_tensors_save(file, (int)m->names->len, (const char *const *)m->names->pdata,
                     (const DimArray *)m->arrays->data, &error);
    g_assert_no_error(error);
    DimWeights *weights = dim_weights_open(file, &error);
    g_assert_no_error(error);
    g_unlink(file);
    g_rmdir(folder);
    for (guint i = 0; i < m->arrays->len; i++)
        dim_array_clear(&g_array_index(m->arrays, DimArray, i));
    g_array_unref(m->arrays);
    g_ptr_array_unref(m->names);
    g_rand_free(m->rand);
    return weights;
}

static void *parse(const DimAutoencoderClass *class, const char *text, GError **error)
{
    json_t *json = json_loads(text, 0, NULL);
    g_assert_nonnull(json);
    void *config = class->parse(json, "test", error);
    json_decref(json);
    return config;
}

static void add_kl_part(Model *m, const DimKlConfig *config, DimKlLayout layout, gboolean encoder)
{
    const DimKlNames names = {layout, encoder, config->n_levels};
    DimChain chain;

    if (encoder)
        dim_kl_encoder(&chain, config, layout);
    else
        dim_kl_decoder(&chain, config);
    dim_chain_walk(&chain, dim_kl_name, &names, add_needed, m);
    dim_chain_clear(&chain);
}

static DimWeights *kl_weights(const DimKlConfig *config, DimKlLayout layout)
{
    Model m;

    model_begin(&m, 7);
    add_kl_part(&m, config, layout, TRUE);
    add_kl_part(&m, config, layout, FALSE);
    return model_end(&m);
}

static void add_tae_conv(Model *m, const char *name, gint64 out, gint64 in, gboolean bias)
{
    g_autofree char *weight = g_strconcat(name, ".weight", NULL);
    g_autofree char *bias_name = g_strconcat(name, ".bias", NULL);

    add_tensor(m, weight, 4, (gint64[]){out, in, 3, 3}, 1.2 / sqrt(in * 9.0), 0);
    if (bias)
        add_tensor(m, bias_name, 1, &out, 0.2, 0);
}

/* Layers by their numbers as the table of the specification has them: c one convolution, d one
 * without bias, b a block. */
static void add_tae_part(Model *m, const char *prefix, const char *layers, gint64 width,
                         gint64 first, gint64 last)
{
    for (int i = 0; layers[i]; i++)
        if (layers[i] == 'b') {
            for (int j = 0; j <= 4; j += 2) {
                g_autofree char *name = g_strdup_printf("%s%d.conv.%d", prefix, i, j);
                add_tae_conv(m, name, width, width, TRUE);
            }
        } else if (layers[i] != '.') {
            g_autofree char *name = g_strdup_printf("%s%d", prefix, i);
            add_tae_conv(m, name, layers[i + 1] ? width : last, i < 2 && first ? first : width,
                         layers[i] == 'c');
            first = 0;
        }
}

static const char tae_encoder_layers[] = "cbdbbbdbbbdbbbc";
static const char tae_decoder_layers[] = ".c.bbb.dbbb.dbbb.dbc";

static DimWeights *tae_weights(void)
{
    Model m;

    model_begin(&m, 8);
    add_tae_part(&m, "encoder.layers.", tae_encoder_layers, 12, 3, 4);
    add_tae_part(&m, "decoder.layers.", tae_decoder_layers + 1, 12, 4, 3);
    return model_end(&m);
}

/* ---- one loaded autoencoder
 * -------------------------------------------------------------------------- */

typedef struct {
    const DimAutoencoderClass *class;
    void *config;
    DimWeights *weights;
    DkDevice *dk;
    DimAutoencoder *ae;
    DimAutoencoderFacts facts;
} Loaded;

static const char kl_config[] = "{\"ch\": 16, \"ch_mult\": [1, 2, 1], \"num_res_blocks\": 1,"
                                " \"norm_groups\": 8}";

static void load_weights(Loaded *l, const DimAutoencoderClass *class, const char *config,
                         DimWeights *weights, DkBackend backend, int n_threads)
{
    g_autoptr(GError) error = NULL;
    const DimAutoencoderFiles files = {weights, weights};
    const DimParts both = DIM_PARTS_ENCODER | DIM_PARTS_DECODER;
    gint64 parameters = 0;

    *l = (Loaded){.class = class, .weights = weights};
    l->config = parse(class, config, &error);
    g_assert_no_error(error);
    class->facts(l->config, &l->facts);
    const int parts = class->check(l->config, &files, &parameters, &error);
    g_assert_no_error(error);
    g_assert_cmpint(parts, ==, both);
    l->dk = dk_device_open(backend, n_threads, DK_ISA_ALL);
    g_assert_nonnull(l->dk);
    l->ae = class->load(l->dk, l->config, 0.7, &files, both, NULL, &error);
    g_assert_no_error(error);
}

static void load_kl(Loaded *l, const char *text, DimKlLayout layout, DkBackend backend,
                    int n_threads)
{
    g_autofree DimKlConfig *config = parse(&dim_vae_kl, text, NULL);

    load_weights(l, &dim_vae_kl, text, kl_weights(config, layout), backend, n_threads);
}

static void load_tae(Loaded *l, DkBackend backend, int n_threads)
{
    load_weights(l, &dim_vae_tae, "{\"width\": 12}", tae_weights(), backend, n_threads);
}

static void unload(Loaded *l)
{
    l->class->free(l->dk, l->ae);
    dk_device_close(&l->dk);
    dim_weights_close(&l->weights);
    g_free(l->config);
}

static DimArray random_array(guint32 seed, gint64 n, gint64 c, gint64 h, gint64 w)
{
    GRand *rand = g_rand_new_with_seed(seed);
    DimArray array;

    g_assert_true(dim_array_alloc(&array, 4, (gint64[]){n, c, h, w}, NULL));
    fill(rand, &array, 1, 0);
    g_rand_free(rand);
    return array;
}

static DimArray decode(const Loaded *l, const DimArray *z, int tile)
{
    g_autoptr(GError) error = NULL;
    DimArray image;
    const gint64 f = l->facts.factor;

    g_assert_true(dim_array_alloc(
        &image, 4, (gint64[]){z->sizes[0], 3, z->sizes[2] * f, z->sizes[3] * f}, NULL));
    l->class->decode(l->dk, l->ae, z, tile, &image, NULL, &error);
    g_assert_no_error(error);
    return image;
}

static DimArray encode(const Loaded *l, const DimArray *image)
{
    g_autoptr(GError) error = NULL;
    DimArray z;
    const gint64 f = l->facts.factor;

    g_assert_true(dim_array_alloc(
        &z, 4,
        (gint64[]){image->sizes[0], l->facts.channels, image->sizes[2] / f, image->sizes[3] / f},
        NULL));
    l->class->encode(l->dk, l->ae, image, &z, NULL, &error);
    g_assert_no_error(error);
    return z;
}

static void assert_same_bits(const float *a, const float *b, gint64 n)
{
    for (gint64 i = 0; i < n; i++)
        if (memcmp(a + i, b + i, sizeof *a))
            g_error("number %d of %d differs: %.9g, %.9g", (int)i, (int)n, (double)a[i],
                    (double)b[i]);
}

/* ---- tests
 * ------------------------------------------------------------------------------------------- */

static void check_tiles(Loaded *l)
{
    static const int tiles[] = {1, 2, 3, 4, 6, 100, -1};
    DimArray z = random_array(1, 1, l->facts.channels, 7, 5);
    DimArray whole = decode(l, &z, 0);

    for (gsize i = 0; i < G_N_ELEMENTS(tiles); i++) {
        DimArray image = decode(l, &z, tiles[i]);
        assert_same_bits(image.data, whole.data, dim_array_count(&whole));
        dim_array_clear(&image);
    }
    dim_array_clear(&whole);
    dim_array_clear(&z);
    unload(l);
}

static void test_kl_tiles(void)
{
    Loaded l;

    load_kl(&l, kl_config, DIM_KL_LDM, DK_BACKEND_CPU, 2);
    check_tiles(&l);
    load_kl(&l, kl_config, DIM_KL_LDM, DK_BACKEND_REF, 1);
    check_tiles(&l);
    /* Wider at full resolution: the shortcuts grow in place. */
    load_kl(&l, "{\"ch\": 8, \"ch_mult\": [4, 1, 2], \"num_res_blocks\": 1, \"norm_groups\": 4}",
            DIM_KL_DIFFUSERS, DK_BACKEND_CPU, 1);
    check_tiles(&l);
}

static void test_tae_tiles(void)
{
    Loaded l;

    load_tae(&l, DK_BACKEND_CPU, 2);
    check_tiles(&l);
    load_tae(&l, DK_BACKEND_REF, 1);
    check_tiles(&l);
}

/* Two pictures at once, and each by itself; two threads and one. */
static void check_batch(Loaded *two_threads, Loaded *one_thread)
{
    const gint64 c = two_threads->facts.channels, f = two_threads->facts.factor;
    DimArray z = random_array(2, 2, c, 4, 6);
    DimArray images = decode(two_threads, &z, -1);
    DimArray back = encode(two_threads, &images);

    for (int i = 0; i < 2; i++) {
        DimArray one = {z.data + i * c * 24, 4, {1, c, 4, 6}};
        DimArray image = decode(one_thread, &one, -1);
        DimArray again = encode(one_thread, &image);
        assert_same_bits(image.data, images.data + i * 3 * 24 * f * f, dim_array_count(&image));
        assert_same_bits(again.data, back.data + i * c * 24, dim_array_count(&again));
        dim_array_clear(&image);
        dim_array_clear(&again);
    }
    dim_array_clear(&images);
    dim_array_clear(&back);
    dim_array_clear(&z);
    unload(two_threads);
    unload(one_thread);
}

static void test_batch(void)
{
    Loaded two, one;

    load_kl(&two, kl_config, DIM_KL_LDM, DK_BACKEND_CPU, 2);
    load_kl(&one, kl_config, DIM_KL_LDM, DK_BACKEND_CPU, 1);
    check_batch(&two, &one);
    load_tae(&two, DK_BACKEND_CPU, 2);
    load_tae(&one, DK_BACKEND_CPU, 1);
    check_batch(&two, &one);
}

/* The same numbers under the names of every layout. */
static void test_kl_layouts(void)
{
    Loaded ldm, other;
    DimArray z = random_array(3, 1, 4, 3, 5);

    load_kl(&ldm, kl_config, DIM_KL_LDM, DK_BACKEND_CPU, 1);
    DimArray image = decode(&ldm, &z, 0), back = encode(&ldm, &image);
    for (int layout = DIM_KL_LDM_WHOLE; layout < DIM_KL_N_LAYOUTS; layout++) {
        load_kl(&other, kl_config, layout, DK_BACKEND_CPU, 1);
        DimArray same = decode(&other, &z, 0), same_back = encode(&other, &image);
        assert_same_bits(same.data, image.data, dim_array_count(&image));
        assert_same_bits(same_back.data, back.data, dim_array_count(&back));
        dim_array_clear(&same);
        dim_array_clear(&same_back);
        unload(&other);
    }
    dim_array_clear(&back);
    dim_array_clear(&image);
    dim_array_clear(&z);
    unload(&ldm);
}

/* What a file's check says: the parts, or the error, which must hold `word`. */
static void assert_check(const DimAutoencoderClass *class, const void *config,
                         const DimAutoencoderFiles *files, int parts, const char *word)
{
    g_autoptr(GError) error = NULL;
    gint64 parameters = 0;
    const int got = class->check(config, files, &parameters, &error);

    g_assert_cmpint(got, ==, parts);
    g_assert_cmpint(error == NULL, ==, parts != 0);
    if (error && !strstr(error->message, word))
        g_error("expected \"%s\" in: %s", word, error->message);
}

static void check_kl_file(Model *m, const DimKlConfig *config, int parts, const char *word)
{
    DimWeights *weights = model_end(m);

    assert_check(&dim_vae_kl, config, &(DimAutoencoderFiles){weights, weights}, parts, word);
    dim_weights_close(&weights);
}

static void test_kl_files(void)
{
    g_autofree DimKlConfig *config = parse(&dim_vae_kl, kl_config, NULL);
    const gint64 nine = 9;
    Model m;

    model_begin(&m, 1);
    add_kl_part(&m, config, DIM_KL_DIFFUSERS, FALSE);
    check_kl_file(&m, config, DIM_PARTS_DECODER, NULL);

    model_begin(&m, 1);
    add_kl_part(&m, config, DIM_KL_LDM, TRUE);
    check_kl_file(&m, config, DIM_PARTS_ENCODER, NULL);

    model_begin(&m, 1);
    add_tensor(&m, "loss.logvar", 1, &nine, 1, 0);
    check_kl_file(&m, config, 0, "no autoencoder");

    model_begin(&m, 1);
    m.leave_out = "decoder.mid.attn_1.k.bias";
    add_kl_part(&m, config, DIM_KL_LDM, FALSE);
    check_kl_file(&m, config, 0, "decoder.mid.attn_1.k.bias");

    /* Of the encoder only quant_conv: then all of it is needed. */
    model_begin(&m, 1);
    add_kl_part(&m, config, DIM_KL_LDM, FALSE);
    add_tensor(&m, "quant_conv.bias", 1, (gint64[]){8}, 1, 0);
    check_kl_file(&m, config, 0, "encoder.conv_in.weight");

    model_begin(&m, 1);
    m.leave_out = "decoder.norm_out.bias";
    add_kl_part(&m, config, DIM_KL_LDM, FALSE);
    m.leave_out = NULL;
    add_tensor(&m, "decoder.norm_out.bias", 1, &nine, 1, 0);
    check_kl_file(&m, config, 0, "[9]");

    /* Encoder and decoder by different layouts. */
    model_begin(&m, 1);
    add_kl_part(&m, config, DIM_KL_LDM, FALSE);
    add_kl_part(&m, config, DIM_KL_DIFFUSERS, TRUE);
    check_kl_file(&m, config, 0, "mixed");

    model_begin(&m, 1);
    add_kl_part(&m, config, DIM_KL_DIFFUSERS, FALSE);
    add_tensor(&m, "decoder.mid_block.attentions.0.query.bias", 1, (gint64[]){16}, 1, 0);
    check_kl_file(&m, config, 0, "mixed");
}

static void test_tae_files(void)
{
    g_autofree void *config = parse(&dim_vae_tae, "{\"width\": 12}", NULL);
    Model m;

    model_begin(&m, 1);
    add_tae_part(&m, "", tae_encoder_layers, 12, 3, 4);
    DimWeights *encoder = model_end(&m);
    model_begin(&m, 1);
    add_tae_part(&m, "", tae_decoder_layers, 12, 4, 3);
    DimWeights *decoder = model_end(&m);
    model_begin(&m, 1);
    add_tae_part(&m, "", tae_decoder_layers, 12, 4, 3);
    add_tensor(&m, "3.pool.0.weight", 1, (gint64[]){4}, 1, 0);
    DimWeights *variant = model_end(&m);

    assert_check(&dim_vae_tae, config, &(DimAutoencoderFiles){encoder, decoder},
                 DIM_PARTS_ENCODER | DIM_PARTS_DECODER, NULL);
    assert_check(&dim_vae_tae, config, &(DimAutoencoderFiles){NULL, decoder}, DIM_PARTS_DECODER,
                 NULL);
    assert_check(&dim_vae_tae, config, &(DimAutoencoderFiles){encoder, NULL}, DIM_PARTS_ENCODER,
                 NULL);
    assert_check(&dim_vae_tae, config, &(DimAutoencoderFiles){encoder, encoder}, DIM_PARTS_ENCODER,
                 NULL);
    assert_check(&dim_vae_tae, config, &(DimAutoencoderFiles){decoder, decoder}, DIM_PARTS_DECODER,
                 NULL);
    assert_check(&dim_vae_tae, config, &(DimAutoencoderFiles){decoder, encoder}, 0, "0.weight");
    assert_check(&dim_vae_tae, config, &(DimAutoencoderFiles){NULL, variant}, 0, ".pool.");
    dim_weights_close(&encoder);
    dim_weights_close(&decoder);
    dim_weights_close(&variant);
}

static void test_configs(void)
{
    static const struct {
        const DimAutoencoderClass *class;
        const char *text, *word; /* word NULL: accepted */
    } cases[] = {
        {&dim_vae_kl, "{}", NULL},
        {&dim_vae_kl, "{\"ch\": 33}", "33"},
        {&dim_vae_kl, "{\"ch\": 8192, \"ch_mult\": [1, 2]}", "16384"},
        {&dim_vae_kl, "{\"ch\": 16, \"ch_mult\": [2, 4]}", NULL},
        {&dim_vae_kl, "{\"ch_mult\": []}", "ch_mult"},
        {&dim_vae_kl, "{\"ch_mult\": [1, 1, 1, 1, 1, 1, 1, 1, 1]}", "ch_mult"},
        {&dim_vae_kl, "{\"ch_mult\": [65]}", "ch_mult"},
        {&dim_vae_kl, "{\"num_res_blocks\": 0}", "num_res_blocks"},
        {&dim_vae_kl, "{\"norm_eps\": 0}", "norm_eps"},
        {&dim_vae_kl, "{\"norm_eps\": 0.00001}", NULL},
        {&dim_vae_kl, "{\"norm_groups\": 3}", "norm_groups"},
        {&dim_vae_kl, "{\"double_z\": false}", "double_z"},
        {&dim_vae_tae, "{\"width\": 16, \"latent_channels\": 16}", NULL},
        {&dim_vae_tae, "{\"width\": 0}", "width"},
        {&dim_vae_tae, "{\"ch\": 16}", "ch"},
        {&dim_vae_linear, "{\"block\": 64, \"latent_channels\": 12288}", NULL},
        {&dim_vae_linear, "{\"block\": 65}", "block"},
        {&dim_vae_linear, "{\"block\": 1, \"latent_channels\": 4}", "latent_channels"},
        {&dim_vae_linear, "{\"bock\": 8}", "bock"},
        {&dim_vae_none, "{}", NULL},
        {&dim_vae_none, "{\"block\": 8}", "block"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree void *config = parse(cases[i].class, cases[i].text, &error);
        g_assert_cmpint(config == NULL, ==, error != NULL);
        g_assert_cmpint(error == NULL, ==, cases[i].word == NULL);
        if (error && !strstr(error->message, cases[i].word))
            g_error("expected \"%s\" in: %s", cases[i].word, error->message);
    }
}

/* Orthonormal columns by Gram and Schmidt. */
static void orthonormalise(DimArray *basis)
{
    const gint64 n = basis->sizes[0], k = basis->sizes[1];

    for (gint64 i = 0; i < k; i++)
        for (gint64 j = 0; j <= i; j++) {
            double dot = 0;
            for (gint64 p = 0; p < n; p++)
                dot += (double)basis->data[p * k + i] * basis->data[p * k + j];
            for (gint64 p = 0; p < n; p++)
                basis->data[p * k + i] =
                    (float)(i == j ? basis->data[p * k + i] / sqrt(dot)
                                   : basis->data[p * k + i] - dot * basis->data[p * k + j]);
        }
}

static void test_linear_inverse(void)
{
    const gint64 n = 3 * 5 * 5, channels = 7;
    Model m;
    Loaded l;

    model_begin(&m, 9);
    add_tensor(&m, "mean", 1, &n, 0.5, 0.1);
    add_tensor(&m, "basis", 2, (gint64[]){n, channels}, 1, 0);
    add_tensor(&m, "scale", 1, &channels, 0.5, 1);
    orthonormalise(&g_array_index(m.arrays, DimArray, 1));
    load_weights(&l, &dim_vae_linear, "{\"block\": 5, \"latent_channels\": 7}", model_end(&m),
                 DK_BACKEND_CPU, 2);
    DimArray z = random_array(4, 2, channels, 3, 4), image = decode(&l, &z, -1),
             back = encode(&l, &image);
    for (gint64 i = 0; i < dim_array_count(&z); i++)
        g_assert_cmpfloat_with_epsilon(back.data[i], z.data[i], 1e-5);
    dim_array_clear(&z);
    dim_array_clear(&image);
    dim_array_clear(&back);
    unload(&l);
}

/* A scale that is not positive is looked at like a NaN: only where values are read. */
static void test_linear_scale(void)
{
    g_autofree void *config =
        parse(&dim_vae_linear, "{\"block\": 1, \"latent_channels\": 2}", NULL);
    const struct {
        double first, second;
        gboolean good;
    } cases[] = {{1, 0.5, TRUE}, {1, 0, FALSE}, {1, -2, FALSE}, {1e-44, 1, FALSE}};

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        Model m;
        model_begin(&m, 1);
        add_tensor(&m, "mean", 1, (gint64[]){3}, 1, 0);
        add_tensor(&m, "basis", 2, (gint64[]){3, 2}, 1, 0);
        add_tensor(&m, "scale", 1, (gint64[]){2}, 0, cases[i].first);
        g_array_index(m.arrays, DimArray, 2).data[1] = (float)cases[i].second;
        DimWeights *weights = model_end(&m);
        const DimAutoencoderFiles files = {weights, weights};
        assert_check(&dim_vae_linear, config, &files, DIM_PARTS_ENCODER | DIM_PARTS_DECODER, NULL);
        g_assert_true(dim_vae_linear.check_values(config, &files, &error) == cases[i].good);
        g_assert_true(cases[i].good || strstr(error->message, "scale"));
        dim_weights_close(&weights);
    }
}

/* Cancels as soon as some of the work is done. */
static void *cancel_later(void *data)
{
    DimTask *task = data;

    while (dim_task_progress(task) < 0.3)
        g_usleep(200);
    dim_task_cancel(task);
    return NULL;
}

static void test_cancel(void)
{
    g_autoptr(GError) error = NULL;
    DimTask task = {0};
    const DimNetProgress progress = {&task, 0, 1};
    Loaded l;

    load_kl(&l, "{\"ch\": 32, \"norm_groups\": 8}", DIM_KL_LDM, DK_BACKEND_CPU, 1);
    DimArray z = random_array(5, 1, 4, 24, 24), image = random_array(6, 1, 3, 192, 192);
    DimArray whole = decode(&l, &z, 0);
    const gsize before = dk_device_bytes(l.dk); /* scratch has grown by now */
    GThread *thread = g_thread_new("cancel", cancel_later, &task);
    dim_dk_follow(l.dk, &task);
    g_assert_false(l.class->decode(l.dk, l.ae, &z, -1, &image, &progress, &error));
    dim_dk_follow(l.dk, NULL);
    g_thread_join(thread);
    g_assert_error(error, DIM_ERROR, DIM_ERROR_CANCELLED);
    g_assert_cmpfloat(dim_task_progress(&task), <, 0.9);
    g_assert_cmpuint(dk_device_bytes(l.dk), ==, before);

    /* And nothing of it is left: the next run is whole. */
    DimArray again = decode(&l, &z, 4);
    assert_same_bits(again.data, whole.data, dim_array_count(&whole));
    dim_array_clear(&again);
    dim_array_clear(&whole);
    dim_array_clear(&image);
    dim_array_clear(&z);
    unload(&l);
}

static void test_estimate(void)
{
    Loaded l;
    gint64 bytes;
    double flop;

    load_kl(&l, "{\"ch\": 32, \"norm_groups\": 8}", DIM_KL_LDM, DK_BACKEND_CPU, 1);
    const gint64 weights = (gint64)dk_device_bytes(l.dk);
    DimArray z = random_array(5, 1, 4, 40, 32), image = decode(&l, &z, 4);
    const gint64 measured = (gint64)dk_device_peak_bytes(l.dk) - weights;
    l.class->estimate(l.config, 40, 32, 4, &bytes, &flop);
    g_test_message("estimated %.2f MB, measured %.2f MB", bytes * 1e-6, measured * 1e-6);
    g_assert_cmpint(measured, >, 0.85 * bytes);
    g_assert_cmpint(measured, <, 1.15 * bytes);
    dim_array_clear(&image);
    dim_array_clear(&z);
    unload(&l);
}

/* The published decoder's work and memory as the specification has them. */
static void test_published_estimate(void)
{
    g_autofree void *config = parse(&dim_vae_kl, "{}", NULL);
    gint64 bytes;
    double flop;

    dim_vae_kl.estimate(config, 128, 128, 16, &bytes, &flop);
    g_assert_cmpfloat_with_epsilon(flop * 1e-12, 10.5, 0.06);
    g_assert_cmpfloat_with_epsilon((double)bytes / (1 << 30), 1.53, 0.05);
    dim_vae_kl.estimate(config, 256, 256, 16, &bytes, &flop);
    g_assert_cmpfloat_with_epsilon(flop * 1e-12, 48.5, 0.1);
    g_assert_cmpfloat_with_epsilon((double)bytes / (1 << 30), 6.05, 0.1);
    dim_vae_kl.estimate(config, G_MAXINT, G_MAXINT, -1, &bytes, &flop);
    g_assert_cmpint(bytes, ==, G_MAXINT64);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/autoencoder/configs", test_configs);
    g_test_add_func("/autoencoder/linear/inverse", test_linear_inverse);
    g_test_add_func("/autoencoder/linear/scale", test_linear_scale);
    g_test_add_func("/autoencoder/kl/tiles", test_kl_tiles);
    g_test_add_func("/autoencoder/kl/layouts", test_kl_layouts);
    g_test_add_func("/autoencoder/kl/files", test_kl_files);
    g_test_add_func("/autoencoder/tae/tiles", test_tae_tiles);
    g_test_add_func("/autoencoder/tae/files", test_tae_files);
    g_test_add_func("/autoencoder/batch", test_batch);
    g_test_add_func("/autoencoder/cancel", test_cancel);
    g_test_add_func("/autoencoder/estimate", test_estimate);
    g_test_add_func("/autoencoder/estimate/published", test_published_estimate);
    return g_test_run();
}
