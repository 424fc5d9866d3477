/* The panel's controls: size, upsample guidance, seed, class search, more.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include "panel-kit.h"
#include "ui/dim-class-view.h"
#include "ui/dim-options.h"

/* ---- size ---- */

static void size_is_as_typed(void)
{
    Kit kit = kit_open(640, 480);

    kit_type(&kit, "width", "333");
    g_assert_cmpfloat(kit_number(&kit, "width"), ==, 333);
    g_assert_cmpfloat(kit_number(&kit, "height"), ==, 0);
    kit_focus(&kit, "height");
    g_assert_cmpstr(kit_text(&kit, "width"), ==, "333");
    gtk_spin_button_spin(GTK_SPIN_BUTTON(kit_find(&kit, "width")), GTK_SPIN_STEP_FORWARD, 0);
    kit_settle();
    g_assert_cmpfloat(kit_number(&kit, "width"), ==, 349); /* 333 and the grid's 16 */

    kit_type(&kit, "width", "5"); /* refused in words, and not made 16 */
    kit_focus(&kit, "height");
    g_assert_cmpstr(kit_text(&kit, "width"), ==, "5");
    g_assert_false(kit_sensitive(&kit, "generate"));

    kit_type(&kit, "width", "");
    kit_focus(&kit, "height");
    g_assert_cmpstr(kit_text(&kit, "width"), ==, "640");
    g_assert_cmpfloat(kit_number(&kit, "width"), ==, 0);
    kit_close(&kit);
}

static void ratio_lock(void)
{
    Kit kit = kit_open(640, 480);

    kit_click(&kit, "size-lock");
    kit_type(&kit, "width", "1024"); /* by way of 1, 10, 102: no rounding is left over */
    g_assert_cmpfloat(kit_number(&kit, "height"), ==, 768);
    kit_type(&kit, "height", "300");
    g_assert_cmpfloat(kit_number(&kit, "width"), ==, 400);
    kit_click(&kit, "size-lock");
    kit_type(&kit, "height", "100");
    g_assert_cmpfloat(kit_number(&kit, "width"), ==, 400);
    kit_click(&kit, "size-lock");
    kit_type(&kit, "width", "200");
    g_assert_cmpfloat(kit_number(&kit, "height"), ==, 50);
    kit_close(&kit);
}

/* The menu's entry that starts with `text`. */
static void choose_size(const Kit *kit, const char *text)
{
    GtkMenuButton *button = GTK_MENU_BUTTON(kit_find(kit, "size-menu"));
    GList *items = gtk_container_get_children(GTK_CONTAINER(gtk_menu_button_get_popup(button)));
    GList *item = items;

    while (item && !g_str_has_prefix(gtk_menu_item_get_label(item->data), text))
        item = item->next;
    g_assert_nonnull(item);
    gtk_menu_item_activate(item->data);
    g_list_free(items);
    kit_settle();
}

static void size_menu(void)
{
    Kit kit = kit_open(640, 480);

    choose_size(&kit, "2 times");
    g_assert_cmpfloat(kit_number(&kit, "width"), ==, 256);
    g_assert_cmpfloat(kit_number(&kit, "height"), ==, 256);
    choose_size(&kit, "As trained");
    g_assert_cmpfloat(kit_number(&kit, "height"), ==, 128);
    choose_size(&kit, "Canvas");
    g_assert_cmpfloat(kit_number(&kit, "width"), ==, 0); /* goes on following the canvas */
    g_assert_cmpstr(kit_text(&kit, "width"), ==, "640");
    kit_close(&kit);
}

/* ---- upsample guidance ---- */

static char *shown_entry(const Kit *kit, const char *name)
{
    return gtk_combo_box_text_get_active_text(GTK_COMBO_BOX_TEXT(kit_find(kit, name)));
}

static void upsample_shows_auto(void)
{
    Kit kit = kit_open(0, 0);
    g_autofree char *none = shown_entry(&kit, "upsample");

    kit_assert_has(none, "not needed");
    g_object_set(kit.panel, "width", 512, "height", 384, NULL);
    kit_settle();
    g_autofree char *three = shown_entry(&kit, "upsample"); /* sqrt(512 384) / 128 = 3.46 */
    kit_assert_has(three, "3×");

    kit_pick(&kit, "upsample", "off");
    kit_assert_string(&kit, "upsample", "off");
    kit_pick(&kit, "upsample", "2");
    kit_assert_string(&kit, "upsample", "2");
    kit_pick(&kit, "upsample", "");
    kit_assert_string(&kit, "upsample", "");

    g_object_set(kit.panel, "upsample", "auto", NULL); /* the same in words, and left as it is */
    kit_settle();
    kit_assert_string(&kit, "upsample", "auto");
    kit_close(&kit);
}

/* ---- seed ---- */

static void seed_box(void)
{
    Kit kit = kit_open(0, 0);
    GtkToggleButton *fresh = GTK_TOGGLE_BUTTON(kit_find(&kit, "seed-fresh"));
    double drawn;

    g_assert_true(gtk_toggle_button_get_active(fresh));
    g_assert_cmpfloat(kit_number(&kit, "seed"), ==, -1);

    kit_click(&kit, "seed-dice");
    drawn = kit_number(&kit, "seed");
    g_assert_cmpfloat(drawn, >=, 0);
    g_assert_false(gtk_toggle_button_get_active(fresh));
    kit_click(&kit, "seed-dice");
    g_assert_cmpfloat(kit_number(&kit, "seed"), !=, drawn);

    kit_type(&kit, "seed", "0"); /* a seed like any other */
    g_assert_cmpfloat(kit_number(&kit, "seed"), ==, 0);
    kit_type(&kit, "seed", "42");
    kit_click(&kit, "seed-fresh");
    g_assert_cmpfloat(kit_number(&kit, "seed"), ==, -1);
    kit_click(&kit, "seed-fresh");
    g_assert_cmpfloat(kit_number(&kit, "seed"), ==, 42);

    kit_type(&kit, "seed", "99999999999999999999"); /* too large: the last good one stays */
    kit_focus(&kit, "width");
    g_assert_cmpfloat(kit_number(&kit, "seed"), <=, (double)DIM_SEED_MAX);
    kit_type(&kit, "seed", "dice");
    kit_focus(&kit, "width");
    g_assert_cmpfloat(kit_number(&kit, "seed"), ==, -1);
    kit_close(&kit);
}

/* ---- class ---- */

static int n_hits(const Kit *kit)
{
    GtkTreeView *list = GTK_TREE_VIEW(kit_find(kit, "class-list"));

    return gtk_tree_model_iter_n_children(gtk_tree_view_get_model(list), NULL);
}

static void fold_ignores_case_and_accents(void)
{
    const char *const pairs[][2] = {{"Crème Brûlée", "creme brulee"},
                                    {"STRASSE", "straße"},
                                    {"Ångström", "angstrom"},
                                    {"ﬁsh", "fish"}};

    for (gsize i = 0; i < G_N_ELEMENTS(pairs); i++) {
        g_autofree char *a = dim_class_view_fold(pairs[i][0]);
        g_autofree char *b = dim_class_view_fold(pairs[i][1]);
        g_assert_cmpstr(a, ==, b);
    }
}

static void search_takes_the_first_hit(void)
{
    Kit kit = kit_open(0, 0);

    g_assert_cmpint(n_hits(&kit), ==, 15);
    kit_type(&kit, "class-search", "GRÄSS");
    g_assert_cmpint(n_hits(&kit), ==, 2);
    kit_assert_string(&kit, "class", ""); /* looking is not choosing */
    kit_key(&kit, GDK_KEY_Return, 0);
    kit_assert_string(&kit, "class", "dry grass");

    kit_type(&kit, "class-search", "nothing of the kind");
    g_assert_cmpint(n_hits(&kit), ==, 0);
    kit_key(&kit, GDK_KEY_Return, 0);
    kit_assert_string(&kit, "class", "dry grass");
    kit_key(&kit, GDK_KEY_Escape, 0);
    g_assert_cmpstr(kit_text(&kit, "class-search"), ==, "");
    g_assert_cmpint(n_hits(&kit), ==, 15);
    kit_assert_string(&kit, "class", "dry grass");
    kit_close(&kit);
}

/* What the first row of the list says. */
static char *first_row(const Kit *kit)
{
    GtkTreeView *list = GTK_TREE_VIEW(kit_find(kit, "class-list"));
    GtkTreeModel *model = gtk_tree_view_get_model(list);
    GtkTreeViewColumn *column = gtk_tree_view_get_column(list, 0);
    GList *cells = gtk_cell_layout_get_cells(GTK_CELL_LAYOUT(column));
    GtkTreeIter iter;
    char *text = NULL;

    g_assert_true(gtk_tree_model_get_iter_first(model, &iter));
    gtk_tree_view_column_cell_set_cell_data(column, model, &iter, FALSE, FALSE);
    g_object_get(cells->data, "text", &text, NULL);
    g_list_free(cells);
    return text;
}

#define assert_first_row(kit, expected)                                                            \
    G_STMT_START                                                                                   \
    {                                                                                              \
        g_autofree char *row = first_row(kit);                                                     \
        g_assert_cmpstr(row, ==, expected);                                                        \
    }                                                                                              \
    G_STMT_END

static void search_finds_synonyms(void)
{
    char *names[] = {"wolf", "cougar", "cat", NULL};
    char *synonyms[] = {NULL, "puma, Mountain Lion, Löwe der Berge", "", NULL};
    DimClassView *view = dim_class_view_new();
    Kit kit = kit_open_with(GTK_WIDGET(view));

    dim_class_view_set_names(view, names, synonyms, 3, 4);
    assert_first_row(&kit, "wolf");
    kit_type(&kit, "class-search", "mountain");
    g_assert_cmpint(n_hits(&kit), ==, 1);
    assert_first_row(&kit, "cougar (Mountain Lion)");
    kit_type(&kit, "class-search", "LOWE");
    assert_first_row(&kit, "cougar (Löwe der Berge)");
    kit_type(&kit, "class-search", "coug"); /* the name itself needs no reason */
    assert_first_row(&kit, "cougar");
    kit_type(&kit, "class-search", "puma");
    kit_key(&kit, GDK_KEY_Return, 0);
    g_assert_cmpint(dim_class_view_get_label(view), ==, 1);
    kit_type(&kit, "class-search", "3"); /* a label without a name */
    g_assert_cmpint(n_hits(&kit), ==, 1);
    dim_class_view_set_names(view, names, NULL, 3, 3);
    kit_type(&kit, "class-search", "puma");
    g_assert_cmpint(n_hits(&kit), ==, 0);
    kit_close(&kit);
}

static void keys_walk_the_hits(void)
{
    Kit kit = kit_open(0, 0);
    int n_generate = 0;

    kit_type(&kit, "class-search", "snow");
    kit_key(&kit, GDK_KEY_Down, 0);
    kit_assert_string(&kit, "class", "snow");
    kit_key(&kit, GDK_KEY_Down, 0);
    kit_assert_string(&kit, "class", "snowy ground");
    kit_key(&kit, GDK_KEY_Down, 0); /* the last one */
    kit_assert_string(&kit, "class", "snowy ground");
    kit_key(&kit, GDK_KEY_Up, 0);
    kit_assert_string(&kit, "class", "snow");

    g_signal_connect_swapped(kit.panel, "generate", G_CALLBACK(g_atomic_int_inc), &n_generate);
    kit_key(&kit, GDK_KEY_Return, 0); /* taken already: go */
    kit_wait(&n_generate, 1);
    kit_close(&kit);
}

static void class_is_shown(void)
{
    Kit kit = kit_open(0, 0);
    GtkTreeSelection *selection;
    GtkTreeModel *model;
    GtkTreeIter iter;
    GtkTreePath *path;

    g_object_set(kit.panel, "class", "6", NULL); /* a number is a name, too */
    kit_settle();
    selection = gtk_tree_view_get_selection(GTK_TREE_VIEW(kit_find(&kit, "class-list")));
    g_assert_true(gtk_tree_selection_get_selected(selection, &model, &iter));
    path = gtk_tree_model_get_path(model, &iter);
    g_assert_cmpint(gtk_tree_path_get_indices(path)[0], ==, 6);
    gtk_tree_path_free(path);
    kit_assert_string(&kit, "class", "6");
    kit_close(&kit);
}

/* ---- more ---- */

static void options_keep_what_they_do_not_know(void)
{
    Kit kit = kit_open(0, 0);

    g_object_set(kit.panel, "options", "tile=64 threads=4 device=cpu", NULL);
    kit_settle();
    g_assert_cmpstr(kit_text(&kit, "threads"), ==, "4");
    kit_type(&kit, "threads", "2");
    kit_pick(&kit, "precision", "f32");
    kit_pick(&kit, "device", "");
    kit_assert_string(&kit, "options", "tile=64 threads=2 precision=f32");
    kit_type(&kit, "threads", "");
    kit_pick(&kit, "precision", "");
    kit_assert_string(&kit, "options", "tile=64");

    g_autofree char *value = dim_options_get("a=1 ab=2 b=", "ab");
    g_autofree char *none = dim_options_get("a=1 ab=2 b=", "c");
    g_autofree char *set = dim_options_set("  a=1   ab=2 ", "a", "3");
    g_assert_cmpstr(value, ==, "2");
    g_assert_cmpstr(none, ==, "");
    g_assert_cmpstr(set, ==, "ab=2 a=3");
    kit_close(&kit);
}

/* Tileable is a word of the options; a size that cannot be is refused with one that can. */
static void tileable_sides(void)
{
    Kit kit = kit_open(0, 0);
    GtkWidget *use_size = kit_find(&kit, "use-size");

    kit_pick(&kit, "seamless", "both");
    kit_assert_string(&kit, "options", "seamless=both");
    g_assert_true(gtk_widget_get_sensitive(kit_find(&kit, "generate")));
    g_assert_false(gtk_widget_get_visible(use_size));
    kit_type(&kit, "width", "150");
    kit_assert_has(kit_text(&kit, "estimate"), "multiples of 16 pixels");
    g_assert_false(gtk_widget_get_sensitive(kit_find(&kit, "generate")));
    gtk_button_clicked(GTK_BUTTON(use_size));
    kit_settle();
    g_assert_cmpstr(kit_text(&kit, "width"), ==, "144");
    g_assert_cmpstr(kit_text(&kit, "height"), ==, "128");
    g_assert_true(gtk_widget_get_sensitive(kit_find(&kit, "generate")));
    kit_type(&kit, "height", "150");
    kit_pick(&kit, "seamless", "x"); /* of top and bottom nothing is asked */
    g_assert_true(gtk_widget_get_sensitive(kit_find(&kit, "generate")));
    kit_pick(&kit, "seamless", "");
    kit_assert_string(&kit, "options", "");
    g_object_set(kit.panel, "options", "seamless=y tile=64", NULL);
    kit_settle();
    g_assert_cmpstr(gtk_combo_box_get_active_id(GTK_COMBO_BOX(kit_find(&kit, "seamless"))), ==,
                    "y");
    kit_close(&kit);
}

/* Of a model that makes tileable pictures by itself every size will do, and the sides can still be
 * asked for or be none. */
static void tileable_by_itself(void)
{
    kit_model_that("tiles", "seamless", TRUE);
    Kit kit = kit_open(0, 0);
    GtkComboBox *combo = GTK_COMBO_BOX(kit_find(&kit, "seamless"));

    g_object_set(kit.panel, "model", "tiles", NULL);
    kit_settle();
    g_assert_cmpstr(gtk_combo_box_get_active_id(combo), ==, "");
    g_autofree char *first = g_strdup(kit_text(&kit, "estimate"));
    kit_expand(&kit);
    kit_screenshot(&kit, "tileable-by-itself");
    kit_type(&kit, "width", "150");
    g_assert_true(gtk_widget_get_sensitive(kit_find(&kit, "generate")));
    kit_pick(&kit, "seamless", "both");
    g_assert_false(gtk_widget_get_sensitive(kit_find(&kit, "generate")));
    kit_type(&kit, "width", "128");
    kit_pick(&kit, "seamless", "off");
    kit_assert_string(&kit, "options", "seamless=off");
    g_assert_cmpstr(kit_text(&kit, "estimate"), !=, first);
    kit_pick(&kit, "seamless", "");
    kit_assert_string(&kit, "options", "");
    g_assert_cmpstr(kit_text(&kit, "estimate"), ==, first);
    g_object_set(kit.panel, "options", "seamless=auto", NULL);
    kit_settle();
    g_assert_cmpstr(gtk_combo_box_get_active_id(combo), ==, "");
    kit_assert_string(&kit, "options", "seamless=auto");
    kit_close(&kit);
}

/* So are windows, which change what a large size takes. What the model does by itself comes first,
 * also where it is said. */
static void large_sizes(gconstpointer data)
{
    const gboolean by_itself = GPOINTER_TO_INT(data);
    const char *ways[] = {"off", "on"}, *other = ways[!by_itself];
    g_autofree char *said = g_strdup_printf("windows=%s", ways[by_itself]);
    g_autofree char *asked = g_strdup_printf("windows=%s", other);
    kit_model_that("large", "windows", by_itself);
    Kit kit = kit_open(0, 0);

    /* Where windows lie, and how many there are, is the seed's. */
    g_object_set(kit.panel, "model", "large", "seed", 1.0, NULL);
    kit_settle();
    kit_type(&kit, "width", "512");
    g_autofree char *first = g_strdup(kit_text(&kit, "estimate"));
    kit_pick(&kit, "windows", other);
    kit_expand(&kit);
    kit_screenshot(&kit, by_itself ? "large-sizes-in-one-piece" : "large-sizes");
    kit_assert_string(&kit, "options", asked);
    g_assert_cmpstr(kit_text(&kit, "estimate"), !=, first);
    kit_pick(&kit, "windows", "");
    kit_assert_string(&kit, "options", "");
    g_assert_cmpstr(kit_text(&kit, "estimate"), ==, first);
    g_object_set(kit.panel, "options", said, NULL);
    kit_settle();
    g_assert_cmpstr(gtk_combo_box_get_active_id(GTK_COMBO_BOX(kit_find(&kit, "windows"))), ==, "");
    kit_type(&kit, "height", "256"); /* the recipe's own words stay */
    kit_assert_string(&kit, "options", said);
    kit_pick(&kit, "windows", other);
    kit_assert_string(&kit, "options", asked);
    kit_pick(&kit, "windows", "");
    kit_assert_string(&kit, "options", "");
    kit_close(&kit);
}

/* The two ends are one word of the options, which is there only where they say something. */
static void guidance_interval(void)
{
    Kit kit = kit_open(0, 0);

    g_assert_cmpstr(kit_text(&kit, "guidance-low"), ==, "0.0");
    g_assert_cmpstr(kit_text(&kit, "guidance-high"), ==, "1.0");
    kit_type(&kit, "guidance-high", "0.5");
    kit_assert_string(&kit, "options", "guidance-interval=0,0.5");
    kit_type(&kit, "guidance-low", "0.8"); /* above the other end: not taken, and put back */
    kit_assert_string(&kit, "options", "guidance-interval=0,0.5");
    kit_focus(&kit, "steps");
    g_assert_cmpstr(kit_text(&kit, "guidance-low"), ==, "0.0");
    kit_type(&kit, "guidance-low", "0.25");
    kit_assert_string(&kit, "options", "guidance-interval=0.25,0.5");
    kit_type(&kit, "guidance-high", "");
    kit_type(&kit, "guidance-low", "");
    kit_assert_string(&kit, "options", "");

    g_object_set(kit.panel, "options", "guidance-interval=0.10,0.90 tile=64", NULL);
    kit_settle();
    g_assert_cmpstr(kit_text(&kit, "guidance-low"), ==, "0.1");
    g_assert_cmpstr(kit_text(&kit, "guidance-high"), ==, "0.9");
    kit_type(&kit, "steps", "7"); /* leaves alone what stands there in other words */
    kit_assert_string(&kit, "options", "guidance-interval=0.10,0.90 tile=64");
    g_object_set(kit.panel, "options", "", NULL); /* as a reset does */
    kit_settle();
    g_assert_cmpstr(kit_text(&kit, "guidance-low"), ==, "0.0");
    g_assert_cmpstr(kit_text(&kit, "guidance-high"), ==, "1.0");
    kit_close(&kit);
}

static const char *active_id(const Kit *kit, const char *name)
{
    return gtk_combo_box_get_active_id(GTK_COMBO_BOX(kit_find(kit, name)));
}

static void noise_and_numbers(void)
{
    Kit kit = kit_open(0, 0);
    DimRecipe recipe;

    kit_pick(&kit, "rng", "torch");
    kit_pick(&kit, "precision", "bf16");
    kit_assert_string(&kit, "options", "rng=torch precision=bf16");
    dim_panel_get_recipe(kit.panel, &recipe);
    g_object_set(kit.panel, "options", "", NULL);
    kit_settle();
    g_assert_cmpstr(active_id(&kit, "rng"), ==, "");
    dim_panel_set_recipe(kit.panel, &recipe, NULL);
    g_assert_cmpstr(active_id(&kit, "rng"), ==, "torch");
    dim_recipe_clear(&recipe);
    g_object_set(kit.panel, "options", "rng=philox device=cuda", NULL); /* seen, if not offered */
    kit_settle();
    g_assert_cmpstr(active_id(&kit, "rng"), ==, "");
    g_assert_cmpstr(active_id(&kit, "device"), ==, "cuda");
    kit_type(&kit, "steps", "7");
    kit_assert_string(&kit, "options", "rng=philox device=cuda");
    kit_close(&kit);
}

static void more_sets_the_run(void)
{
    Kit kit = kit_open(0, 0);
    g_autofree char *first = shown_entry(&kit, "sampler");

    kit_assert_has(first, "dpm-solver++-2m");
    kit_type(&kit, "steps", "12");
    kit_type(&kit, "guidance", "3.5");
    kit_pick(&kit, "sampler", "dpm-solver++-fast");
    g_assert_cmpfloat(kit_number(&kit, "steps"), ==, 12);
    g_assert_cmpfloat(kit_number(&kit, "guidance"), ==, 3.5);
    kit_assert_string(&kit, "sampler", "dpm-solver++-fast");
    kit_assert_has(kit_text(&kit, "estimate"), "24 times"); /* 12 steps, guided */
    kit_type(&kit, "guidance", "1");
    kit_assert_has(kit_text(&kit, "estimate"), "12 times");
    kit_close(&kit);
}

int main(int argc, char **argv)
{
    kit_init(&argc, &argv);
    g_test_add_func("/controls/size/typed", size_is_as_typed);
    g_test_add_func("/controls/size/lock", ratio_lock);
    g_test_add_func("/controls/size/menu", size_menu);
    g_test_add_func("/controls/upsample", upsample_shows_auto);
    g_test_add_func("/controls/seed", seed_box);
    g_test_add_func("/controls/class/fold", fold_ignores_case_and_accents);
    g_test_add_func("/controls/class/search", search_takes_the_first_hit);
    g_test_add_func("/controls/class/synonyms", search_finds_synonyms);
    g_test_add_func("/controls/class/keys", keys_walk_the_hits);
    g_test_add_func("/controls/class/shown", class_is_shown);
    g_test_add_func("/controls/more/options", options_keep_what_they_do_not_know);
    g_test_add_func("/controls/more/interval", guidance_interval);
    g_test_add_func("/controls/more/noise", noise_and_numbers);
    g_test_add_func("/controls/more/run", more_sets_the_run);
    g_test_add_func("/controls/more/tileable", tileable_sides);
    g_test_add_func("/controls/more/tileable-by-itself", tileable_by_itself);
    g_test_add_data_func("/controls/more/windows", GINT_TO_POINTER(FALSE), large_sizes);
    g_test_add_data_func("/controls/more/one-piece", GINT_TO_POINTER(TRUE), large_sizes);
    return g_test_run();
}
