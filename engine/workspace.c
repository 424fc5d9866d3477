/* The memory of a run: the same code measures and takes it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "workspace.h"

#include "error.h"
#include "windows.h"

int dim_shape_batch(const DimShape *shape, double tc)
{
    return tc >= shape->guidance_low && tc <= shape->guidance_high ? shape->batch : 1;
}

gboolean dim_shape_is_partly_guided(const DimShape *shape)
{
    return shape->batch > 1 && (shape->guidance_low > 0 || shape->guidance_high < 1);
}

static gboolean take_upsample(DimWorkspace *workspace, const DimShape *shape, DimNet *net,
                              const gint64 *sizes, GError **error)
{
    const int h = shape->grid.height, w = shape->grid.width, m = shape->grid.upsample;
    const gboolean in_windows = dim_windows_wanted(&shape->grid);
    const int base_h = in_windows ? 0 : h, base_w = in_windows ? 0 : w;
    const gint64 small[] = {1, sizes[1], h / m, w / m};

    workspace->spread = dim_arena_take(&workspace->arena, DK_F32, 4, sizes);
    workspace->small_x = dim_arena_take(&workspace->arena, DK_F32, 4, small);
    workspace->small_work = dim_arena_take(&workspace->arena, DK_F32, 4, small);
    return dim_pass_plan(&workspace->small_pass, &workspace->arena, shape->spec, net, shape->batch,
                         h / m, w / m, base_h, base_w, error) &&
           (!dim_shape_is_partly_guided(shape) ||
            dim_pass_plan(&workspace->small_solo, &workspace->arena, shape->spec, net, 1, h / m,
                          w / m, base_h, base_w, error));
}

static gboolean take_seamless(DimWorkspace *workspace, const DimShape *shape, const gint64 *sizes,
                              GError **error)
{
    const gint64 n = sizes[2] * sizes[3];

    if (n > G_MAXINT32) /* the tables count in 32 bits */
        return dim_fail(error, DIM_ERROR_NO_MEMORY, "size", "too large for a seamless picture");
    workspace->rolled = dim_arena_take(&workspace->arena, DK_F32, 4, sizes);
    workspace->joined = dim_arena_take(&workspace->arena, DK_F32, 4, sizes);
    workspace->from = dim_arena_take(&workspace->arena, DK_I32, 1, &n);
    workspace->back = dim_arena_take(&workspace->arena, DK_I32, 1, &n);
    return TRUE;
}

static gboolean take_windows(DimWorkspace *workspace, const DimShape *shape, const gint64 *sizes,
                             gboolean with_variance, GError **error)
{
    const DimGrid *grid = &shape->grid;
    const gint64 n = sizes[2] * sizes[3], inner = (gint64)grid->window_height * grid->window_width;
    const gint64 window[] = {1, sizes[1], grid->window_height, grid->window_width};

    if (n > G_MAXINT32) /* the tables count in 32 bits */
        return dim_fail(error, DIM_ERROR_NO_MEMORY, "size", "too large for a picture in windows");
    workspace->window = dim_arena_take(&workspace->arena, DK_F32, 4, window);
    workspace->whole = dim_arena_take(&workspace->arena, DK_F32, 4, sizes);
    if (with_variance)
        workspace->variance = dim_arena_take(&workspace->arena, DK_F32, 4, sizes);
    workspace->window_from = dim_arena_take(&workspace->arena, DK_I32, 1, &inner);
    workspace->window_back = dim_arena_take(&workspace->arena, DK_I32, 1, &n);
    return TRUE;
}

/* With upsample guidance both passes take the position table as resized to the large grid; windows,
 * and the small picture that they follow, are as the model knows them. */
static gboolean take(DimWorkspace *workspace, const DimShape *shape, DimNet *net, GError **error)
{
    const int h = shape->grid.height, w = shape->grid.width;
    const int high = shape->grid.window_height, wide = shape->grid.window_width;
    const gboolean in_windows = dim_windows_wanted(&shape->grid);
    const gboolean upsamples = shape->grid.upsample > 1, resizes = upsamples && !in_windows;
    DimNetFacts facts = {0};

    shape->spec->net->facts(shape->spec->net_config, &facts);
    const gint64 sizes[] = {1, facts.in_channels, h, w};
    workspace->x = dim_arena_take(&workspace->arena, DK_F32, 4, sizes);
    for (int i = 0; i < shape->method->n_kept; i++)
        workspace->kept[i] = dim_arena_take(&workspace->arena, DK_F32, 4, sizes);
    if (shape->method->adds_noise)
        workspace->z = dim_arena_take(&workspace->arena, DK_F32, 4, sizes);
    if (dim_shape_is_partly_guided(shape) &&
        !dim_pass_plan(&workspace->solo, &workspace->arena, shape->spec, net, 1, high, wide,
                       resizes ? h : 0, resizes ? w : 0, error))
        return FALSE;
    if (shape->grid.seamless && !take_seamless(workspace, shape, sizes, error))
        return FALSE;
    if (in_windows &&
        !take_windows(workspace, shape, sizes, facts.out_channels == 2 * facts.in_channels, error))
        return FALSE;
    return dim_pass_plan(&workspace->pass, &workspace->arena, shape->spec, net, shape->batch, high,
                         wide, resizes ? h : 0, resizes ? w : 0, error) &&
           (!upsamples || take_upsample(workspace, shape, net, sizes, error));
}

static void clear_passes(DimWorkspace *workspace)
{
    dim_pass_clear(&workspace->pass);
    dim_pass_clear(&workspace->small_pass);
    dim_pass_clear(&workspace->solo);
    dim_pass_clear(&workspace->small_solo);
}

/* Leaves the arena measured and nothing else. */
static gboolean measure(DimWorkspace *workspace, const DimShape *shape, GError **error)
{
    *workspace = (DimWorkspace){0};
    dim_arena_dry(&workspace->arena);
    const gboolean taken = take(workspace, shape, NULL, error);
    clear_passes(workspace);
    return taken;
}

gint64 dim_workspace_measure(const DimShape *shape, GError **error)
{
    DimWorkspace workspace;

    if (!measure(&workspace, shape, error))
        return -1;
    return workspace.arena.overflow ? G_MAXINT64 : (gint64)workspace.arena.peak;
}

gboolean dim_workspace_open(DimWorkspace *workspace, const DimShape *shape, DkDevice *dk,
                            DimNet *net, GError **error)
{
    if (measure(workspace, shape, error) && dim_arena_commit(&workspace->arena, dk, error) &&
        take(workspace, shape, net, error))
        return TRUE;
    dim_workspace_close(workspace);
    return FALSE;
}

void dim_workspace_close(DimWorkspace *workspace)
{
    clear_passes(workspace);
    dim_arena_clear(&workspace->arena);
    *workspace = (DimWorkspace){0};
}
