/* The options of `dim sample`.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TOOL_SAMPLE_OPTIONS_H
#define DIM_TOOL_SAMPLE_OPTIONS_H

#include "tool.h"

typedef struct {
    ToolCommon common;
    char *class_name, *size, *steps, *sampler, *guidance, *seed, *upsample, *seamless, *windows,
        *recipe_file;
    char *interval, *rng;
    char *noise, *latent, *output, *count, *shard;
    int tile;
    gboolean overwrite;
} ToolSample;

/* Cleared by its caller, whatever the answer; FALSE after a usage mistake's line. */
gboolean tool_sample_parse(ToolSample *options, int argc, char **argv);
void tool_sample_clear(ToolSample *options);
/* The words of the command line over those of a recipe. FALSE after a usage mistake's line. */
gboolean tool_sample_apply(const ToolSample *options, DimRecipe *recipe);

#endif
