/* Recognition: every published configuration out of its tensors' names and shapes, and back.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include "engine/import.h"
#include "engine/json.h"
#include "engine/net-diffussm.h"
#include "engine/net-dim.h"
#include "engine/net-dit.h"
#include "engine/weights-made.h"
#include "engine/weights.h"

static json_t *parse(const char *text)
{
    GError *error = NULL;
    json_t *json = dim_json_parse(text, strlen(text), "test", &error);

    g_assert_no_error(error);
    return json;
}

/* ---- backbones ------------------------------------------------------------------------------- */

typedef struct {
    const char *config;
    int side;          /* of a dim's table, in tokens */
    const char *given; /* what no tensor tells and is not the published value */
    const char *name;  /* with ", PIXELS" behind it in the native size; NULL: not looked at */
    int parameters;    /* thousands; 0: not looked at */
} Case;

static const Case dims[] = {
    {"{\"hidden_size\": 1536, \"depth\": 49, \"num_classes\": 1000}", 16, NULL,
     "DiM-Huge/2 ImageNet 256", 862407},
    {"{\"hidden_size\": 1024, \"depth\": 49, \"num_classes\": 1000}", 16, NULL,
     "DiM-Large/2 ImageNet 256", 386063},
    {"{\"hidden_size\": 1536, \"depth\": 49, \"num_classes\": 1000, \"pad_schedule\": \"rho_pad\"}",
     32, NULL, "DiM-Huge/2 ImageNet 512", 863586},
    {"{\"hidden_size\": 1536, \"depth\": 49, \"num_classes\": 1000, \"pad_schedule\": \"rho_pad\","
     " \"pos_embed_size\": 64, \"skip_tune\": [0.82, 1.0]}",
     32, "{\"pos_embed_size\": 64, \"skip_tune\": [0.82, 1.0]}", "DiM-Huge/2 ImageNet 512", 863586},
    {"{\"hidden_size\": 1536, \"depth\": 49, \"num_classes\": 1000, \"pad_schedule\": \"rho_pad\","
     " \"pos_embed_size\": 96, \"skip_tune\": [0.82, 1.0]}",
     32, "{\"pos_embed_size\": 96, \"skip_tune\": [0.82, 1.0]}", "DiM-Huge/2 ImageNet 512", 863586},
    {"{\"hidden_size\": 512, \"depth\": 25, \"in_channels\": 3, \"num_classes\": 10}", 16, NULL,
     "DiM-Small/2 CIFAR-10 32", 50568},
    /* and the keys one by one */
    {"{\"hidden_size\": 40, \"depth\": 8, \"num_classes\": 0, \"encoder_start\": 4, "
     "\"patch_size\": 1,"
     " \"in_channels\": 5, \"out_channels\": 7, \"d_state\": 3, \"d_conv\": 4, \"dt_rank\": 9,"
     " \"expand\": 1.7, \"pad_token_len\": 6, \"final_conv\": true}",
     3, NULL, NULL, 0},
    {"{\"hidden_size\": 24, \"depth\": 5, \"num_classes\": 2, \"pad_schedule\": \"none\","
     " \"split_tokens\": false, \"depthwise_conv\": false, \"skip_connections\": false,"
     " \"expand\": 0.33}",
     5, NULL, NULL, 0},
    {"{\"hidden_size\": 24, \"depth\": 1, \"num_classes\": 2, \"pad_schedule\": \"rho_pad\","
     " \"scan_directions\": 2, \"norm_eps\": 1e-3}",
     5, "{\"pad_schedule\": \"rho_pad\", \"scan_directions\": 2, \"norm_eps\": 1e-3}", NULL, 0},
};

#define DIT(size, d, n, h, p, k)                                                                   \
    {                                                                                              \
        "{\"hidden_size\": " #d ", \"depth\": " #n ", \"num_heads\": " #h ", \"patch_size\": " #p  \
        ", \"guidance_channels\": 3}",                                                             \
            0, NULL, "DiT-" size "/" #p " ImageNet 256", k                                         \
    }
static const Case dits[] = {
    DIT("S", 384, 12, 6, 2, 0),
    DIT("S", 384, 12, 6, 4, 0),
    DIT("S", 384, 12, 6, 8, 0),
    DIT("B", 768, 12, 12, 2, 0),
    DIT("B", 768, 12, 12, 4, 0),
    DIT("B", 768, 12, 12, 8, 0),
    DIT("L", 1024, 24, 16, 2, 0),
    DIT("L", 1024, 24, 16, 4, 0),
    DIT("L", 1024, 24, 16, 8, 0),
    DIT("XL", 1152, 28, 16, 2, 0),
    DIT("XL", 1152, 28, 16, 4, 0),
    DIT("XL", 1152, 28, 16, 8, 0),
    {"{\"hidden_size\": 96, \"depth\": 3, \"num_heads\": 4, \"patch_size\": 1, \"in_channels\": 3,"
     " \"learn_sigma\": false, \"num_classes\": 7, \"class_dropout_prob\": 0, \"mlp_ratio\": 2.6}",
     0, "{\"num_heads\": 4, \"class_dropout_prob\": 0}", NULL, 0},
};
#undef DIT

static const Case ssms[] = {
    {"{}", 0, NULL, "DiffuSSM-XL ImageNet 256", 0},
    {"{\"num_classes\": 0}", 0, NULL, "DiffuSSM-XL 256", 0},
    {"{\"hidden_size\": 36, \"depth\": 2, \"hourglass_ratio\": 4, \"d_state\": 6, \"patch_size\": "
     "2,"
     " \"in_channels\": 3, \"learn_sigma\": false, \"num_classes\": 11, \"input_size\": 48,"
     " \"pos_embed\": \"sincos\"}",
     0, "{\"pos_embed\": \"sincos\", \"input_size\": 48}", NULL, 0},
    {"{\"hidden_size\": 36, \"depth\": 2, \"patch_size\": 2, \"in_channels\": 2}", 0,
     "{\"patch_size\": 2}", NULL, 0},
};

static gint64 count(const DimWeights *weights)
{
    gint64 n = 0;

    for (int i = 0; i < weights->n_entries; i++)
        n += weights->entries[i].tensor.count;
    return n;
}

static gsize size_of(const DimNetClass *net)
{
    return net == &dim_net_dim   ? sizeof(DimMambaConfig)
           : net == &dim_net_dit ? sizeof(DimDitConfig)
                                 : sizeof(DimSsmConfig);
}

static void check_name(const DimRecognised *found, const Case *c)
{
    json_t *model = dim_import_describe(found, c->side, NULL);

    g_assert_cmpstr(json_string_value(json_object_get(model, "name")), ==, c->name);
    json_decref(model);
}

/* What is recognised is what the tensors were made of, to the last key. */
static void check_cases(const DimNetClass *net, const Case *cases, gsize n)
{
    for (gsize i = 0; i < n; i++) {
        json_t *json = parse(cases[i].config),
               *given = cases[i].given ? parse(cases[i].given) : NULL;
        GError *error = NULL;
        g_autofree void *config = net->parse(json, "test", &error);
        g_assert_no_error(error);
        DimWeights *weights = dim_weights_list_net(net, config, cases[i].side, &error);
        DimRecognised found;

        g_assert_no_error(error);
        dim_recognise_net(weights, given, &found, &error);
        g_assert_no_error(error);
        g_assert_true(found.net == net);
        g_assert_cmpmem(found.parsed, size_of(net), config, size_of(net));
        if (cases[i].name)
            check_name(&found, &cases[i]);
        if (cases[i].parameters)
            g_assert_cmpint(count(weights) / 1000, ==, cases[i].parameters);
        dim_recognised_clear(&found);
        dim_weights_close(&weights);
        json_decref(json);
        json_decref(given);
    }
}

static void test_dim(void)
{
    check_cases(&dim_net_dim, dims, G_N_ELEMENTS(dims));
}

static void test_dit(void)
{
    check_cases(&dim_net_dit, dits, G_N_ELEMENTS(dits));
}

static void test_diffussm(void)
{
    check_cases(&dim_net_diffussm, ssms, G_N_ELEMENTS(ssms));
}

/* ---- autoencoders ---------------------------------------------------------------------------- */

static const struct {
    const DimAutoencoderClass *class;
    const char *config;
} autoencoders[] = {
    {&dim_vae_kl, "{}"},
    {&dim_vae_kl, "{\"ch\": 64, \"ch_mult\": [1, 3], \"num_res_blocks\": 3, \"z_channels\": 16,"
                  " \"embed_dim\": 8}"},
    {&dim_vae_kl, "{\"ch\": 24, \"ch_mult\": [2, 3, 3], \"num_res_blocks\": 1, \"norm_groups\": 8,"
                  " \"in_channels\": 1, \"out_ch\": 1}"},
    {&dim_vae_tae, "{}"},
    {&dim_vae_tae, "{\"width\": 24, \"latent_channels\": 16}"},
    {&dim_vae_linear, "{}"},
    {&dim_vae_linear, "{\"block\": 4, \"latent_channels\": 7}"},
};

static gboolean same_tensors(const DimWeights *a, const DimWeights *b)
{
    if (a->n_entries != b->n_entries)
        return FALSE;
    for (int i = 0; i < a->n_entries; i++) {
        const DimTensor *x = &a->entries[i].tensor, *y = &b->entries[i].tensor;
        if (strcmp(x->name, y->name) != 0 || x->rank != y->rank ||
            memcmp(x->sizes, y->sizes, (gsize)x->rank * sizeof *x->sizes) != 0)
            return FALSE;
    }
    return TRUE;
}

static void test_autoencoders(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(autoencoders); i++) {
        const DimAutoencoderClass *class = autoencoders[i].class;
        json_t *json = parse(autoencoders[i].config);
        g_autofree void *config = class->parse(json, "test", NULL);
        DimWeights *weights = dim_weights_list_autoencoder(class, config, NULL);
        const DimAutoencoderFiles files = {weights, weights};
        DimRecognised found;
        GError *error = NULL;

        g_assert_true(dim_recognise_is_autoencoder(weights));
        dim_recognise_autoencoder(&files, NULL, &found, &error);
        g_assert_no_error(error);
        g_assert_true(found.autoencoder == class);
        DimWeights *again = dim_weights_list_autoencoder(class, found.parsed, NULL);
        g_assert_true(same_tensors(weights, again));
        dim_weights_close(&again);
        dim_recognised_clear(&found);
        dim_weights_close(&weights);
        json_decref(json);
    }
}

/* ---- what fits nothing ----------------------------------------------------------------------- */

static DimWeights *list_small(const char *leave_out, const char *add)
{
    json_t *json = parse("{\"hidden_size\": 32, \"depth\": 2, \"num_heads\": 2}");
    g_autofree void *config = dim_net_dit.parse(json, "test", NULL);
    DimWeights *all = dim_weights_list_net(&dim_net_dit, config, 0, NULL);
    DimWeights *weights = dim_weights_new("FILE");
    const DimEntry extra = {.tensor = {.rank = 1, .sizes = {3}, .count = 3}};

    for (int i = 0; i < all->n_entries; i++) {
        const DimEntry *e = &all->entries[i];
        if (!leave_out || strcmp(e->tensor.name, leave_out) != 0)
            dim_weights_add(weights, e, e->tensor.name, strlen(e->tensor.name), NULL);
    }
    if (add)
        dim_weights_add(weights, &extra, add, strlen(add), NULL);
    g_assert_true(dim_weights_index(weights, NULL));
    dim_weights_close(&all);
    json_decref(json);
    return weights;
}

static void check_refused(DimWeights *weights, const char *given, const char *word)
{
    json_t *keys = given ? parse(given) : NULL;
    GError *error = NULL;
    DimRecognised found;

    g_assert_false(dim_recognise_net(weights, keys, &found, &error));
    if (!error || !strstr(error->message, word))
        g_error("\"%s\" does not say %s", error ? error->message : "nothing", word);
    g_assert_null(found.config);
    g_error_free(error);
    json_decref(keys);
    dim_weights_close(&weights);
}

static void test_refused(void)
{
    check_refused(dim_weights_new("FILE"), NULL, "is no model that is known");
    check_refused(list_small("blocks.1.attn.proj.bias", NULL), NULL, "\"blocks.1.attn.proj.bias\"");
    check_refused(list_small("x_embedder.proj.weight", NULL), NULL, "\"x_embedder.proj.weight\"");
    check_refused(list_small("y_embedder.embedding_table.weight", NULL), NULL,
                  "\"y_embedder.embedding_table.weight\"");
    check_refused(list_small(NULL, "blocks.0.attn.q_norm.weight"), NULL,
                  "\"blocks.0.attn.q_norm.weight\" of shape [3] is no part of a dit");
    check_refused(list_small(NULL, NULL), "{\"depth\": 3}", "\"blocks.2.");
    check_refused(list_small(NULL, NULL), "{\"depth\": 1}", "\"blocks.1.");
    check_refused(list_small(NULL, NULL), "{\"deep\": 1}", "\"deep\"");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/recognise/dim", test_dim);
    g_test_add_func("/recognise/dit", test_dit);
    g_test_add_func("/recognise/diffussm", test_diffussm);
    g_test_add_func("/recognise/autoencoders", test_autoencoders);
    g_test_add_func("/recognise/refused", test_refused);
    return g_test_run();
}
