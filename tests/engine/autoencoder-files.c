/* Configurations and weight files of the autoencoders: what is taken, and what is refused in which
 * words.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include "random-autoencoder.h"

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

static void check_kl_file(RandomFile *m, const DimKlConfig *config, int parts, const char *word)
{
    DimWeights *weights = random_file_end(m);

    assert_check(&dim_vae_kl, config, &(DimAutoencoderFiles){weights, weights}, parts, word);
    dim_weights_close(&weights);
}

static void test_kl_files(void)
{
    g_autofree DimKlConfig *config = parse_config(&dim_vae_kl, RANDOM_KL_CONFIG, NULL);
    const gint64 nine = 9;
    RandomFile m;

    random_file_begin(&m, 1);
    random_file_add_kl(&m, config, DIM_KL_DIFFUSERS, FALSE);
    check_kl_file(&m, config, DIM_PARTS_DECODER, NULL);

    random_file_begin(&m, 1);
    random_file_add_kl(&m, config, DIM_KL_LDM, TRUE);
    check_kl_file(&m, config, DIM_PARTS_ENCODER, NULL);

    random_file_begin(&m, 1);
    random_file_add(&m, "loss.logvar", 1, &nine, 1, 0);
    check_kl_file(&m, config, 0, "no autoencoder");

    random_file_begin(&m, 1);
    m.leave_out = "decoder.mid.attn_1.k.bias";
    random_file_add_kl(&m, config, DIM_KL_LDM, FALSE);
    check_kl_file(&m, config, 0, "decoder.mid.attn_1.k.bias");

    /* Of the encoder only quant_conv: then all of it is needed. */
    random_file_begin(&m, 1);
    random_file_add_kl(&m, config, DIM_KL_LDM, FALSE);
    random_file_add(&m, "quant_conv.bias", 1, (gint64[]){8}, 1, 0);
    check_kl_file(&m, config, 0, "encoder.conv_in.weight");

    random_file_begin(&m, 1);
    m.leave_out = "decoder.norm_out.bias";
    random_file_add_kl(&m, config, DIM_KL_LDM, FALSE);
    m.leave_out = NULL;
    random_file_add(&m, "decoder.norm_out.bias", 1, &nine, 1, 0);
    check_kl_file(&m, config, 0, "[9]");

    /* Encoder and decoder by different layouts. */
    random_file_begin(&m, 1);
    random_file_add_kl(&m, config, DIM_KL_LDM, FALSE);
    random_file_add_kl(&m, config, DIM_KL_DIFFUSERS, TRUE);
    check_kl_file(&m, config, 0, "mixed");

    random_file_begin(&m, 1);
    random_file_add_kl(&m, config, DIM_KL_DIFFUSERS, FALSE);
    random_file_add(&m, "decoder.mid_block.attentions.0.query.bias", 1, (gint64[]){16}, 1, 0);
    check_kl_file(&m, config, 0, "mixed");
}

static void test_tae_files(void)
{
    g_autofree void *config = parse_config(&dim_vae_tae, "{\"width\": 12}", NULL);
    RandomFile m;

    random_file_begin(&m, 1);
    random_file_add_tae(&m, "", RANDOM_TAE_ENCODER, 12, 3, 4);
    DimWeights *encoder = random_file_end(&m);
    random_file_begin(&m, 1);
    random_file_add_tae(&m, "", RANDOM_TAE_DECODER, 12, 4, 3);
    DimWeights *decoder = random_file_end(&m);
    random_file_begin(&m, 1);
    random_file_add_tae(&m, "", RANDOM_TAE_DECODER, 12, 4, 3);
    random_file_add(&m, "3.pool.0.weight", 1, (gint64[]){4}, 1, 0);
    DimWeights *variant = random_file_end(&m);

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

/* A scale that is not positive is looked at like a NaN: only where values are read. */
static void test_linear_scale(void)
{
    g_autofree void *config =
        parse_config(&dim_vae_linear, "{\"block\": 1, \"latent_channels\": 2}", NULL);
    const struct {
        double first, second;
        gboolean good;
    } cases[] = {{1, 0.5, TRUE}, {1, 0, FALSE}, {1, -2, FALSE}, {1e-44, 1, FALSE}};

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        RandomFile m;
        random_file_begin(&m, 1);
        random_file_add(&m, "mean", 1, (gint64[]){3}, 1, 0);
        random_file_add(&m, "basis", 2, (gint64[]){3, 2}, 1, 0);
        random_file_add(&m, "scale", 1, (gint64[]){2}, 0, cases[i].first);
        g_array_index(m.arrays, DimArray, 2).data[1] = (float)cases[i].second;
        DimWeights *weights = random_file_end(&m);
        const DimAutoencoderFiles files = {weights, weights};
        assert_check(&dim_vae_linear, config, &files, DIM_PARTS_ENCODER | DIM_PARTS_DECODER, NULL);
        g_assert_true(dim_vae_linear.check_values(config, &files, &error) == cases[i].good);
        g_assert_true(cases[i].good || strstr(error->message, "scale"));
        dim_weights_close(&weights);
    }
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
        g_autofree void *config = parse_config(cases[i].class, cases[i].text, &error);
        g_assert_cmpint(config == NULL, ==, error != NULL);
        g_assert_cmpint(error == NULL, ==, cases[i].word == NULL);
        if (error && !strstr(error->message, cases[i].word))
            g_error("expected \"%s\" in: %s", cases[i].word, error->message);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/autoencoder/configs", test_configs);
    g_test_add_func("/autoencoder/files/kl", test_kl_files);
    g_test_add_func("/autoencoder/files/tae", test_tae_files);
    g_test_add_func("/autoencoder/files/linear-scale", test_linear_scale);
    return g_test_run();
}
