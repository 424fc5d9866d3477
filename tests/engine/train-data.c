/* Pictures for training as the tool reads them: kinds, turns and transparency; folders and tables,
 * good ones and bad ones.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "engine/tool/train-data.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/tool/csv.h"
#include "engine/tool/picture.h"

enum { SIDE = 32 };

/* ---- a folder for each test ---- */

typedef struct {
    char *folder;
} Place;

static void place_make(Place *place, gconstpointer data)
{
    place->folder = g_dir_make_tmp("dim-train-data-XXXXXX", NULL);
    g_assert_nonnull(place->folder);
}

static void remove_tree(const char *path)
{
    if (g_file_test(path, G_FILE_TEST_IS_DIR) && !g_file_test(path, G_FILE_TEST_IS_SYMLINK)) {
        GDir *dir = g_dir_open(path, 0, NULL);
        const char *name;
        while (dir && (name = g_dir_read_name(dir))) {
            g_autofree char *below = g_build_filename(path, name, NULL);
            remove_tree(below);
        }
        if (dir)
            g_dir_close(dir);
    }
    g_remove(path);
}

static void place_remove(Place *place, gconstpointer data)
{
    remove_tree(place->folder);
    g_free(place->folder);
}

/* Its path, with the folders above it made. */
static char *file_in(const Place *place, const char *name)
{
    char *file = g_build_filename(place->folder, name, NULL);
    g_autofree char *folder = g_path_get_dirname(file);

    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    return file;
}

static void write_bytes(const Place *place, const char *name, const void *bytes, gssize size)
{
    g_autofree char *file = file_in(place, name);

    g_assert_true(g_file_set_contents(file, bytes, size, NULL));
}

/* Red grows to the right, green downwards, blue is `mark`; no seam of it is quiet. */
static GdkPixbuf *ramp(int width, int height, int mark)
{
    GdkPixbuf *picture = gdk_pixbuf_new(GDK_COLORSPACE_RGB, FALSE, 8, width, height);

    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            guint8 *pixel =
                gdk_pixbuf_get_pixels(picture) + y * gdk_pixbuf_get_rowstride(picture) + 3 * x;
            pixel[0] = (guint8)(200 * x / (width - 1));
            pixel[1] = (guint8)(200 * y / (height - 1));
            pixel[2] = (guint8)mark;
        }
    return picture;
}

static void save(const Place *place, const char *name, const char *kind, GdkPixbuf *picture)
{
    g_autofree char *file = file_in(place, name);

    g_assert_true(gdk_pixbuf_save(picture, file, kind, NULL, NULL));
    g_object_unref(picture);
}

static void save_ramp(const Place *place, const char *name, int mark)
{
    save(place, name, "png", ramp(SIDE, SIDE, mark));
}

/* The first half of a PNG file. */
static void save_cut(const Place *place, const char *name)
{
    g_autoptr(GdkPixbuf) made = ramp(200, 200, 1);
    g_autofree char *bytes = NULL;
    gsize size;

    g_assert_true(gdk_pixbuf_save_to_buffer(made, &bytes, &size, "png", NULL, NULL));
    write_bytes(place, name, bytes, (gssize)size / 2);
}

static gboolean read_set(const Place *place, const char *name, DimDataset *dataset, GError **error)
{
    g_autofree char *path = g_build_filename(place->folder, name, NULL);
    DimTask task = {0};
    const gboolean ok = tool_dataset_read(dataset, path, &task, error);

    if (ok)
        g_assert_cmpfloat(dim_task_progress(&task), ==, 1);
    return ok;
}

static DimDataset *read_good(const Place *place, const char *name)
{
    DimDataset *dataset = dim_dataset_new();
    g_autoptr(GError) error = NULL;

    read_set(place, name, dataset, &error);
    g_assert_no_error(error);
    return dataset;
}

/* Refused with a line that has these words. */
static void check_refused(const Place *place, const char *name, const char *says, const char *too)
{
    DimDataset *dataset = dim_dataset_new();
    g_autoptr(GError) error = NULL;

    g_assert_false(read_set(place, name, dataset, &error));
    g_assert_nonnull(error);
    g_assert_true(error->domain == DIM_ERROR);
    if (!strstr(error->message, says) || !strstr(error->message, too) ||
        strchr(error->message, '\n'))
        g_error("\"%s\" has not \"%s\" and \"%s\"", error->message, says, too);
    dim_dataset_free(&dataset);
}

static void check_class(const DimDataset *dataset, int label, const char *name, int n, int n_test)
{
    g_assert_cmpstr(dim_dataset_class_name(dataset, label), ==, name);
    g_assert_cmpint(dim_dataset_n_images(dataset, label, FALSE), ==, n);
    g_assert_cmpint(dim_dataset_n_images(dataset, label, TRUE), ==, n_test);
}

/* ---- pictures ---- */

static void check_pixel(GdkPixbuf *picture, int x, int y, int red, int green, int blue, int within)
{
    const guint8 *pixel =
        gdk_pixbuf_read_pixels(picture) + y * gdk_pixbuf_get_rowstride(picture) + 3 * x;

    g_assert_cmpint(ABS(pixel[0] - red), <=, within);
    g_assert_cmpint(ABS(pixel[1] - green), <=, within);
    g_assert_cmpint(ABS(pixel[2] - blue), <=, within);
}

static GdkPixbuf *read_picture(const Place *place, const char *name)
{
    g_autofree char *file = g_build_filename(place->folder, name, NULL);
    g_autoptr(GError) error = NULL;
    GdkPixbuf *picture = tool_picture_read(file, &error);

    g_assert_no_error(error);
    g_assert_cmpint(gdk_pixbuf_get_n_channels(picture), ==, 3);
    return picture;
}

/* Opaque, half transparent, transparent. */
static void test_transparent(Place *place, gconstpointer data)
{
    GdkPixbuf *made = gdk_pixbuf_new(GDK_COLORSPACE_RGB, TRUE, 8, 3, 2);

    gdk_pixbuf_fill(made, 0xF0640AFF);
    gdk_pixbuf_get_pixels(made)[4 + 3] = 102;
    gdk_pixbuf_get_pixels(made)[8 + 3] = 0;
    save(place, "a.png", "png", made);
    g_autoptr(GdkPixbuf) picture = read_picture(place, "a.png");
    check_pixel(picture, 0, 0, 240, 100, 10, 0);
    check_pixel(picture, 1, 0, (240 * 2 + 128 * 3 + 2) / 5, (100 * 2 + 128 * 3 + 2) / 5,
                (10 * 2 + 128 * 3 + 2) / 5, 0);
    check_pixel(picture, 2, 0, 128, 128, 128, 0);
    check_pixel(picture, 2, 1, 240, 100, 10, 0);
}

/* A JPEG file of a ramp, with an Exif segment that has an orientation in it. */
static void save_turned(const Place *place, const char *name, int orientation, gsize cut)
{
    const guint8 exif[] = {0xFF, 0xE1, 0, 34, 'E', 'x', 'i', 'f', 0, 0,
                           'M',  'M',  0, 42, 0,   0,   0,   8,   0, 1,
                           1,    18,   0, 3,  0,   0,   0,   1,   0, (guint8)orientation,
                           0,    0,    0, 0,  0,   0};
    g_autoptr(GdkPixbuf) made = ramp(64, SIDE, 90);
    g_autofree char *bytes = NULL;
    gsize size;

    g_assert_true(
        gdk_pixbuf_save_to_buffer(made, &bytes, &size, "jpeg", NULL, "quality", "100", NULL));
    g_autoptr(GByteArray) all = g_byte_array_new();
    g_byte_array_append(all, (const guint8 *)bytes, 2);
    g_byte_array_append(all, exif, sizeof exif);
    g_byte_array_append(all, (const guint8 *)bytes + 2, (guint)(size - 2 - cut));
    write_bytes(place, name, all->data, all->len);
}

static void test_orientation(Place *place, gconstpointer data)
{
    save_turned(place, "upright.jpg", 1, 0);
    save_turned(place, "right.jpg", 6, 0);
    g_autoptr(GdkPixbuf) upright = read_picture(place, "upright.jpg");
    g_autoptr(GdkPixbuf) right = read_picture(place, "right.jpg");
    g_assert_cmpint(gdk_pixbuf_get_width(upright), ==, 64);
    check_pixel(upright, 63, 0, 200, 0, 90, 6);
    g_assert_cmpint(gdk_pixbuf_get_width(right), ==, SIDE);
    g_assert_cmpint(gdk_pixbuf_get_height(right), ==, 64);
    check_pixel(right, SIDE - 1, 63, 200, 0, 90,
                6); /* the upper right corner is now the lower right one */
    check_pixel(right, 0, 0, 0, 200, 90, 6);
}

static void check_no_picture(const Place *place, const char *name, const char *says)
{
    g_autofree char *file = g_build_filename(place->folder, name, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_null(tool_picture_read(file, &error));
    g_assert_error(error, DIM_ERROR, DIM_ERROR_FORMAT);
    g_assert_nonnull(strstr(error->message, name));
    if (!strstr(error->message, says))
        g_error("\"%s\" has not \"%s\"", error->message, says);
}

/* A PNG file that claims to be 65535 x 65535. */
static void write_huge(const Place *place, const char *name)
{
    static const guint8 png[] = {0x89, 'P',  'N', 'G', 13,  10,  26,  10,   0,    0,    0,
                                 13,   'I',  'H', 'D', 'R', 0,   0,   0xFF, 0xFF, 0,    0,
                                 0xFF, 0xFF, 8,   2,   0,   0,   0,   0x39, 0x67, 0x4E, 0x07,
                                 0,    0,    0,   0,   'I', 'D', 'A', 'T'};

    write_bytes(place, name, png, sizeof png);
}

static void test_no_pictures(Place *place, gconstpointer data)
{
    g_autofree char *pipe = file_in(place, "pipe.png");

    save_cut(place, "cut.png");
    write_bytes(place, "head.png", "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x20", 20);
    write_bytes(place, "empty.png", "", 0);
    write_bytes(place, "text.png", "no picture at all", -1);
    save_turned(place, "cut.jpg", 1, 400);
    write_huge(place, "huge.png");
    g_assert_cmpint(mkfifo(pipe, 0600), ==, 0);
    check_no_picture(place, "cut.png", "PNG");
    check_no_picture(place, "head.png", "");
    check_no_picture(place, "empty.png", "not a picture");
    check_no_picture(place, "text.png", "not a picture");
    check_no_picture(place, "cut.jpg", "cut off");
    check_no_picture(place, "huge.png", "2^28");
    check_no_picture(place, "pipe.png", "not a file");
    check_no_picture(place, "nothing.png", "does not exist");
}

/* ---- folders ---- */

/* The whole picture as the dataset has it; it is one crop large. */
static void check_whole(DimDataset *dataset, gboolean test, int label, int mark)
{
    static float crop[3 * SIDE * SIDE];

    g_assert_cmpint(dim_dataset_crop(dataset, 1, 1, test, crop), ==, label);
    for (int i = 0; i < SIDE * SIDE; i++) {
        g_assert_cmpfloat_with_epsilon((crop[i] + 1) * 127.5, 200 * (i % SIDE) / (SIDE - 1), 0.01);
        g_assert_cmpfloat_with_epsilon((crop[SIDE * SIDE + i] + 1) * 127.5,
                                       200 * (i / SIDE) / (SIDE - 1), 0.01);
        g_assert_cmpfloat_with_epsilon((crop[2 * SIDE * SIDE + i] + 1) * 127.5, mark, 0.01);
    }
}

static void prepare(DimDataset *dataset)
{
    DimCropParams params;

    dim_crop_params_init(&params, SIDE);
    params.n_scales = 1;
    params.flip_x = params.flip_y = params.turn = params.gain = params.shift = params.tint = 0;
    g_assert_true(dim_dataset_prepare(dataset, &params, NULL, NULL));
}

static void test_folder(Place *place, gconstpointer data)
{
    save_ramp(place, "set/tile b/1.png", 10);
    save_ramp(place, "set/tile b/2.png", 11);
    save(place, "set/sand/x.jpg", "jpeg", ramp(40, 50, 3));
    write_bytes(place, "set/sand/notes.txt", "hello", -1);
    write_bytes(place, "set/sand/.hidden.png", "hello", -1);
    write_bytes(place, "set/README", "hello", -1);
    write_bytes(place, "set/.git/x", "hello", -1);
    DimDataset *dataset = read_good(place, "set");
    g_assert_cmpint(dim_dataset_n_classes(dataset), ==, 2);
    check_class(dataset, 0, "sand", 1, 0);
    check_class(dataset, 1, "tile b", 2, 0);
    g_assert_cmpint(dim_dataset_n_tiling(dataset, -1, FALSE), ==, 0);
    dim_dataset_free(&dataset);
}

/* Classes that are there already keep their numbers. */
static void test_known_classes(Place *place, gconstpointer data)
{
    DimDataset *dataset = dim_dataset_new();

    save_ramp(place, "set/ash/1.png", 1);
    save_ramp(place, "set/oak/1.png", 2);
    dim_dataset_add_class(dataset, "oak");
    g_assert_true(read_set(place, "set", dataset, NULL));
    check_class(dataset, 0, "oak", 1, 0);
    check_class(dataset, 1, "ash", 1, 0);
    dim_dataset_free(&dataset);
}

static void test_split_folders(Place *place, gconstpointer data)
{
    save_ramp(place, "set/test/oak/1.png", 50);
    save_ramp(place, "set/train/oak/1.png", 60);
    DimDataset *dataset = read_good(place, "set");
    g_assert_cmpint(dim_dataset_n_classes(dataset), ==, 1);
    check_class(dataset, 0, "oak", 1, 1);
    prepare(dataset);
    check_whole(dataset, TRUE, 0, 50);
    check_whole(dataset, FALSE, 0, 60);
    dim_dataset_free(&dataset);
}

/* Nine are all trained on; of two hundred some twenty are for testing, and these stay when others
 * go. */
static void test_open_split(Place *place, gconstpointer data)
{
    for (int i = 0; i < 200; i++) {
        g_autofree char *many = g_strdup_printf("set/many/%d.png", i);
        g_autofree char *few = g_strdup_printf("set/few/%d.png", i);
        save_ramp(place, many, i);
        if (i < 9)
            save_ramp(place, few, i);
    }
    DimDataset *dataset = read_good(place, "set");
    check_class(dataset, 0, "few", 9, 0);
    const int n_test = dim_dataset_n_images(dataset, 1, TRUE);
    g_assert_cmpint(n_test, >=, 8);
    g_assert_cmpint(n_test, <=, 34);
    g_assert_cmpint(n_test + dim_dataset_n_images(dataset, 1, FALSE), ==, 200);
    dim_dataset_free(&dataset);
    for (int i = 0; i < 100; i++) {
        g_autofree char *name = g_strdup_printf("set/many/%d.png", i);
        g_autofree char *file = g_build_filename(place->folder, name, NULL);
        g_assert_cmpint(g_remove(file), ==, 0);
    }
    DimDataset *half = read_good(place, "set");
    const int left = dim_dataset_n_images(half, 1, TRUE);
    dim_dataset_free(&half);
    for (int i = 0; i < 100; i++) {
        g_autofree char *from = g_strdup_printf("%s/set/many/%d.png", place->folder, i + 100);
        g_autofree char *to = g_strdup_printf("%s/other/many/%d.png", place->folder, i);
        g_autofree char *name = g_strdup_printf("other/many/%d.png", i);
        g_free(file_in(place, name));
        g_assert_cmpint(g_rename(from, to), ==, 0);
    }
    DimDataset *other = read_good(place, "other");
    g_assert_cmpint(dim_dataset_n_images(other, 0, TRUE) + left, ==, n_test);
    dim_dataset_free(&other);
}

static void test_bad_folders(Place *place, gconstpointer data)
{
    g_autofree char *empty = file_in(place, "empty/x");

    check_refused(place, "empty", "empty", "no pictures");
    check_refused(place, "nothing", "nothing", "does not exist");
    write_bytes(place, "loose/a.png", "x", -1);
    check_refused(place, "loose", "loose", "no pictures");
    save_ramp(place, "deep/oak/old/1.png", 1);
    check_refused(place, "deep", "oak/old", "a folder within");
    save(place, "small/oak/1.png", "png", ramp(SIDE, 31, 1));
    check_refused(place, "small", "oak/1.png", "32 x 31");
    save_ramp(place, "cut/oak/1.png", 1);
    save_cut(place, "cut/oak/2.png");
    check_refused(place, "cut", "oak/2.png", "PNG");
    save_ramp(place, "latin/b\xF6se/1.png", 1);
    check_refused(place, "latin", "not UTF-8", "");
}

/* ---- tables ---- */

static void test_table(Place *place, gconstpointer data)
{
    save_ramp(place, "pics/plain.png", 1);
    save_ramp(place, "pics/a, \"b\".png", 2);
    save_ramp(place, "line\nend.png", 3);
    save_ramp(place, "last.png", 4);
    write_bytes(place, "t.csv",
                "\xEF\xBB\xBF"
                "split,class,file,group\r\n"
                "train,oak,pics/plain.png,\r\n"
                "\r\n"
                "test,\"ash, \"\"old\"\"\",\"pics/a, \"\"b\"\".png\",\r\n"
                ",oak,\"line\nend.png\",7\n"
                "\"train\",oak,last.png,\"\"",
                -1);
    DimDataset *dataset = read_good(place, "t.csv");
    g_assert_cmpint(dim_dataset_n_classes(dataset), ==, 2);
    check_class(dataset, 0, "oak", 3, 0);
    check_class(dataset, 1, "ash, \"old\"", 0, 1);
    prepare(dataset);
    check_whole(dataset, TRUE, 1, 2);
    dim_dataset_free(&dataset);
}

/* Five groups of four: each is wholly of one kind, and some of many groups are for testing. */
static void test_groups(Place *place, gconstpointer data)
{
    g_autoptr(GString) table = g_string_new("file,class,group\n");
    int tested = 0;

    for (int i = 0; i < 120; i++) {
        g_autofree char *name = g_strdup_printf("%d.png", i);
        save_ramp(place, name, i);
        g_string_append_printf(table, "%s,class %d,g%d\n", name, i % 2, i / 4);
    }
    write_bytes(place, "t.csv", table->str, -1);
    DimDataset *dataset = read_good(place, "t.csv");
    tested = dim_dataset_n_images(dataset, 0, TRUE);
    g_assert_cmpint(tested, >, 0);
    g_assert_cmpint(tested, <, 24);
    g_assert_cmpint(tested % 2, ==, 0); /* each group has two pictures of each class */
    g_assert_cmpint(dim_dataset_n_images(dataset, 1, TRUE), ==, tested);
    dim_dataset_free(&dataset);
}

static void test_bad_tables(Place *place, gconstpointer data)
{
    static const struct {
        const char *text, *says, *too;
    } tables[] = {
        {"", "line 1", "names of the columns"},
        {"\n\n", "line 1", "names of the columns"},
        {"file,class\n", "no pictures", ""},
        {"file\na.png\n", "line 1", "\"class\""},
        {"class,split\noak,train\n", "line 1", "\"file\""},
        {"file,class,colour\na.png,oak,red\n", "line 1", "\"colour\""},
        {"file,class,file\na.png,oak,a.png\n", "line 1", "twice"},
        {"file,class\na.png,oak\nb.png,oak\n", "line 3", "b.png: does not exist"},
        {"file,class\na.png,oak\n\n.,oak\n", "line 4", "not a file"},
        {"file,class\nt.csv,oak\n", "line 2", "not a picture"},
        {"file,class\ncut.png,oak\n", "line 2: ", "cut.png: "},
        {"file,class\nsmall.png,oak\n", "line 2", "20 x 20"},
        {"file,class\na.png,oak\na.png,ash\n", "line 3", "in line 2 already"},
        {"file,class\na.png\n", "line 2", "1 fields, expected 2"},
        {"file,class\na.png,oak,train\n", "line 2", "3 fields, expected 2"},
        {"file,class\n,oak\n", "line 2", "no file"},
        {"file,class\n\"a\n.png\",oak\n,oak\n", "line 4", "no file"},
        {"file,class\na.png,\n", "line 2", "no class"},
        {"file,class,split\na.png,oak,Train\n", "line 2", "\"Train\""},
        {"file,class\n\"a.png,oak\n\n", "line 2", "does not end"},
        {"file,class\na\"b.png,oak\n", "line 2", "a quote within"},
        {"file,class\n\"a.png\"x,oak\n", "line 2", "after a quoted field"},
        {"file,class\ra.png,oak\r", "line 1", "carriage return"},
        {"file,class\na.png,\xF6k\n", "line 2", "UTF-8"},
    };

    save_ramp(place, "a.png", 1);
    save(place, "small.png", "png", ramp(20, 20, 1));
    save_cut(place, "cut.png");
    for (gsize i = 0; i < G_N_ELEMENTS(tables); i++) {
        write_bytes(place, "t.csv", tables[i].text, -1);
        check_refused(place, "t.csv", tables[i].says, tables[i].too);
        check_refused(place, "t.csv", "t.csv", "");
    }
    write_bytes(place, "t.csv", "file,class\na.png,o\0k\n", 21);
    check_refused(place, "t.csv", "line 2", "UTF-8");
}

static void test_cancelled(Place *place, gconstpointer data)
{
    DimDataset *dataset = dim_dataset_new();
    g_autofree char *set = g_build_filename(place->folder, "set", NULL);
    g_autoptr(GError) error = NULL;
    DimTask task = {0};

    save_ramp(place, "set/oak/1.png", 1);
    dim_task_cancel(&task);
    g_assert_false(tool_dataset_read(dataset, set, &task, &error));
    g_assert_error(error, DIM_ERROR, DIM_ERROR_CANCELLED);
    dim_dataset_free(&dataset);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(Place *, gconstpointer);
    } tests[] = {
        {"/train-data/transparent", test_transparent},
        {"/train-data/orientation", test_orientation},
        {"/train-data/no-pictures", test_no_pictures},
        {"/train-data/folder", test_folder},
        {"/train-data/known-classes", test_known_classes},
        {"/train-data/split-folders", test_split_folders},
        {"/train-data/open-split", test_open_split},
        {"/train-data/bad-folders", test_bad_folders},
        {"/train-data/table", test_table},
        {"/train-data/groups", test_groups},
        {"/train-data/bad-tables", test_bad_tables},
        {"/train-data/cancelled", test_cancelled},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].name, Place, NULL, place_make, tests[i].test, place_remove);
    return g_test_run();
}
