/* Options, errors and inputs, the same for all sub-commands.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void print_line(const char *message)
{
    g_autofree char *clean = dim_text_clean(message);
    fprintf(stderr, "dim: %s\n", clean);
}

int tool_usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);
    va_end(args);
    print_line(message);
    return TOOL_USAGE;
}

gboolean tool_read_size(const char *text, int *width, int *height)
{
    g_auto(GStrv) sides = g_strsplit(text ? text : "", "x", 2);
    guint64 side[2] = {0};

    if (!text)
        return TRUE;
    for (int i = 0; i < 2; i++)
        if (g_strv_length(sides) != 2 ||
            !g_ascii_string_to_unsigned(sides[i], 10, 1, G_MAXINT, &side[i], NULL)) {
            tool_usage("--size %s: expected WIDTHxHEIGHT in pixels", text);
            return FALSE;
        }
    *width = (int)side[0];
    *height = (int)side[1];
    return TRUE;
}

gboolean tool_read_guidance(const char *text, double *guidance)
{
    char *end = NULL;
    const double value = text ? g_ascii_strtod(text, &end) : 0;

    if (!text)
        return TRUE;
    if (end == text || *end || !isfinite(value) || value < 0) {
        tool_usage("--guidance %s: expected a number, 0 or more", text);
        return FALSE;
    }
    *guidance = value;
    return TRUE;
}

gboolean tool_read_upsample(const char *text, int *upsample)
{
    gint64 factor = DIM_UPSAMPLE_OFF;

    if (!text)
        return TRUE;
    if (!strcmp(text, "auto"))
        factor = DIM_UPSAMPLE_AUTO;
    else if (strcmp(text, "off") &&
             !g_ascii_string_to_signed(text, 10, 1, G_MAXINT, &factor, NULL)) {
        tool_usage("--upsample %s: expected auto, off or a factor", text);
        return FALSE;
    }
    *upsample = (int)factor;
    return TRUE;
}

gboolean tool_read_seamless(const char *text, DimSeamless *seamless)
{
    const char *const *names = dim_seamless_names();

    for (int i = 0; text && names[i]; i++)
        if (!strcmp(text, names[i])) {
            *seamless = (DimSeamless)i;
            return TRUE;
        }
    if (text)
        tool_usage("--seamless %s: expected off, x, y, both or auto", text);
    return !text;
}

gboolean tool_read_windows(const char *text, gboolean *windows)
{
    if (text && strcmp(text, "on") && strcmp(text, "off")) {
        tool_usage("--windows %s: expected off or on", text);
        return FALSE;
    }
    if (text)
        *windows = !strcmp(text, "on");
    return TRUE;
}

gboolean tool_refuse(GError **error, DimError code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, DIM_ERROR, (int)code, message);
    return FALSE;
}

int tool_failed(GError *error)
{
    print_line(error->message);
    g_error_free(error);
    return TOOL_FAILED;
}

static gboolean parse_precision(ToolCommon *common)
{
    static const char *const names[] = {"auto", "f32", "bf16", "f16", NULL};
    common->precision = DIM_PRECISION_AUTO;
    if (!common->precision_name)
        return TRUE;
    for (int i = 0; names[i]; i++)
        if (!strcmp(common->precision_name, names[i])) {
            common->precision = (DimPrecision)i;
            return TRUE;
        }
    tool_usage("--precision %s: expected auto, f32, bf16 or f16", common->precision_name);
    return FALSE;
}

static gboolean check_device(const ToolCommon *common)
{
    static const char *const names[] = {"auto", "cpu", "cuda", "ref", NULL};
    if (!common->device || g_strv_contains(names, common->device))
        return TRUE;
    tool_usage("--device %s: expected auto, cpu or cuda", common->device);
    return FALSE;
}

gboolean tool_parse(int *argc, char ***argv, const GOptionEntry *entries, const char *operands,
                    int n_operands, ToolCommon *common)
{
    return tool_parse_noted(argc, argv, entries, operands, n_operands, NULL, common);
}

gboolean tool_parse_noted(int *argc, char ***argv, const GOptionEntry *entries,
                          const char *operands, int n_operands, const char *notes,
                          ToolCommon *common)
{
    g_autoptr(GOptionContext) context = g_option_context_new(operands);
    g_autoptr(GError) error = NULL;
    const GOptionEntry shared[] = {
        {"model", 'm', 0, G_OPTION_ARG_FILENAME, &common->model,
         "Model folder, or the name of an installed one", "DIR"},
        {"threads", 0, 0, G_OPTION_ARG_INT, &common->n_threads, "Threads; 0: the physical cores",
         "N"},
        {"device", 0, 0, G_OPTION_ARG_FILENAME, &common->device, "cpu, cuda or auto", "NAME"},
        {"precision", 0, 0, G_OPTION_ARG_FILENAME, &common->precision_name, "f32, bf16, f16 or auto",
         "NAME"},
        G_OPTION_ENTRY_NULL,
    };

    memset(common, 0, sizeof *common);
    g_option_context_set_description(context, notes);
    if (entries)
        g_option_context_add_main_entries(context, entries, NULL);
    /* Where the model is the operand, it is no option. */
    g_option_context_add_main_entries(context, shared + (n_operands > 0), NULL);
    if (!g_option_context_parse(context, argc, argv, &error)) {
        tool_usage("%s", error->message);
        return FALSE;
    }
    if (*argc > 1 && !strcmp((*argv)[1], "--")) {
        memmove(*argv + 1, *argv + 2, (*argc - 1) * sizeof **argv);
        --*argc;
    }
    if (*argc - 1 != n_operands) {
        tool_usage("%s: expected %s", (*argv)[0], n_operands ? operands : "options only");
        return FALSE;
    }
    if (common->n_threads < 0 || common->n_threads > 1024) {
        tool_usage("--threads %d: expected 0 to 1024", common->n_threads);
        return FALSE;
    }
    return parse_precision(common) && check_device(common);
}

gboolean tool_check_tile(int *tile)
{
    if (*tile == TOOL_TILE_AUTO)
        *tile = -1;
    else if (*tile < 0) {
        tool_usage("--tile %d: expected 0 or more", *tile);
        return FALSE;
    }
    return TRUE;
}

void tool_common_clear(ToolCommon *common)
{
    g_free(common->model);
    g_free(common->device);
    g_free(common->precision_name);
}

gboolean tool_check_output(const char *output, const char *const *inputs, GError **error)
{
    struct stat written, read;

    if (!dim_output_check(output, error))
        return FALSE;
    if (stat(output, &written) < 0)
        return TRUE;
    for (int i = 0; inputs[i]; i++)
        if (!stat(inputs[i], &read) && read.st_dev == written.st_dev &&
            read.st_ino == written.st_ino) {
            g_set_error(error, DIM_ERROR, DIM_ERROR_ARGUMENT,
                        "%s: is read by this command; expected another file to write to", output);
            return FALSE;
        }
    return TRUE;
}

DimDevice *tool_open_device(const char *name, gboolean asked, int n_threads, GError **error)
{
    DimDevice *device = dim_device_open(name ? name : "auto", n_threads, error);
    const char *notice = device ? dim_device_notice(device, asked) : NULL;

    if (notice) {
        g_autofree char *line = g_strdup_printf("runs on the CPU: %s", notice);
        print_line(line);
    }
    return device;
}

DimModel *tool_open_model(const ToolCommon *common, DimParts parts, DimDevice **device,
                          GError **error)
{
    g_autofree char *folder = dim_model_find(common->model ? common->model : "", error);

    if (!folder)
        return NULL;
    /* The device comes last: a model that is refused should not have started threads. */
    DimModelInfo *info = dim_model_info_read(folder, error);
    if (!info)
        return NULL;
    dim_model_info_free(&info);
    *device = tool_open_device(common->device, common->device != NULL, common->n_threads, error);
    if (!*device)
        return NULL;
    return dim_model_open(*device, folder, parts, common->precision, NULL, error);
}

gboolean tool_read_f32(DimWeights *file, const char *file_name, const char *name, int rank,
                       DimArray *array, GError **error)
{
    const DimTensor *t = dim_weights_find(file, name);

    if (!t || strcmp(t->dtype, "F32") || t->rank != rank || t->count == 0) {
        g_set_error(error, DIM_ERROR, DIM_ERROR_FORMAT,
                    "%s: tensor \"%s\" %s; expected F32 with %d sides, none of them 0", file_name,
                    name, t ? "has another type or shape" : "is missing", rank);
        return FALSE;
    }
    if (!dim_array_alloc(array, rank, t->sizes, error))
        return FALSE;
    if (!dim_weights_read_f32(file, t, array->data, error)) {
        dim_array_clear(array);
        return FALSE;
    }
    return TRUE;
}
