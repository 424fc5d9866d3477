/* `dim info`: what a model folder, a weight file or a picture holds.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include <jansson.h>

#include "png.h"
#include "tool.h"

enum { NAME_COLUMN = 60, CLASSES_SHOWN = 24 };

typedef struct {
    gboolean json, check;
} Options;

static void print_json(json_t *root)
{
    char *text = json_dumps(root, JSON_INDENT(1) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15));

    puts(text ? text : "{}");
    free(text);
    json_decref(root);
}

/* 83653863 as "83,653,863"; g_free. */
static char *grouped(gint64 number)
{
    g_autofree char *digits = g_strdup_printf("%" G_GINT64_FORMAT, number);
    GString *text = g_string_new(NULL);

    for (gsize i = 0, n = strlen(digits); i < n; i++)
        g_string_append_printf(text, "%s%c", i > 0 && (n - i) % 3 == 0 ? "," : "", digits[i]);
    return g_string_free(text, FALSE);
}

/* ---- a weight file
 * --------------------------------------------------------------------------------------- */

static char *shape_text(const DimTensor *tensor)
{
    GString *text = g_string_new("[");

    for (int i = 0; i < tensor->rank; i++)
        g_string_append_printf(text, "%s%" G_GINT64_FORMAT, i ? ", " : "", tensor->sizes[i]);
    return g_string_free(g_string_append_c(text, ']'), FALSE);
}

/* The recipe that a latent carries, read and written again: what is no recipe is not shown. NULL:
 * there is none; g_free. */
static char *recipe_of(const DimWeights *weights)
{
    const char *text = dim_weights_recipe(weights);
    DimRecipe recipe;

    if (!text || !dim_recipe_parse(&recipe, text, -1, "recipe", NULL, NULL))
        return NULL;
    char *printed = dim_recipe_print(&recipe);
    dim_recipe_clear(&recipe);
    return printed;
}

static void print_tensors(const DimWeights *weights)
{
    const int n = dim_weights_count(weights);
    gint64 numbers = 0;

    for (int i = 0; i < n; i++) {
        const DimTensor *tensor = dim_weights_tensor(weights, i);
        g_autofree char *name = dim_text_clean(tensor->name), *shape = shape_text(tensor);
        printf("%-*s  %-4s  %s\n", NAME_COLUMN, name, tensor->dtype, shape);
        numbers += tensor->count;
    }
    g_autofree char *total = grouped(numbers), *recipe = recipe_of(weights);
    printf("%d tensors, %s numbers; %s%s%s\n", n, total, dim_weights_format(weights),
           dim_weights_key(weights) ? ", under " : "",
           dim_weights_key(weights) ? dim_weights_key(weights) : "");
    if (recipe)
        printf("made by the recipe\n%s\n", g_strchomp(recipe));
}

static json_t *tensor_json(const DimTensor *tensor)
{
    json_t *shape = json_array();

    for (int i = 0; i < tensor->rank; i++)
        json_array_append_new(shape, json_integer(tensor->sizes[i]));
    return json_pack("{s:s, s:s, s:o}", "name", tensor->name, "dtype", tensor->dtype, "shape",
                     shape);
}

static void print_tensors_json(const DimWeights *weights)
{
    json_t *tensors = json_array();

    for (int i = 0; i < dim_weights_count(weights); i++)
        json_array_append_new(tensors, tensor_json(dim_weights_tensor(weights, i)));
    g_autofree char *recipe = recipe_of(weights);
    json_t *said = recipe ? json_loads(recipe, 0, NULL) : NULL;
    print_json(json_pack("{s:s, s:s?, s:o, s:o*}", "format", dim_weights_format(weights), "key",
                         dim_weights_key(weights), "tensors", tensors, "recipe", said));
}

static gboolean show_weights(const char *file, const Options *options, GError **error)
{
    DimWeights *weights = dim_weights_open(file, error);
    const gboolean good = weights && (!options->check || dim_weights_check(weights, NULL, error));

    if (good && options->json)
        print_tensors_json(weights);
    else if (good)
        print_tensors(weights);
    dim_weights_close(&weights);
    return good;
}

/* ---- a model folder
 * -------------------------------------------------------------------------------------- */

static void print_field(const char *label, const char *value)
{
    g_autofree char *clean = value ? dim_text_clean(value) : NULL;

    if (clean)
        printf("  %-12s %s\n", label, clean);
}

static void print_part(const char *label, const DimPart *part, const char *factor)
{
    if (!part->family)
        return;
    g_autofree char *parameters = grouped(part->parameters);
    g_autofree char *text =
        g_strdup_printf("%s, %s parameters, %d channels, %d pixels a %s", part->family, parameters,
                        part->channels, part->factor, factor);
    print_field(label, text);
}

static void print_defaults(const DimModelInfo *info)
{
    const DimDefaults *d = &info->defaults;
    g_autofree char *text =
        g_strdup_printf("%s, %d steps, guidance %g", d->sampler, d->steps, d->guidance);
    g_autofree char *upsample = g_strdup_printf("theta %g, eta %g, T %g", d->theta, d->eta, d->t);

    print_field("defaults", text);
    print_field("upsampling", upsample);
}

static void print_classes(const DimModelInfo *info)
{
    g_autoptr(GString) text = g_string_new(NULL);

    g_string_append_printf(text, "%d", MAX(info->n_classes, info->n_labels));
    for (int i = 0; i < MIN(info->n_classes, CLASSES_SHOWN); i++)
        g_string_append_printf(text, "%s %s", i ? "," : ":", info->classes[i]);
    if (info->n_classes > CLASSES_SHOWN)
        g_string_append(text, ", ... (--json lists all)");
    print_field("classes", text->str);
}

void tool_info_print(const DimModelInfo *info)
{
    g_autofree char *name = dim_text_clean(info->name);
    g_autofree char *native =
        info->native_size ? g_strdup_printf("%d pixels", info->native_size) : NULL;
    g_autofree char *guided = g_strdup_printf("label %d is no class", info->unconditional_class);

    puts(name);
    print_field("folder", info->folder);
    print_part("backbone", &info->backbone, "token");
    print_part("autoencoder", &info->autoencoder, "latent");
    print_field("native size", native);
    print_field("prediction", info->prediction);
    if (info->backbone.family) {
        print_field("guidance",
                    info->unconditional_class < 0 ? "none: no unconditional class" : guided);
        print_defaults(info);
        print_classes(info);
    }
    print_field("license", info->license);
    print_field("source", info->source);
}

static json_t *part_json(const DimPart *part)
{
    if (!part->family)
        return json_null();
    return json_pack("{s:s, s:I, s:i, s:i}", "family", part->family, "parameters",
                     (json_int_t)part->parameters, "channels", part->channels, "factor",
                     part->factor);
}

static json_t *or_null(int value, int none)
{
    return value == none ? json_null() : json_integer(value);
}

static void print_model_json(const DimModelInfo *info)
{
    const DimPart *first = info->backbone.family ? &info->backbone : &info->autoencoder;
    const DimDefaults *d = &info->defaults;
    json_t *classes = json_array();

    for (int i = 0; i < info->n_classes; i++)
        json_array_append_new(classes, json_string(info->classes[i]));
    json_t *upsample = json_pack("{s:f, s:f, s:f}", "theta", d->theta, "eta", d->eta, "T", d->t);
    json_t *defaults = json_pack("{s:s, s:i, s:f, s:o}", "sampler", d->sampler, "steps", d->steps,
                                 "guidance", d->guidance, "upsample", upsample);
    json_t *root =
        json_pack("{s:s, s:s, s:s, s:I, s:o, s:o}", "id", info->id, "name", info->name, "family",
                  first->family, "parameters", (json_int_t)first->parameters, "backbone",
                  part_json(&info->backbone), "autoencoder", part_json(&info->autoencoder));
    json_object_set_new(root, "native_size", or_null(info->native_size, 0));
    json_object_set_new(root, "prediction",
                        info->prediction ? json_string(info->prediction) : json_null());
    json_object_set_new(root, "classes", classes);
    json_object_set_new(root, "labels", json_integer(info->n_labels));
    json_object_set_new(root, "unconditional_class", or_null(info->unconditional_class, -1));
    json_object_set_new(root, "defaults", defaults);
    json_object_set_new(root, "license", info->license ? json_string(info->license) : json_null());
    json_object_set_new(root, "source", info->source ? json_string(info->source) : json_null());
    print_json(root);
}

static gboolean show_model(const char *folder, const Options *options, GError **error)
{
    DimModelInfo *info = dim_model_info_read(folder, error);

    if (!info)
        return FALSE;
    const gboolean good = !options->check || dim_model_check(folder, NULL, error);
    if (good && options->json)
        print_model_json(info);
    else if (good)
        tool_info_print(info);
    dim_model_info_free(&info);
    return good;
}

/* ---- a picture
 * ------------------------------------------------------------------------------------------- */

static gboolean show_picture(const char *file, GError **error)
{
    g_autofree char *recipe = NULL;

    if (!tool_png_read_recipe(file, &recipe, error))
        return FALSE;
    puts(g_strchomp(recipe));
    return TRUE;
}

static gboolean show(const char *name, const Options *options, GError **error)
{
    if (g_file_test(name, G_FILE_TEST_IS_DIR))
        return show_model(name, options, error);
    if (!g_file_test(name, G_FILE_TEST_EXISTS)) {
        g_autofree char *installed = dim_model_find(name, NULL);
        if (installed && g_file_test(installed, G_FILE_TEST_IS_DIR))
            return show_model(installed, options, error);
    }
    return tool_png_is(name) ? show_picture(name, error) : show_weights(name, options, error);
}

int tool_info(int argc, char **argv)
{
    Options options = {0};
    ToolCommon common;
    GError *error = NULL;
    int status = TOOL_USAGE;
    const GOptionEntry entries[] = {
        {"json", 0, 0, G_OPTION_ARG_NONE, &options.json, "For programs", NULL},
        {"check", 0, 0, G_OPTION_ARG_NONE, &options.check,
         "Read every value, too; refuse NaN and infinity", NULL},
        G_OPTION_ENTRY_NULL,
    };

    if (tool_parse(&argc, &argv, entries, "DIR|FILE", 1, &common))
        status = show(argv[1], &options, &error) ? TOOL_DONE : tool_failed(error);
    tool_common_clear(&common);
    return status;
}
