/* Properties of the autoencoders that no golden case can show: bands, batches, threads, cancel,
 * memory, names.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>
#include <string.h>

#include "engine/model.h"
#include "random-autoencoder.h"

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

static void load_weights(Loaded *l, const DimAutoencoderClass *class, const char *config,
                         DimWeights *weights, DkBackend backend, int n_threads)
{
    g_autoptr(GError) error = NULL;
    const DimAutoencoderFiles files = {weights, weights};
    const DimParts both = DIM_PARTS_ENCODER | DIM_PARTS_DECODER;
    gint64 parameters = 0;

    *l = (Loaded){.class = class, .weights = weights};
    l->config = parse_config(class, config, &error);
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
    g_autofree DimKlConfig *config = parse_config(&dim_vae_kl, text, NULL);

    load_weights(l, &dim_vae_kl, text, random_kl_weights(config, layout), backend, n_threads);
}

static void load_tae(Loaded *l, DkBackend backend, int n_threads)
{
    load_weights(l, &dim_vae_tae, "{\"width\": 12}", random_tae_weights(), backend, n_threads);
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
    random_fill(rand, &array, 1, 0);
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

    load_kl(&l, RANDOM_KL_CONFIG, DIM_KL_LDM, DK_BACKEND_CPU, 2);
    check_tiles(&l);
    load_kl(&l, RANDOM_KL_CONFIG, DIM_KL_LDM, DK_BACKEND_REF, 1);
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

    load_kl(&two, RANDOM_KL_CONFIG, DIM_KL_LDM, DK_BACKEND_CPU, 2);
    load_kl(&one, RANDOM_KL_CONFIG, DIM_KL_LDM, DK_BACKEND_CPU, 1);
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

    load_kl(&ldm, RANDOM_KL_CONFIG, DIM_KL_LDM, DK_BACKEND_CPU, 1);
    DimArray image = decode(&ldm, &z, 0), back = encode(&ldm, &image);
    for (int layout = DIM_KL_LDM_WHOLE; layout < DIM_KL_N_LAYOUTS; layout++) {
        load_kl(&other, RANDOM_KL_CONFIG, layout, DK_BACKEND_CPU, 1);
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
    RandomFile m;
    Loaded l;

    random_file_begin(&m, 9);
    random_file_add(&m, "mean", 1, &n, 0.5, 0.1);
    random_file_add(&m, "basis", 2, (gint64[]){n, channels}, 1, 0);
    random_file_add(&m, "scale", 1, &channels, 0.5, 1);
    orthonormalise(&g_array_index(m.arrays, DimArray, 1));
    load_weights(&l, &dim_vae_linear, "{\"block\": 5, \"latent_channels\": 7}", random_file_end(&m),
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
    g_autofree void *config = parse_config(&dim_vae_kl, "{}", NULL);
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
    g_test_add_func("/autoencoder/linear/inverse", test_linear_inverse);
    g_test_add_func("/autoencoder/kl/tiles", test_kl_tiles);
    g_test_add_func("/autoencoder/kl/layouts", test_kl_layouts);
    g_test_add_func("/autoencoder/tae/tiles", test_tae_tiles);
    g_test_add_func("/autoencoder/batch", test_batch);
    g_test_add_func("/autoencoder/cancel", test_cancel);
    g_test_add_func("/autoencoder/estimate", test_estimate);
    g_test_add_func("/autoencoder/estimate/published", test_published_estimate);
    return g_test_run();
}
