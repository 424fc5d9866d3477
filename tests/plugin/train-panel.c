/* *Train a Class* without GIMP: what it refuses, and real trainings of a tiny model: started,
 * watched, found again, stopped, resumed, killed, removed.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "panel-kit.h"
#include "ui/dim-train-panel.h"

enum { PATIENCE = 120, SIDE = 48 };

/* ---- pictures ---- */

static void write_picture(const char *folder, const char *name, int side)
{
    g_autofree char *file = g_build_filename(folder, name, NULL);
    GdkPixbuf *picture = gdk_pixbuf_new(GDK_COLORSPACE_RGB, FALSE, 8, side, side);
    const int stride = gdk_pixbuf_get_rowstride(picture);
    guchar *pixels = gdk_pixbuf_get_pixels(picture);

    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++)
            for (int c = 0; c < 3; c++)
                pixels[y * stride + 3 * x + c] = (guchar)(x / 8 % 2 ? 230 - 40 * c : 30 + y);
    g_assert_true(gdk_pixbuf_save(picture, file, "png", NULL, NULL));
    g_object_unref(picture);
}

/* A new folder with three pictures. */
static char *make_pictures(int side)
{
    g_autofree char *pattern = g_build_filename(g_get_user_data_dir(), "pictures-XXXXXX", NULL);
    char *folder = g_mkdtemp(g_steal_pointer(&pattern));

    g_assert_nonnull(folder);
    for (int i = 0; i < 3; i++) {
        g_autofree char *name = g_strdup_printf("%d.png", i);
        write_picture(folder, name, side);
    }
    return folder;
}

static gboolean write_layers(const char *folder, gpointer n_written, GError **error)
{
    for (int i = 0; i < 3; i++) {
        g_autofree char *name = g_strdup_printf("00%d layer.png", i);
        write_picture(folder, name, SIDE);
    }
    *(int *)n_written += 3;
    return TRUE;
}

/* ---- the window ---- */

typedef struct {
    Kit kit;
    char *trained, *class_name;
} Train;

static void on_trained(GtkWidget *panel, const char *model, const char *class_name, Train *train)
{
    g_assert_null(train->trained);
    train->trained = g_strdup(model);
    train->class_name = g_strdup(class_name);
}

static void open_train(Train *train, const DimTrainLayers *layers)
{
    const DimTrainLayers none = {0};
    DimTrainPanel *panel = dim_train_panel_new(layers ? layers : &none);

    *train = (Train){0};
    dim_train_panel_set_model(panel, "tiny");
    g_signal_connect(panel, "trained", G_CALLBACK(on_trained), train);
    train->kit = kit_open_with(GTK_WIDGET(panel));
}

static void close_train(Train *train)
{
    kit_close(&train->kit);
    g_free(train->trained);
    g_free(train->class_name);
}

static void fill_in(const Train *train, const char *name, const char *folder, const char *minutes)
{
    kit_type(&train->kit, "train-name", name);
    if (folder)
        kit_type(&train->kit, "train-folder", folder);
    kit_type(&train->kit, "train-minutes", minutes);
}

static const char *progress(const Train *train)
{
    return gtk_progress_bar_get_text(GTK_PROGRESS_BAR(kit_find(&train->kit, "progress")));
}

static gboolean is_running(const Train *train)
{
    return !strcmp(kit_text(&train->kit, "generate"), "S_top");
}

typedef gboolean (*Ask)(const Train *);

/* Until it is so; the bar never moves back meanwhile. */
static void wait_until(const Train *train, Ask ask)
{
    GtkProgressBar *bar = GTK_PROGRESS_BAR(kit_find(&train->kit, "progress"));
    double shown = 0;

    for (int i = 0; i < PATIENCE * 20 && !ask(train); i++) {
        const double now = gtk_progress_bar_get_fraction(bar);
        if (is_running(train))
            g_assert_cmpfloat(now, >=, shown);
        shown = now;
        g_usleep(50 * 1000);
        kit_settle();
    }
    if (!ask(train))
        g_error("waited in vain; message \"%s\", progress \"%s\"", kit_text(&train->kit, "message"),
                progress(train));
}

static gboolean is_at_rest(const Train *train)
{
    return !is_running(train);
}

static gboolean is_in_steps(const Train *train)
{
    return g_str_has_prefix(progress(train), "step ");
}

static char *only_run(void)
{
    g_auto(GStrv) runs = dim_training_list();

    g_assert_cmpuint(g_strv_length(runs), ==, 1);
    return g_strdup(runs[0]);
}

static void assert_no_run(void)
{
    g_auto(GStrv) runs = dim_training_list();

    g_assert_cmpuint(g_strv_length(runs), ==, 0);
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

static void remove_run(Train *train)
{
    kit_click(&train->kit, "train-remove"); /* asks */
    g_free(only_run());
    kit_click(&train->kit, "train-remove");
    assert_no_run();
}

/* ---- what is refused ---- */

static void expect_refusal(const Train *train, const char *words)
{
    kit_settle();
    kit_assert_has(kit_text(&train->kit, "estimate"), words);
    g_assert_false(kit_sensitive(&train->kit, "generate"));
}

static void refusals(void)
{
    g_autofree char *pictures = make_pictures(SIDE);
    Train train;

    open_train(&train, NULL);
    kit_screenshot(&train.kit, "train-first");
    g_assert_false(kit_sensitive(&train.kit, "train-from-layers"));
    expect_refusal(&train, "needs a name");
    fill_in(&train, "CLASS 3", pictures, "25");
    expect_refusal(&train, "has a class “class 3” already");
    kit_screenshot(&train.kit, "train-taken");
    kit_type(&train.kit, "train-name", "42");
    expect_refusal(&train, "no name for a class");
    kit_type(&train.kit, "train-name", "stripes");
    g_assert_true(kit_sensitive(&train.kit, "generate"));
    kit_assert_has(kit_text(&train.kit, "estimate"), "25 minutes");
    kit_assert_has(kit_text(&train.kit, "train-license"), "of “stripes”: that of its pictures");
    kit_type(&train.kit, "train-rights", "CC-BY 4.0, A. Painter");
    kit_assert_has(kit_text(&train.kit, "train-license"), "of “stripes”: CC-BY 4.0, A. Painter");
    kit_screenshot(&train.kit, "train-ready");
    kit_type(&train.kit, "train-folder", "/nowhere");
    expect_refusal(&train, "/nowhere is no folder");
    kit_type(&train.kit, "train-folder", "");
    expect_refusal(&train, "No pictures");
    kit_type(&train.kit, "train-folder", pictures);
    kit_type(&train.kit, "train-output", pictures);
    expect_refusal(&train, "is there already");
    close_train(&train);
}

/* By keyboard, and for who does not see it. */
static void access_to_all(void)
{
    static const char *const order[] = {
        "model",        "model-info",   "train-name",    "train-from-folder", "train-folder",
        "train-browse", "train-rights", "train-minutes", "train-output",      "close"};
    const struct {
        guint key;
        const char *name;
    } keys[] = {{GDK_KEY_n, "train-name"},
                {GDK_KEY_p, "train-rights"},
                {GDK_KEY_i, "train-minutes"},
                {GDK_KEY_e, "train-output"}};
    Train train;

    open_train(&train, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(order); i++) {
        GtkWidget *widget = kit_find(&train.kit, order[i]);
        const char *name = atk_object_get_name(gtk_widget_get_accessible(widget));
        if (!name || !*name)
            g_error("%s has no accessible name", order[i]);
    }
    kit_focus(&train.kit, "model");
    for (gsize i = 0; i < G_N_ELEMENTS(order); i++) {
        g_assert_cmpstr(kit_focused(&train.kit), ==, order[i]);
        kit_key(&train.kit, GDK_KEY_Tab, 0);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        kit_key(&train.kit, keys[i].key, GDK_MOD1_MASK);
        g_assert_cmpstr(kit_focused(&train.kit), ==, keys[i].name);
    }
    close_train(&train);
}

/* What only the engine sees is told in its own line, and nothing is left behind. */
static void engine_refuses(void)
{
    g_autofree char *small = make_pictures(12);
    Train train;

    open_train(&train, NULL);
    fill_in(&train, "stripes", small, "0.1");
    kit_click(&train.kit, "generate");
    wait_until(&train, is_at_rest);
    kit_assert_has(kit_text(&train.kit, "message"), "12 pixels");
    kit_screenshot(&train.kit, "train-refused");
    g_assert_cmpstr(kit_text(&train.kit, "train-name"), ==, "stripes");
    assert_no_run();
    close_train(&train);
}

/* A program that says nothing and ends, and one that is not there. */
static void no_trainer(void)
{
    g_autofree char *pictures = make_pictures(SIDE);
    Train train;

    g_setenv("DIM_PROGRAM", "/bin/false", TRUE);
    open_train(&train, NULL);
    fill_in(&train, "stripes", pictures, "0.1");
    kit_click(&train.kit, "generate");
    wait_until(&train, is_at_rest);
    kit_assert_has(kit_text(&train.kit, "message"), "has failed");
    assert_no_run();
    g_setenv("DIM_PROGRAM", pictures, TRUE); /* no program: the next place is looked at */
    kit_click(&train.kit, "generate");
    g_assert_true(is_running(&train));
    kit_click(&train.kit, "generate");
    wait_until(&train, is_at_rest);
    g_unsetenv("DIM_PROGRAM");
    g_auto(GStrv) runs = dim_training_list();
    if (runs[0])
        remove_run(&train);
    close_train(&train);
}

/* ---- trainings ---- */

static void learns_from_a_folder(void)
{
    g_autofree char *pictures = make_pictures(SIDE);
    g_autoptr(GError) error = NULL;
    Train train;

    open_train(&train, NULL);
    fill_in(&train, "stripes", pictures, "0.05");
    kit_type(&train.kit, "train-rights", "CC0");
    kit_click(&train.kit, "generate");
    g_assert_true(is_running(&train));
    wait_until(&train, is_at_rest);
    g_assert_nonnull(train.trained);
    g_assert_cmpstr(train.class_name, ==, "stripes");
    kit_assert_has(kit_text(&train.kit, "message"), "“stripes” is learnt");
    kit_screenshot(&train.kit, "train-done");
    DimModelInfo *info = dim_model_info_read(train.trained, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(info->id, ==, "tiny-stripes");
    g_assert_true(g_str_has_suffix(info->license, "of \"stripes\": CC0"));
    g_assert_cmpint(dim_model_info_find_class(info, "stripes", &error), ==, 10);
    dim_model_info_free(&info);
    remove_run(&train);
    g_assert_true(g_file_test(train.trained, G_FILE_TEST_IS_DIR));
    close_train(&train);
}

static void learns_from_layers(void)
{
    int n_written = 0;
    const DimTrainLayers layers = {3, write_layers, &n_written};
    Train train;

    open_train(&train, &layers);
    g_assert_true(
        gtk_toggle_button_get_active(GTK_TOGGLE_BUTTON(kit_find(&train.kit, "train-from-layers"))));
    fill_in(&train, "layers", NULL, "0.05");
    kit_screenshot(&train.kit, "train-layers");
    kit_click(&train.kit, "generate");
    wait_until(&train, is_at_rest);
    g_assert_cmpint(n_written, ==, 3);
    g_assert_cmpstr(train.class_name, ==, "layers");
    remove_run(&train);
    close_train(&train);
}

/* The window goes, the training does not; another window finds it. */
static void goes_on_alone(void)
{
    g_autofree char *pictures = make_pictures(SIDE);
    Train train;

    open_train(&train, NULL);
    fill_in(&train, "lonely", pictures, "20");
    kit_click(&train.kit, "generate");
    wait_until(&train, is_in_steps);
    kit_screenshot(&train.kit, "train-running");
    close_train(&train);
    g_autofree char *run = only_run();
    g_assert_cmpint(state_of(run), ==, DIM_TRAINING_TRAINING);

    open_train(&train, NULL);
    g_assert_true(is_running(&train));
    kit_click(&train.kit, "generate"); /* Stop */
    wait_until(&train, is_at_rest);
    g_assert_cmpint(state_of(run), ==, DIM_TRAINING_STOPPED);
    kit_screenshot(&train.kit, "train-stopped");
    fill_in(&train, "lonely", pictures, "20");
    expect_refusal(&train, "unfinished training");

    kit_click(&train.kit, "train-resume");
    g_assert_true(is_running(&train));
    wait_until(&train, is_in_steps);
    DimTraining *training = dim_training_read(run, NULL);
    g_assert_cmpint(kill(training->pid, SIGKILL), ==, 0);
    dim_training_free(&training);
    wait_until(&train, is_at_rest);
    g_assert_cmpint(state_of(run), ==, DIM_TRAINING_STOPPED); /* as its last checkpoint has it */
    remove_run(&train);
    close_train(&train);
}

/* Stopped before there is anything to keep: as if it had not been. */
static void stopped_at_once(void)
{
    g_autofree char *pictures = make_pictures(SIDE);
    Train train;

    open_train(&train, NULL);
    fill_in(&train, "hasty", pictures, "20");
    kit_click(&train.kit, "generate");
    kit_click(&train.kit, "generate");
    wait_until(&train, is_at_rest);
    g_auto(GStrv) runs = dim_training_list();
    if (runs[0]) /* it was quicker than the signal */
        remove_run(&train);
    g_assert_cmpstr(kit_text(&train.kit, "train-name"), ==, "hasty");
    close_train(&train);
}

/* ---- the panel ---- */

static void wait_for_message(const Kit *kit, const char *words)
{
    for (int i = 0; i < PATIENCE * 20 && !strstr(kit_text(kit, "message"), words); i++) {
        g_usleep(50 * 1000);
        kit_settle();
    }
    kit_assert_has(kit_text(kit, "message"), words);
}

/* Starts one and closes the window once it makes steps. */
static char *leave_alone(const char *name, const char *minutes)
{
    g_autofree char *pictures = make_pictures(SIDE);
    Train train;

    open_train(&train, NULL);
    fill_in(&train, name, pictures, minutes);
    kit_click(&train.kit, "generate");
    wait_until(&train, is_in_steps);
    close_train(&train);
    return only_run();
}

/* An end that no window has seen is told by the panel, once. */
static void panel_tells_the_end(void)
{
    g_autofree char *run = leave_alone("quiet", "0.1");
    Kit kit = kit_open(0, 0);

    wait_for_message(&kit, "The class “quiet” is trained");
    g_assert_cmpstr(kit_text(&kit, "message-accept"), ==, "Use it");
    kit_screenshot(&kit, "train-news");
    kit_close(&kit);
    kit = kit_open(0, 0);
    g_assert_cmpstr(kit_text(&kit, "message"), ==, ""); /* told is told */
    DimTraining *training = dim_training_read(run, NULL);
    g_assert_true(dim_training_announce(training, NULL)); /* as if it had been done once more */
    dim_training_free(&training);
    g_autofree char *status = g_build_filename(run, "progress.json", NULL), *model = NULL;
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents(status, &text, NULL, NULL));
    char *state = strstr(text, "\"starting\"");
    g_assert_nonnull(state);
    memcpy(state, "\"done\"    ", strlen("\"starting\""));
    g_assert_true(g_file_set_contents(status, text, -1, NULL));
    wait_for_message(&kit, "The class “quiet” is trained");
    kit_click(&kit, "message-accept");
    kit_assert_string(&kit, "model", "tiny-quiet");
    kit_assert_string(&kit, "class", "quiet");
    g_assert_cmpstr(kit_text(&kit, "message"), ==, "");
    kit_close(&kit);
    g_assert_true(dim_training_remove(run, NULL));
}

static void panel_tells_a_stop(void)
{
    g_autofree char *run = leave_alone("halted", "20");
    DimTraining *training = dim_training_read(run, NULL);
    Kit kit = kit_open(0, 0);
    int n_train = 0;

    g_signal_connect_swapped(kit.panel, "train", G_CALLBACK(g_atomic_int_inc), &n_train);
    kit_settle();
    g_assert_cmpstr(kit_text(&kit, "message"), ==, ""); /* it is at work */
    g_assert_cmpint(kill(training->pid, SIGKILL), ==, 0);
    dim_training_free(&training);
    wait_for_message(&kit, "The class “halted” is not trained: stopped");
    kit_screenshot(&kit, "train-news-stopped");
    kit_click(&kit, "message-accept");
    g_assert_cmpint(n_train, ==, 1);
    kit_close(&kit);
    g_assert_true(dim_training_remove(run, NULL));
}

static void panel_takes_the_model(void)
{
    Kit kit = kit_open(0, 0);
    int n_train = 0;

    g_signal_connect_swapped(kit.panel, "train", G_CALLBACK(g_atomic_int_inc), &n_train);
    kit_click(&kit, "class-train");
    g_assert_cmpint(n_train, ==, 1);

    /* A model that has come since the panel was made: a link will do. */
    g_autofree char *models = g_build_filename(g_get_user_data_dir(), "gimp-dim", "models", NULL);
    g_autofree char *link = g_build_filename(models, "later", NULL);
    g_autofree char *tiny = g_build_filename(g_getenv("DIM_MODEL_PATH"), "tiny", NULL);
    g_autofree char *target = g_file_read_link(tiny, NULL);
    g_assert_cmpint(g_mkdir_with_parents(models, 0700), ==, 0);
    g_assert_cmpint(symlink(target, link), ==, 0);
    dim_panel_choose(kit.panel, link, "class 4");
    kit_assert_string(&kit, "model", "later");
    kit_assert_string(&kit, "class", "class 4");
    g_assert_cmpint(g_unlink(link), ==, 0);
    kit_close(&kit);
}

int main(int argc, char **argv)
{
    kit_init(&argc, &argv);
    g_test_add_func("/train/refusals", refusals);
    g_test_add_func("/train/access", access_to_all);
    g_test_add_func("/train/engine-refuses", engine_refuses);
    g_test_add_func("/train/no-trainer", no_trainer);
    g_test_add_func("/train/folder", learns_from_a_folder);
    g_test_add_func("/train/layers", learns_from_layers);
    g_test_add_func("/train/alone", goes_on_alone);
    g_test_add_func("/train/at-once", stopped_at_once);
    g_test_add_func("/train/panel", panel_takes_the_model);
    g_test_add_func("/train/news", panel_tells_the_end);
    g_test_add_func("/train/news-stopped", panel_tells_a_stop);
    return g_test_run();
}
