/* `dim check`: a known-answer run of a device, and of a model on it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tool.h"

typedef struct {
    ToolCommon common;
    gboolean json;
    DimCheck device, model;
    char *described;
} Check;

static gboolean check(Check *c, const char *name, GError **error)
{
    g_autofree char *folder = dim_model_find(name, error);
    DimModelInfo *info = folder ? dim_model_info_read(folder, error) : NULL;
    const char *on = c->common.device;
    DimDevice *device = info ? tool_open_device(on, on != NULL, c->common.n_threads, error) : NULL;
    DimModel *model = NULL;
    gboolean good = device && dim_device_check(device, &c->device, error);

    if (good)
        model =
            dim_model_open(device, folder, (DimParts)info->parts, c->common.precision, NULL, error);
    good = model && dim_model_try(model, &c->model, NULL, error);
    if (good)
        c->described = g_strdup(dim_device_describe(device));
    dim_model_close(&model);
    dim_device_close(&device);
    dim_model_info_free(&info);
    return good;
}

static void print(const Check *c)
{
    const double seconds = c->device.seconds + c->model.seconds,
                 off = MAX(c->device.difference, c->model.difference);

    if (c->json)
        g_print("{\"device\": \"%s\", \"seconds\": %.3f, \"difference\": %.3g, \"compared\": %s}\n",
                c->described, seconds, off, c->model.difference < 0 ? "false" : "true");
    else
        g_print("good in %.1f s on %s; at most %.1e from plain C%s\n", seconds, c->described, off,
                c->model.difference < 0 ? ", the model itself is too large to compare" : "");
}

int tool_check(int argc, char **argv)
{
    Check c = {0};
    GError *error = NULL;
    int status = TOOL_USAGE;
    const GOptionEntry entries[] = {
        {"json", 0, 0, G_OPTION_ARG_NONE, &c.json, "For programs", NULL},
        G_OPTION_ENTRY_NULL,
    };

    if (tool_parse(&argc, &argv, entries, "DIR", 1, &c.common))
        status = check(&c, argv[1], &error) ? TOOL_DONE : tool_failed(error);
    if (status == TOOL_DONE)
        print(&c);
    g_free(c.described);
    tool_common_clear(&c.common);
    return status;
}
