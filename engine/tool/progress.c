/* One thread that draws and waits for signals: no handler, so no state that a handler could reach.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "progress.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BAR_CELLS = 30, TICK_MILLISECONDS = 50 };

struct ToolProgress {
    GThread *thread;
    sigset_t signals, mask_before;
    gboolean draws; /* stderr is a terminal */

    GMutex lock; /* guards the rest */
    gboolean over, cancelled;
    const char *name;
    DimTask *task; /* one of these, or none */
    DimSampler *sampler;
    gint64 at, n; /* of a row of samplers; 0, 1: a single one */
    gint64 since; /* microseconds, when it began to be watched */
    double begun; /* how much of it was done then */
    char note[40];
};

static double fraction(const ToolProgress *progress)
{
    const double part = progress->sampler ? dim_sampler_progress(progress->sampler)
                        : progress->task  ? dim_task_progress(progress->task)
                                          : 0;

    return ((double)progress->at + part) / (double)progress->n;
}

static void cancel(ToolProgress *progress)
{
    progress->cancelled = TRUE;
    if (progress->sampler)
        dim_sampler_cancel(progress->sampler);
    if (progress->task)
        dim_task_cancel(progress->task);
}

static void draw(const ToolProgress *progress)
{
    const double done = fraction(progress), gained = done - progress->begun;
    const double spent = (g_get_monotonic_time() - progress->since) * 1e-6;
    const double share = gained / (1 - progress->begun);
    char bar[BAR_CELLS + 1], left[32] = "";

    memset(bar, ' ', BAR_CELLS);
    memset(bar, '=', (gsize)(done * BAR_CELLS));
    bar[BAR_CELLS] = '\0';
    /* Five parts in a thousand, or a minute, are enough to foresee the rest from. */
    if ((share > 0.005 || (share > 0 && spent > 60)) && spent > 1) {
        const int seconds = (int)MIN(spent * (1 - done) / gained + 0.5, 3599999);
        if (seconds < 6000)
            g_snprintf(left, sizeof left, "%d:%02d left", seconds / 60, seconds % 60);
        else
            g_snprintf(left, sizeof left, "%d:%02d h left", seconds / 3600, seconds / 60 % 60);
    }
    fprintf(stderr, "\r%-8s [%s] %3d %%  %s%s%s\033[K", progress->name, bar, (int)(done * 100),
            left, *left ? "  " : "", progress->note);
}

static gpointer watch(gpointer data)
{
    ToolProgress *progress = data;
    const struct timespec tick = {.tv_nsec = TICK_MILLISECONDS * 1000000};
    gboolean over = FALSE;

    while (!over) {
        const int signal = sigtimedwait(&progress->signals, NULL, &tick);
        g_mutex_lock(&progress->lock);
        if (signal > 0)
            cancel(progress);
        if (progress->draws && progress->name && !progress->cancelled)
            draw(progress);
        over = progress->over;
        g_mutex_unlock(&progress->lock);
    }
    if (progress->draws)
        fprintf(stderr, "\r\033[K");
    return NULL;
}

/* A signal that the caller had ignored, as nohup does, stays ignored. */
static void add_signal(sigset_t *set, int number)
{
    struct sigaction action;

    if (!sigaction(number, NULL, &action) && action.sa_handler != SIG_IGN)
        sigaddset(set, number);
}

ToolProgress *tool_progress_begin(void)
{
    ToolProgress *progress = g_new0(ToolProgress, 1);

    progress->draws = isatty(STDERR_FILENO);
    progress->n = 1;
    g_mutex_init(&progress->lock);
    sigemptyset(&progress->signals);
    add_signal(&progress->signals, SIGINT);
    add_signal(&progress->signals, SIGTERM);
    add_signal(&progress->signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &progress->signals, &progress->mask_before);
    progress->thread = g_thread_new("progress", watch, progress);
    return progress;
}

void tool_progress_end(ToolProgress **address)
{
    ToolProgress *progress = *address;

    if (!progress)
        return;
    g_mutex_lock(&progress->lock);
    progress->over = TRUE;
    g_mutex_unlock(&progress->lock);
    g_thread_join(progress->thread);
    pthread_sigmask(SIG_SETMASK, &progress->mask_before, NULL);
    g_mutex_clear(&progress->lock);
    g_free(progress);
    *address = NULL;
}

static void watch_now(ToolProgress *progress, const char *name, DimTask *task, DimSampler *sampler,
                      gint64 at, gint64 n)
{
    g_mutex_lock(&progress->lock);
    progress->name = name;
    progress->task = task;
    progress->sampler = sampler;
    progress->at = at;
    progress->n = n;
    if (at == 0) {
        progress->since = g_get_monotonic_time();
        progress->begun = MIN(fraction(progress), 0.999999);
    }
    *progress->note = '\0';
    if (n > 1 && sampler)
        g_snprintf(progress->note, sizeof progress->note,
                   "%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT, at + 1, n);
    if (progress->cancelled)
        cancel(progress);
    g_mutex_unlock(&progress->lock);
}

void tool_progress_task(ToolProgress *progress, const char *name, DimTask *task)
{
    watch_now(progress, name, task, NULL, 0, 1);
}

void tool_progress_hide(ToolProgress *progress)
{
    g_mutex_lock(&progress->lock);
    if (progress->draws)
        fprintf(stderr, "\r\033[K");
    progress->draws = FALSE;
    g_mutex_unlock(&progress->lock);
}

gboolean tool_progress_draws(ToolProgress *progress)
{
    return progress->draws;
}

void tool_progress_say(ToolProgress *progress, const char *line)
{
    g_mutex_lock(&progress->lock);
    if (progress->draws)
        fprintf(stderr, "\r\033[K");
    printf("%s\n", line);
    fflush(stdout);
    g_mutex_unlock(&progress->lock);
}

void tool_progress_note(ToolProgress *progress, const char *note)
{
    g_mutex_lock(&progress->lock);
    g_strlcpy(progress->note, note, sizeof progress->note);
    g_mutex_unlock(&progress->lock);
}

void tool_progress_sampler(ToolProgress *progress, const char *name, DimSampler *sampler, gint64 at,
                           gint64 n)
{
    watch_now(progress, name, NULL, sampler, at, n);
}
