/* What the sub-commands of `dim` share. One file for each sub-command; main.c has the table.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TOOL_H
#define DIM_TOOL_H

#include "engine/dim.h"

enum { TOOL_DONE = 0, TOOL_FAILED = 1, TOOL_USAGE = 2 };

/* A sub-command: argv[0] is its name; answers the exit status, after one line on stderr if it is
 * not 0. */
int tool_forward(int argc, char **argv);
int tool_decode(int argc, char **argv);
int tool_encode(int argc, char **argv);
int tool_sample(int argc, char **argv);
int tool_bench(int argc, char **argv);
int tool_info(int argc, char **argv);
int tool_check(int argc, char **argv);
int tool_import(int argc, char **argv);
int tool_hash(int argc, char **argv);
int tool_train(int argc, char **argv);
int tool_codec(int argc, char **argv);
int tool_sheet(int argc, char **argv);

/* --threads, --device, --precision, --model: the options that all computing commands take. */
typedef struct {
    char *model, *device, *precision_name;
    int n_threads;
    DimPrecision precision;
} ToolCommon;

/* Parses with GOption: `entries` (NULL-terminated; NULL: none) and those of common, but for --model
 * where there are operands; common is to be cleared whatever the answer.
 * `operands`: what stands in the usage line behind the options; exactly n_operands words must be
 * left, they are then argv[1].. On failure prints one line and answers FALSE: return TOOL_USAGE.
 * --help prints and exits with 0. */
gboolean tool_parse(int *argc, char ***argv, const GOptionEntry *entries, const char *operands,
                    int n_operands, ToolCommon *common);
/* The same; --help ends with the notes. */
gboolean tool_parse_noted(int *argc, char ***argv, const GOptionEntry *entries,
                          const char *operands, int n_operands, const char *notes,
                          ToolCommon *common);
void tool_common_clear(ToolCommon *common);
/* A usage mistake found after parsing: one line; answers TOOL_USAGE. */
int tool_usage(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* The value of --tile as the engine takes it: TOOL_TILE_AUTO, what it is when left out, becomes -1.
 * A negative one is a usage mistake: one line and FALSE. */
enum { TOOL_TILE_AUTO = G_MININT };
gboolean tool_check_tile(int *tile);
/* What options say in words; NULL, one that was left out, leaves the value alone. On a usage
 * mistake one line and FALSE. */
gboolean tool_read_size(const char *text, int *width, int *height);
gboolean tool_read_guidance(const char *text, double *guidance);
gboolean tool_read_upsample(const char *text, int *upsample); /* as in DimParams */
gboolean tool_read_seamless(const char *text, DimSeamless *seamless);
gboolean tool_read_windows(const char *text, gboolean *windows);
/* What `dim info` says of a model. */
void tool_info_print(const DimModelInfo *info);
/* Sets *error, one line that names what is at fault. Always FALSE, so that a check can end in it.
 */
gboolean tool_refuse(GError **error, DimError code, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* Prints the error's line, frees it; answers TOOL_FAILED. */
int tool_failed(GError *error);

/* Before long work: whether `output` can be written, and is none of `inputs` (NULL-terminated),
 * which are never changed. */
gboolean tool_check_output(const char *output, const char *const *inputs, GError **error);

/* A device by its name, NULL: "auto"; where that does not take a card, one line on stderr may say
 * why. `asked`: the name stands in the command. */
DimDevice *tool_open_device(const char *name, gboolean asked, int n_threads, GError **error);
/* common->model looked up, device opened, parts loaded; *device is set whenever it was opened. */
DimModel *tool_open_model(const ToolCommon *common, DimParts parts, DimDevice **device,
                          GError **error);

/* An F32 tensor of a file of inputs: `rank` sizes, none of them 0, all values finite. */
gboolean tool_read_f32(DimWeights *file, const char *file_name, const char *name, int rank,
                       DimArray *array, GError **error);

/* What a backbone is evaluated on. */
typedef struct {
    DimArray x, t; /* [N, C, H, W], [N] */
    gint64 *y;     /* [N]; NULL: the file has none */
} ToolInputs;

/* Reads them from a file; how they fit the model is dim_model_forward's to say. */
gboolean tool_read_inputs(const char *file, ToolInputs *inputs, GError **error);
void tool_inputs_clear(ToolInputs *inputs);

#endif
