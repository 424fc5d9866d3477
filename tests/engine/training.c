/* Trainings seen from outside: states by what progress.json says and by who is at work, the list,
 * stopping, removing; spoilt files.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utime.h>

#include <glib/gstdio.h>

#include "engine/dim.h"

static char *make_run(const char *name)
{
    g_autofree char *root = dim_training_root();
    char *run = g_build_filename(root, name, NULL);

    g_assert_cmpint(g_mkdir_with_parents(run, 0700), ==, 0);
    return run;
}

static void write_file(const char *run, const char *name, const char *text)
{
    g_autofree char *file = g_build_filename(run, name, NULL);

    g_assert_true(g_file_set_contents(file, text, -1, NULL));
}

/* What dim train would say; pid 0: a process that is long gone. */
static void write_status(const char *run, const char *state, int pid)
{
    g_autofree char *text = g_strdup_printf(
        "{\"state\": \"%s\", \"class\": \"brick\", \"step\": 30, \"steps\": 120, \"fraction\": "
        "0.25, \"loss\": 0.5, \"seconds_left\": 90, \"pid\": %d, \"model\": \"/m/brick\"}",
        state, pid ? pid : 4194304 /* above any */);

    write_file(run, "progress.json", text);
}

static DimTrainingState state_of(const char *run)
{
    g_autoptr(GError) error = NULL;
    DimTraining *training = dim_training_read(run, &error);

    g_assert_no_error(error);
    const DimTrainingState state = training->state;
    dim_training_free(&training);
    return state;
}

static void take_away(const char *run)
{
    g_autoptr(GError) error = NULL;

    dim_training_remove(run, &error);
    g_assert_no_error(error);
    g_assert_false(g_file_test(run, G_FILE_TEST_EXISTS));
}

/* ---- reading ---- */

static void everything_is_read(void)
{
    g_autofree char *run = make_run("read");
    g_autoptr(GError) error = NULL;

    write_file(run, "train.json", "{}");
    write_status(run, "training", 0);
    DimTraining *t = dim_training_read(run, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(t->folder, ==, run);
    g_assert_cmpstr(t->class_name, ==, "brick");
    g_assert_cmpstr(t->model, ==, "/m/brick");
    g_assert_cmpint(t->state, ==, DIM_TRAINING_STOPPED); /* nobody is at work */
    g_assert_cmpint(t->step, ==, 30);
    g_assert_cmpint(t->steps, ==, 120);
    g_assert_cmpfloat(t->fraction, ==, 0.25);
    g_assert_cmpfloat(t->loss, ==, 0.5);
    g_assert_cmpint(t->seconds_left, ==, 90);
    g_assert_true(t->can_resume);

    t->pid = getpid();
    g_assert_true(dim_training_announce(t, &error));
    g_assert_no_error(error);
    dim_training_free(&t);
    t = dim_training_read(run, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(t->class_name, ==, "brick");
    g_assert_cmpint(t->pid, ==, getpid());
    g_assert_cmpfloat(t->fraction, ==, 0.25); /* the bar goes on from there */
    g_assert_true(isnan(t->loss));
    dim_training_free(&t);
    take_away(run);
}

/* The same words, with the process there and gone. */
static void states(void)
{
    static const struct {
        const char *said;
        gboolean settings; /* train.json is there */
        DimTrainingState at_work, gone;
    } table[] = {
        {"starting", FALSE, DIM_TRAINING_STARTING, DIM_TRAINING_FAILED},
        {"starting", TRUE, DIM_TRAINING_STARTING, DIM_TRAINING_STOPPED},
        {"reading", TRUE, DIM_TRAINING_READING, DIM_TRAINING_STOPPED},
        {"sampling", TRUE, DIM_TRAINING_SAMPLING, DIM_TRAINING_STOPPED},
        {"training", TRUE, DIM_TRAINING_TRAINING, DIM_TRAINING_STOPPED},
        {"stopped", TRUE, DIM_TRAINING_ENDING, DIM_TRAINING_STOPPED},
        {"failed", TRUE, DIM_TRAINING_ENDING, DIM_TRAINING_FAILED},
        {"done", TRUE, DIM_TRAINING_ENDING, DIM_TRAINING_DONE},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autofree char *run = make_run("states");
        g_autofree char *log = g_build_filename(run, "log", NULL);
        if (table[i].settings)
            write_file(run, "train.json", "{}");
        write_status(run, table[i].said, getpid());
        /* We are there, but do not work in that folder: the number is another process's by now. */
        g_assert_cmpint(state_of(run), ==, table[i].gone);
        const int file = open(log, O_WRONLY | O_CREAT, 0600);
        g_assert_cmpint(state_of(run), ==, table[i].at_work);
        close(file);
        const int folder = open(run, O_RDONLY | O_DIRECTORY);
        g_assert_cmpint(state_of(run), ==, table[i].at_work);
        close(folder);
        write_status(run, table[i].said, 0);
        g_assert_cmpint(state_of(run), ==, table[i].gone);
        take_away(run);
    }
}

/* A name that begins alike is another folder. */
static void neighbours(void)
{
    g_autofree char *run = make_run("near"), *other = make_run("nearer");
    g_autofree char *log = g_build_filename(other, "log", NULL);

    write_file(run, "train.json", "{}");
    write_status(run, "training", getpid());
    const int file = open(log, O_WRONLY | O_CREAT, 0600);
    g_assert_cmpint(state_of(run), ==, DIM_TRAINING_STOPPED);
    close(file);
    take_away(run);
    take_away(other);
}

static void last_words(void)
{
    g_autofree char *run = make_run("words");
    DimTraining *t;

    write_file(run, "log", "RUN: begun\ndim: --add-class x: no\n\n");
    t = dim_training_read(run, NULL);
    g_assert_cmpint(t->state, ==, DIM_TRAINING_FAILED);
    g_assert_cmpstr(t->message, ==, "--add-class x: no");
    g_assert_false(t->can_resume);
    dim_training_free(&t);
    take_away(run);
}

static void spoilt_files(void)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{",
        "{\"state\": 3}",
        "{\"state\": \"sleeping\"}",
        "{\"step\": -1}",
        "{\"steps\": 0}",
        "{\"fraction\": 1.5}",
        "{\"fraction\": \"half\"}",
        "{\"pid\": 99999999999}",
        "{\"pid\": -1}",
        "{\"class\": 7}",
        "{\"model\": null}",
    };
    g_autofree char *run = make_run("spoilt");

    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GError) error = NULL;
        write_file(run, "progress.json", texts[i]);
        DimTraining *t = dim_training_read(run, &error);
        g_assert_null(t);
        g_assert_nonnull(error);
        g_assert_nonnull(strstr(error->message, "progress.json"));
    }
    write_file(run, "progress.json", "{}"); /* nothing said is no mistake */
    g_assert_cmpint(state_of(run), ==, DIM_TRAINING_FAILED);
    take_away(run);
    g_autoptr(GError) error = NULL;
    g_assert_null(dim_training_read(run, &error));
    g_assert_error(error, DIM_ERROR, DIM_ERROR_FILE);
}

/* ---- the list ---- */

static void newest_first(void)
{
    static const char *const names[] = {"b", "a", "c"};
    g_autofree char *root = dim_training_root();

    g_auto(GStrv) none = dim_training_list();
    g_assert_cmpuint(g_strv_length(none), ==, 0);
    for (int i = 0; i < 3; i++) {
        g_autofree char *run = make_run(names[i]);
        const struct utimbuf when = {1000 + i, 1000 + i};
        write_file(run, "train.json", "{}");
        g_assert_cmpint(utime(run, &when), ==, 0);
    }
    write_file(root, "a file", "");
    g_auto(GStrv) runs = dim_training_list();
    g_assert_cmpuint(g_strv_length(runs), ==, 3);
    for (int i = 0; i < 3; i++) {
        g_autofree char *name = g_path_get_basename(runs[i]);
        g_assert_cmpstr(name, ==, names[2 - i]);
        take_away(runs[i]);
    }
}

/* ---- acting ---- */

/* A process with the folder open, as dim train has it. */
static pid_t start_worker(const char *run)
{
    int pipes[2];
    char byte;

    g_assert_cmpint(pipe(pipes), ==, 0);
    const pid_t pid = fork();
    if (pid == 0) {
        const int folder = open(run, O_RDONLY | O_DIRECTORY);
        flock(folder, LOCK_EX);
        if (write(pipes[1], "x", 1) == 1)
            pause();
        _exit(0);
    }
    g_assert_cmpint(read(pipes[0], &byte, 1), ==, 1);
    close(pipes[0]);
    close(pipes[1]);
    return pid;
}

static void stop_and_remove(void)
{
    g_autofree char *run = make_run("work");
    g_autoptr(GError) error = NULL;
    int status;

    write_file(run, "train.json", "{}");
    const pid_t pid = start_worker(run);
    write_status(run, "training", pid);
    g_assert_cmpint(state_of(run), ==, DIM_TRAINING_TRAINING);
    g_assert_false(dim_training_remove(run, &error));
    g_assert_nonnull(strstr(error->message, "at work"));
    g_clear_error(&error);
    g_assert_true(dim_training_stop(run, &error));
    g_assert_no_error(error);
    g_usleep(200 * 1000);
    g_assert_cmpint(state_of(run), ==, DIM_TRAINING_STOPPED); /* though nobody has buried it yet */
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    g_assert_true(dim_training_stop(run, &error)); /* nothing to do */
    take_away(run);
}

/* Links lead out of the folder, and are not followed. */
static void removes_nothing_else(void)
{
    g_autofree char *run = make_run("links"), *other = make_run("other");
    g_autofree char *link = g_build_filename(run, "pictures", NULL);
    g_autofree char *kept = g_build_filename(other, "kept", NULL);
    g_autoptr(GError) error = NULL;

    write_file(run, "train.json", "{}");
    write_file(other, "kept", "");
    g_assert_cmpint(symlink(other, link), ==, 0);
    take_away(run);
    g_assert_true(g_file_test(kept, G_FILE_TEST_EXISTS));
    g_assert_false(dim_training_remove(other, &error)); /* no training's */
    g_assert_error(error, DIM_ERROR, DIM_ERROR_ARGUMENT);
    g_assert_true(g_file_test(kept, G_FILE_TEST_EXISTS));
    g_assert_cmpint(g_unlink(kept), ==, 0);
    g_assert_cmpint(g_rmdir(other), ==, 0);
}

static void set_time(const char *run, const char *name, time_t seconds)
{
    g_autofree char *file = g_build_filename(run, name, NULL);
    struct utimbuf when = {seconds, seconds};

    g_assert_cmpint(utime(file, &when), ==, 0);
}

/* What was told counts until the training says something more. */
static void told(void)
{
    g_autofree char *run = make_run("told");

    g_assert_true(dim_training_is_told(run)); /* it has said nothing */
    write_status(run, "done", 0);
    g_assert_false(dim_training_is_told(run));
    dim_training_set_told(run);
    g_assert_true(dim_training_is_told(run));
    set_time(run, "progress.json", 1000);
    set_time(run, "told", 1000);
    g_assert_true(dim_training_is_told(run));
    set_time(run, "progress.json", 1001);
    g_assert_false(dim_training_is_told(run));
    dim_training_set_told(run);
    g_assert_true(dim_training_is_told(run));
    take_away(run);
}

static void names(void)
{
    g_autofree char *plain = dim_training_name("/models/textures", "Red Brick/2");
    g_autofree char *wide = dim_training_name("textures/", "Ziegel ä");

    g_assert_cmpstr(plain, ==, "textures-red-brick-2");
    g_assert_cmpstr(wide, ==, "textures-ziegel-ä");
}

int main(int argc, char **argv)
{
    g_autofree char *home = g_dir_make_tmp("dim-training-XXXXXX", NULL);
    g_autofree char *root = g_build_filename(home, "gimp-dim", "training", NULL);
    g_autofree char *file = g_build_filename(root, "a file", NULL);
    g_autofree char *above = g_build_filename(home, "gimp-dim", NULL);

    g_setenv("XDG_DATA_HOME", home, TRUE);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/training/told", told);
    g_test_add_func("/training/read", everything_is_read);
    g_test_add_func("/training/states", states);
    g_test_add_func("/training/neighbours", neighbours);
    g_test_add_func("/training/last-words", last_words);
    g_test_add_func("/training/spoilt", spoilt_files);
    g_test_add_func("/training/list", newest_first);
    g_test_add_func("/training/stop-and-remove", stop_and_remove);
    g_test_add_func("/training/links", removes_nothing_else);
    g_test_add_func("/training/names", names);
    const int status = g_test_run();
    g_unlink(file);
    g_rmdir(root);
    g_rmdir(above);
    g_rmdir(home);
    return status;
}
