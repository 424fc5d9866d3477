/* Pictures by class, and crops drawn from them.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "engine/dim-train.h"

#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/memory.h"
#include "engine/rng.h"
#include "engine/task.h"
#include "engine/train/resample.h"

typedef struct {
    guint8 *rgb; /* [height][width][3] */
    int width, height;
} Bitmap;

typedef struct {
    int label;
    gboolean test, tiles;
    Bitmap whole;                       /* until it is prepared */
    Bitmap scaled[DIM_CROP_SCALES_MAX]; /* as many as the params have scales */
} Picture;

/* The pictures that may be drawn: indices, class after class. */
typedef struct {
    int n, *order;     /* [n] */
    int *first;        /* [n_classes + 1]: where each class begins in order */
    int n_full, *full; /* the classes that have any */
} Draws;

struct DimDataset {
    GPtrArray *classes; /* char * */
    GHashTable *labels; /* of those names; label + 1 */
    GArray *pictures;   /* Picture */
    gboolean prepared;
    DimCropParams params;
    Draws draws[2]; /* to train on, to test on */
};

/* Draw k of a crop: what it decides. A gain takes one uniform number, a shift one normal one. */
enum {
    K_BALANCED,
    K_CLASS,
    K_PICTURE,
    K_SCALE,
    K_LEFT,
    K_TOP,
    K_FLIP_X,
    K_FLIP_Y,
    K_TURN,
    K_GAIN,
    K_SHIFT,
    K_TINT
};

static void picture_clear(gpointer data)
{
    Picture *picture = data;

    g_free(picture->whole.rgb);
    for (int s = 0; s < DIM_CROP_SCALES_MAX; s++)
        g_free(picture->scaled[s].rgb);
}

void dim_crop_params_init(DimCropParams *params, int size)
{
    *params = (DimCropParams){
        .size = size,
        .n_scales = 3,
        .scales = {size, size + size / 2, 2 * size},
        .flip_x = 0.5,
        .flip_y = 0.25,
        .turn = 0.25,
        .gain = 0.12,
        .shift = 0.06,
        .tint = 0.04,
        .balance = 0.7,
    };
}

DimDataset *dim_dataset_new(void)
{
    DimDataset *dataset = g_new0(DimDataset, 1);

    dataset->classes = g_ptr_array_new_with_free_func(g_free);
    dataset->labels = g_hash_table_new(g_str_hash, g_str_equal);
    dataset->pictures = g_array_new(FALSE, TRUE, sizeof(Picture));
    g_array_set_clear_func(dataset->pictures, picture_clear);
    return dataset;
}

void dim_dataset_free(DimDataset **dataset)
{
    DimDataset *d = *dataset;

    if (!d)
        return;
    g_hash_table_unref(d->labels);
    g_ptr_array_unref(d->classes);
    g_array_unref(d->pictures);
    for (int test = 0; test < 2; test++) {
        g_free(d->draws[test].order);
        g_free(d->draws[test].first);
        g_free(d->draws[test].full);
    }
    g_free(d);
    *dataset = NULL;
}

int dim_dataset_add_class(DimDataset *dataset, const char *name)
{
    const int known = GPOINTER_TO_INT(g_hash_table_lookup(dataset->labels, name));

    g_assert(!dataset->prepared);
    if (known)
        return known - 1;
    g_ptr_array_add(dataset->classes, g_strdup(name));
    const int label = dim_dataset_n_classes(dataset) - 1;
    g_hash_table_insert(dataset->labels, g_ptr_array_index(dataset->classes, label),
                        GINT_TO_POINTER(label + 1));
    return label;
}

/* ---- does it tile? ---- */

/* How much row `a` differs from row `b`; a row is n pixels that lie `step` bytes apart. */
static gint64 difference(const guint8 *a, const guint8 *b, int n, gsize step)
{
    gint64 sum = 0;

    for (int i = 0; i < n; i++, a += step, b += step)
        for (int c = 0; c < 3; c++)
            sum += ABS(a[c] - b[c]);
    return sum;
}

static int compare_steps(const void *a, const void *b)
{
    return (*(const gint64 *)a > *(const gint64 *)b) - (*(const gint64 *)a < *(const gint64 *)b);
}

/* Whether the step from the last of n lines (`stride` bytes apart, each of n_along pixels) to the
 * first is at most 1.5 x the 99th percentile of the steps between neighbours. `steps`: room for n.
 */
static gboolean seam_is_quiet(const guint8 *rgb, int n, gsize stride, int n_along, gsize step,
                              gint64 *steps)
{
    for (int i = 0; i + 1 < n; i++)
        steps[i] = difference(rgb + i * stride, rgb + (i + 1) * stride, n_along, step);
    const gint64 seam = difference(rgb + (n - 1) * stride, rgb, n_along, step);
    qsort(steps, (gsize)(n - 1), sizeof *steps, compare_steps);
    return 2 * seam <= 3 * steps[((gint64)(n - 1) * 99 + 99) / 100 - 1];
}

static gboolean measure_tiling(Picture *picture)
{
    const Bitmap *map = &picture->whole;
    g_autofree gint64 *steps = g_try_new(gint64, MAX(map->width, map->height));
    const gsize row = 3 * (gsize)map->width;

    if (!steps)
        return FALSE;
    picture->tiles = seam_is_quiet(map->rgb, map->height, row, map->width, 3, steps) &&
                     seam_is_quiet(map->rgb, map->width, 3, map->height, row, steps);
    return TRUE;
}

/* ---- adding ---- */

/* 8-bit RGB of that size, not filled in; FALSE: there is no memory. */
static gboolean bitmap_alloc(Bitmap *map, int width, int height, GError **error)
{
    const guint64 bytes = 3 * (guint64)width * (guint64)height;
    const gboolean fits = (gint64)bytes <= dim_memory_available();

    *map = (Bitmap){fits ? g_try_malloc(bytes) : NULL, width, height};
    return map->rgb || dim_fail_memory(error, "pictures", bytes);
}

gboolean dim_dataset_add_image(DimDataset *dataset, int label, const guint8 *rgb, int width,
                               int height, gsize row_stride, gboolean test, GError **error)
{
    Picture picture = {.label = label, .test = test};

    g_assert(!dataset->prepared && label >= 0 && label < dim_dataset_n_classes(dataset));
    if (MIN(width, height) < DIM_PICTURE_MIN)
        return dim_fail(error, DIM_ERROR_ARGUMENT, "picture",
                        "%d x %d pixels; to be trained on, it needs %d on each side", width, height,
                        DIM_PICTURE_MIN);
    if (!bitmap_alloc(&picture.whole, width, height, error))
        return FALSE;
    for (int y = 0; y < height; y++)
        memcpy(picture.whole.rgb + 3 * (gsize)width * y, rgb + row_stride * y, 3 * (gsize)width);
    if (!measure_tiling(&picture)) {
        picture_clear(&picture);
        return dim_fail_memory(error, "pictures", (guint64)MAX(width, height) * sizeof(gint64));
    }
    g_array_append_val(dataset->pictures, picture);
    return TRUE;
}

int dim_dataset_size(const DimDataset *dataset)
{
    return dataset->prepared ? dataset->params.size : 0;
}

int dim_dataset_n_classes(const DimDataset *dataset)
{
    return (int)dataset->classes->len;
}

const char *dim_dataset_class_name(const DimDataset *dataset, int label)
{
    return g_ptr_array_index(dataset->classes, label);
}

static Picture *picture_at(const DimDataset *dataset, guint index)
{
    return &g_array_index(dataset->pictures, Picture, index);
}

/* label -1: of all classes. */
static int count_pictures(const DimDataset *dataset, int label, gboolean test, gboolean tiling_only)
{
    int n = 0;

    for (guint i = 0; i < dataset->pictures->len; i++) {
        const Picture *picture = picture_at(dataset, i);
        n += !picture->test == !test && (label < 0 || picture->label == label) &&
             (picture->tiles || !tiling_only);
    }
    return n;
}

int dim_dataset_n_images(const DimDataset *dataset, int label, gboolean test)
{
    return count_pictures(dataset, label, test, FALSE);
}

int dim_dataset_n_tiling(const DimDataset *dataset, int label, gboolean test)
{
    return count_pictures(dataset, label, test, TRUE);
}

/* ---- preparing ---- */

static gboolean is_share(double value)
{
    return value >= 0 && value <= 1;
}

static gboolean check_params(const DimCropParams *params, GError **error)
{
    const char *origin = "crops";

    if (params->size < 1 || params->n_scales < 1 || params->n_scales > DIM_CROP_SCALES_MAX)
        return dim_fail(error, DIM_ERROR_ARGUMENT, origin,
                        "size %d, %d scales; expected a size of 1 or more and 1 to %d scales",
                        params->size, params->n_scales, DIM_CROP_SCALES_MAX);
    for (int s = 0; s < params->n_scales; s++)
        if (params->scales[s] < params->size)
            return dim_fail(error, DIM_ERROR_ARGUMENT, origin,
                            "scale %d, smaller than the crops of %d pixels", params->scales[s],
                            params->size);
    if (!is_share(params->flip_x) || !is_share(params->flip_y) || !is_share(params->turn) ||
        !is_share(params->balance))
        return dim_fail(error, DIM_ERROR_ARGUMENT, origin,
                        "flip_x %g, flip_y %g, turn %g, balance %g; expected 0 to 1",
                        params->flip_x, params->flip_y, params->turn, params->balance);
    if (!is_share(params->gain) || !is_share(params->shift) || !is_share(params->tint))
        return dim_fail(error, DIM_ERROR_ARGUMENT, origin,
                        "gain %g, shift %g, tint %g; expected 0 to 1", params->gain, params->shift,
                        params->tint);
    return TRUE;
}

/* A side of the picture whose shorter side becomes `scale`, to the nearest pixel. */
static int scaled_side(int side, int shorter, int scale)
{
    return (int)MIN(((gint64)side * scale * 2 + shorter) / (2 * (gint64)shorter), G_MAXINT / 4);
}

static void scaled_size(const Bitmap *whole, int scale, int *width, int *height)
{
    const int shorter = MIN(whole->width, whole->height);

    *width = scaled_side(whole->width, shorter, scale);
    *height = scaled_side(whole->height, shorter, scale);
}

/* Whether all scales fit into memory: better said now than after an hour of reading. The pictures
 * as they were added go one by one, so at most one of them is needed beside its scales. */
static gboolean check_memory(const DimDataset *dataset, const DimCropParams *params, GError **error)
{
    double more = 0, most = 0;

    for (guint i = 0; i < dataset->pictures->len; i++) {
        const Bitmap *whole = &picture_at(dataset, i)->whole;
        for (int s = 0; s < params->n_scales; s++) {
            int width, height;
            scaled_size(whole, params->scales[s], &width, &height);
            more += 3.0 * width * height;
        }
        most = MAX(most, more);
        more -= 3.0 * whole->width * whole->height;
    }
    if (most > (double)dim_memory_available())
        return dim_fail_memory(error, "pictures", (guint64)MIN(most, 0x1p62));
    return TRUE;
}

static gboolean scale_picture(Picture *picture, const DimCropParams *params, GError **error)
{
    const Bitmap *whole = &picture->whole;

    for (int s = 0; s < params->n_scales; s++) {
        Bitmap *to = &picture->scaled[s];
        int width, height;
        scaled_size(whole, params->scales[s], &width, &height);
        if (!bitmap_alloc(to, width, height, error))
            return FALSE;
        if (!dim_resample(whole->rgb, whole->width, whole->height, picture->tiles, to->rgb, width,
                          height))
            return dim_fail_memory(error, "pictures", (guint64)whole->height * width * 12);
    }
    g_clear_pointer(&picture->whole.rgb, g_free);
    return TRUE;
}

static void list_draws(DimDataset *dataset, gboolean test)
{
    Draws *draws = &dataset->draws[test];
    const guint n = dataset->pictures->len;
    const int n_classes = dim_dataset_n_classes(dataset);
    g_autofree int *end = g_new0(int, n_classes);

    draws->order = g_new(int, n);
    draws->first = g_new(int, n_classes + 1);
    draws->full = g_new(int, n_classes);
    for (guint i = 0; i < n; i++)
        end[picture_at(dataset, i)->label] += !picture_at(dataset, i)->test == !test;
    for (int label = 0; label < n_classes; label++) {
        if (end[label])
            draws->full[draws->n_full++] = label;
        draws->first[label] = draws->n;
        draws->n += end[label];
        end[label] = draws->first[label];
    }
    draws->first[n_classes] = draws->n;
    for (guint i = 0; i < n; i++)
        if (!picture_at(dataset, i)->test == !test)
            draws->order[end[picture_at(dataset, i)->label]++] = (int)i;
}

gboolean dim_dataset_prepare(DimDataset *dataset, const DimCropParams *params, DimTask *task,
                             GError **error)
{
    const guint n = dataset->pictures->len;

    g_assert(!dataset->prepared);
    if (!check_params(params, error))
        return FALSE;
    if (n == 0)
        return dim_fail(error, DIM_ERROR_ARGUMENT, "pictures", "there are none");
    if (!check_memory(dataset, params, error))
        return FALSE;
    for (guint i = 0; i < n; i++) {
        if (!dim_task_go_on(task, error) || !scale_picture(picture_at(dataset, i), params, error))
            return FALSE;
        dim_task_advance(task, (i + 1.0) / n);
    }
    list_draws(dataset, FALSE);
    list_draws(dataset, TRUE);
    dataset->params = *params;
    dataset->prepared = TRUE;
    return TRUE;
}

/* ---- crops ---- */

/* The random numbers of one crop. */
typedef struct {
    gint64 seed, index;
    DimRandomStream stream;
} Luck;

static gint64 luck_below(const Luck *luck, guint32 k, gint64 n)
{
    return dim_random_below(luck->seed, luck->stream, luck->index, k, n);
}

static gboolean luck_says(const Luck *luck, guint32 k, double probability)
{
    return dim_random_uniform(luck->seed, luck->stream, luck->index, k) < probability;
}

static const Picture *draw_picture(const DimDataset *dataset, const Draws *draws, const Luck *luck)
{
    int first = 0, n = draws->n;

    if (luck_says(luck, K_BALANCED, dataset->params.balance)) {
        const int label = draws->full[luck_below(luck, K_CLASS, draws->n_full)];
        first = draws->first[label];
        n = draws->first[label + 1] - first;
    }
    return picture_at(dataset, (guint)draws->order[first + luck_below(luck, K_PICTURE, n)]);
}

/* What each 8-bit value of each channel becomes. */
static void draw_colours(const DimCropParams *params, const Luck *luck, float colours[3][256])
{
    const double u = dim_random_uniform(luck->seed, luck->stream, luck->index, K_GAIN);
    const double gain = 1 + params->gain * (2 * u - 1);
    const double shift =
        params->shift * dim_random_normal(luck->seed, luck->stream, luck->index, K_SHIFT);

    for (int c = 0; c < 3; c++) {
        const double tint =
            params->tint * dim_random_normal(luck->seed, luck->stream, luck->index, K_TINT + c);
        for (int v = 0; v < 256; v++)
            colours[c][v] = (float)(2 * CLAMP(v * gain / 255 + shift + tint, 0, 1) - 1);
    }
}

/* Where a crop's rows and columns lie in the picture: `places` [size]. */
static void draw_places(const Luck *luck, guint32 k_offset, int side, gboolean wraps, gboolean flip,
                        int size, int *places)
{
    const gint64 offset = luck_below(luck, k_offset, wraps ? side : side - size + 1);

    for (int i = 0; i < size; i++)
        places[flip ? size - 1 - i : i] = (int)((offset + i) % side);
}

int dim_dataset_crop(const DimDataset *dataset, gint64 seed, gint64 index, gboolean test,
                     float *rgb)
{
    const DimCropParams *params = &dataset->params;
    const Luck luck = {seed, index, test ? DIM_RANDOM_TEST_CROP : DIM_RANDOM_CROP};
    const gsize size = (gsize)params->size, plane = size * size;
    g_autofree int *places = g_new(int, 2 * size);
    float colours[3][256];

    g_assert(dataset->prepared && dataset->draws[!!test].n > 0);
    const Picture *picture = draw_picture(dataset, &dataset->draws[!!test], &luck);
    const Bitmap *map = &picture->scaled[luck_below(&luck, K_SCALE, params->n_scales)];
    int *rows = places, *columns = places + size;
    draw_places(&luck, K_TOP, map->height, picture->tiles,
                luck_says(&luck, K_FLIP_Y, params->flip_y), params->size, rows);
    draw_places(&luck, K_LEFT, map->width, picture->tiles,
                luck_says(&luck, K_FLIP_X, params->flip_x), params->size, columns);
    draw_colours(params, &luck, colours);
    const gboolean turn = luck_says(&luck, K_TURN, params->turn);
    for (gsize i = 0; i < size; i++)
        for (gsize j = 0; j < size; j++) {
            const gsize row = (gsize)rows[turn ? j : i], column = (gsize)columns[turn ? i : j];
            const guint8 *pixel = map->rgb + 3 * (row * (gsize)map->width + column);
            for (int c = 0; c < 3; c++)
                rgb[c * plane + i * size + j] = colours[c][pixel[c]];
        }
    return picture->label;
}
