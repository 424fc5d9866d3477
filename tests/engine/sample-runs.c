/* Runs of a model, and one without borders.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "sample-runs.h"

#include <string.h>

#include <glib/gstdio.h>

#include "engine/model.h"
#include "random-model.h"

void runs_open_folder(Runs *f, const char *folder, DimParts parts, int n_threads)
{
    g_autoptr(GError) error = NULL;

    f->device = dim_device_open("cpu", n_threads, &error);
    g_assert_no_error(error);
    f->model = dim_model_open(f->device, folder, parts, DIM_PRECISION_F32, NULL, &error);
    g_assert_no_error(error);
}

void runs_open(Runs *f, const char *path, int n_threads)
{
    g_autofree char *folder = g_test_build_filename(G_TEST_DIST, path, NULL);

    runs_open_folder(f, folder, DIM_PARTS_BACKBONE | DIM_PARTS_DECODER, n_threads);
}

void runs_close(Runs *f)
{
    dim_model_close(&f->model);
    dim_device_close(&f->device);
}

DimSampler *runs_start(const Runs *f, const DimParams *params)
{
    g_autoptr(GError) error = NULL;
    DimSampler *sampler = dim_sampler_new(f->model, params, &error);

    g_assert_no_error(error);
    g_assert_nonnull(sampler);
    return sampler;
}

DimSampler *runs_finish(const Runs *f, const DimParams *params)
{
    g_autoptr(GError) error = NULL;
    DimSampler *sampler = runs_start(f, params);

    while (!dim_sampler_done(sampler)) {
        g_assert_true(dim_sampler_step(sampler, &error));
        g_assert_no_error(error);
    }
    return sampler;
}

DimArray runs_latent(const Runs *f, const DimParams *params)
{
    DimSampler *sampler = runs_finish(f, params);
    DimArray z = {0};

    g_assert_true(dim_sampler_latent(sampler, &z, NULL));
    dim_sampler_free(&sampler);
    return z;
}

gboolean runs_same_bits(const DimArray *a, const DimArray *b)
{
    return dim_array_count(a) == dim_array_count(b) &&
           !memcmp(a->data, b->data, sizeof(float) * dim_array_count(a));
}

/* Writes the model's weights anew, zeros in all tensors of that name. */
static void clear_tensors(const char *folder, const char *const *suffixes)
{
    g_autofree char *file = g_build_filename(folder, "weights.safetensors", NULL);
    DimWeights *weights = dim_weights_open(file, NULL);
    const int n = dim_weights_count(weights);
    g_autofree const char **names = g_new(const char *, n);
    g_autofree DimArray *arrays = g_new0(DimArray, n);

    for (int i = 0; i < n; i++) {
        const DimTensor *t = dim_weights_tensor(weights, i);
        names[i] = t->name;
        g_assert_true(dim_array_alloc(&arrays[i], t->rank, t->sizes, NULL));
        g_assert_true(dim_weights_read_f32(weights, t, arrays[i].data, NULL));
        for (const char *const *s = suffixes; *s; s++)
            if (g_str_has_suffix(t->name, *s))
                memset(arrays[i].data, 0, sizeof(float) * (gsize)t->count);
    }
    g_assert_true(dim_tensors_save(file, n, names, arrays, NULL));
    for (int i = 0; i < n; i++)
        dim_array_clear(&arrays[i]);
    dim_weights_close(&weights);
}

char *runs_pointwise_model(const char *more)
{
    static const char *const mixing[] = {"attn1.out_proj.weight", "additional_embed", NULL};
    g_autoptr(GError) error = NULL;
    char *folder = g_dir_make_tmp("dim-seamless-XXXXXX", NULL);

    g_autofree char *config =
        g_strconcat("{\"hidden_size\": 16, \"depth\": 3, \"patch_size\": 1, \"in_channels\": 3, "
                    "\"num_classes\": 4, \"d_state\": 4, \"depthwise_conv\": false, "
                    "\"pad_schedule\": \"none\", \"split_tokens\": false",
                    more, "}", NULL);
    random_model_write(folder, config, 8, 3, &error);
    g_assert_no_error(error);
    clear_tensors(folder, mixing);
    g_autofree char *model = g_build_filename(folder, "model.json", NULL);
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents(model, &text, NULL, NULL));
    g_autofree char *with =
        g_strconcat("{\"autoencoder\": {\"family\": \"none\"},", text + 1, NULL);
    g_assert_true(g_file_set_contents(model, with, -1, NULL));
    return folder;
}

void runs_remove_model(char *folder)
{
    g_autofree char *model = g_build_filename(folder, "model.json", NULL);
    g_autofree char *weights = g_build_filename(folder, "weights.safetensors", NULL);

    g_remove(model);
    g_remove(weights);
    g_rmdir(folder);
    g_free(folder);
}
