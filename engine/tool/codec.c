/* `dim decode` and `dim encode`: the two directions of a model's autoencoder.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "progress.h"
#include "tool.h"

typedef struct {
    const char *command, *doing, *from, *to; /* from, to: tensors */
    const char *inputs_help, *output_help;
    DimParts part;
} Direction;

typedef struct {
    ToolCommon common;
    char *inputs, *output;
    int tile;
} Options;

static gboolean convert(const Direction *direction, const Options *options, GError **error)
{
    const char *const inputs[] = {options->inputs, NULL};

    if (!tool_check_output(options->output, inputs, error))
        return FALSE;
    ToolProgress *progress = tool_progress_begin();
    DimDevice *device = NULL;
    DimArray from = {0}, to = {0};
    DimTask task = {0};
    gboolean ok = FALSE;
    DimModel *model = tool_open_model(&options->common, direction->part, &device, error);
    DimWeights *file = model ? dim_weights_open(options->inputs, error) : NULL;

    if (file && tool_read_f32(file, options->inputs, direction->from, 4, &from, error)) {
        tool_progress_task(progress, direction->doing, &task);
        ok = direction->part == DIM_PARTS_DECODER
                 ? dim_model_decode(model, &from, options->tile, &to, &task, error)
                 : dim_model_encode(model, &from, &to, &task, error);
        ok = ok && dim_tensors_save(options->output, 1, &direction->to, &to, error);
    }
    tool_progress_end(&progress);
    dim_array_clear(&to);
    dim_array_clear(&from);
    dim_weights_close(&file);
    dim_model_close(&model);
    dim_device_close(&device);
    return ok;
}

static int run(const Direction *direction, int argc, char **argv)
{
    Options o = {.tile = TOOL_TILE_AUTO};
    GError *error = NULL;
    int status = TOOL_DONE;
    const GOptionEntry entries[] = {
        {"inputs", 'i', 0, G_OPTION_ARG_FILENAME, &o.inputs, direction->inputs_help, "FILE"},
        {"output", 'o', 0, G_OPTION_ARG_FILENAME, &o.output, direction->output_help, "FILE"},
        /* Last, as encoding has no tiles. */
        {direction->part == DIM_PARTS_DECODER ? "tile" : NULL, 0, 0, G_OPTION_ARG_INT, &o.tile,
         "Decode in pieces of about N x N latent pixels, to save memory; 0: in one", "N"},
        G_OPTION_ENTRY_NULL,
    };

    if (!tool_parse(&argc, &argv, entries, NULL, 0, &o.common) || !tool_check_tile(&o.tile))
        status = TOOL_USAGE;
    else if (!o.inputs || !o.output)
        status = tool_usage("%s: expected --inputs FILE and --output FILE", direction->command);
    else if (!convert(direction, &o, &error))
        status = tool_failed(error);
    tool_common_clear(&o.common);
    g_free(o.inputs);
    g_free(o.output);
    return status;
}

int tool_decode(int argc, char **argv)
{
    static const Direction direction = {"decode",
                                        "decoding",
                                        "z",
                                        "image",
                                        "Tensor z [N,C,h,w], scaled latents",
                                        "Gets tensor image [N,3,H,W], about [-1,1]",
                                        DIM_PARTS_DECODER};
    return run(&direction, argc, argv);
}

int tool_encode(int argc, char **argv)
{
    static const Direction direction = {"encode",
                                        "encoding",
                                        "image",
                                        "z",
                                        "Tensor image [N,3,H,W] in [-1,1]",
                                        "Gets tensor z [N,C,h,w], the posterior's mean, scaled",
                                        DIM_PARTS_ENCODER};
    return run(&direction, argc, argv);
}
