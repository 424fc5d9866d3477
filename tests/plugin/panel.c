/* The panel's states and its properties, without GIMP.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include "panel-kit.h"

static void count_signal(int *count)
{
    ++*count;
}

/* ---- properties ---- */

static void first_time(void)
{
    Kit kit = kit_open(640, 480);
    DimRecipe recipe;

    dim_panel_get_recipe(kit.panel, &recipe);
    g_assert_cmpstr(recipe.model, ==, "");
    g_assert_cmpstr(recipe.class_name, ==, "");
    g_assert_cmpint(recipe.width, ==, 640);
    g_assert_cmpint(recipe.height, ==, 480);
    g_assert_cmpint(recipe.seed, ==, -1);
    dim_recipe_clear(&recipe);

    g_assert_cmpfloat(kit_number(&kit, "width"), ==, 0);
    g_assert_cmpstr(kit_text(&kit, "width"), ==, "640");
    g_assert_cmpstr(kit_text(&kit, "steps"), ==, "20");
    g_assert_cmpstr(kit_text(&kit, "guidance"), ==, "2.0");
    g_assert_true(kit_sensitive(&kit, "generate"));
    g_assert_false(gtk_widget_get_visible(kit_find(&kit, "use-size")));
    kit_assert_has(kit_text(&kit, "estimate"), "MB");
    kit_screenshot(&kit, "first");
    kit_close(&kit);

    kit = kit_open(0, 0);
    g_assert_cmpstr(kit_text(&kit, "width"), ==, "128");
    g_assert_cmpstr(kit_text(&kit, "height"), ==, "128");
    kit_close(&kit);
}

static void properties_go_round(void)
{
    Kit kit = kit_open(640, 480);
    double guidance = 3.14159;
    double seed = 9007199254740991.0;
    DimRecipe recipe;

    /* The class comes before the model that has it. */
    g_object_set(kit.panel, "class", "class 7", "model", "tiny", "width", 96, "height", 33, "steps",
                 7, "guidance", guidance, "seed", seed, "sampler", "dpm-solver++-2m", "upsample",
                 "5", "options", "threads=3 tile=64 precision=f32", NULL);
    kit_settle();
    kit_assert_string(&kit, "class", "class 7");
    kit_assert_string(&kit, "model", "tiny");
    kit_assert_string(&kit, "sampler", "dpm-solver++-2m");
    kit_assert_string(&kit, "upsample", "5");
    kit_assert_string(&kit, "options", "threads=3 tile=64 precision=f32");
    g_assert_cmpfloat(kit_number(&kit, "width"), ==, 96);
    g_assert_cmpfloat(kit_number(&kit, "height"), ==, 33);
    g_assert_cmpfloat(kit_number(&kit, "steps"), ==, 7);
    g_assert_cmpfloat(kit_number(&kit, "guidance"), ==, guidance);
    g_assert_cmpfloat(kit_number(&kit, "seed"), ==, seed);

    g_assert_cmpstr(kit_text(&kit, "width"), ==, "96");
    g_assert_cmpstr(kit_text(&kit, "height"), ==, "33");
    g_assert_cmpstr(kit_text(&kit, "steps"), ==, "7");
    g_assert_cmpstr(kit_text(&kit, "guidance"), ==, "3.14");
    g_assert_cmpstr(kit_text(&kit, "seed"), ==, "9007199254740991");
    g_assert_cmpstr(kit_text(&kit, "threads"), ==, "3");
    g_assert_cmpstr(gtk_combo_box_get_active_id(GTK_COMBO_BOX(kit_find(&kit, "upsample"))), ==,
                    "5");

    /* Walking through the fields changes nothing, though two decimals are shown. */
    kit_focus(&kit, "guidance");
    kit_focus(&kit, "steps");
    g_assert_cmpfloat(kit_number(&kit, "guidance"), ==, guidance);

    dim_panel_get_recipe(kit.panel, &recipe);
    g_assert_cmpstr(recipe.class_name, ==, "class 7");
    g_assert_cmpint(recipe.height, ==, 33);
    g_assert_cmpint(recipe.seed, ==, DIM_SEED_MAX);
    dim_recipe_clear(&recipe);
    kit_close(&kit);
}

/* Both ways, as GIMP 3 binds its configuration. */
static void properties_bind(void)
{
    Kit kit = kit_open(0, 0), other = kit_open(0, 0);
    const char *const names[] = {"model",   "class",    "width",  "height", "steps",
                                 "sampler", "guidance", "preset", "seed",   "options"};

    g_object_set(other.panel, "class", "lava", "width", 77, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        g_object_bind_property(other.panel, names[i], kit.panel, names[i],
                               G_BINDING_SYNC_CREATE | G_BINDING_BIDIRECTIONAL);
    kit_settle();
    g_assert_cmpstr(kit_text(&kit, "width"), ==, "77");
    kit_type(&kit, "steps", "31");
    g_assert_cmpfloat(kit_number(&other, "steps"), ==, 31);
    g_assert_cmpstr(kit_text(&other, "steps"), ==, "31");
    kit_assert_string(&kit, "class", "lava");
    kit_close(&kit);
    kit_close(&other);
}

static void untouched_follows_the_model(void)
{
    Kit kit = kit_open(0, 0);

    kit_type(&kit, "height", "48");
    g_object_set(kit.panel, "model", "tiny", NULL);
    kit_settle();
    g_assert_cmpstr(kit_text(&kit, "steps"), ==, "50");
    g_assert_cmpstr(kit_text(&kit, "guidance"), ==, "1.4");
    g_assert_cmpstr(kit_text(&kit, "width"), ==, "16");
    g_assert_cmpstr(kit_text(&kit, "height"), ==, "48");
    g_assert_cmpfloat(kit_number(&kit, "steps"), ==, 0);
    g_assert_cmpfloat(kit_number(&kit, "width"), ==, 0);

    kit_type(&kit, "steps", "50"); /* set, though the same */
    g_object_set(kit.panel, "model", "", NULL);
    kit_settle();
    g_assert_cmpstr(kit_text(&kit, "steps"), ==, "50");
    g_assert_cmpfloat(kit_number(&kit, "steps"), ==, 50);

    kit_type(&kit, "steps", ""); /* back to the model's */
    kit_focus(&kit, "guidance");
    g_assert_cmpfloat(kit_number(&kit, "steps"), ==, 0);
    g_assert_cmpstr(kit_text(&kit, "steps"), ==, "20");
    kit_close(&kit);
}

static void set_recipe_takes_all(void)
{
    Kit kit = kit_open(0, 0);
    DimRecipe recipe, back;
    g_autofree char *notice = NULL;

    dim_recipe_init(&recipe);
    g_free(recipe.class_name);
    recipe.class_name = g_strdup("grass");
    recipe.width = 200;
    recipe.seed = 12;
    dim_panel_set_recipe(kit.panel, &recipe, &notice);
    g_assert_null(notice);
    dim_panel_get_recipe(kit.panel, &back);
    g_assert_cmpstr(back.class_name, ==, "grass");
    g_assert_cmpint(back.width, ==, 200);
    g_assert_cmpint(back.height, ==, 128);
    g_assert_cmpint(back.seed, ==, 12);
    dim_recipe_clear(&recipe);
    dim_recipe_clear(&back);
    kit_close(&kit);
}

/* ---- what is gone ---- */

static void gone_class_falls_back(void)
{
    Kit kit = kit_open(0, 0);

    g_object_set(kit.panel, "class", "marble", NULL);
    kit_settle();
    kit_assert_string(&kit, "class", "");
    kit_assert_has(kit_text(&kit, "message"), "marble");
    kit_assert_has(kit_text(&kit, "message"), "dirt");
    g_assert_true(gtk_widget_get_mapped(kit_find(&kit, "message")));
    g_assert_true(kit_sensitive(&kit, "generate"));
    kit_screenshot(&kit, "class-gone");
    kit_click(&kit, "message-dismiss");
    g_assert_false(gtk_widget_get_mapped(kit_find(&kit, "message")));
    kit_close(&kit);
}

static void gone_model_falls_back(void)
{
    Kit kit = kit_open(0, 0);
    DimRecipe recipe;
    g_autofree char *notice = NULL;

    dim_recipe_init(&recipe);
    g_free(recipe.model);
    recipe.model = g_strdup("paintings");
    dim_panel_set_recipe(kit.panel, &recipe, &notice);
    kit_assert_has(notice, "paintings");
    kit_assert_has(notice, "Textures");
    kit_assert_has(kit_text(&kit, "message"), "paintings");
    kit_assert_string(&kit, "model", "");
    g_assert_true(kit_sensitive(&kit, "generate"));
    dim_recipe_clear(&recipe);
    kit_close(&kit);
}

static void bad_names_are_said(void)
{
    Kit kit = kit_open(0, 0);

    g_object_set(kit.panel, "preset", "no such", "options", "turbo=yes", NULL);
    kit_settle();
    kit_assert_string(&kit, "preset", "");
    kit_assert_string(&kit, "options", "");
    kit_assert_has(kit_text(&kit, "message"), "no such");
    kit_assert_has(kit_text(&kit, "message"), "turbo");

    g_object_set(kit.panel, "sampler", "magic", NULL);
    kit_settle();
    g_assert_false(kit_sensitive(&kit, "generate"));
    kit_assert_has(kit_text(&kit, "estimate"), "magic");
    kit_pick(&kit, "sampler", "");
    g_assert_true(kit_sensitive(&kit, "generate"));
    kit_close(&kit);
}

static void no_model_at_all(void)
{
    Kit kit;

    kit_no_models();
    kit = kit_open(64, 64);
    g_assert_true(gtk_widget_get_mapped(kit_find(&kit, "open-models")));
    g_assert_false(gtk_widget_get_mapped(kit_find(&kit, "class-list")));
    g_assert_false(kit_sensitive(&kit, "generate"));
    g_object_set(kit.panel, "class", "lava", "width", 20, NULL);
    kit_settle();
    kit_screenshot(&kit, "no-model");
    kit_close(&kit);
    kit_models();
}

/* ---- states ---- */

static void too_large_is_said(void)
{
    Kit kit = kit_open(0, 0);
    int width, height;

    g_object_set(kit.panel, "width", 90000, "height", 60000, NULL);
    kit_settle();
    g_assert_false(kit_sensitive(&kit, "generate"));
    kit_assert_has(kit_text(&kit, "estimate"), "too large");
    g_assert_true(gtk_widget_get_visible(kit_find(&kit, "use-size")));
    kit_screenshot(&kit, "too-large");
    kit_click(&kit, "use-size");
    g_object_get(kit.panel, "width", &width, "height", &height, NULL);
    g_assert_cmpint(width, <, 90000);
    g_assert_cmpfloat_with_epsilon((double)width / height, 1.5, 0.01);
    g_assert_true(kit_sensitive(&kit, "generate"));
    g_assert_false(gtk_widget_get_visible(kit_find(&kit, "use-size")));

    g_object_set(kit.panel, "width", 12, "height", 0, NULL);
    kit_settle();
    g_assert_false(kit_sensitive(&kit, "generate"));
    kit_assert_has(kit_text(&kit, "estimate"), "16");
    kit_close(&kit);
}

static void running(void)
{
    Kit kit = kit_open(0, 0);
    GtkWidget *progress = kit_find(&kit, "progress");
    int n_generate = 0, n_stop = 0, n_close = 0;

    g_signal_connect_swapped(kit.panel, "generate", G_CALLBACK(count_signal), &n_generate);
    g_signal_connect_swapped(kit.panel, "stop", G_CALLBACK(count_signal), &n_stop);
    g_signal_connect_swapped(kit.panel, "close", G_CALLBACK(count_signal), &n_close);

    kit_focus(&kit, "class-search");
    kit_key(&kit, GDK_KEY_Return, 0); /* open, Enter */
    kit_wait(&n_generate, 1);

    dim_panel_set_running(kit.panel, TRUE);
    dim_panel_set_progress(kit.panel, 0.55, "step 11 of 20, 4 s left");
    kit_settle();
    g_assert_true(dim_panel_get_running(kit.panel));
    g_assert_false(kit_sensitive(&kit, "width"));
    g_assert_false(kit_sensitive(&kit, "class-list"));
    g_assert_true(kit_sensitive(&kit, "close"));
    g_assert_cmpfloat(gtk_progress_bar_get_fraction(GTK_PROGRESS_BAR(progress)), ==, 0.55);
    kit_assert_has(gtk_progress_bar_get_text(GTK_PROGRESS_BAR(progress)), "step 11");
    kit_screenshot(&kit, "running");
    kit_key(&kit, GDK_KEY_Return, 0);
    kit_wait(&n_stop, 1);
    g_assert_cmpint(n_close, ==, 0);
    kit_key(&kit, GDK_KEY_Escape, 0);
    g_assert_cmpint(n_close, ==, 1);

    dim_panel_set_running(kit.panel, FALSE);
    dim_panel_show_message(kit.panel, "The disk is full.");
    kit_settle();
    g_assert_true(kit_sensitive(&kit, "width"));
    g_assert_cmpstr(kit_text(&kit, "message"), ==, "The disk is full.");
    kit_click(&kit, "generate");
    g_assert_cmpint(n_generate, ==, 2);
    kit_click(&kit, "close");
    g_assert_cmpint(n_close, ==, 2);
    kit_close(&kit);
}

/* What was typed last counts, though the panel has not come to look at it. */
static void generate_looks_first(void)
{
    Kit kit = kit_open(0, 0);
    int n_generate = 0;

    g_signal_connect_swapped(kit.panel, "generate", G_CALLBACK(count_signal), &n_generate);
    gtk_entry_set_text(GTK_ENTRY(kit_find(&kit, "width")), "5");
    gtk_button_clicked(GTK_BUTTON(dim_panel_default_button(kit.panel)));
    g_assert_cmpint(n_generate, ==, 0);
    kit_close(&kit);
}

int main(int argc, char **argv)
{
    kit_init(&argc, &argv);
    g_test_add_func("/panel/first-time", first_time);
    g_test_add_func("/panel/properties/round", properties_go_round);
    g_test_add_func("/panel/properties/bind", properties_bind);
    g_test_add_func("/panel/properties/untouched", untouched_follows_the_model);
    g_test_add_func("/panel/properties/recipe", set_recipe_takes_all);
    g_test_add_func("/panel/gone/class", gone_class_falls_back);
    g_test_add_func("/panel/gone/model", gone_model_falls_back);
    g_test_add_func("/panel/gone/other", bad_names_are_said);
    g_test_add_func("/panel/no-model", no_model_at_all);
    g_test_add_func("/panel/too-large", too_large_is_said);
    g_test_add_func("/panel/running", running);
    g_test_add_func("/panel/generate", generate_looks_first);
    return g_test_run();
}
