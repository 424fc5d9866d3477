/* What the panel's tests share.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "panel-kit.h"

#include <glib/gstdio.h>
#include <jansson.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *source_root(void)
{
    const char *root = g_getenv("DIM_SOURCE_ROOT");

    g_assert_nonnull(root);
    return root;
}

void kit_remove(const char *path)
{
    GDir *dir = g_file_test(path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *below = g_build_filename(path, name, NULL);
        kit_remove(below);
    }
    if (dir)
        g_dir_close(dir);
    g_remove(path);
}

static const char *own_root(void)
{
    return g_getenv("DIM_PANEL_ROOT");
}

static void remove_root(void)
{
    kit_remove(own_root());
}

static void set_folder(const char *variable, const char *name)
{
    g_autofree char *folder = g_build_filename(own_root(), name, NULL);

    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    g_setenv(variable, folder, TRUE);
}

static void link_to(const char *target, const char *name)
{
    g_autofree char *link = g_build_filename(own_root(), name, NULL);

    g_assert_cmpint(symlink(target, link), ==, 0);
}

/* Folders of our own, with nothing in them but what GTK and the tests need. */
static void make_folders(void)
{
    g_autofree char *root = g_dir_make_tmp("dim-panel-XXXXXX", NULL);
    g_autofree char *textures = g_build_filename(source_root(), "tests/golden/starter/model", NULL);
    g_autofree char *tiny = g_build_filename(source_root(), "tests/golden/dim/sample-10", NULL);

    g_assert_nonnull(root);
    g_setenv("DIM_PANEL_ROOT", root, TRUE);
    atexit(remove_root);
    set_folder("XDG_CONFIG_HOME", "config");
    set_folder("XDG_DATA_HOME", "data");
    set_folder("XDG_DATA_DIRS", "share");
    set_folder("DIM_MODEL_PATH", "models");
    link_to("/usr/share/mime", "share/mime");
    link_to("/usr/share/icons", "share/icons");
    link_to(textures, "models/textures");
    link_to(tiny, "models/tiny");
}

void kit_model_that(const char *name, const char *key, gboolean value)
{
    const char *files[] = {"codec.safetensors", "dim.safetensors"};
    g_autofree char *textures = g_build_filename(source_root(), "tests/golden/starter/model", NULL);
    g_autofree char *folder = g_build_filename(own_root(), "models", name, NULL);
    g_autofree char *described = g_build_filename(textures, "model.json", NULL);
    g_autofree char *file = g_build_filename(folder, "model.json", NULL);
    json_t *model = json_load_file(described, 0, NULL);

    g_assert_nonnull(model);
    g_mkdir(folder, 0700);
    for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *from = g_build_filename(textures, files[i], NULL);
        g_autofree char *to = g_build_filename(folder, files[i], NULL), *bytes = NULL;
        gsize length;
        g_assert_true(g_file_get_contents(from, &bytes, &length, NULL) &&
                      g_file_set_contents(to, bytes, (gssize)length, NULL));
    }
    json_object_set_new(json_object_get(model, "defaults"), key, json_boolean(value));
    g_assert_cmpint(json_dump_file(model, file, 0), ==, 0);
    json_decref(model);
}

void kit_no_models(void)
{
    g_setenv("DIM_MODEL_PATH", "", TRUE);
}

void kit_models(void)
{
    set_folder("DIM_MODEL_PATH", "models");
}

void kit_init(int *argc, char ***argv)
{
    make_folders();
    g_test_init(argc, argv, NULL);
    gtk_disable_setlocale();
    setlocale(LC_ALL, "C.UTF-8");
    if (!gtk_init_check(argc, argv))
        exit(77);
}

Kit kit_open(int canvas_width, int canvas_height)
{
    DimPanel *panel = dim_panel_new(canvas_width, canvas_height);
    Kit kit = kit_open_with(GTK_WIDGET(panel));

    kit.panel = panel;
    return kit;
}

Kit kit_open_with(GtkWidget *content)
{
    Kit kit = {.window = gtk_window_new(GTK_WINDOW_TOPLEVEL)};

    gtk_container_add(GTK_CONTAINER(kit.window), content);
    gtk_widget_show_all(kit.window);
    kit_settle();
    /* There is no window manager that would give it the focus. */
    for (int i = 0; i < 500 && !gtk_window_is_active(GTK_WINDOW(kit.window)); i++) {
        gdk_window_focus(gtk_widget_get_window(kit.window), GDK_CURRENT_TIME);
        g_usleep(10 * 1000);
        kit_settle();
    }
    g_assert_true(gtk_window_is_active(GTK_WINDOW(kit.window)));
    return kit;
}

void kit_close(Kit *kit)
{
    gtk_widget_destroy(kit->window);
    kit_settle();
}

typedef struct {
    const char *name;
    GtkWidget *found;
} Search;

static void search_in(GtkWidget *widget, gpointer data)
{
    Search *search = data;

    if (search->found)
        return;
    if (!strcmp(gtk_widget_get_name(widget), search->name))
        search->found = widget;
    else if (GTK_IS_CONTAINER(widget))
        gtk_container_forall(GTK_CONTAINER(widget), search_in, search);
    if (!search->found && GTK_IS_MENU_BUTTON(widget)) {
        GtkMenu *menu = gtk_menu_button_get_popup(GTK_MENU_BUTTON(widget));
        if (menu)
            search_in(GTK_WIDGET(menu), search);
    }
}

GtkWidget *kit_find_below(GtkWidget *root, const char *name)
{
    Search search = {.name = name};

    search_in(root, &search);
    return search.found;
}

GtkWidget *kit_find(const Kit *kit, const char *name)
{
    GtkWidget *found = kit_find_below(kit->window, name);

    if (!found)
        g_error("no widget is named %s", name);
    return found;
}

void kit_settle(void)
{
    while (gtk_events_pending())
        gtk_main_iteration();
}

void kit_expand(const Kit *kit)
{
    GtkWidget *first = kit_find(kit, "steps"), *last = kit_find(kit, "threads");
    int y = 0;

    gtk_expander_set_expanded(GTK_EXPANDER(kit_find(kit, "more")), TRUE);
    for (int i = 0; i < 500 && y <= 0; i++) { /* a frame's time away */
        kit_settle();
        g_usleep(10 * 1000);
        gtk_widget_translate_coordinates(last, first, 0, 0, NULL, &y);
    }
    g_assert_cmpint(y, >, 0);
}

void kit_wait(const int *count, int expected)
{
    for (int i = 0; i < 500 && *count != expected; i++) {
        g_usleep(10 * 1000);
        kit_settle();
    }
    g_assert_cmpint(*count, ==, expected);
}

void kit_key(const Kit *kit, guint keyval, GdkModifierType modifiers)
{
    GdkEvent *event = gdk_event_new(GDK_KEY_PRESS);
    GdkDisplay *display = gtk_widget_get_display(kit->window);
    GdkKeymapKey *keys = NULL;
    int n_keys = 0;

    event->key.window = g_object_ref(gtk_widget_get_window(kit->window));
    event->key.keyval = keyval;
    event->key.state = modifiers;
    event->key.time = GDK_CURRENT_TIME;
    gdk_event_set_device(event, gdk_seat_get_keyboard(gdk_display_get_default_seat(display)));
    if (gdk_keymap_get_entries_for_keyval(gdk_keymap_get_for_display(display), keyval, &keys,
                                          &n_keys))
        event->key.hardware_keycode = (guint16)keys[0].keycode;
    g_free(keys);
    gtk_widget_event(kit->window, event);
    gdk_event_free(event);
    kit_settle();
}

void kit_focus(const Kit *kit, const char *name)
{
    gtk_widget_grab_focus(kit_find(kit, name));
    kit_settle();
}

const char *kit_focused(const Kit *kit)
{
    GtkWidget *widget = gtk_window_get_focus(GTK_WINDOW(kit->window));

    while (widget && strstr(gtk_widget_get_name(widget), "Gtk"))
        widget = gtk_widget_get_parent(widget);
    return widget ? gtk_widget_get_name(widget) : "";
}

void kit_type(const Kit *kit, const char *name, const char *text)
{
    GtkWidget *entry = kit_find(kit, name);
    int at = 0;

    gtk_widget_grab_focus(entry);
    gtk_editable_delete_text(GTK_EDITABLE(entry), 0, -1);
    kit_settle();
    while (*text) {
        const char *next = g_utf8_next_char(text);
        gtk_editable_insert_text(GTK_EDITABLE(entry), text, (int)(next - text), &at);
        text = next;
        kit_settle();
    }
}

void kit_click(const Kit *kit, const char *name)
{
    GtkWidget *widget = kit_find(kit, name);

    if (GTK_IS_MENU_ITEM(widget))
        gtk_menu_item_activate(GTK_MENU_ITEM(widget));
    else
        gtk_button_clicked(GTK_BUTTON(widget));
    kit_settle();
}

void kit_pick(const Kit *kit, const char *name, const char *id)
{
    g_assert_true(gtk_combo_box_set_active_id(GTK_COMBO_BOX(kit_find(kit, name)), id));
    kit_settle();
}

const char *kit_text(const Kit *kit, const char *name)
{
    GtkWidget *widget = kit_find(kit, name);

    if (GTK_IS_ENTRY(widget))
        return gtk_entry_get_text(GTK_ENTRY(widget));
    if (GTK_IS_LABEL(widget))
        return gtk_label_get_text(GTK_LABEL(widget));
    return gtk_button_get_label(GTK_BUTTON(widget));
}

char *kit_string(const Kit *kit, const char *property)
{
    char *text = NULL;

    g_object_get(kit->panel, property, &text, NULL);
    return text;
}

double kit_number(const Kit *kit, const char *property)
{
    GValue value = G_VALUE_INIT;
    GValue number = G_VALUE_INIT;

    g_value_init(&number, G_TYPE_DOUBLE);
    g_object_get_property(G_OBJECT(kit->panel), property, &value);
    g_assert_true(g_value_transform(&value, &number));
    g_value_unset(&value);
    return g_value_get_double(&number);
}

gboolean kit_sensitive(const Kit *kit, const char *name)
{
    return gtk_widget_is_sensitive(kit_find(kit, name));
}

void kit_screenshot(const Kit *kit, const char *name)
{
    const char *folder = g_getenv("DIM_SCREENSHOTS");
    GdkWindow *window = gtk_widget_get_window(kit->window);
    g_autofree char *file = g_strdup_printf("%s/%s.png", folder ? folder : "", name);
    GdkPixbuf *picture;

    if (!folder)
        return;
    for (int frame = 0; frame < 60; frame++) { /* style changes and stacks are animated */
        kit_settle();
        g_usleep(10 * 1000);
    }
    picture = gdk_pixbuf_get_from_window(window, 0, 0, gdk_window_get_width(window),
                                         gdk_window_get_height(window));
    g_assert_true(gdk_pixbuf_save(picture, file, "png", NULL, NULL));
    g_object_unref(picture);
}
