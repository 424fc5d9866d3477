/* The options of `dim sample`.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "sample-options.h"

#include <float.h>
#include <string.h>

static gboolean read_whole(const char *option, const char *text, gint64 min, gint64 max,
                           gint64 *value)
{
    if (!text || g_ascii_string_to_signed(text, 10, min, max, value, NULL))
        return TRUE;
    tool_usage("--%s %s: expected a whole number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
               option, text, min, max);
    return FALSE;
}

static gboolean read_guidance(const char *text, DimRecipe *recipe)
{
    double guidance = 0;

    if (!tool_read_guidance(text, &guidance))
        return FALSE;
    if (text) /* in a recipe 0 means the model's; to a run the smallest number is 0 */
        recipe->guidance = guidance != 0 ? guidance : DBL_MIN;
    return TRUE;
}

static gboolean check_words(const ToolSample *o)
{
    const char *const *known = dim_sampler_names();
    double low, high;
    int factor;
    DimSeamless seamless;
    gboolean windows;

    if (!tool_read_upsample(o->upsample, &factor) || !tool_read_seamless(o->seamless, &seamless) ||
        !tool_read_windows(o->windows, &windows))
        return FALSE;
    if (o->interval && !dim_interval_parse(o->interval, &low, &high)) {
        tool_usage("--guidance-interval %s: expected two times LO,HI with 0 <= LO <= HI <= 1",
                   o->interval);
        return FALSE;
    }
    if (o->rng && !g_strv_contains(dim_rng_names(), o->rng)) {
        tool_usage("--rng %s: expected philox or torch", o->rng);
        return FALSE;
    }
    if (o->sampler && !g_strv_contains(known, o->sampler)) {
        g_autofree char *all = g_strjoinv(", ", (char **)known);
        tool_usage("--sampler %s: expected one of %s", o->sampler, all);
        return FALSE;
    }
    return TRUE;
}

static void replace(char **text, const char *by)
{
    if (by) {
        g_free(*text);
        *text = g_strdup(by);
    }
}

/* Behind the others: the last word of a name counts. */
static void add_option(DimRecipe *recipe, const char *name, const char *value)
{
    if (value) {
        g_autofree char *options = g_strdup_printf("%s %s=%s", recipe->options, name, value);
        replace(&recipe->options, options);
    }
}

gboolean tool_sample_apply(const ToolSample *o, DimRecipe *recipe)
{
    gint64 steps = recipe->steps, seed = recipe->seed;

    if (!read_whole("steps", o->steps, 1, G_MAXINT, &steps) ||
        !read_whole("seed", o->seed, -1, DIM_SEED_MAX, &seed) ||
        !tool_read_size(o->size, &recipe->width, &recipe->height) ||
        !read_guidance(o->guidance, recipe) || !check_words(o))
        return FALSE;
    recipe->steps = (int)steps;
    recipe->seed = seed;
    replace(&recipe->model, o->common.model);
    replace(&recipe->class_name, o->class_name);
    replace(&recipe->sampler, o->sampler);
    replace(&recipe->upsample, o->upsample);
    add_option(recipe, "seamless", o->seamless);
    add_option(recipe, "windows", o->windows);
    add_option(recipe, "guidance-interval", o->interval);
    add_option(recipe, "rng", o->rng);
    return TRUE;
}

/* Options that need each other, or cannot be had together. FALSE after a usage mistake. */
static gboolean check_together(const ToolSample *o)
{
    if (!o->output && !o->latent)
        tool_usage("sample: expected --output FILE or --latent FILE");
    else if (o->output && o->latent && !strcmp(o->output, o->latent))
        tool_usage("--latent %s: expected another file than --output", o->latent);
    else if (o->count && o->noise)
        tool_usage("--noise %s: expected no --count, whose pictures would all be one", o->noise);
    else if (o->overwrite && !o->count)
        tool_usage("--overwrite: expected --count too; a single picture takes any file's place");
    else
        return TRUE;
    return FALSE;
}

gboolean tool_sample_parse(ToolSample *o, int argc, char **argv)
{
    *o = (ToolSample){.tile = TOOL_TILE_AUTO};
    /* Words as they were given: converting them from the locale fails on a name that it lacks. */
    const GOptionEntry entries[] = {
        {"class", 'c', 0, G_OPTION_ARG_FILENAME, &o->class_name, "Name or index", "CLASS"},
        {"size", 's', 0, G_OPTION_ARG_FILENAME, &o->size, "In pixels", "WxH"},
        {"steps", 0, 0, G_OPTION_ARG_FILENAME, &o->steps,
         "Steps, each one evaluation of the network; with heun two", "N"},
        {"sampler", 0, 0, G_OPTION_ARG_FILENAME, &o->sampler, "dpm-solver++-2m, ...", "NAME"},
        {"guidance", 0, 0, G_OPTION_ARG_FILENAME, &o->guidance, "How much of the class; 1 is off",
         "W"},
        {"seed", 0, 0, G_OPTION_ARG_FILENAME, &o->seed, "-1: a fresh one, which is reported", "K"},
        {"upsample", 0, 0, G_OPTION_ARG_FILENAME, &o->upsample, "Upsample guidance: auto, off or M",
         "HOW"},
        {"seamless", 0, 0, G_OPTION_ARG_FILENAME, &o->seamless,
         "Sides that fit when the picture is repeated: off, x, y, both or auto", "HOW"},
        {"windows", 0, 0, G_OPTION_ARG_FILENAME, &o->windows,
         "Sizes above the native one in windows of it: off, on", "HOW"},
        {"guidance-interval", 0, 0, G_OPTION_ARG_FILENAME, &o->interval,
         "Guide from time LO to HI only; all noise is 1, none 0", "LO,HI"},
        {"rng", 0, 0, G_OPTION_ARG_FILENAME, &o->rng, "The seed's noise: philox, torch", "NAME"},
        {"tile", 0, 0, G_OPTION_ARG_INT, &o->tile,
         "Decode about N x N latent pixels at a time; 0: all", "N"},
        {"recipe", 0, 0, G_OPTION_ARG_FILENAME, &o->recipe_file,
         "A picture's recipe, or a preset; other options come first", "FILE"},
        {"noise", 0, 0, G_OPTION_ARG_FILENAME, &o->noise,
         "Start noise, tensor x [1,C,H,W], and step_noise [steps,1,C,H,W]", "FILE"},
        {"latent", 0, 0, G_OPTION_ARG_FILENAME, &o->latent, "Gets the sample, tensor z", "FILE"},
        {"output", 'o', 0, G_OPTION_ARG_FILENAME, &o->output, "Gets the picture, PNG", "FILE"},
        {"count", 0, 0, G_OPTION_ARG_FILENAME, &o->count,
         "N pictures of seed K, K + 1, ..., of each class of a list A,B or of all; FILE may have "
         "{item} and {class}",
         "N"},
        {"shard", 0, 0, G_OPTION_ARG_FILENAME, &o->shard, "Only part I of M of them, from 1 up",
         "I/M"},
        {"overwrite", 0, 0, G_OPTION_ARG_NONE, &o->overwrite,
         "With --count: replace files that are something else", NULL},
        G_OPTION_ENTRY_NULL,
    };
    return tool_parse(&argc, &argv, entries, NULL, 0, &o->common) && tool_check_tile(&o->tile) &&
           check_together(o);
}

void tool_sample_clear(ToolSample *o)
{
    char *texts[] = {o->class_name, o->size,     o->steps,   o->sampler,     o->guidance, o->seed,
                     o->upsample,   o->seamless, o->windows, o->recipe_file, o->noise,    o->latent,
                     o->output,     o->interval, o->rng,     o->count,       o->shard};

    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
        g_free(texts[i]);
    tool_common_clear(&o->common);
}
