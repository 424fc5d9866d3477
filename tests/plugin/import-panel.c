/* *Import a Checkpoint* without GIMP: what it says of files, what it refuses, and real imports of
 * small checkpoints: done, stopped, failed, closed in the middle.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <glib/gstdio.h>
#include <string.h>

#include "panel-kit.h"
#include "ui/dim-import-panel.h"
#include "ui/dim-models.h"

enum { PATIENCE = 120 };

/* ---- files ---- */

static char *golden(const char *path)
{
    return g_build_filename(g_getenv("DIM_SOURCE_ROOT"), "tests/golden", path, NULL);
}

static char *own_file(const char *name)
{
    return g_build_filename(g_get_user_data_dir(), name, NULL);
}

/* A copy of a file, without its last `cut` bytes: on the disk that models are on, as only such a
 * one can be linked. */
static char *write_copy(const char *path, const char *name, gsize cut)
{
    g_autofree char *from = golden(path), *bytes = NULL, *file = own_file(name);
    g_autoptr(GError) error = NULL;
    gsize length;

    g_file_get_contents(from, &bytes, &length, &error);
    g_assert_no_error(error);
    g_file_set_contents(file, bytes, (gssize)(length - cut), &error);
    g_assert_no_error(error);
    return g_steal_pointer(&file);
}

static char *write_checkpoint(const char *name, gsize cut)
{
    return write_copy("dit/forward-p2/weights.safetensors", name, cut);
}

/* The same with a number that is none: only reading the values tells. */
static char *write_broken(const char *name)
{
    char *file = write_checkpoint(name, 0);
    const guint8 nan[4] = {0, 0, 0xc0, 0x7f};
    FILE *stream = g_fopen(file, "r+b");

    g_assert_nonnull(stream);
    g_assert_cmpint(fseek(stream, -4, SEEK_END), ==, 0);
    g_assert_cmpuint(fwrite(nan, 4, 1, stream), ==, 1);
    g_assert_cmpint(fclose(stream), ==, 0);
    return file;
}

static char *write_names(int n)
{
    g_autoptr(GString) text = g_string_new(NULL);
    char *file = own_file("names.txt");

    for (int i = 0; i < n; i++)
        g_string_append_printf(text, "thing %d\n", i);
    g_assert_true(g_file_set_contents(file, text->str, -1, NULL));
    return file;
}

/* Nothing is below the folder of a person's models, hidden things included, but for `id`. */
static void assert_models(const char *id)
{
    g_autofree char *folder = dim_models_folder();
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    int n = 0;

    while (dir && (name = g_dir_read_name(dir))) {
        g_assert_cmpstr(name, ==, id);
        n++;
    }
    g_assert_cmpint(n, ==, id ? 1 : 0);
}

/* ---- the window ---- */

typedef struct {
    Kit kit;
    char *folder, *news;
} Import;

static void on_imported(GtkWidget *panel, const char *folder, const char *news, Import *import)
{
    g_assert_null(import->folder);
    import->folder = g_strdup(folder);
    import->news = g_strdup(news);
}

static void open_import(Import *import)
{
    DimImportPanel *panel = dim_import_panel_new();

    *import = (Import){0};
    g_signal_connect(panel, "imported", G_CALLBACK(on_imported), import);
    import->kit = kit_open_with(GTK_WIDGET(panel));
}

static void close_import(Import *import)
{
    kit_close(&import->kit);
    g_free(import->folder);
    g_free(import->news);
}

static void choose(const Import *import, const char *name, const char *file)
{
    gtk_entry_set_text(GTK_ENTRY(kit_find(&import->kit, name)), file);
    kit_settle();
}

static gboolean is_running(const Import *import)
{
    return !strcmp(kit_text(&import->kit, "generate"), "S_top");
}

/* Until it is over; the bar never moves back, and the window goes on meanwhile. */
static void wait_for_end(const Import *import)
{
    GtkProgressBar *bar = GTK_PROGRESS_BAR(kit_find(&import->kit, "progress"));
    double shown = 0;

    for (int i = 0; i < PATIENCE * 100 && is_running(import); i++) {
        const double now = gtk_progress_bar_get_fraction(bar);
        g_assert_cmpfloat(now, >=, shown);
        shown = now;
        g_usleep(10 * 1000);
        kit_settle();
    }
    g_assert_false(is_running(import));
}

static void expect_refusal(const Import *import, const char *file, const char *words)
{
    kit_assert_has(kit_text(&import->kit, "estimate"), words);
    if (file)
        kit_assert_has(kit_text(&import->kit, "estimate"), file);
    g_assert_null(strchr(kit_text(&import->kit, "estimate"), '\n'));
    g_assert_false(kit_sensitive(&import->kit, "generate"));
}

/* A checkpoint and its autoencoder, ready to be imported. */
static void fill_in(const Import *import, const char *checkpoint)
{
    g_autofree char *tae = write_copy(
        "autoencoder/tae-diffusers/diffusion_pytorch_model.safetensors", "tae.safetensors", 0);

    choose(import, "import-checkpoint", checkpoint);
    choose(import, "import-autoencoder", tae);
    g_assert_true(kit_sensitive(&import->kit, "generate"));
}

/* ---- what is said and refused ---- */

static void refusals(void)
{
    g_autofree char *good = write_checkpoint("good.safetensors", 0);
    g_autofree char *cut = write_checkpoint("cut.safetensors", 1000);
    g_autofree char *inputs = golden("dit/forward-p2/inputs.safetensors");
    g_autofree char *linear = golden("autoencoder/linear-block4/linear.pth");
    g_autofree char *tae = golden("autoencoder/tae-diffusers/diffusion_pytorch_model.safetensors");
    g_autofree char *names = write_names(9);
    Import import;

    open_import(&import);
    kit_screenshot(&import.kit, "import-first");
    expect_refusal(&import, NULL, "Choose the file");
    choose(&import, "import-checkpoint", "/nowhere/model.pt");
    expect_refusal(&import, "/nowhere/model.pt", "cannot be opened");
    choose(&import, "import-checkpoint", cut);
    expect_refusal(&import, "cut.safetensors", "truncated download");
    choose(&import, "import-checkpoint", inputs);
    expect_refusal(&import, "inputs.safetensors", "is no model that is known");
    kit_screenshot(&import.kit, "import-unknown");
    choose(&import, "import-checkpoint", tae);
    expect_refusal(&import, "diffusion_pytorch_model.safetensors", "is an autoencoder only");
    choose(&import, "import-checkpoint", good);
    expect_refusal(&import, "good.safetensors", "latents of 4 channels: choose");
    kit_screenshot(&import.kit, "import-latents");
    choose(&import, "import-autoencoder", linear);
    expect_refusal(&import, "linear.pth", "channels; expected 4");
    fill_in(&import, good);
    choose(&import, "import-classes", names);
    expect_refusal(&import, "good.safetensors", "classes has 9 names");
    choose(&import, "import-classes", "");
    choose(&import, "import-name", "?!");
    expect_refusal(&import, NULL, "is no name for a model");
    close_import(&import);
    assert_models(NULL);
}

static void says_what_it_is(void)
{
    g_autofree char *pixels = golden("dit/forward-pixels/weights.safetensors");
    g_autofree char *dim = golden("dim/cifar-forward/nnet_ema.pth");
    g_autofree char *good = write_checkpoint("good.safetensors", 0);
    g_autofree char *names = write_names(10);
    GtkEntry *name;
    Import import;

    open_import(&import);
    fill_in(&import, good);
    kit_assert_has(kit_text(&import.kit, "import-facts"),
                   "a Diffusion Transformer (DiT) of 0.3 million");
    kit_assert_has(kit_text(&import.kit, "import-facts"),
                   "128 × 128 pixels. Its 10 classes have no names");
    kit_assert_has(kit_text(&import.kit, "import-facts"), "Autoencoder: tae, 0.2 million numbers");
    kit_assert_has(kit_text(&import.kit, "estimate"), "of memory. The files are linked");
    name = GTK_ENTRY(kit_find(&import.kit, "import-name"));
    g_assert_cmpstr(gtk_entry_get_placeholder_text(name), ==,
                    "DiT/2, 64 wide, 4 blocks, 128 pixels");
    choose(&import, "import-classes", names);
    kit_assert_has(kit_text(&import.kit, "import-facts"),
                   "10 classes, from “thing 0” to “thing 9”");
    kit_screenshot(&import.kit, "import-ready");
    choose(&import, "import-classes", "");
    choose(&import, "import-autoencoder", "");
    g_autofree char *uri = g_filename_to_uri(pixels, NULL, NULL); /* as a file that was dropped */
    choose(&import, "import-checkpoint", uri);
    kit_assert_has(kit_text(&import.kit, "import-facts"), "It works on pixels");
    g_assert_true(kit_sensitive(&import.kit, "generate"));
    choose(&import, "import-checkpoint", dim);
    kit_assert_has(kit_text(&import.kit, "import-facts"), "a Diffusion Mamba (DiM)");
    close_import(&import);
}

/* By keyboard, and for who does not see it. */
static void access_to_all(void)
{
    static const char *const order[] = {"import-checkpoint",
                                        "import-checkpoint-browse",
                                        "import-autoencoder",
                                        "import-autoencoder-browse",
                                        "import-classes",
                                        "import-classes-browse",
                                        "import-name",
                                        "import-license",
                                        "close"};
    const struct {
        guint key;
        const char *name;
    } keys[] = {{GDK_KEY_a, "import-autoencoder"},
                {GDK_KEY_n, "import-classes"},
                {GDK_KEY_m, "import-name"},
                {GDK_KEY_i, "import-license"},
                {GDK_KEY_k, "import-checkpoint"}};
    Import import;

    open_import(&import);
    for (gsize i = 0; i < G_N_ELEMENTS(order); i++) {
        GtkWidget *widget = kit_find(&import.kit, order[i]);
        const char *name = atk_object_get_name(gtk_widget_get_accessible(widget));
        if (!name || !*name)
            g_error("%s has no accessible name", order[i]);
        g_assert_cmpstr(kit_focused(&import.kit), ==, order[i]);
        kit_key(&import.kit, GDK_KEY_Tab, 0);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        kit_key(&import.kit, keys[i].key, GDK_MOD1_MASK);
        g_assert_cmpstr(kit_focused(&import.kit), ==, keys[i].name);
    }
    close_import(&import);
}

/* ---- imports ---- */

/* Filled in, started by Enter, and found by the panel, which can make a picture with it. */
static void imports(void)
{
    g_autofree char *checkpoint = write_checkpoint("good.safetensors", 0);
    g_autofree char *names = write_names(10), *linked = NULL;
    g_autoptr(GError) error = NULL;
    Import import;
    Kit kit;

    open_import(&import);
    fill_in(&import, checkpoint);
    choose(&import, "import-classes", names);
    choose(&import, "import-name", "Things & Co.");
    choose(&import, "import-license", "CC0");
    kit_focus(&import.kit, "import-license");
    kit_key(&import.kit, GDK_KEY_Return, 0);
    for (int i = 0; i < 500 && !is_running(&import); i++) { /* the button acts a moment later */
        g_usleep(10 * 1000);
        kit_settle();
    }
    g_assert_true(is_running(&import));
    g_assert_false(kit_sensitive(&import.kit, "import-name"));
    kit_screenshot(&import.kit, "import-running");
    wait_for_end(&import);
    kit_assert_has(import.news, "“Things & Co.” is imported");
    DimModelInfo *info = dim_model_info_read(import.folder, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(info->id, ==, "things-co");
    g_assert_cmpstr(info->license, ==, "CC0");
    g_assert_cmpstr(info->classes[9], ==, "thing 9");
    dim_model_info_free(&info);
    linked = g_build_filename(import.folder, "good.safetensors", NULL);
    g_assert_true(g_file_test(linked, G_FILE_TEST_IS_REGULAR));
    assert_models("things-co");
    expect_refusal(&import, "things-co", "is there already: choose another name");
    kit_screenshot(&import.kit, "import-done");

    kit = kit_open(0, 0);
    dim_panel_choose(kit.panel, import.folder, "");
    kit_assert_string(&kit, "model", "things-co");
    dim_panel_show_news(kit.panel, import.news);
    g_assert_true(kit_sensitive(&kit, "generate"));
    kit_screenshot(&kit, "import-chosen");
    kit_close(&kit);
    kit_remove(import.folder);
    close_import(&import);
}

/* What only the values tell. */
static void fails(void)
{
    g_autofree char *broken = write_broken("broken.safetensors");
    Import import;

    open_import(&import);
    fill_in(&import, broken);
    kit_click(&import.kit, "generate");
    wait_for_end(&import);
    kit_assert_has(kit_text(&import.kit, "message"), "broken.safetensors");
    kit_assert_has(kit_text(&import.kit, "message"), "NaN");
    kit_screenshot(&import.kit, "import-failed");
    g_assert_null(import.folder);
    assert_models(NULL);
    close_import(&import);
}

static void stopped(void)
{
    g_autofree char *checkpoint = write_checkpoint("good.safetensors", 0);
    Import import;

    open_import(&import);
    fill_in(&import, checkpoint);
    kit_click(&import.kit, "generate");
    kit_click(&import.kit, "generate"); /* Stop */
    wait_for_end(&import);
    kit_assert_has(kit_text(&import.kit, "message"), "Nothing is left");
    g_assert_null(import.folder);
    assert_models(NULL);
    g_assert_true(kit_sensitive(&import.kit, "generate")); /* and once more */
    kit_click(&import.kit, "generate");
    close_import(&import); /* in the middle */
    assert_models(NULL);
}

/* ---- the panel ---- */

static void count(GtkWidget *panel, int *n)
{
    ++*n;
}

static void panel_has_it(void)
{
    Kit kit = kit_open(0, 0);
    int n = 0;

    g_signal_connect(kit.panel, "import", G_CALLBACK(count), &n);
    kit_click(&kit, "model-import");
    g_assert_cmpint(n, ==, 1);
    kit_screenshot(&kit, "import-button");
    kit_close(&kit);
    kit_no_models();
    kit = kit_open(0, 0);
    g_signal_connect(kit.panel, "import", G_CALLBACK(count), &n);
    kit_click(&kit, "import-first");
    g_assert_cmpint(n, ==, 2);
    kit_screenshot(&kit, "import-no-model");
    kit_close(&kit);
    kit_models();
}

int main(int argc, char **argv)
{
    kit_init(&argc, &argv);
    g_test_add_func("/import/refusals", refusals);
    g_test_add_func("/import/facts", says_what_it_is);
    g_test_add_func("/import/access", access_to_all);
    g_test_add_func("/import/imports", imports);
    g_test_add_func("/import/fails", fails);
    g_test_add_func("/import/stopped", stopped);
    g_test_add_func("/import/panel", panel_has_it);
    return g_test_run();
}
