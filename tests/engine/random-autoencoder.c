/* Weight files of autoencoders with random numbers.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "random-autoencoder.h"

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

void random_fill(GRand *rand, DimArray *array, double scale, double mean)
{
    for (gint64 i = 0; i < dim_array_count(array); i++)
        array->data[i] = (float)(mean + scale * g_rand_double_range(rand, -1, 1));
}

void random_file_add(RandomFile *m, const char *name, int rank, const gint64 *sizes, double scale,
                     double mean)
{
    DimArray array;

    if (m->leave_out && !strcmp(m->leave_out, name))
        return;
    g_assert_true(dim_array_alloc(&array, rank, sizes, NULL));
    random_fill(m->rand, &array, scale, mean);
    g_array_append_val(m->arrays, array);
    g_ptr_array_add(m->names, g_strdup(name));
}

/* Weights that keep activations near 1, gains about 1, biases about 0. */
static gboolean add_needed(const DimNeed *need, void *data)
{
    const DimLayer *l = &need->layer;
    const gint64 sizes[] = {l->out + l->unused, l->in, l->kernel, l->kernel};

    if (need->is_bias || l->kernel == 0)
        random_file_add(data, need->name, 1, sizes, 0.3, need->is_bias ? 0 : 1);
    else
        random_file_add(data, need->name, l->is_matrix ? 2 : 4, sizes,
                        1.7 / sqrt((double)l->in * l->kernel * l->kernel), 0);
    return TRUE;
}

void random_file_begin(RandomFile *m, guint32 seed)
{
    *m =
        (RandomFile){g_ptr_array_new_with_free_func(g_free),
                     g_array_new(FALSE, FALSE, sizeof(DimArray)), g_rand_new_with_seed(seed), NULL};
}

/* The folder goes at once, as the file is mapped. */
DimWeights *random_file_end(RandomFile *m)
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

void *parse_config(const DimAutoencoderClass *class, const char *text, GError **error)
{
    json_t *json = json_loads(text, 0, NULL);
    g_assert_nonnull(json);
    void *config = class->parse(json, "test", error);
    json_decref(json);
    return config;
}

void random_file_add_kl(RandomFile *m, const DimKlConfig *config, DimKlLayout layout,
                        gboolean encoder)
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

DimWeights *random_kl_weights(const DimKlConfig *config, DimKlLayout layout)
{
    RandomFile m;

    random_file_begin(&m, 7);
    random_file_add_kl(&m, config, layout, TRUE);
    random_file_add_kl(&m, config, layout, FALSE);
    return random_file_end(&m);
}

static void add_tae_conv(RandomFile *m, const char *name, gint64 out, gint64 in, gboolean bias)
{
    g_autofree char *weight = g_strconcat(name, ".weight", NULL);
    g_autofree char *bias_name = g_strconcat(name, ".bias", NULL);

    random_file_add(m, weight, 4, (gint64[]){out, in, 3, 3}, 1.2 / sqrt(in * 9.0), 0);
    if (bias)
        random_file_add(m, bias_name, 1, &out, 0.2, 0);
}

void random_file_add_tae(RandomFile *m, const char *prefix, const char *layers, gint64 width,
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

DimWeights *random_tae_weights(void)
{
    RandomFile m;

    random_file_begin(&m, 8);
    random_file_add_tae(&m, "encoder.layers.", RANDOM_TAE_ENCODER, 12, 3, 4);
    random_file_add_tae(&m, "decoder.layers.", RANDOM_TAE_DECODER + 1, 12, 4, 3);
    return random_file_end(&m);
}
