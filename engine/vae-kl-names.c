/* Family `kl`: how ldm and diffusers name the tensors, and which of them a file follows.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include "error.h"
#include "vae-kl.h"
#include "weights.h"

static const char *const layout_names[] = {
    [DIM_KL_LDM] = "ldm",
    [DIM_KL_LDM_WHOLE] = "ldm with the prefix first_stage_model.",
    [DIM_KL_DIFFUSERS] = "diffusers",
    [DIM_KL_DIFFUSERS_OLDER] = "older diffusers",
};

static gboolean is_ldm(DimKlLayout layout)
{
    return layout == DIM_KL_LDM || layout == DIM_KL_LDM_WHOLE;
}

/* The layer's name inside a residual block or an attention. */
static const char *role_name(DimRole role, DimKlLayout layout)
{
    static const struct {
        const char *ldm, *diffusers, *older;
    } names[] = {
        [DIM_ROLE_NORM1] = {"norm1", "norm1", "norm1"},
        [DIM_ROLE_CONV1] = {"conv1", "conv1", "conv1"},
        [DIM_ROLE_NORM2] = {"norm2", "norm2", "norm2"},
        [DIM_ROLE_CONV2] = {"conv2", "conv2", "conv2"},
        [DIM_ROLE_SHORTCUT] = {"nin_shortcut", "conv_shortcut", "conv_shortcut"},
        [DIM_ROLE_NORM] = {"norm", "group_norm", "group_norm"},
        [DIM_ROLE_Q] = {"q", "to_q", "query"},
        [DIM_ROLE_K] = {"k", "to_k", "key"},
        [DIM_ROLE_V] = {"v", "to_v", "value"},
        [DIM_ROLE_PROJ] = {"proj_out", "to_out.0", "proj_attn"},
    };

    if (layout == DIM_KL_DIFFUSERS)
        return names[role].diffusers;
    return layout == DIM_KL_DIFFUSERS_OLDER ? names[role].older : names[role].ldm;
}

static void level_name(GString *name, const DimStep *s, DimRole role, const DimKlNames *n)
{
    const char *way = n->is_encoder ? "down" : "up";
    /* diffusers numbers in the order of use. */
    const int nth = n->is_encoder ? s->level : n->n_levels - 1 - s->level;

    if (is_ldm(n->layout))
        g_string_append_printf(name, "%s.%d.", way, s->level);
    else
        g_string_append_printf(name, "%s_blocks.%d.", way, nth);
    if (s->kind != DIM_STEP_RESIDUAL)
        g_string_append_printf(name, is_ldm(n->layout) ? "%ssample.conv" : "%ssamplers.0.conv",
                               way);
    else
        g_string_append_printf(name, is_ldm(n->layout) ? "block.%d.%s" : "resnets.%d.%s", s->index,
                               role_name(role, n->layout));
}

static void mid_name(GString *name, const DimStep *s, DimRole role, const DimKlNames *n)
{
    const char *layer = role_name(role, n->layout);

    if (s->kind == DIM_STEP_ATTENTION)
        g_string_append_printf(
            name, is_ldm(n->layout) ? "mid.attn_1.%s" : "mid_block.attentions.0.%s", layer);
    else if (is_ldm(n->layout))
        g_string_append_printf(name, "mid.block_%d.%s", s->index + 1, layer);
    else
        g_string_append_printf(name, "mid_block.resnets.%d.%s", s->index, layer);
}

void dim_kl_name(GString *name, const DimStep *step, DimRole role, const void *names)
{
    const DimKlNames *n = names;

    if (n->layout == DIM_KL_LDM_WHOLE)
        g_string_append(name, "first_stage_model.");
    if (step->place == DIM_KL_OUTER) {
        g_string_append(name, n->is_encoder ? "quant_conv" : "post_quant_conv");
        return;
    }
    g_string_append(name, n->is_encoder ? "encoder." : "decoder.");
    switch ((DimKlPlace)step->place) {
    case DIM_KL_CONV_IN:
        g_string_append(name, "conv_in");
        break;
    case DIM_KL_OUT:
        if (role == DIM_ROLE_CONV)
            g_string_append(name, "conv_out");
        else
            g_string_append(name, is_ldm(n->layout) ? "norm_out" : "conv_norm_out");
        break;
    case DIM_KL_MID:
        mid_name(name, step, role, n);
        break;
    case DIM_KL_LEVEL:
        level_name(name, step, role, n);
        break;
    case DIM_KL_OUTER:
        break;
    }
}

/* ---- which layout
 * ------------------------------------------------------------------------------------ */

/* Both parts of a configuration under one layout's names. */
static gboolean walk_both(const DimKlConfig *config, DimKlLayout layout, DimNeedVisit visit,
                          void *data)
{
    gboolean go_on = TRUE;

    for (int part = 0; go_on && part < 2; part++) {
        const DimKlNames names = {layout, part == 0, config->n_levels};
        DimChain chain;
        if (names.is_encoder)
            dim_kl_encoder(&chain, config, layout);
        else
            dim_kl_decoder(&chain, config);
        go_on = dim_chain_walk(&chain, dim_kl_name, &names, visit, data);
        dim_chain_clear(&chain);
    }
    return go_on;
}

typedef struct {
    const DimWeights *weights;
    GHashTable *found;
} Search;

static gboolean visit_collect(const DimNeed *need, void *data)
{
    Search *search = data;
    const DimTensor *tensor = dim_weights_find(search->weights, need->name);

    if (tensor)
        g_hash_table_add(search->found, (char *)tensor->name);
    return TRUE;
}

/* The names that a file has of those that a layout needs; the strings are the file's. */
static GHashTable *names_found(const DimKlConfig *config, const DimWeights *weights,
                               DimKlLayout layout)
{
    Search search = {weights, g_hash_table_new(g_str_hash, g_str_equal)};

    walk_both(config, layout, visit_collect, &search);
    return search.found;
}

/* A name that is in one set only; NULL: there is none. */
static const char *only_in(GHashTable *set, GHashTable *other)
{
    GHashTableIter iter;
    gpointer name;

    g_hash_table_iter_init(&iter, set);
    while (g_hash_table_iter_next(&iter, &name, NULL))
        if (!g_hash_table_contains(other, name))
            return name;
    return NULL;
}

gboolean dim_kl_find_layout(const DimKlConfig *config, const DimWeights *weights,
                            DimKlLayout *layout, GError **error)
{
    GHashTable *found[DIM_KL_N_LAYOUTS];
    const char *foreign = NULL, *own = NULL;
    int best = 0, other = 0;

    for (int i = 0; i < DIM_KL_N_LAYOUTS; i++) {
        found[i] = names_found(config, weights, (DimKlLayout)i);
        if (g_hash_table_size(found[i]) > g_hash_table_size(found[best]))
            best = i;
    }
    for (int i = 0; !foreign && i < DIM_KL_N_LAYOUTS; i++)
        if ((foreign = only_in(found[i], found[best]))) {
            own = only_in(found[best], found[i]);
            other = i;
        }
    if (foreign)
        dim_fail(error, DIM_ERROR_FORMAT, weights->origin,
                 "tensor names are mixed: " DIM_NAME " is %s, " DIM_NAME
                 " is %s; expected one layout",
                 own, layout_names[best], foreign, layout_names[other]);
    for (int i = 0; i < DIM_KL_N_LAYOUTS; i++)
        g_hash_table_unref(found[i]);
    *layout = (DimKlLayout)best;
    return !foreign;
}
