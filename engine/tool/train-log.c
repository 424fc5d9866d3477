/* RUN/loss.csv.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "train-log.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#define HEADER "step,samples,seconds,loss,test_loss,rate,gradient_norm\n"

struct ToolTrainLog {
    char *file;
    int descriptor;
    GArray *rows;
};

static char *print_row(const ToolTrainRow *row)
{
    char test[32] = "";

    if (!isnan(row->test_loss))
        g_snprintf(test, sizeof test, "%.9g", row->test_loss);
    return g_strdup_printf("%" G_GINT64_FORMAT ",%" G_GINT64_FORMAT ",%.3f,%.9g,%s,%.9g,%.9g\n",
                           row->step, row->samples, row->seconds, row->loss, test, row->rate,
                           row->gradient_norm);
}

static gboolean parse_row(const char *line, ToolTrainRow *row)
{
    g_auto(GStrv) fields = g_strsplit(line, ",", 8);
    double *const reals[] = {&row->seconds, &row->loss, &row->test_loss, &row->rate,
                             &row->gradient_norm};

    if (g_strv_length(fields) != 7 ||
        !g_ascii_string_to_signed(fields[0], 10, 1, G_MAXINT64, &row->step, NULL) ||
        !g_ascii_string_to_signed(fields[1], 10, 1, G_MAXINT64, &row->samples, NULL))
        return FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(reals); i++) {
        const char *field = fields[i + 2];
        char *end;
        *reals[i] = *field ? g_ascii_strtod(field, &end) : NAN;
        if (*field ? end == field || *end || !isfinite(*reals[i]) : reals[i] != &row->test_loss)
            return FALSE;
    }
    return TRUE;
}

/* What cannot be read, such as a line that a full disk cut, is left out. */
static void read_rows(ToolTrainLog *log, gint64 at)
{
    g_autofree char *text = NULL;

    if (at < 1 || !g_file_get_contents(log->file, &text, NULL, NULL))
        return;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    gint64 last = 0;
    for (int i = 1; lines[0] && lines[i]; i++) {
        ToolTrainRow row;
        if (!parse_row(lines[i], &row) || row.step > at || row.step <= last)
            continue;
        g_array_append_val(log->rows, row);
        last = row.step;
    }
}

static gboolean write_rows(const ToolTrainLog *log, GError **error)
{
    DimOutput *output = dim_output_open(log->file, error);

    if (!output)
        return FALSE;
    fputs(HEADER, dim_output_stream(output));
    for (guint i = 0; i < log->rows->len; i++) {
        g_autofree char *line = print_row(&g_array_index(log->rows, ToolTrainRow, i));
        fputs(line, dim_output_stream(output));
    }
    return dim_output_commit(&output, error);
}

static gboolean fail(const ToolTrainLog *log, GError **error)
{
    g_set_error(error, DIM_ERROR, DIM_ERROR_FILE, "%s: cannot be written: %s", log->file,
                g_strerror(errno));
    return FALSE;
}

ToolTrainLog *tool_train_log_open(const char *file, gint64 at, GError **error)
{
    ToolTrainLog *log = g_new0(ToolTrainLog, 1);

    log->file = g_strdup(file);
    log->rows = g_array_new(FALSE, FALSE, sizeof(ToolTrainRow));
    log->descriptor = -1;
    read_rows(log, at);
    if (!write_rows(log, error))
        tool_train_log_close(&log);
    else if ((log->descriptor = open(file, O_WRONLY | O_APPEND | O_CLOEXEC)) < 0) {
        fail(log, error);
        tool_train_log_close(&log);
    }
    return log;
}

void tool_train_log_close(ToolTrainLog **log)
{
    ToolTrainLog *l = *log;

    if (!l)
        return;
    if (l->descriptor >= 0)
        close(l->descriptor);
    g_array_unref(l->rows);
    g_free(l->file);
    g_clear_pointer(log, g_free);
}

gboolean tool_train_log_add(ToolTrainLog *log, const ToolTrainRow *row, GError **error)
{
    g_autofree char *line = print_row(row);
    const gssize length = (gssize)strlen(line);
    gssize written;

    g_array_append_val(log->rows, *row);
    do
        written = write(log->descriptor, line, (gsize)length);
    while (written < 0 && errno == EINTR);
    if (written >= 0 && written < length)
        errno = ENOSPC;
    return written == length || fail(log, error);
}

const GArray *tool_train_log_rows(const ToolTrainLog *log)
{
    return log->rows;
}
