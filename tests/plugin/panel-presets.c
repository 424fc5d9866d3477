/* Presets: their files, and the row of the panel that keeps them.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <glib/gstdio.h>
#include <string.h>

#include "panel-kit.h"
#include "ui/dim-preset-bar.h"
#include "ui/dim-presets.h"

#define HEAD "{\"format\": \"gimp-dim-recipe\", \"version\": 1"

/* Deletes every preset, so that no test sees another one's. */
static void start_empty(void)
{
    g_auto(GStrv) names = dim_presets_list();

    for (char **name = names; *name; name++)
        g_assert_true(dim_presets_remove(*name, NULL));
}

static char *scratch(const char *name)
{
    return g_build_filename(g_getenv("DIM_PANEL_ROOT"), name, NULL);
}

static char *write_scratch(const char *name, const char *text)
{
    char *file = scratch(name);

    g_assert_true(g_file_set_contents(file, text, -1, NULL));
    return file;
}

static char *joined_list(void)
{
    g_auto(GStrv) names = dim_presets_list();

    return g_strjoinv("|", names);
}

#define assert_presets(expected)                                                                   \
    G_STMT_START                                                                                   \
    {                                                                                              \
        g_autofree char *presets_are = joined_list();                                              \
        g_assert_cmpstr(presets_are, ==, expected);                                                \
    }                                                                                              \
    G_STMT_END

static void save_one(const char *name, const char *class_name)
{
    DimRecipe recipe;

    dim_recipe_init(&recipe);
    g_free(recipe.class_name);
    recipe.class_name = g_strdup(class_name);
    g_assert_true(dim_presets_save(name, &recipe, FALSE, NULL));
    dim_recipe_clear(&recipe);
}

static char *class_in(const char *preset)
{
    DimRecipe recipe;
    char *class_name;

    g_assert_true(dim_presets_load(preset, &recipe, NULL, NULL));
    class_name = g_strdup(recipe.class_name);
    dim_recipe_clear(&recipe);
    return class_name;
}

/* ---- files ---- */

static void names_are_safe(void)
{
    const char *const pairs[][2] = {{"Mossy ground", "Mossy ground"},
                                    {"  a/b\\c ", "a-b-c"},
                                    {"../../etc/passwd", "-..-etc-passwd"},
                                    {".hidden", "hidden"},
                                    {"Grün & 草", "Grün & 草"},
                                    {"twice.json.json", "twice"}};
    g_autofree char *nothing = dim_presets_safe_name(" ... ");
    g_autofree char *longer = g_strnfill(5000, 'x');
    g_autofree char *cut = dim_presets_safe_name(longer);

    for (gsize i = 0; i < G_N_ELEMENTS(pairs); i++) {
        g_autofree char *safe = dim_presets_safe_name(pairs[i][0]);
        g_autofree char *again = dim_presets_safe_name(safe);
        g_assert_cmpstr(safe, ==, pairs[i][1]);
        g_assert_cmpstr(again, ==, safe);
    }
    g_assert_null(nothing);
    g_assert_cmpuint(strlen(cut), <=, 200);
}

static void files_live(void)
{
    g_autoptr(GError) error = NULL;
    DimRecipe recipe;

    start_empty();
    assert_presets("");
    save_one("Moss", "grass");
    save_one("Coast", "sand");
    assert_presets("Coast|Moss");

    dim_recipe_init(&recipe);
    g_assert_false(dim_presets_save("Moss", &recipe, FALSE, &error));
    g_assert_error(error, G_FILE_ERROR, G_FILE_ERROR_EXIST);
    g_clear_error(&error);
    g_autofree char *kept = class_in("Moss");
    g_assert_cmpstr(kept, ==, "grass");
    g_assert_true(dim_presets_save("Moss", &recipe, TRUE, &error));
    dim_recipe_clear(&recipe);
    g_autofree char *replaced = class_in("Moss");
    g_assert_cmpstr(replaced, ==, "");

    g_assert_false(dim_presets_rename("Coast", "Moss", &error));
    g_assert_error(error, G_FILE_ERROR, G_FILE_ERROR_EXIST);
    g_clear_error(&error);
    g_assert_true(dim_presets_rename("Coast", "Beach", &error));
    assert_presets("Beach|Moss");
    g_autofree char *renamed = class_in("Beach");
    g_assert_cmpstr(renamed, ==, "sand");

    g_assert_true(dim_presets_remove("Beach", &error));
    g_assert_false(dim_presets_remove("Beach", &error));
    g_assert_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
    assert_presets("Moss");
}

static void import_keeps_what_it_does_not_know(void)
{
    g_autofree char *file =
        write_scratch("in.json", HEAD ", \"name\": \"Dunes\", \"class\": \"sand\", \"glow\": 3}");
    g_autofree char *out = scratch("out.json");
    g_autofree char *unknown = NULL, *text = NULL;

    start_empty();
    g_autofree char *first = dim_presets_import(file, &unknown, NULL);
    g_autofree char *second = dim_presets_import(file, NULL, NULL);
    g_assert_cmpstr(first, ==, "Dunes");
    g_assert_cmpstr(second, ==, "Dunes (2)");
    kit_assert_has(unknown, "glow");
    g_assert_true(dim_presets_rename("Dunes", "Waves", NULL));
    g_assert_true(dim_presets_export("Waves", out, NULL));
    g_assert_true(g_file_get_contents(out, &text, NULL, NULL));
    kit_assert_has(text, "\"glow\": 3");
}

static void hostile_files_change_nothing(void)
{
    const char *const texts[] = {"",
                                 "{",
                                 "[]",
                                 "null",
                                 "\xff\xfe{}",
                                 "{\"format\": \"something\"}",
                                 "{\"format\": \"gimp-dim-recipe\", \"version\": 99}",
                                 HEAD ", \"width\": \"wide\"}",
                                 HEAD ", \"width\": -5}",
                                 HEAD ", \"width\": 1e99}",
                                 HEAD ", \"seed\": 9007199254740992}",
                                 HEAD ", \"class\": 3}",
                                 HEAD ", \"class\": \"a\", \"class\": \"b\"}",
                                 HEAD ", \"class\": \"a\\u0000b\"}"};
    g_autofree char *folder = scratch("a-folder.json");

    start_empty();
    save_one("Moss", "grass");
    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autofree char *file = write_scratch("hostile.json", texts[i]);
        g_autoptr(GError) error = NULL;
        g_autofree char *name = dim_presets_import(file, NULL, &error);
        if (name)
            g_error("%s was taken in", texts[i]);
        g_assert_nonnull(error);
        g_assert_null(strchr(error->message, '\n'));
    }
    g_mkdir(folder, 0700);
    g_assert_null(dim_presets_import(folder, NULL, NULL));
    g_assert_null(dim_presets_import("/no/such/file.json", NULL, NULL));
    assert_presets("Moss");

    g_autofree char *evil =
        write_scratch("evil.json", HEAD ", \"name\": \"../../../evil\\u202e\\n\"}");
    g_autofree char *name = dim_presets_import(evil, NULL, NULL);
    g_autofree char *presets = dim_presets_folder();
    g_autofree char *where = g_strdup_printf("%s/%s.json", presets, name);
    g_assert_null(strchr(name, '/'));
    g_assert_null(strchr(name, '\n'));
    g_assert_true(g_file_test(where, G_FILE_TEST_IS_REGULAR));
}

static void arguments_override_a_preset(void)
{
    DimRecipe recipe;
    g_autofree char *file = write_scratch(
        "m.json", HEAD ", \"class\": \"sand\", \"steps\": 9, \"width\": 70, \"seed\": 5}");

    dim_recipe_init(&recipe);
    recipe.steps = 30;
    g_assert_true(dim_presets_merge(file, &recipe, NULL));
    g_assert_cmpint(recipe.steps, ==, 30);
    g_assert_cmpint(recipe.width, ==, 70);
    g_assert_cmpint(recipe.seed, ==, 5);
    g_assert_cmpstr(recipe.class_name, ==, "sand");
    g_assert_true(dim_presets_merge("", &recipe, NULL));
    g_assert_false(dim_presets_merge("nowhere", &recipe, NULL));
    dim_recipe_clear(&recipe);
}

/* ---- the row ---- */

static void save_pick_rename_delete(void)
{
    Kit kit = kit_open(0, 0);

    start_empty();
    g_assert_false(kit_sensitive(&kit, "preset-delete"));
    g_object_set(kit.panel, "steps", 9, "seed", 5.0, NULL);
    kit_settle();
    kit_click(&kit, "preset-save");
    kit_type(&kit, "preset-name", "Quick / dirty");
    kit_screenshot(&kit, "preset-save");
    kit_click(&kit, "preset-confirm");
    assert_presets("Quick - dirty");
    kit_assert_string(&kit, "preset", "Quick - dirty");
    kit_assert_string(&kit, "model", "textures"); /* as shown, so that it is the same elsewhere */
    kit_assert_string(&kit, "class", "dirt");

    kit_type(&kit, "steps", "11"); /* now it is another thing */
    kit_assert_string(&kit, "preset", "");
    kit_pick(&kit, "preset", "Quick - dirty");
    g_assert_cmpfloat(kit_number(&kit, "steps"), ==, 9);
    kit_assert_string(&kit, "preset", "Quick - dirty");

    kit_type(&kit, "steps", "12");
    kit_click(&kit, "preset-save"); /* the name is there: Replace says so */
    g_assert_cmpstr(kit_text(&kit, "preset-name"), ==, "Quick - dirty");
    g_assert_cmpstr(kit_text(&kit, "preset-confirm"), ==, "Replace");
    kit_click(&kit, "preset-confirm");
    assert_presets("Quick - dirty");
    g_assert_cmpfloat(kit_number(&kit, "steps"), ==, 12);

    kit_click(&kit, "preset-rename");
    kit_type(&kit, "preset-name", "Draft");
    kit_click(&kit, "preset-confirm");
    assert_presets("Draft");
    kit_assert_string(&kit, "preset", "Draft");
    kit_click(&kit, "preset-delete");
    kit_click(&kit, "preset-confirm");
    assert_presets("");
    kit_assert_string(&kit, "preset", "");
    g_assert_cmpfloat(kit_number(&kit, "steps"), ==, 12);
    kit_close(&kit);
}

static void rename_never_replaces(void)
{
    Kit kit;

    start_empty();
    save_one("A", "sand");
    save_one("B", "lava");
    kit = kit_open(0, 0);
    kit_pick(&kit, "preset", "A");
    kit_assert_string(&kit, "class", "sand");
    kit_click(&kit, "preset-rename");
    kit_type(&kit, "preset-name", "B");
    kit_click(&kit, "preset-confirm");
    kit_assert_has(kit_text(&kit, "preset-hint"), "already");
    assert_presets("A|B");
    g_autofree char *b = class_in("B");
    g_assert_cmpstr(b, ==, "lava");
    kit_close(&kit);
}

static void import_and_export(void)
{
    Kit kit = kit_open(0, 0);
    g_autofree char *file = write_scratch(
        "shared.json", HEAD ", \"class\": \"snow\", \"width\": 99, \"mood\": \"cold\"}");
    g_autofree char *bad = write_scratch("bad.json", "{\"format\": 1}");
    g_autofree char *out = scratch("exported.json");
    g_autofree char *text = NULL;
    DimPresetBar *bar = DIM_PRESET_BAR(gtk_widget_get_parent(kit_find(&kit, "preset-menu")));

    start_empty();
    dim_preset_bar_import(bar, file);
    kit_settle();
    kit_assert_string(&kit, "class", "snow");
    kit_assert_string(&kit, "preset", "shared");
    g_assert_cmpfloat(kit_number(&kit, "width"), ==, 99);
    kit_assert_has(kit_text(&kit, "message"), "mood");

    dim_preset_bar_import(bar, bad);
    kit_settle();
    kit_assert_has(kit_text(&kit, "message"), "bad.json");
    kit_assert_string(&kit, "preset", "shared");
    assert_presets("shared");

    dim_preset_bar_export(bar, out);
    g_assert_true(g_file_get_contents(out, &text, NULL, NULL));
    kit_assert_has(text, "snow");
    kit_assert_has(text, "mood");
    kit_close(&kit);
}

static void preset_of_what_is_gone(void)
{
    Kit kit;
    g_autofree char *file = write_scratch(
        "gone.json", HEAD ", \"model\": \"paintings\", \"class\": \"cubism\", \"steps\": 8}");
    g_autofree char *name = NULL;

    start_empty();
    name = dim_presets_import(file, NULL, NULL);
    kit = kit_open(0, 0);
    kit_pick(&kit, "preset", name);
    kit_assert_has(kit_text(&kit, "message"), "paintings");
    kit_assert_has(kit_text(&kit, "message"), "cubism");
    g_assert_cmpfloat(kit_number(&kit, "steps"), ==, 8);
    g_assert_true(kit_sensitive(&kit, "generate"));
    kit_close(&kit);
}

/* The argument means here what it means in a batch. */
static void argument(void)
{
    Kit kit;

    start_empty();
    save_one("Moss", "grass");
    kit = kit_open(0, 0);
    g_object_set(kit.panel, "preset", "Moss", NULL);
    kit_settle();
    kit_assert_string(&kit, "class", "grass");
    kit_assert_string(&kit, "preset", "Moss");
    kit_close(&kit);

    kit = kit_open(0, 0);
    g_object_set(kit.panel, "class", "lava", "preset", "Moss", NULL);
    kit_settle();
    kit_assert_string(&kit, "class", "lava");
    kit_assert_string(&kit, "preset", "");
    kit_close(&kit);
}

int main(int argc, char **argv)
{
    kit_init(&argc, &argv);
    g_test_add_func("/presets/names", names_are_safe);
    g_test_add_func("/presets/files", files_live);
    g_test_add_func("/presets/unknown", import_keeps_what_it_does_not_know);
    g_test_add_func("/presets/hostile", hostile_files_change_nothing);
    g_test_add_func("/presets/merge", arguments_override_a_preset);
    g_test_add_func("/presets/row/life", save_pick_rename_delete);
    g_test_add_func("/presets/row/rename", rename_never_replaces);
    g_test_add_func("/presets/row/import", import_and_export);
    g_test_add_func("/presets/row/gone", preset_of_what_is_gone);
    g_test_add_func("/presets/row/argument", argument);
    return g_test_run();
}
