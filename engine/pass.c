/* Guided evaluations, the two halves as one batch.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "pass.h"

gboolean dim_pass_plan(DimPass *pass, DimArena *arena, const DimModelSpec *spec, DimNet *net,
                       int batch, int h, int w, int base_h, int base_w, GError **error)
{
    DimNetFacts facts = {0};

    spec->net->facts(spec->net_config, &facts);
    *pass = (DimPass){.spec = spec,
                      .batch = batch,
                      .guided = facts.guided_channels ? facts.guided_channels : facts.in_channels,
                      .first_time = facts.first_time,
                      .dk = arena->dk};
    if (batch > 1)
        pass->input = dim_arena_take(arena, DK_F32, 4, (gint64[]){batch, facts.in_channels, h, w});
    pass->output = dim_arena_take(arena, DK_F32, 4, (gint64[]){batch, facts.out_channels, h, w});
    pass->plan = spec->net->plan(arena, spec->net_config, net, batch, h, w, base_h, base_w, error);
    return pass->plan != NULL;
}

void dim_pass_clear(DimPass *pass)
{
    dk_repeat_free(pass->dk, &pass->kept);
    if (pass->plan)
        pass->spec->net->plan_free(pass->plan);
    *pass = (DimPass){0};
}

/* The first channels of one item's output. */
static DkTensor channels(const DimPass *pass, int item, gint64 count)
{
    const DkTensor out = dk_tensor_slice(pass->output, item, 1);
    const DkTensor planes = dk_tensor_reshape(out, 3, out.sizes + 1);
    const gint64 sizes[] = {1, count, out.sizes[2], out.sizes[3]};

    return dk_tensor_reshape(dk_tensor_slice(planes, 0, count), 4, sizes);
}

typedef struct {
    const DimPass *pass;
    DimNet *net;
    const DimNetProgress *progress;
} Evaluation;

/* The pass at pass->x, see dk_repeat. */
static void enqueue(void *data)
{
    const Evaluation *evaluation = data;
    const DimPass *pass = evaluation->pass;
    const gboolean guided = pass->batch > 1;

    for (int i = 0; i < pass->batch && guided; i++)
        dk_axpby(pass->dk, dk_tensor_slice(pass->input, i, 1), 1, pass->x, 0);
    pass->spec->net->forward(pass->dk, evaluation->net, pass->plan, pass->output,
                             guided ? pass->input : pass->x, evaluation->progress);
    if (guided) /* eps_uncond + w (eps_cond - eps_uncond) */
        dk_axpby(pass->dk, channels(pass, 0, pass->guided), (float)(1 - pass->guidance),
                 channels(pass, 1, pass->guided), (float)pass->guidance);
}

DkTensor dim_pass_run(DimPass *pass, DimNet *net, DkTensor x, double n, const DimPrompt *prompt,
                      const DimNetProgress *progress)
{
    const double time = n + (pass->first_time - 1), t[2] = {time, time};
    Evaluation evaluation = {pass, net, progress};

    if (pass->x.buffer != x.buffer || pass->x.offset != x.offset ||
        pass->guidance != prompt->guidance)
        dk_repeat_free(pass->dk, &pass->kept);
    pass->x = x;
    pass->guidance = prompt->guidance;
    pass->spec->net->ask(pass->dk, pass->plan, t, prompt->labels);
    dk_repeat(pass->dk, &pass->kept, enqueue, &evaluation);
    dim_net_progress(progress, 1);
    return channels(pass, 0, x.sizes[1]); /* of a prediction: as many as the input has */
}
