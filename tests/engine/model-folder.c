/* Model folders: which one is found, what is refused, which class is meant.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "engine/error.h"
#include "engine/json.h"
#include "engine/model.h"
#include "engine/text.h"

typedef struct {
    char *root; /* of everything */
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    f->root = g_dir_make_tmp("models-XXXXXX", NULL);
    g_assert_nonnull(f->root);
}

static void remove_tree(const char *path)
{
    if (g_file_test(path, G_FILE_TEST_IS_DIR) && !g_file_test(path, G_FILE_TEST_IS_SYMLINK)) {
        g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
        const char *name;
        while ((name = g_dir_read_name(dir))) {
            g_autofree char *inner = g_build_filename(path, name, NULL);
            remove_tree(inner);
        }
    }
    g_remove(path);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    remove_tree(f->root);
    g_free(f->root);
}

/* Writes a file below the root, its folders too. */
static char *write_file(const Fixture *f, const char *path, const char *text)
{
    char *file = g_build_filename(f->root, path, NULL);
    g_autofree char *folder = g_path_get_dirname(file);

    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    g_assert_true(g_file_set_contents(file, text, -1, NULL));
    return file;
}

/* A codec of blocks of 1 pixel, whole; `more` are further keys of model.json. Answers the folder.
 */
static char *write_model(const Fixture *f, const char *folder, const char *name, const char *more)
{
    float mean[3] = {0}, basis[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1}, scale[3] = {1, 1, 1};
    const DimArray arrays[] = {{mean, 1, {3}}, {basis, 2, {3, 3}}, {scale, 1, {3}}};
    const char *const names[] = {"mean", "basis", "scale"};
    g_autofree char *json = g_strdup_printf(
        "{\"format\": \"gimp-dim-model\", \"version\": 1, \"name\": \"%s\", \"autoencoder\": "
        "{\"family\": \"linear\", "
        "\"weights\": \"c.safetensors\", \"config\": {\"block\": 1, \"latent_channels\": 3}}%s}",
        name, more);
    g_autofree char *path = g_build_filename(folder, "model.json", NULL);
    g_autofree char *file = write_file(f, path, json);
    char *directory = g_path_get_dirname(file);
    g_autofree char *codec = g_build_filename(directory, "c.safetensors", NULL);

    g_assert_true(dim_tensors_save(codec, 3, names, arrays, NULL));
    return directory;
}

static void check_refused(const char *folder, DimError code, const char *mention)
{
    GError *error = NULL;
    DimModelInfo *info = dim_model_info_read(folder, &error);

    g_assert_null(info);
    g_assert_error(error, DIM_ERROR, (int)code);
    if (!strstr(error->message, mention))
        g_error("\"%s\" does not mention %s", error->message, mention);
    g_clear_error(&error);
}

static void test_defaults(Fixture *f, gconstpointer data)
{
    g_autofree char *folder = write_model(f, "plain", "Plain", "");
    GError *error = NULL;
    DimModelInfo *info = dim_model_info_read(folder, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(info->id, ==, "plain");
    g_assert_cmpstr(info->name, ==, "Plain");
    g_assert_null(info->backbone.family);
    g_assert_cmpstr(info->autoencoder.family, ==, "linear");
    g_assert_cmpint(info->autoencoder.parameters, ==, 15);
    g_assert_cmpint(info->native_size, ==, 0);
    g_assert_null(info->prediction);
    g_assert_cmpint(info->unconditional_class, ==, -1);
    g_assert_cmpint(info->n_classes, ==, 0);
    g_assert_nonnull(info->classes);
    g_assert_cmpstr(info->defaults.sampler, ==, "dpm-solver++-fast");
    g_assert_cmpint(info->defaults.steps, ==, 50);
    g_assert_cmpfloat(info->defaults.guidance, ==, 1);
    g_assert_cmpfloat(info->defaults.eta, ==, 0.3);
    g_assert_false(info->defaults.seamless);
    g_assert_false(info->defaults.windows);
    dim_model_info_free(&info);
    g_assert_null(info);
}

/* A model without an unconditional class runs unguided whatever its defaults say. */
static void test_unguided(Fixture *f, gconstpointer data)
{
    g_autofree char *guided =
        write_model(f, "a", "A", ", \"unconditional_class\": 3, \"defaults\": {\"guidance\": 2}");
    g_autofree char *unguided = write_model(
        f, "b", "B", ", \"unconditional_class\": null, \"defaults\": {\"guidance\": 2}");
    DimModelInfo *a = dim_model_info_read(guided, NULL), *b = dim_model_info_read(unguided, NULL);

    g_assert_cmpfloat(a->defaults.guidance, ==, 2);
    g_assert_cmpfloat(b->defaults.guidance, ==, 1);
    g_assert_true(dim_model_spec_of(b)->has_unconditional_key);
    dim_model_info_free(&a);
    dim_model_info_free(&b);
}

static void test_refused_keys(Fixture *f, gconstpointer data)
{
    static const struct {
        const char *more, *mention;
    } cases[] = {
        {", \"native_size\": 65537", "native_size"},
        {", \"native_size\": null", "native_size"},
        {", \"prediction\": \"x0\"", "prediction"},
        {", \"license\": 3", "license"},
        {", \"classes\": [\"\"]", "classes"},
        {", \"classes\": null", "classes"},
        {", \"classes\": {\"file\": \"../c\"}", "classes"},
        {", \"defaults\": {\"sampler\": \"magic\"}", "sampler"},
        {", \"defaults\": {\"steps\": 0}", "steps"},
        {", \"defaults\": {\"seamless\": \"both\"}", "seamless"},
        {", \"defaults\": {\"windows\": \"on\"}", "windows"},
        {", \"defaults\": {\"upsample\": {\"theta\": \"1\"}}", "theta"},
        {", \"noise_schedule\": {\"type\": \"linear\", \"beta_start\": 0.1, \"beta_end\": 0.2}",
         "timesteps"},
        {", \"noise_schedule\": {\"type\": \"linear\", \"beta_start\": 0.1, \"beta_end\": 1, "
         "\"timesteps\": 10}",
         "beta_end"},
        {", \"noise_schedule\": {\"type\": \"linear\", \"beta_start\": 0, \"beta_end\": 0.2, "
         "\"timesteps\": 10}",
         "beta_start"},
        {", \"backbone\": {\"family\": \"diffussm\", \"weights\": \"w.pth\", \"config\": "
         "{\"d_state\": "
         "7}}",
         "d_state"},
        {", \"backbone\": {\"family\": \"unet\", \"weights\": \"w.pth\"}", "unet"},
        {", \"backbone\": {\"family\": \"dim\"}", "weights"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *folder = write_model(f, "bad", "Bad", cases[i].more);
        GError *error = NULL;
        g_assert_null(dim_model_info_read(folder, &error));
        g_assert_nonnull(error);
        if (!strstr(error->message, cases[i].mention) || !strstr(error->message, "model.json"))
            g_error("%s: \"%s\"", cases[i].more, error->message);
        g_clear_error(&error);
    }
}

static void test_classes_file(Fixture *f, gconstpointer data)
{
    g_autofree char *folder =
        write_model(f, "m", "M", ", \"classes\": {\"file\": \"names/all.txt\"}");
    g_autofree char *good = write_file(f, "m/names/all.txt", "a b\r\nc\n\xc3\xa9\n\n");
    GError *error = NULL;
    DimModelInfo *info = dim_model_info_read(folder, &error);

    g_assert_no_error(error);
    g_assert_cmpint(info->n_classes, ==, 3);
    g_assert_cmpstr(info->classes[0], ==, "a b");
    g_assert_cmpstr(info->classes[1], ==, "c");
    g_assert_cmpstr(info->classes[2], ==, "\xc3\xa9");
    g_assert_null(info->classes[3]);
    dim_model_info_free(&info);
    g_auto(GStrv) files = dim_model_files(folder, NULL);
    g_assert_cmpstr(files[0], ==, "c.safetensors");
    g_assert_cmpstr(files[1], ==, "names/all.txt");
    g_assert_null(files[2]);

    g_assert_true(g_file_set_contents(good, "a\n\nb\n", -1, NULL));
    check_refused(folder, DIM_ERROR_FORMAT, "line 2");
    g_assert_true(g_file_set_contents(good, "a\xff\n", -1, NULL));
    check_refused(folder, DIM_ERROR_FORMAT, "UTF-8");
}

static void test_synonyms(Fixture *f, gconstpointer data)
{
    g_autofree char *folder = write_model(f, "m", "M",
                                          ", \"classes\": [\"tench\", \"crane\", \"lift\"],"
                                          " \"synonyms\": {\"file\": \"more.txt\"}");
    g_autofree char *more =
        write_file(f, "m/more.txt", "Tinca tinca, Doctor fish\n\nCrane, Tench\n");
    GError *error = NULL;
    DimModelInfo *info = dim_model_info_read(folder, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(info->synonyms[0], ==, "Tinca tinca, Doctor fish");
    g_assert_null(info->synonyms[1]);
    g_assert_cmpstr(info->synonyms[2], ==, "Crane, Tench");
    dim_model_info_free(&info);
    g_auto(GStrv) files = dim_model_files(folder, NULL);
    g_assert_true(g_strv_contains((const char *const *)files, "more.txt"));

    g_assert_true(g_file_set_contents(more, "\n\n\none too many\n", -1, NULL));
    check_refused(folder, DIM_ERROR_FORMAT, "4 entries; expected at most one for each of 3");
    g_assert_true(g_file_set_contents(more, "\xc3\n", -1, NULL));
    check_refused(folder, DIM_ERROR_FORMAT, "UTF-8");
    g_assert_cmpint(g_unlink(more), ==, 0);
    check_refused(folder, DIM_ERROR_FILE, "more.txt");
}

/* Links may lead anywhere inside the folder, and nowhere else. */
static void test_links(Fixture *f, gconstpointer data)
{
    g_autofree char *folder = write_model(f, "m", "M", "");
    g_autofree char *codec = g_build_filename(folder, "c.safetensors", NULL);
    g_autofree char *inner = g_build_filename(folder, "real.safetensors", NULL);
    g_autofree char *outer = g_build_filename(f->root, "m2.safetensors", NULL);
    DimModelInfo *info;

    g_assert_cmpint(g_rename(codec, inner), ==, 0);
    g_assert_cmpint(symlink("real.safetensors", codec), ==, 0);
    info = dim_model_info_read(folder, NULL);
    g_assert_nonnull(info);
    dim_model_info_free(&info);

    g_assert_cmpint(g_rename(inner, outer), ==, 0);
    g_assert_cmpint(g_unlink(codec), ==, 0);
    g_assert_cmpint(symlink("../m2.safetensors", codec), ==,
                    0); /* beside the folder, with its name in front */
    check_refused(folder, DIM_ERROR_FILE, "c.safetensors");
    g_autofree char *hash = dim_model_file_hash(folder, "c.safetensors", NULL, NULL);
    g_assert_null(hash);
}

static void test_hash(Fixture *f, gconstpointer data)
{
    g_autofree char *folder = write_model(f, "m", "M", "");
    g_autofree char *codec = g_build_filename(folder, "c.safetensors", NULL), *bytes = NULL;
    g_autofree char *file = dim_model_file_hash(folder, "c.safetensors", NULL, NULL);
    g_autofree char *before = dim_model_hash(folder, NULL, NULL),
                    *again = dim_model_hash(folder, NULL, NULL);
    gsize length;

    g_assert_true(g_file_get_contents(codec, &bytes, &length, NULL));
    g_autofree char *wanted =
        g_compute_checksum_for_data(G_CHECKSUM_SHA256, (guchar *)bytes, length);
    g_assert_cmpstr(file, ==, wanted);
    g_assert_cmpstr(before, ==, again);
    bytes[length - 1] ^= 1;
    g_assert_true(g_file_set_contents(codec, bytes, (gssize)length, NULL));
    g_autofree char *after = dim_model_hash(folder, NULL, NULL);
    g_assert_cmpstr(before, !=, after);
}

/* ---- the search
 * ------------------------------------------------------------------------------------------ */

static void check_found(const char *name, const char *folder)
{
    GError *error = NULL;
    g_autofree char *found = dim_model_find(name, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(found, ==, folder);
}

/* Below $XDG_DATA_HOME, which GTest makes for each test. */
static char *write_home_model(const Fixture *f)
{
    g_autofree char *folder = write_model(f, "home", "Home", "");
    g_autofree char *models = g_build_filename(g_get_user_data_dir(), "gimp-dim", "models", NULL);
    char *home = g_build_filename(models, "home", NULL);

    g_assert_cmpint(g_mkdir_with_parents(models, 0700), ==, 0);
    g_assert_cmpint(g_rename(folder, home), ==, 0);
    return home;
}

static void test_search(Fixture *f, gconstpointer data)
{
    g_autofree char *path_a = g_build_filename(f->root, "a", NULL),
                    *path_b = g_build_filename(f->root, "b", NULL);
    g_autofree char *search = g_strjoin(":", path_a, path_b, NULL);
    g_autofree char *zoo = write_model(f, "a/zoo", "The Zoo", "");
    g_autofree char *second = write_model(f, "b/zoo", "Hidden", "");
    g_autofree char *art = write_model(f, "b/art", "Art", "");
    g_autofree char *home = write_home_model(f);

    g_assert_true(g_setenv("DIM_MODEL_PATH", search, TRUE));
    check_found("zoo", zoo);
    check_found("art", art);
    check_found("home", home); /* $XDG_DATA_HOME */
    check_found("The Zoo", zoo);
    check_found("Art", art);
    check_found(second, second); /* a path */
    check_found("", zoo);        /* the first in the order of the search */

    g_autofree char *textures = write_model(f, "b/textures", "Textures", "");
    check_found("", textures);
    g_autofree char *standard = write_model(f, "b/default", "Own", "");
    check_found("", standard);

    g_auto(GStrv) list = dim_model_list();
    const char *const wanted[] = {standard, zoo, art, textures, home};
    for (gsize i = 0; i < G_N_ELEMENTS(wanted); i++)
        g_assert_cmpstr(list[i], ==, wanted[i]);
    for (int i = 0; list[i]; i++)
        g_assert_cmpstr(list[i], !=, second);
}

static void test_unknown_model(Fixture *f, gconstpointer data)
{
    g_autofree char *folder = write_model(f, "textures", "Textures of the wild", "");
    GError *error = NULL;

    g_assert_true(g_setenv("DIM_MODEL_PATH", f->root, TRUE));
    g_assert_null(dim_model_find("texturs", &error));
    g_assert_error(error, DIM_ERROR, DIM_ERROR_ARGUMENT);
    g_assert_nonnull(strstr(error->message, "did you mean \"textures\""));
    g_clear_error(&error);
}

/* ---- names
 * -----------------------------------------------------------------------------------------------
 */

static int find_class(const char *name, char **message)
{
    char *classes[] = {(char *)"tench",
                       (char *)"Great White Shark",
                       (char *)"crane",
                       (char *)"CRANE",
                       (char *)"7",
                       (char *)"\xc3\x84rger",
                       NULL};
    const DimModelInfo info = {
        .name = (char *)"m", .classes = classes, .n_classes = 6, .n_labels = 6};
    GError *error = NULL;
    const int label = dim_model_info_find_class(&info, name, &error);

    g_assert_true((label < 0) == (error != NULL));
    if (message)
        *message = error ? g_strdup(error->message) : NULL;
    g_clear_error(&error);
    return label;
}

static void test_find_class(void)
{
    g_assert_cmpint(find_class("", NULL), ==, 0);
    g_assert_cmpint(find_class("tench", NULL), ==, 0);
    g_assert_cmpint(find_class("TENCH", NULL), ==, 0);
    g_assert_cmpint(find_class("great white shark", NULL), ==, 1);
    g_assert_cmpint(find_class("crane", NULL), ==, 2);
    g_assert_cmpint(find_class("CRANE", NULL), ==, 3); /* as written, before any other case */
    g_assert_cmpint(find_class("7", NULL), ==, 4);     /* a name, before the index */
    g_assert_cmpint(find_class("\xc3\xa4RGER", NULL), ==, 5);
    g_assert_cmpint(find_class("5", NULL), ==, 5);
    g_assert_cmpint(find_class("6", NULL), ==, -1);
    g_assert_cmpint(find_class("-1", NULL), ==, -1);
    g_assert_cmpint(find_class("1x", NULL), ==, -1);
    g_assert_cmpint(find_class("\xff", NULL), ==, -1);
    g_assert_cmpint(find_class("99999999999999999999999", NULL), ==, -1);
}

static void test_find_synonym(void)
{
    char *classes[] = {"tench", "crane", "lift", NULL};
    char *synonyms[] = {"Tinca tinca,  Doctor fish", "bird, derrick", "Crane, derrick, 0"};
    const DimModelInfo info = {
        .name = "m", .classes = classes, .synonyms = synonyms, .n_classes = 3, .n_labels = 3};
    GError *error = NULL;

    g_assert_cmpint(dim_model_info_find_class(&info, "tinca TINCA", NULL), ==, 0);
    g_assert_cmpint(dim_model_info_find_class(&info, "doctor fish", NULL), ==, 0);
    g_assert_cmpint(dim_model_info_find_class(&info, "CRANE", NULL), ==,
                    1); /* a name comes first */
    g_assert_cmpint(dim_model_info_find_class(&info, "0", NULL), ==, 2);
    g_assert_cmpint(dim_model_info_find_class(&info, "derrick", &error), ==, -1);
    g_assert_nonnull(strstr(error->message, "\"crane\" or \"lift\""));
    g_clear_error(&error);
    g_assert_cmpint(dim_model_info_find_class(&info, "Tinca tinka", &error), ==, -1);
    g_assert_nonnull(strstr(error->message, "did you mean \"Tinca tinca\""));
    g_clear_error(&error);
}

static void check_offers(const char *name, const char *offer)
{
    g_autofree char *message = NULL;

    g_assert_cmpint(find_class(name, &message), ==, -1);
    if (!strstr(message, offer))
        g_error("\"%s\" does not offer %s", message, offer);
}

static void test_nearest(void)
{
    check_offers("tenhc", "\"tench\"");
    check_offers("shark", "\"Great White Shark\"");
    check_offers("cranes", "\"crane\" or \"CRANE\"");
    g_assert_cmpint(dim_text_distance("kitten", "sitting"), ==, 3);
    g_assert_cmpint(dim_text_distance("", "abc"), ==, 3);
    g_assert_cmpint(dim_text_distance("\xc3\xa9", "\xc3\x89"), ==, 0);
    g_autofree char *none =
        dim_text_suggest("xylophone", (const char *const[]){"tench", "crane", NULL});
    g_assert_cmpstr(none, ==, "");
}

static void test_clean(void)
{
    static const struct {
        const char *raw, *clean;
    } cases[] = {
        {"plain \xc3\xa9", "plain \xc3\xa9"}, {"a\x1b[31m\n", "a\\x1b[31m\\x0a"}, {"\x7f", "\\x7f"},
        {"\xc2\x9b", "\\xc2\\x9b"},          /* a C1 control */
        {"\xe2\x80\xae", "\\xe2\\x80\\xae"}, /* right-to-left override */
        {"a\xff\xc3", "a\\xff\\xc3"},         {"\xc0\x80", "\\xc0\\x80"}, /* overlong */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},                              /* surrogate */
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *clean = dim_text_clean(cases[i].raw), *again = dim_text_clean(clean);
        g_assert_cmpstr(clean, ==, cases[i].clean);
        g_assert_cmpstr(again, ==, clean);
    }
    g_assert_true(dim_text_is_utf8("a\0b", 3));
    g_assert_false(dim_text_is_utf8("a\0\xff", 3));
}

/* However long and unfit the names, an error is one line that can be shown. */
static void test_errors(void)
{
    g_autofree char *controls = g_strnfill(2000, '\x1b'), *accents = g_strnfill(2000, 'x');

    for (int i = 0; i < 2000; i += 2)
        memcpy(accents + i, "\xc3\xa9", 2);
    const char *const texts[] = {controls, accents, accents + 1, "plain"};
    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        GError *error = NULL;
        g_assert_false(
            dim_fail(&error, DIM_ERROR_FILE, texts[i], "%s, %s", texts[i], texts[3 - i]));
        g_autofree char *clean = dim_text_clean(error->message);
        g_assert_cmpstr(error->message, ==, clean);
        g_assert_cmpuint(strlen(clean), <, 1000);
        g_clear_error(&error);
    }
}

static void test_json_levels(void)
{
    for (int levels = 63; levels <= 65; levels++) {
        g_autoptr(GString) text = g_string_new("{\"[\\\"{\":");
        for (int i = 1; i < levels; i++)
            g_string_append_c(text, '[');
        for (int i = 1; i < levels; i++)
            g_string_append_c(text, ']');
        g_string_append_c(text, '}');
        json_t *root = dim_json_parse(text->str, text->len, "test", NULL);
        g_assert_true((root != NULL) == (levels <= 64));
        json_decref(root);
    }
}

#define ADD(path, function) g_test_add(path, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, G_TEST_OPTION_ISOLATE_DIRS, NULL);
    ADD("/model/defaults", test_defaults);
    ADD("/model/unguided", test_unguided);
    ADD("/model/refused-keys", test_refused_keys);
    ADD("/model/classes-file", test_classes_file);
    ADD("/model/synonyms", test_synonyms);
    ADD("/model/links", test_links);
    ADD("/model/hash", test_hash);
    ADD("/model/search", test_search);
    ADD("/model/unknown", test_unknown_model);
    g_test_add_func("/names/find-class", test_find_class);
    g_test_add_func("/names/find-synonym", test_find_synonym);
    g_test_add_func("/names/nearest", test_nearest);
    g_test_add_func("/names/clean", test_clean);
    g_test_add_func("/names/errors", test_errors);
    g_test_add_func("/json/levels", test_json_levels);
    return g_test_run();
}
