/* What published models have that is in no tensor.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include "import.h"
#include "json.h"
#include "net-diffussm.h"
#include "net-dim.h"
#include "net-dit.h"

enum {
    LATENT_FACTOR = 8 /* of the Stable Diffusion autoencoder, that all published latents are of */
};

/* ---- names ----------------------------------------------------------------------------------- */

static const struct {
    const char *family;
    int width, depth, in_channels, n_labels;
    const char *name;
} published[] = {
    {"dim", 1536, 49, 4, 1000, "DiM-Huge"}, {"dim", 1024, 49, 4, 1000, "DiM-Large"},
    {"dim", 512, 25, 3, 10, "DiM-Small"},   {"dit", 384, 12, 4, 1000, "DiT-S"},
    {"dit", 768, 12, 4, 1000, "DiT-B"},     {"dit", 1024, 24, 4, 1000, "DiT-L"},
    {"dit", 1152, 28, 4, 1000, "DiT-XL"},   {"diffussm", 1152, 29, 4, -1, "DiffuSSM-XL"},
};

/* Sizes that the families spell alike. */
typedef struct {
    DimNetFacts facts;
    int width, depth;
    int side; /* of the native latent */
} Sizes;

static Sizes sizes_of(const DimRecognised *net, gint64 table_side)
{
    Sizes s = {0};

    net->net->facts(net->parsed, &s.facts);
    if (net->net == &dim_net_dim) {
        const DimMambaConfig *c = net->parsed;
        s.width = c->width;
        s.depth = c->depth;
        s.side = (int)table_side * c->patch;
    } else if (net->net == &dim_net_dit) {
        const DimDitConfig *c = net->parsed;
        s.width = c->width;
        s.depth = c->depth;
        s.side = c->input_size;
    } else {
        const DimSsmConfig *c = net->parsed;
        s.width = c->width;
        s.depth = c->depth;
        s.side = (int)dim_given(net->config, "input_size", 32);
    }
    return s;
}

/* "DiM-Huge/2"; sizes that nobody published are named by themselves. */
static char *name_of(const DimRecognised *net, const Sizes *s)
{
    static const char *const families[][2] = {
        {"dim", "DiM"}, {"dit", "DiT"}, {"diffussm", "DiffuSSM"}};
    const char *family = net->net->family;
    g_autofree char *patch = g_strdup_printf("/%d", s->facts.patch);
    const gboolean is_scan = net->net == &dim_net_diffussm;

    for (gsize i = 0; i < G_N_ELEMENTS(published); i++)
        if (!strcmp(published[i].family, family) && published[i].width == s->width &&
            published[i].depth == s->depth && published[i].in_channels == s->facts.in_channels &&
            (published[i].n_labels < 0 || published[i].n_labels == s->facts.n_labels))
            return g_strconcat(published[i].name, is_scan ? "" : patch, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(families); i++)
        if (!strcmp(families[i][0], family))
            family = families[i][1];
    return g_strdup_printf("%s%s, %d wide, %d blocks", family, is_scan ? "" : patch, s->width,
                           s->depth);
}

/* "DiM-Huge/2 ImageNet 256", or "DiM/2, 64 wide, 3 blocks, 32 pixels" */
static char *full_name(const DimRecognised *net, const Sizes *s, int native)
{
    g_autofree char *name = name_of(net, s);
    const gboolean is_published = !strchr(name, ',');
    const char *data = s->facts.n_labels == 1000              ? "ImageNet"
                       : g_str_has_prefix(name, "DiM-Small/") ? "CIFAR-10"
                                                              : "";
    const char *between = !*data ? "" : is_published ? " " : ", ";

    return g_strdup_printf(is_published ? "%s%s%s %d" : "%s%s%s, %d pixels", name, between, data,
                           native);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void put_schedule(json_t *model, const DimRecognised *net, gboolean is_latent)
{
    const gboolean scaled = net->net == &dim_net_dim && is_latent;

    json_object_set_new(
        model, "noise_schedule",
        json_pack("{s:s, s:f, s:f, s:i}", "type", scaled ? "scaled_linear" : "linear", "beta_start",
                  scaled ? 0.00085 : 1e-4, "beta_end", scaled ? 0.012 : 0.02, "timesteps", 1000));
    json_object_set_new(model, "prediction", json_string("epsilon"));
}

static double guidance_of(const DimRecognised *net, const Sizes *s)
{
    if (!s->facts.n_labels || !s->facts.has_null_label)
        return 1;
    if (net->net == &dim_net_dit)
        return 4;
    if (net->net == &dim_net_diffussm)
        return 1.5;
    const DimMambaConfig *c = net->parsed;
    if (c->in_channels == 3) /* trained without labels */
        return 1;
    return c->table_h ? 4 : s->side >= 64 ? 1.7 : 1.4;
}

static void put_use(json_t *model, const DimRecognised *net, const Sizes *s)
{
    const gboolean is_dim = net->net == &dim_net_dim;
    const gboolean has_null = s->facts.n_labels > 0 && s->facts.has_null_label;

    json_object_set_new(model, "unconditional_class",
                        has_null ? json_integer(s->facts.n_labels) : json_null());
    json_object_set_new(model, "defaults",
                        json_pack("{s:s, s:i, s:f}", "sampler",
                                  is_dim ? "dpm-solver++-fast" : "ddpm", "steps", is_dim ? 50 : 250,
                                  "guidance", guidance_of(net, s)));
}

static json_t *describe_autoencoder(const DimRecognised *autoencoder, const Sizes *s)
{
    DimAutoencoderFacts facts;

    if (!autoencoder)
        return s && s->facts.in_channels == 3 ? json_pack("{s:s}", "family", "none") : NULL;
    autoencoder->autoencoder->facts(autoencoder->parsed, &facts);
    return json_pack("{s:s, s:O, s:f}", "family", autoencoder->autoencoder->family, "config",
                     autoencoder->config, "scale_factor", facts.default_scale_factor);
}

static int factor_of(const DimRecognised *autoencoder, const Sizes *s)
{
    DimAutoencoderFacts facts;

    if (!autoencoder)
        return s->facts.in_channels == 3 ? 1 : LATENT_FACTOR;
    autoencoder->autoencoder->facts(autoencoder->parsed, &facts);
    return facts.factor;
}

json_t *dim_import_describe(const DimRecognised *net, gint64 table_side,
                            const DimRecognised *autoencoder)
{
    json_t *model = json_pack("{s:s, s:i}", "format", "gimp-dim-model", "version", 1);

    if (!net) {
        g_autofree char *name = g_strdup_printf("autoencoder %s", autoencoder->autoencoder->family);
        json_object_set_new(model, "name", json_string(name));
        json_object_set_new(model, "autoencoder", describe_autoencoder(autoencoder, NULL));
        return model;
    }
    const Sizes s = sizes_of(net, table_side);
    const int native = s.side * factor_of(autoencoder, &s);
    g_autofree char *name = full_name(net, &s, native);
    json_t *ae = describe_autoencoder(autoencoder, &s);

    json_object_set_new(model, "name", json_string(name));
    json_object_set_new(model, "backbone",
                        json_pack("{s:s, s:O}", "family", net->net->family, "config", net->config));
    if (ae)
        json_object_set_new(model, "autoencoder", ae);
    put_schedule(model, net, factor_of(autoencoder, &s) > 1);
    put_use(model, net, &s);
    json_object_set_new(model, "native_size", json_integer(native));
    return model;
}
