/* PyTorch checkpoints written by hand: which dictionary is taken, and what views of a storage are.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "engine/dim.h"

/* ---- a pickle
 * -------------------------------------------------------------------------------------------- */

static void put(GByteArray *bytes, const void *data, gsize length)
{
    g_byte_array_append(bytes, data, (guint)length);
}

static void put_number(GByteArray *bytes, guint32 number, gsize length)
{
    const guint32 little = GUINT32_TO_LE(number);
    put(bytes, &little, length);
}

static void code(GByteArray *bytes, const char *codes)
{
    put(bytes, codes, strlen(codes));
}

static void text(GByteArray *bytes, const char *string)
{
    code(bytes, "X");
    put_number(bytes, (guint32)strlen(string), 4);
    code(bytes, string);
}

static void integer(GByteArray *bytes, guint32 number)
{
    code(bytes, "J");
    put_number(bytes, number, 4);
}

/* A view [rows, columns] of storage `key` with `count` floats. */
static void view(GByteArray *bytes, const char *key, guint32 count, guint32 offset, guint32 rows,
                 guint32 columns, guint32 row_stride, guint32 column_stride)
{
    code(bytes, "ctorch._utils\n_rebuild_tensor_v2\n((");
    text(bytes, "storage");
    code(bytes, "ctorch\nFloatStorage\n");
    text(bytes, key);
    text(bytes, "cpu");
    integer(bytes, count);
    code(bytes, "tQ");
    integer(bytes, offset);
    integer(bytes, rows);
    integer(bytes, columns);
    code(bytes, "\x86");
    integer(bytes, row_stride);
    integer(bytes, column_stride);
    code(bytes, "\x86\x89)tR");
}

/* "key": {"w": the storage of that key, 2 x 3} */
static void part(GByteArray *bytes, const char *name, const char *key)
{
    text(bytes, name);
    code(bytes, "}");
    text(bytes, "w");
    view(bytes, key, 6, 0, 2, 3, 3, 1);
    code(bytes, "ss");
}

/* ---- an archive
 * ------------------------------------------------------------------------------------------ */

typedef struct {
    GByteArray *data, *directory;
    guint32 count;
} Archive;

static void record(Archive *zip, const char *name, const void *data, gsize size)
{
    const guint32 at = zip->data->len, length = (guint32)strlen(name);
    const guint8 zeros[16] = {0};

    put(zip->data, "PK\3\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 26);
    put_number(zip->data, length, 2);
    put_number(zip->data, 0, 2);
    put(zip->data, name, length);
    put(zip->data, data, size);
    put(zip->directory, "PK\1\2", 4);
    put(zip->directory, zeros, 16); /* no checksum */
    put_number(zip->directory, (guint32)size, 4);
    put_number(zip->directory, (guint32)size, 4);
    put_number(zip->directory, length, 2);
    put(zip->directory, zeros, 12);
    put_number(zip->directory, at, 4);
    put(zip->directory, name, length);
    zip->count++;
}

static void finish(Archive *zip)
{
    const guint32 at = zip->data->len;

    put(zip->data, zip->directory->data, zip->directory->len);
    put(zip->data, "PK\5\6\0\0\0\0", 8);
    put_number(zip->data, zip->count, 2);
    put_number(zip->data, zip->count, 2);
    put_number(zip->data, zip->directory->len, 4);
    put_number(zip->data, at, 4);
    put_number(zip->data, 0, 2);
}

/* Storage k holds 10 k, 10 k + 1, ...: six numbers each; storage "big" 64 x 64 zeros. */
static DimWeights *open_pickle(const GByteArray *pickle, GError **error)
{
    Archive zip = {g_byte_array_new(), g_byte_array_new(), 0};
    const float big[64 * 64] = {0};
    g_autofree char *path = NULL;
    const int fd = g_file_open_tmp("torch-XXXXXX.pth", &path, NULL);

    record(&zip, "m/data.pkl", pickle->data, pickle->len);
    for (int k = 0; k < 4; k++) {
        g_autofree char *name = g_strdup_printf("m/data/%d", k);
        float values[6];
        for (int i = 0; i < 6; i++)
            values[i] = (float)(10 * k + i);
        record(&zip, name, values, sizeof values);
    }
    record(&zip, "m/data/big", big, sizeof big);
    finish(&zip);
    g_assert_cmpint(write(fd, zip.data->data, zip.data->len), ==, (gssize)zip.data->len);
    close(fd);
    DimWeights *weights = dim_weights_open(path, error);
    g_unlink(path);
    g_byte_array_unref(zip.data);
    g_byte_array_unref(zip.directory);
    return weights;
}

/* The first number of tensor "w" under `key`. */
static void check_taken(GByteArray *pickle, const char *key, float first)
{
    GError *error = NULL;
    DimWeights *weights = open_pickle(pickle, &error);
    float values[6];

    g_assert_no_error(error);
    g_assert_cmpstr(dim_weights_format(weights), ==, "torch-zip");
    g_assert_cmpstr(dim_weights_key(weights), ==, key);
    g_assert_true(dim_weights_read_f32(weights, dim_weights_find(weights, "w"), values, &error));
    g_assert_cmpfloat(values[0], ==, first);
    g_assert_cmpfloat(values[5], ==, first + 5);
    dim_weights_close(&weights);
}

static void check_refused(GByteArray *pickle, const char *mention)
{
    GError *error = NULL;

    g_assert_null(open_pickle(pickle, &error));
    g_assert_error(error, DIM_ERROR, DIM_ERROR_FORMAT);
    if (!strstr(error->message, mention))
        g_error("\"%s\" does not mention %s", error->message, mention);
    g_clear_error(&error);
}

static void test_bare(void)
{
    g_autoptr(GByteArray) pickle = g_byte_array_new();

    code(pickle, "\x80\x02}");
    part(pickle, "ema", "1"); /* beside a tensor it is nothing */
    text(pickle, "w");
    view(pickle, "2", 6, 0, 2, 3, 3, 1);
    code(pickle, "s.");
    check_taken(pickle, NULL, 20);
}

static void test_nested(void)
{
    g_autoptr(GByteArray) pickle = g_byte_array_new(), two = g_byte_array_new();

    code(pickle, "\x80\x02}");
    part(pickle, "optimizer", "3");
    part(pickle, "state_dict", "0");
    part(pickle, "model", "1");
    part(pickle, "ema", "2");
    code(pickle, ".");
    check_taken(pickle, "ema", 20);

    code(two, "\x80\x02}");
    part(two, "state_dict", "0");
    part(two, "model", "1");
    text(two, "ema"); /* no tensor in it: the next one */
    code(two, "}");
    text(two, "decay");
    code(two, "K\x01ss.");
    check_taken(two, "model", 10);
}

/* {"model": {"model": {"w": ...}}} is one level too deep, and a name of no meaning is not looked
 * into. */
static void test_not_deeper(void)
{
    g_autoptr(GByteArray) pickle = g_byte_array_new(), other = g_byte_array_new();

    code(pickle, "\x80\x02}");
    text(pickle, "model");
    code(pickle, "}");
    part(pickle, "model", "1");
    code(pickle, "s.");
    check_refused(pickle, "holds no tensors");
    code(other, "\x80\x02}");
    part(other, "network", "1");
    code(other, ".");
    check_refused(other, "holds no tensors");
}

/* A tensor that is set again is the later one, and what is replaced by None is gone. */
static void test_replaced(void)
{
    g_autoptr(GByteArray) pickle = g_byte_array_new();
    GError *error = NULL;

    code(pickle, "\x80\x02}");
    for (int i = 0; i < 2; i++) {
        text(pickle, "w");
        view(pickle, i ? "2" : "1", 6, 0, 2, 3, 3, 1);
        code(pickle, "s");
        text(pickle, "gone");
        if (i == 0)
            view(pickle, "3", 6, 0, 2, 3, 3, 1);
        else
            code(pickle, "N");
        code(pickle, "s");
    }
    code(pickle, ".");
    check_taken(pickle, NULL, 20);
    DimWeights *weights = open_pickle(pickle, &error);
    g_assert_cmpint(dim_weights_count(weights), ==, 1);
    dim_weights_close(&weights);
}

static void test_view(void)
{
    static const float wanted[] = {11, 13, 12, 14};
    g_autoptr(GByteArray) pickle = g_byte_array_new();
    GError *error = NULL;
    float values[4];

    code(pickle, "\x80\x02}");
    text(pickle, "w");
    view(pickle, "1", 6, 1, 2, 2, 1, 2);
    code(pickle, "s.");
    DimWeights *weights = open_pickle(pickle, &error);
    g_assert_no_error(error);
    g_assert_true(dim_weights_read_f32(weights, dim_weights_tensor(weights, 0), values, &error));
    g_assert_cmpmem(values, sizeof values, wanted, sizeof wanted);
    dim_weights_close(&weights);
}

static void test_view_outside(void)
{
    static const guint32 bad[][5] = {
        {1, 2, 3, 3, 1}, {0, 2, 3, 4, 1}, {6, 1, 1, 0, 0}, {0, 7, 1, 0, 0}};

    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GByteArray) pickle = g_byte_array_new();
        code(pickle, "\x80\x02}");
        text(pickle, "w");
        view(pickle, "1", 6, bad[i][0], bad[i][1], bad[i][2], bad[i][3], bad[i][4]);
        code(pickle, "s.");
        check_refused(pickle, "beyond its storage");
    }
}

/* {"w": a view of all of storage "big", "1": the same, ...}, n in all */
static GByteArray *tied(int n)
{
    GByteArray *pickle = g_byte_array_new();

    code(pickle, "\x80\x02}");
    text(pickle, "w");
    view(pickle, "big", 64 * 64, 0, 64, 64, 64, 1);
    code(pickle, "q\x01s(");
    for (int i = 1; i < n; i++) {
        g_autofree char *name = g_strdup_printf("%d", i);
        text(pickle, name);
        code(pickle, "h\x01");
    }
    code(pickle, "u.");
    return pickle;
}

/* Tied weights are fine; views that together read the file many times over are no model. */
static void test_shared(void)
{
    g_autoptr(GByteArray) two = tied(2), many = tied(2000);
    GError *error = NULL;
    DimWeights *weights = open_pickle(two, &error);

    g_assert_no_error(error);
    g_assert_cmpint(dim_weights_count(weights), ==, 2);
    dim_weights_close(&weights);
    check_refused(many, "over and over");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/torch-zip/bare", test_bare);
    g_test_add_func("/torch-zip/nested", test_nested);
    g_test_add_func("/torch-zip/not-deeper", test_not_deeper);
    g_test_add_func("/torch-zip/replaced", test_replaced);
    g_test_add_func("/torch-zip/view", test_view);
    g_test_add_func("/torch-zip/view-outside", test_view_outside);
    g_test_add_func("/torch-zip/shared", test_shared);
    return g_test_run();
}
