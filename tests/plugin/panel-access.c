/* The panel by keyboard and for assistive technology: names, mnemonics, tab order, room on a small
 * screen.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include "panel-kit.h"

/* Reading order, as the header tells it. */
static const char *const order[] = {
    "preset",      "preset-menu", "model",     "model-info",   "model-import",  "class-search",
    "class-train", "class-list",  "width",     "height",       "size-lock",     "size-menu",
    "upsample",    "seed",        "seed-dice", "seed-fresh",   "more",          "seamless",
    "windows",     "steps",       "guidance",  "guidance-low", "guidance-high", "sampler",
    "rng",         "precision",   "device",    "threads",      "close",         "generate"};

static void tab_order_is_reading_order(void)
{
    Kit kit = kit_open(640, 480);

    kit_expand(&kit);
    kit_focus(&kit, "preset");
    for (gsize i = 0; i < G_N_ELEMENTS(order); i++) {
        g_assert_cmpstr(kit_focused(&kit), ==, order[i]);
        kit_key(&kit, GDK_KEY_Tab, 0);
    }
    g_assert_cmpstr(kit_focused(&kit), ==, order[0]);
    kit_assert_string(&kit, "class", ""); /* walking changes nothing */
    g_assert_cmpfloat(kit_number(&kit, "width"), ==, 0);
    g_assert_cmpfloat(kit_number(&kit, "seed"), ==, -1);
    g_assert_cmpfloat(kit_number(&kit, "guidance"), ==, 0);
    kit_close(&kit);
}

static void check_name(GtkWidget *widget, gpointer n_seen)
{
    AtkObject *object = gtk_widget_get_accessible(widget);
    const char *name = gtk_widget_get_name(widget);

    if (!gtk_widget_get_visible(widget))
        return;
    if (!strstr(name, "Gtk") && gtk_widget_get_can_focus(widget) && !GTK_IS_LABEL(widget)) {
        const char *accessible = atk_object_get_name(object);
        if (!accessible || !*accessible)
            g_error("%s has no accessible name", name);
        ++*(int *)n_seen;
    }
    if (GTK_IS_CONTAINER(widget) && !GTK_IS_COMBO_BOX(widget))
        gtk_container_forall(GTK_CONTAINER(widget), check_name, n_seen);
}

static void every_control_has_a_name(void)
{
    Kit kit = kit_open(640, 480);
    int n_seen = 0;

    kit_expand(&kit);
    check_name(GTK_WIDGET(kit.panel), &n_seen);
    g_assert_cmpint(n_seen, >=, (int)G_N_ELEMENTS(order) - 8); /* combos: their inner button */
    for (gsize i = 0; i < G_N_ELEMENTS(order); i++) {
        AtkObject *object = gtk_widget_get_accessible(kit_find(&kit, order[i]));
        const char *name = atk_object_get_name(object);
        if (!name || !*name)
            g_error("%s has no accessible name", order[i]);
    }
    kit_close(&kit);
}

typedef struct {
    GHashTable *owners; /* keyval -> text */
} Mnemonics;

static void collect_mnemonics(GtkWidget *widget, gpointer data)
{
    Mnemonics *mnemonics = data;

    if (GTK_IS_LABEL(widget)) {
        guint key = gtk_label_get_mnemonic_keyval(GTK_LABEL(widget));
        const char *text = gtk_label_get_label(GTK_LABEL(widget));
        if (key != GDK_KEY_VoidSymbol) {
            const char *other =
                g_hash_table_lookup(mnemonics->owners, GUINT_TO_POINTER(gdk_keyval_to_lower(key)));
            if (strchr("corlsh", (int)gdk_keyval_to_lower(key)))
                g_error("%s takes a mnemonic of GIMP's", text);
            if (other)
                g_error("%s and %s share a mnemonic", text, other);
            g_hash_table_insert(mnemonics->owners, GUINT_TO_POINTER(gdk_keyval_to_lower(key)),
                                (gpointer)text);
        }
    }
    if (GTK_IS_CONTAINER(widget))
        gtk_container_forall(GTK_CONTAINER(widget), collect_mnemonics, mnemonics);
}

static void mnemonics_are_unique(void)
{
    Kit kit = kit_open(640, 480);
    Mnemonics mnemonics = {.owners = g_hash_table_new(NULL, NULL)};

    kit_expand(&kit);
    g_object_set(kit.panel, "width", 90000, "height", 90000, NULL); /* the button with a size */
    kit_settle();
    collect_mnemonics(GTK_WIDGET(kit.panel), &mnemonics);
    g_assert_cmpuint(g_hash_table_size(mnemonics.owners), >=, 17);
    g_hash_table_unref(mnemonics.owners);
    kit_close(&kit);
}

static void mnemonics_work(void)
{
    Kit kit = kit_open(640, 480);
    const struct {
        guint key;
        const char *name;
    } keys[] = {{GDK_KEY_t, "preset"},
                {GDK_KEY_a, "class-search"},
                {GDK_KEY_z, "width"},
                {GDK_KEY_d, "seed"},
                {GDK_KEY_u, "upsample"}};

    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        kit_key(&kit, keys[i].key, GDK_MOD1_MASK);
        g_assert_cmpstr(kit_focused(&kit), ==, keys[i].name);
    }
    kit_close(&kit);
}

/* 1366 x 768, with a title bar. */
static void fits_a_small_screen(void)
{
    Kit kit = kit_open(640, 480);
    int width, height;

    kit_expand(&kit);
    dim_panel_show_message(kit.panel, "A message of some length, which takes a line of its own.");
    kit_settle();
    gtk_widget_get_preferred_width(kit.window, &width, NULL);
    gtk_widget_get_preferred_height(kit.window, &height, NULL);
    g_assert_cmpint(width, <=, 700);
    g_assert_cmpint(height, <=, 730);
    kit_screenshot(&kit, "more");
    kit_close(&kit);
}

int main(int argc, char **argv)
{
    kit_init(&argc, &argv);
    g_test_add_func("/access/tab-order", tab_order_is_reading_order);
    g_test_add_func("/access/names", every_control_has_a_name);
    g_test_add_func("/access/mnemonics/unique", mnemonics_are_unique);
    g_test_add_func("/access/mnemonics/work", mnemonics_work);
    g_test_add_func("/access/small-screen", fits_a_small_screen);
    return g_test_run();
}
