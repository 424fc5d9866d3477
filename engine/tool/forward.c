/* `dim forward`: one raw evaluation of the backbone.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tool.h"

#include <string.h>

typedef struct {
    ToolCommon common;
    char *inputs, *output;
} Options;

static gboolean forward(const Options *options, GError **error)
{
    static const char *const name = "output";
    const char *const files[] = {options->inputs, NULL};
    DimDevice *device = NULL;
    DimModel *model = NULL;
    ToolInputs inputs = {0};
    DimArray output = {0};
    gboolean ok = FALSE;

    if (tool_check_output(options->output, files, error) &&
        tool_read_inputs(options->inputs, &inputs, error) &&
        (model = tool_open_model(&options->common, DIM_PARTS_BACKBONE, &device, error)))
        ok = dim_model_forward(model, &inputs.x, inputs.t.data, inputs.y, &output, NULL, error) &&
             dim_tensors_save(options->output, 1, &name, &output, error);
    dim_array_clear(&output);
    tool_inputs_clear(&inputs);
    dim_model_close(&model);
    dim_device_close(&device);
    return ok;
}

int tool_forward(int argc, char **argv)
{
    Options o = {0};
    GError *error = NULL;
    int status = TOOL_DONE;
    const GOptionEntry entries[] = {
        {"inputs", 'i', 0, G_OPTION_ARG_FILENAME, &o.inputs,
         "Tensors x [N,C,H,W], t [N] and, where the model has classes, y [N] (I64)", "FILE"},
        {"output", 'o', 0, G_OPTION_ARG_FILENAME, &o.output, "Gets tensor output [N,Cout,H,W]",
         "FILE"},
        G_OPTION_ENTRY_NULL,
    };

    const gboolean parsed = tool_parse(&argc, &argv, entries, NULL, 0, &o.common);
    if (!o.common.precision_name)
        o.common.precision = DIM_PRECISION_F32; /* what the golden cases are compared with */
    if (!parsed)
        status = TOOL_USAGE;
    else if (!o.inputs || !o.output)
        status = tool_usage("forward: expected --inputs FILE and --output FILE");
    else if (!forward(&o, &error))
        status = tool_failed(error);
    tool_common_clear(&o.common);
    g_free(o.inputs);
    g_free(o.output);
    return status;
}
