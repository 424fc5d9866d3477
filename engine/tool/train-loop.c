/* The steps of a training, and what is written on the way.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "train.h"

#include <math.h>
#include <string.h>

#include "contact-sheet.h"
#include "train-class.h"

/* Where the number of steps follows from the time, it is settled after so many, which are warm-up.
 */
enum { PLAN_FROM = 2, PLAN_AT = 8 };
enum { TEST_CROPS = 64, TESTS = 200, TEST_STEPS_MIN = 50 };

typedef struct {
    ToolTrain *train;
    gint64 steps;                      /* in all */
    gint64 test_every;                 /* steps; 0: there is no test picture */
    gint64 began, saved, sheet, spoke; /* microseconds, when that was last */
    double seconds_before;             /* of training, by earlier runs */
    gint64 samples_before;             /* seen by them */
    ToolTrainRow row;                  /* the step done last */
    double test_loss;                  /* measured last; NAN: not yet */
    double loss;                       /* a moving average, for people */
    double drift;                      /* of the classes that were there; NAN: not measured */
    gint64 timed, timed_step;          /* for the plan: since when, the step then */
    gint64 told;                       /* microseconds, when the status was */
} Loop;

static gboolean is_due(gint64 since, double minutes)
{
    return g_get_monotonic_time() - since >= minutes * 60e6;
}

/* ---- for people ---- */

static double samples_a_second(const Loop *l)
{
    const double seconds = l->row.seconds - l->seconds_before;

    return seconds > 0 ? (double)(l->row.samples - l->samples_before) / seconds : 0;
}

static double seconds_left(const Loop *l)
{
    return (double)(l->steps - l->row.step) * (double)l->row.samples / (double)l->row.step /
           MAX(samples_a_second(l), 1e-9);
}

static void say_line(const Loop *l)
{
    const double left = seconds_left(l);
    const int minutes = (int)MIN(left / 60 + 0.5, 6e6);
    char test[80] = "";

    if (!isnan(l->test_loss))
        g_snprintf(test, sizeof test, ", test loss %.4f", l->test_loss);
    if (!isnan(l->drift))
        g_snprintf(test + strlen(test), sizeof test - strlen(test), ", others moved %.2g",
                   l->drift);
    tool_train_say(l->train,
                   "step %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT ", %" G_GINT64_FORMAT
                   " samples, loss %.4f%s, %.3g samples/s, %d:%02d h left",
                   l->row.step, l->steps, l->row.samples, l->loss, test, samples_a_second(l),
                   minutes / 60, minutes % 60);
}

static void show(Loop *l)
{
    ToolTrain *t = l->train;
    char note[40];

    /* The bar belongs to this thread's count; the watching thread only reads it. */
    g_atomic_int_set(&t->task.per_million, (int)((double)l->row.step / (double)l->steps * 1e6));
    g_snprintf(note, sizeof note, "loss %.3f  %.3g/s", l->loss, samples_a_second(l));
    tool_progress_note(t->progress, note);
    if (is_due(l->told, 1.0 / 60)) {
        tool_train_status(t, "training", &l->row, l->steps, seconds_left(l), l->loss, NULL);
        l->told = g_get_monotonic_time();
    }
    if (!tool_progress_draws(t->progress) && is_due(l->spoke, 1)) {
        say_line(l);
        l->spoke = g_get_monotonic_time();
    }
}

/* ---- files ---- */

static gboolean export(const ToolTrain *t, GError **error)
{
    const char *type = tool_settings_text(&t->settings, "store");

    return dim_trainer_export(t->trainer, t->folder.weights,
                              g_str_equal(type, "bf16") ? "BF16" : "F32", error);
}

/* The checkpoint first: without one, weights in the model folder would be taken for where to start
 * from. */
static gboolean save(Loop *l, GError **error)
{
    ToolTrain *t = l->train;

    l->saved = g_get_monotonic_time();
    return dim_trainer_save(t->trainer, t->folder.checkpoint, error) && export(t, error) &&
           tool_train_plot(tool_train_log_rows(t->log), t->folder.plot, error);
}

/* A sheet that is interrupted is left as it was. */
static gboolean draw_sheet(Loop *l, GError **error)
{
    ToolTrain *t = l->train;
    GError *fault = NULL;

    tool_progress_note(t->progress, "drawing a sheet");
    DimModel *model =
        dim_model_open(t->device, t->folder.model, DIM_PARTS_BACKBONE | DIM_PARTS_DECODER,
                       DIM_PRECISION_AUTO, NULL, &fault);
    if (model) {
        int *labels;
        ToolSheet sheet;
        tool_sheet_init(&sheet, dim_model_info(model), &labels);
        tool_sheet_save(model, &sheet, t->folder.sheet, FALSE, &t->task, &fault);
        g_free(labels);
    }
    dim_model_close(&model);
    l->sheet = g_get_monotonic_time();
    if (g_error_matches(fault, DIM_ERROR, DIM_ERROR_CANCELLED))
        g_clear_error(&fault);
    if (fault)
        g_propagate_error(error, fault);
    return !fault;
}

static gboolean write_files(Loop *l, gboolean stop, GError **error)
{
    const ToolTrain *t = l->train;
    const double sheet_minutes = tool_settings_real(&t->settings, "sheet-every");
    const gboolean over = l->row.step >= l->steps;
    const gboolean sheet =
        !stop && !t->replay && (over || (sheet_minutes > 0 && is_due(l->sheet, sheet_minutes)));

    if (!tool_train_leads(t))
        return TRUE;
    if (over || stop || sheet ||
        is_due(l->saved, tool_settings_real(&t->settings, "checkpoint-every")))
        if (!save(l, error))
            return FALSE;
    return !sheet || draw_sheet(l, error);
}

/* ---- steps ---- */

static gboolean measure(Loop *l, GError **error)
{
    ToolTrain *t = l->train;

    l->row.test_loss = NAN;
    if (t->replay && l->row.step == l->steps &&
        !dim_trainer_drift(t->trainer, TEST_CROPS, NULL, &l->drift, error))
        return FALSE;
    if (!l->test_every || (l->row.step % l->test_every && l->row.step < l->steps))
        return TRUE;
    if (!dim_trainer_test_loss(t->trainer, TEST_CROPS, NULL, &l->row.test_loss, error))
        return FALSE;
    l->test_loss = l->row.test_loss;
    return TRUE;
}

static gboolean step(Loop *l, GError **error)
{
    ToolTrain *t = l->train;
    DimTrainReport report;

    /* Never cancelled in the middle: a step takes a moment, and other processes take part in it. */
    if (!dim_trainer_step(t->trainer, NULL, &report, error))
        return FALSE;
    l->row = (ToolTrainRow){.step = report.step,
                            .samples = report.samples,
                            .loss = report.loss,
                            .rate = report.rate,
                            .gradient_norm = report.gradient_norm};
    if (!measure(l, error))
        return FALSE;
    l->row.seconds = l->seconds_before + (g_get_monotonic_time() - l->began) * 1e-6;
    l->loss = isnan(l->loss) ? report.loss : l->loss + 0.05 * (report.loss - l->loss);
    return !t->log || tool_train_log_add(t->log, &l->row, error);
}

/* Now that it is known how long a step takes. */
static gboolean plan(Loop *l, GError **error)
{
    ToolTrain *t = l->train;
    const double minutes = tool_settings_real(&t->settings, "minutes");
    const gint64 now = g_get_monotonic_time();

    if (l->steps != TOOL_STEPS_OPEN)
        return TRUE;
    if (!l->timed && l->row.step >= PLAN_FROM) {
        l->timed = now;
        l->timed_step = l->row.step;
    }
    if (l->row.step < PLAN_AT || l->row.step - l->timed_step < PLAN_AT - PLAN_FROM)
        return TRUE;
    const double one = (double)(now - l->timed) / (double)(l->row.step - l->timed_step);
    const double left = minutes * 60e6 - l->seconds_before * 1e6 - (double)(now - t->began);
    l->steps = l->row.step + (gint64)CLAMP(left / MAX(one, 1), 12, 1e8);
    l->test_every = l->test_every ? MAX(TEST_STEPS_MIN, l->steps / TESTS) : 0;
    dim_trainer_aim(t->trainer, l->steps);
    json_object_set_new(t->settings.values, "steps", json_integer(l->steps));
    tool_train_say(t, "%" G_GINT64_FORMAT " steps will take about %.3g minutes", l->steps, minutes);
    return tool_settings_save(&t->settings, t->folder.settings, error);
}

static void begin(Loop *l, ToolTrain *train)
{
    const GArray *rows = train->log ? tool_train_log_rows(train->log) : NULL;
    const gint64 now = g_get_monotonic_time();

    *l = (Loop){.train = train,
                .steps = tool_settings_whole(&train->settings, "steps"),
                .began = now,
                .saved = now,
                .sheet = now,
                .spoke = now,
                .test_loss = NAN,
                .drift = NAN,
                .loss = NAN};
    l->row.step = dim_trainer_at(train->trainer);
    l->samples_before = l->row.step * tool_settings_whole(&train->settings, "batch");
    if (dim_dataset_n_images(train->dataset, -1, TRUE) > 0)
        l->test_every = MAX(TEST_STEPS_MIN, l->steps / TESTS);
    for (guint i = rows && rows->len > 20 ? rows->len - 20 : 0; rows && i < rows->len; i++) {
        const ToolTrainRow *row = &g_array_index(rows, ToolTrainRow, i);
        l->seconds_before = row->seconds;
        l->loss = isnan(l->loss) ? row->loss : l->loss + 0.05 * (row->loss - l->loss);
    }
}

gboolean tool_train_loop(ToolTrain *train, gboolean *stopped, GError **error)
{
    Loop l;
    gboolean stop = FALSE;

    begin(&l, train);
    /* Of one that is over: --store may ask for another type now. */
    if (l.row.step >= l.steps && tool_train_leads(train) && !export(train, error))
        return FALSE;
    train->task.per_million = (int)((double)l.row.step / (double)l.steps * 1e6);
    tool_progress_task(train->progress, "training", &train->task);
    while (!stop && l.row.step < l.steps) {
        if (!step(&l, error) || !plan(&l, error))
            return FALSE;
        show(&l);
        stop = g_atomic_int_get(&train->task.cancel) != 0 ||
               (train->stop_after > 0 && is_due(l.began, train->stop_after));
        stop = tool_peers_any(&train->peers, stop);
        if (!write_files(&l, stop, error))
            return FALSE;
    }
    *stopped = l.row.step < l.steps;
    if (l.row.step > 0 && !isnan(l.loss))
        say_line(&l);
    if (*stopped)
        tool_train_status(train, "stopped", &l.row, l.steps, seconds_left(&l), l.loss, NULL);
    return TRUE;
}
