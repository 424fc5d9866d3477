/* Weight files: element types, strides, the dictionary that is taken, and a writer that leaves the
 * old file whole.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "engine/pickle.h"
#include "engine/weights.h"

/* A folder that goes away with what is in it (one level). */
static char *make_folder(void)
{
    char *folder = g_dir_make_tmp("weights-XXXXXX", NULL);
    g_assert_nonnull(folder);
    return folder;
}

static void remove_folder(char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_unlink(path);
    }
    g_rmdir(folder);
    g_free(folder);
}

/* A safetensors file of one tensor "a". */
static DimWeights *open_one(const char *folder, const char *dtype, int count, const void *data,
                            gsize bytes)
{
    g_autofree char *path = g_build_filename(folder, "one.safetensors", NULL);
    g_autofree char *header = g_strdup_printf(
        "{\"a\":{\"dtype\":\"%s\",\"shape\":[%d],\"data_offsets\":[0,%" G_GSIZE_FORMAT "]}}", dtype,
        count, bytes);
    const guint64 length = GUINT64_TO_LE((guint64)strlen(header));
    g_autoptr(GByteArray) file = g_byte_array_new();
    GError *error = NULL;

    g_byte_array_append(file, (const guint8 *)&length, sizeof length);
    g_byte_array_append(file, (const guint8 *)header, (guint)strlen(header));
    g_byte_array_append(file, data, (guint)bytes);
    g_assert_true(g_file_set_contents(path, (char *)file->data, file->len, NULL));
    DimWeights *weights = dim_weights_open(path, &error);
    g_assert_no_error(error);
    return weights;
}

/* A file that is this header and no data. */
static DimWeights *open_header(const char *folder, const char *header, GError **error)
{
    g_autofree char *path = g_build_filename(folder, "header.safetensors", NULL);
    const guint64 length = GUINT64_TO_LE((guint64)strlen(header));
    g_autoptr(GByteArray) file = g_byte_array_new();

    g_byte_array_append(file, (const guint8 *)&length, sizeof length);
    g_byte_array_append(file, (const guint8 *)header, (guint)strlen(header));
    g_assert_true(g_file_set_contents(path, (char *)file->data, file->len, NULL));
    return dim_weights_open(path, error);
}

static void check_values(DimWeights *weights, const char *name, int n, const float *wanted)
{
    const DimTensor *tensor = dim_weights_find(weights, name);
    GError *error = NULL;

    g_assert_nonnull(tensor);
    g_assert_cmpint(tensor->count, ==, n);
    g_autofree float *values = g_new(float, n);
    g_assert_true(dim_weights_read_f32(weights, tensor, values, &error));
    g_assert_no_error(error);
    /* Bits: a negative zero is one. */
    g_assert_cmpmem(values, n * sizeof *values, wanted, n * sizeof *wanted);
}

#define EMPTY "{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}"

static void test_names(void)
{
    static const struct {
        const char *spelt, *name;
    } cases[] = {
        {"plain.weight 1", "plain.weight 1"},
        {"\\u0041\\n\\t\\\"\\\\\\/", "A\n\t\"\\/"},
        {"\\b\\f\\r", "\b\f\r"},
        {"\\u00e9\\u20AC", "\xc3\xa9\xe2\x82\xac"},
        {"\\ud83d\\ude00\xc3\xa9", "\xf0\x9f\x98\x80\xc3\xa9"},
        {"", ""},
    };
    char *folder = make_folder();

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *header = g_strdup_printf(" {\r\n\"%s\" :\t" EMPTY "}  ", cases[i].spelt);
        GError *error = NULL;
        DimWeights *weights = open_header(folder, header, &error);
        g_assert_no_error(error);
        g_assert_cmpstr(dim_weights_tensor(weights, 0)->name, ==, cases[i].name);
        g_assert_nonnull(dim_weights_find(weights, cases[i].name));
        dim_weights_close(&weights);
    }
    remove_folder(folder);
}

static void test_headers_refused(void)
{
    static const char *const headers[] = {
        "{\"\\ud83d\":" EMPTY "}",        /* half a pair */
        "{\"\\ude00\\ud83d\":" EMPTY "}", /* a pair the wrong way round */
        "{\"\\ud83dx\":" EMPTY "}",
        "{\"\\u0000\":" EMPTY "}",
        "{\"\\x41\":" EMPTY "}",
        "{\"\\u00g0\":" EMPTY "}",
        "{\"a\x01\":" EMPTY "}",
        "{\"a\":" EMPTY ",}",
        "{,\"a\":" EMPTY "}",
        "{\"a\" " EMPTY "}",
        "{\"a\":" EMPTY "]",
        "{\"a\":" EMPTY "}}",
        "{\"a\":" EMPTY " \"b\":" EMPTY "}",
        "{\"a\":" EMPTY ",\"\\u0061\":" EMPTY "}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[00],\"data_offsets\":[0,0]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[-0],\"data_offsets\":[0,0]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[0.0],\"data_offsets\":[0,0]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[0,],\"data_offsets\":[0,0]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0],\"shape\":[0]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0],\"x\":[0]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[0,9223372036854775808],\"data_offsets\":[0,0]}}",
        "{\"__metadata__\":{},\"__metadata__\":{}}",
        "{\"__metadata__\":{\"a\":1}}",
        "{\"__metadata__\":{\"gimp-dim-recipe\":\"\",\"gimp-dim-recipe\":\"\"}}",
    };
    char *folder = make_folder();

    for (gsize i = 0; i < G_N_ELEMENTS(headers); i++) {
        GError *error = NULL;
        if (open_header(folder, headers[i], &error))
            g_error("accepted: %s", headers[i]);
        g_assert_error(error, DIM_ERROR, DIM_ERROR_FORMAT);
        g_clear_error(&error);
    }
    remove_folder(folder);
}

static void test_half(void)
{
    char *folder = make_folder();
    const guint16 bits[] = {0x0000, 0x8000, 0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x83ff, 0x3555};
    const float wanted[] = {0, -0.0f, 1, -2, 65504, 0x1p-14f, 0x1p-24f, -0x1.ff8p-15f, 0x1.554p-2f};
    DimWeights *weights = open_one(folder, "F16", 9, bits, sizeof bits);

    check_values(weights, "a", 9, wanted);
    dim_weights_close(&weights);
    remove_folder(folder);
}

/* Every finite half, against arithmetic. */
static void test_half_all(void)
{
    char *folder = make_folder();
    guint16 bits[63488];
    int n = 0;

    for (guint32 i = 0; i < 65536; i++)
        if ((i & 0x7c00) != 0x7c00)
            bits[n++] = (guint16)i;
    g_assert_cmpint(n, ==, G_N_ELEMENTS(bits));
    DimWeights *weights = open_one(folder, "F16", n, bits, sizeof bits);
    g_autofree float *values = g_new(float, n);
    g_assert_true(dim_weights_read_f32(weights, dim_weights_tensor(weights, 0), values, NULL));
    for (int i = 0; i < n; i++) {
        const int exponent = bits[i] >> 10 & 31, fraction = bits[i] & 0x3ff;
        const double size = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
        g_assert_cmpfloat(values[i], ==, bits[i] & 0x8000 ? -size : size);
    }
    dim_weights_close(&weights);
    remove_folder(folder);
}

static void test_brain(void)
{
    char *folder = make_folder();
    const guint16 bits[] = {0x3f80, 0xc049, 0x7f7f, 0x0001, 0x8000};
    const float wanted[] = {1, -3.140625f, 0x1.fep127f, 0x1p-133f, -0.0f};
    DimWeights *weights = open_one(folder, "BF16", 5, bits, sizeof bits);

    check_values(weights, "a", 5, wanted);
    dim_weights_close(&weights);
    remove_folder(folder);
}

static void test_double(void)
{
    char *folder = make_folder();
    const double doubles[] = {0.1, -1e300 * 0, 1e-300, 3.5};
    const float wanted[] = {0.1f, -0.0f, 0, 3.5f};
    DimWeights *weights = open_one(folder, "F64", 4, doubles, sizeof doubles);

    check_values(weights, "a", 4, wanted);
    dim_weights_close(&weights);
    remove_folder(folder);
}

/* Too large for float32 is refused where it is computed with, and no fault of the file. */
static void test_double_too_large(void)
{
    char *folder = make_folder();
    const double doubles[] = {1, 1e39};
    float values[2];
    DimWeights *weights = open_one(folder, "F64", 2, doubles, sizeof doubles);
    GError *error = NULL;

    g_assert_true(dim_weights_check(weights, NULL, &error));
    g_assert_false(dim_weights_read_f32(weights, dim_weights_tensor(weights, 0), values, &error));
    g_assert_error(error, DIM_ERROR, DIM_ERROR_FORMAT);
    g_assert_nonnull(strstr(error->message, "\"a\""));
    g_clear_error(&error);
    dim_weights_close(&weights);
    remove_folder(folder);
}

/* One value that is not finite, at each place of a tensor longer than a vector register. */
static void test_not_finite(void)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    char *folder = make_folder();

    for (int at = 0; at < 37; at++) {
        float numbers[37] = {0}, values[37];
        GError *error = NULL;
        numbers[at] = bad[at % 3];
        DimWeights *weights = open_one(folder, "F32", 37, numbers, sizeof numbers);
        g_assert_false(
            dim_weights_read_f32(weights, dim_weights_tensor(weights, 0), values, &error));
        g_assert_error(error, DIM_ERROR, DIM_ERROR_FORMAT);
        g_clear_error(&error);
        g_assert_false(dim_weights_check(weights, NULL, &error));
        g_assert_error(error, DIM_ERROR, DIM_ERROR_FORMAT);
        g_clear_error(&error);
        dim_weights_close(&weights);
    }
    remove_folder(folder);
}

static void test_labels(void)
{
    char *folder = make_folder();
    const gint64 labels[] = {0, -1, G_MAXINT64, 1000};
    gint64 values[4];
    float numbers[4];
    GError *error = NULL;
    DimWeights *weights = open_one(folder, "I64", 4, labels, sizeof labels);

    g_assert_true(dim_weights_read_i64(weights, dim_weights_tensor(weights, 0), values, &error));
    g_assert_cmpmem(values, sizeof values, labels, sizeof labels);
    g_assert_false(dim_weights_read_f32(weights, dim_weights_tensor(weights, 0), numbers, &error));
    g_assert_error(error, DIM_ERROR, DIM_ERROR_FORMAT);
    g_clear_error(&error);
    dim_weights_close(&weights);
    remove_folder(folder);
}

/* A view of one storage against the formula, element by element. */
static void check_view(int rank, const gint64 *sizes, const gint64 *strides, gint64 offset)
{
    float storage[4096], *values;
    DimEntry entry = {.type = DIM_TYPE_F32, .tensor = {.rank = rank}};
    DimWeights weights = {.origin = (char *)"view", .entries = &entry, .n_entries = 1};
    gint64 index[DIM_MAX_RANK] = {0};

    for (int i = 0; i < 4096; i++)
        storage[i] = (float)i;
    memcpy(entry.tensor.sizes, sizes, rank * sizeof *sizes);
    memcpy(entry.strides, strides, rank * sizeof *strides);
    g_assert_true(dim_shape_count(rank, sizes, &entry.tensor.count));
    entry.data = (const guint8 *)(storage + offset);
    values = g_new(float, entry.tensor.count);
    g_assert_true(dim_weights_read_f32(&weights, &entry.tensor, values, NULL));
    for (gint64 i = 0; i < entry.tensor.count; i++) {
        gint64 at = offset;
        for (int j = 0; j < rank; j++)
            at += index[j] * strides[j];
        g_assert_cmpfloat(values[i], ==, storage[at]);
        for (int j = rank - 1; j >= 0 && ++index[j] == sizes[j]; j--)
            index[j] = 0;
    }
    g_free(values);
}

static void test_strides(void)
{
    check_view(0, NULL, NULL, 7);
    check_view(1, (gint64[]){5}, (gint64[]){1}, 3);
    check_view(1, (gint64[]){5}, (gint64[]){3}, 3);
    check_view(2, (gint64[]){3, 4}, (gint64[]){4, 1}, 0);               /* contiguous */
    check_view(2, (gint64[]){3, 4}, (gint64[]){1, 3}, 5);               /* transposed */
    check_view(2, (gint64[]){3, 4}, (gint64[]){100, 1}, 2);             /* rows with gaps */
    check_view(2, (gint64[]){3, 4}, (gint64[]){0, 1}, 2);               /* expanded */
    check_view(4, (gint64[]){2, 3, 4, 5}, (gint64[]){60, 1, 15, 3}, 1); /* channels last */
    check_view(4, (gint64[]){2, 1, 4, 5}, (gint64[]){20, 999, 5, 1},
               0); /* the stride of a side of 1 says nothing */
    check_view(3, (gint64[]){1, 1, 1}, (gint64[]){7, 8, 9}, 4);
    check_view(8, (gint64[]){2, 2, 2, 2, 2, 2, 2, 2}, (gint64[]){1, 2, 4, 8, 16, 32, 64, 128}, 0);
    check_view(8, (gint64[]){2, 2, 2, 2, 2, 2, 2, 2}, (gint64[]){128, 64, 1, 2, 16, 32, 8, 4}, 9);
}

static void test_shape_count(void)
{
    gint64 count;

    g_assert_true(dim_shape_count(0, NULL, &count));
    g_assert_cmpint(count, ==, 1);
    g_assert_true(dim_shape_count(3, (gint64[]){1 << 20, 0, 1 << 20}, &count));
    g_assert_cmpint(count, ==, 0);
    g_assert_false(dim_shape_count(1, (gint64[]){-1}, &count));
    g_assert_false(dim_shape_count(1, (gint64[]){DIM_MAX_SIDE + 1}, &count));
    g_assert_false(dim_shape_count(3, (gint64[]){DIM_MAX_SIDE, DIM_MAX_SIDE, 0}, &count));
}

/* ---- the dictionary that is taken: pickles written by hand
 * ----------------------------------------------- */

static void put_text(GByteArray *pickle, const char *text)
{
    const guint32 length = GUINT32_TO_LE((guint32)strlen(text));

    g_byte_array_append(pickle, (const guint8 *)"X", 1);
    g_byte_array_append(pickle, (const guint8 *)&length, sizeof length);
    g_byte_array_append(pickle, (const guint8 *)text, (guint)strlen(text));
}

static void put(GByteArray *pickle, const char *codes)
{
    g_byte_array_append(pickle, (const guint8 *)codes, (guint)strlen(codes));
}

/* A key that is set again keeps its place. */
static void test_last_value_wins(void)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    DimPickle pickle;
    GError *error = NULL;
    guint32 n = 0;

    put(bytes, "\x80\x02}(");
    put_text(bytes, "b");
    put(bytes, "K\x07");
    put_text(bytes, "a");
    put(bytes, "N");
    put_text(bytes, "b");
    put(bytes, "K\x09u.");
    g_assert_true(dim_pickle_read(&pickle, bytes->data, bytes->len, "test", &error));
    g_assert_no_error(error);
    g_autofree DimPickleItem *items = dim_pickle_items(&pickle, pickle.root, &n);
    g_assert_cmpint(n, ==, 2);
    g_assert_cmpmem(items[0].key, items[0].key_length, "b", 1);
    g_assert_cmpint(pickle.values[items[0].value].number, ==, 9);
    g_assert_cmpmem(items[1].key, items[1].key_length, "a", 1);
    dim_pickle_clear(&pickle);
}

static void test_integers(void)
{
    static const struct {
        const char *codes;
        gsize length;
        gint64 value;
    } cases[] = {
        {"\x80\x02K\xff.", 5, 255},
        {"\x80\x02M\x34\x12.", 6, 0x1234},
        {"\x80\x02J\xff\xff\xff\xff.", 8, -1},
        {"\x80\x02\x8a\x00.", 5, 0},
        {"\x80\x02\x8a\x01\x80.", 6, -128},
        {"\x80\x02\x8a\x02\x80\x00.", 7, 128},
        {"\x80\x02\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f.", 13, G_MAXINT64},
        {"\x80\x02\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80.", 13, G_MININT64},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        DimPickle pickle;
        g_assert_true(dim_pickle_read(&pickle, (const guint8 *)cases[i].codes, cases[i].length,
                                      "test", NULL));
        g_assert_cmpint(pickle.values[pickle.root].kind, ==, DIM_PICKLE_INT);
        g_assert_cmpint(pickle.values[pickle.root].number, ==, cases[i].value);
        dim_pickle_clear(&pickle);
    }
}

/* ---- writing
 * --------------------------------------------------------------------------------------------- */

static void test_round_trip(void)
{
    char *folder = make_folder();
    g_autofree char *path = g_build_filename(folder, "out.safetensors", NULL);
    float a[6] = {1, -0.0f, 3, 1e-40f, 5e30f, 6}, b[1] = {7};
    const DimArray arrays[] = {{a, 2, {2, 3}}, {b, 0, {0}}};
    const char *const names[] = {"first", "a \"quoted\" \xc3\xa9"};
    GError *error = NULL;

    g_assert_true(dim_tensors_save(path, 2, names, arrays, &error));
    g_assert_no_error(error);
    DimWeights *weights = dim_weights_open(path, &error);
    g_assert_no_error(error);
    g_assert_cmpint(dim_weights_count(weights), ==, 2);
    check_values(weights, names[0], 6, a);
    check_values(weights, names[1], 1, b);
    g_assert_cmpint(dim_weights_find(weights, "first")->sizes[1], ==, 3);
    g_assert_cmpint(dim_weights_find(weights, names[1])->rank, ==, 0);
    dim_weights_close(&weights);
    remove_folder(folder);
}

/* The text comes back as it was; a file without one, or with other metadata, has none. */
static void test_recipe(void)
{
    static const char text[] = "{\n  \"class\": \"gr\xc3\xa4s\\n\"\n}\n";
    char *folder = make_folder();
    g_autofree char *path = g_build_filename(folder, "out.safetensors", NULL);
    float a[6] = {1, -0.0f, 3, 1e-40f, 5e30f, 6};
    const DimArray array = {a, 2, {2, 3}};
    GError *error = NULL;

    g_assert_true(dim_tensors_save_recipe(path, "z", &array, text, &error));
    g_assert_no_error(error);
    DimWeights *weights = dim_weights_open(path, &error);
    g_assert_no_error(error);
    g_assert_cmpint(dim_weights_count(weights), ==, 1);
    g_assert_cmpstr(dim_weights_recipe(weights), ==, text);
    check_values(weights, "z", 6, a);
    dim_weights_close(&weights);
    weights = open_header(folder, "{\"__metadata__\":{\"format\":\"pt\"}}", &error);
    g_assert_no_error(error);
    g_assert_null(dim_weights_recipe(weights));
    dim_weights_close(&weights);
    remove_folder(folder);
}

static int count_files(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    int n = 0;

    while (g_dir_read_name(dir))
        n++;
    return n;
}

static void check_contents(const char *path, const char *wanted)
{
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, wanted);
}

/* What is written is not there until it is whole. */
static void test_output(void)
{
    char *folder = make_folder();
    g_autofree char *path = g_build_filename(folder, "file", NULL);
    GError *error = NULL;

    g_assert_true(g_file_set_contents(path, "old", -1, NULL));
    DimOutput *output = dim_output_open(path, &error);
    g_assert_no_error(error);
    fputs("new", dim_output_stream(output));
    fflush(dim_output_stream(output));
    check_contents(path, "old");
    dim_output_discard(&output);
    g_assert_null(output);
    check_contents(path, "old");
    g_assert_cmpint(count_files(folder), ==, 1);

    output = dim_output_open(path, &error);
    fputs("new", dim_output_stream(output));
    g_assert_true(dim_output_commit(&output, &error));
    g_assert_null(output);
    check_contents(path, "new");
    g_assert_cmpint(count_files(folder), ==, 1);
    remove_folder(folder);
}

/* A link stays a link, and what it points to is replaced. */
static void test_output_link(void)
{
    char *folder = make_folder();
    g_autofree char *path = g_build_filename(folder, "file", NULL),
                    *link = g_build_filename(folder, "link", NULL);
    DimOutput *output;

    g_assert_true(g_file_set_contents(path, "old", -1, NULL));
    g_assert_cmpint(symlink("file", link), ==, 0);
    output = dim_output_open(link, NULL);
    fputs("new", dim_output_stream(output));
    g_assert_true(dim_output_commit(&output, NULL));
    check_contents(path, "new");
    g_assert_true(g_file_test(link, G_FILE_TEST_IS_SYMLINK));
    remove_folder(folder);
}

static void check_refused(const char *path)
{
    GError *error = NULL;
    float number = 1;
    const DimArray array = {&number, 1, {1}};

    g_assert_false(dim_tensors_save(path, 1, (const char *const[]){"a"}, &array, &error));
    g_assert_error(error, DIM_ERROR, DIM_ERROR_FILE);
    g_clear_error(&error);
}

/* A full disk is found out at the latest when what was buffered is written. */
static void test_output_full(void)
{
    char *folder = make_folder();
    g_autofree char *path = g_build_filename(folder, "file", NULL);
    GError *error = NULL;

    g_assert_true(g_file_set_contents(path, "old", -1, NULL));
    DimOutput *output = dim_output_open(path, &error);
    FILE *full = freopen("/dev/full", "w", dim_output_stream(output));
    g_assert_nonnull(full);
    fputs("new", full);
    g_assert_false(dim_output_commit(&output, &error));
    g_assert_error(error, DIM_ERROR, DIM_ERROR_FILE);
    g_clear_error(&error);
    check_contents(path, "old");
    g_assert_cmpint(count_files(folder), ==, 1);
    remove_folder(folder);
}

static void test_output_refused(void)
{
    char *folder = make_folder();
    g_autofree char *file = g_build_filename(folder, "file", NULL);
    g_autofree char *below = g_build_filename(file, "below", NULL),
                    *gone = g_build_filename(folder, "no", "x", NULL);

    g_assert_true(g_file_set_contents(file, "old", -1, NULL));
    check_refused(folder);
    check_refused(below);
    check_refused(gone);
    check_refused("/dev/null");
    if (geteuid() != 0) { /* root may write anywhere */
        g_chmod(folder, 0500);
        check_refused(file);
        g_chmod(folder, 0700);
    }
    check_contents(file, "old");
    g_assert_cmpint(count_files(folder), ==, 1);
    remove_folder(folder);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/weights/names", test_names);
    g_test_add_func("/weights/headers-refused", test_headers_refused);
    g_test_add_func("/weights/half", test_half);
    g_test_add_func("/weights/half-all", test_half_all);
    g_test_add_func("/weights/brain", test_brain);
    g_test_add_func("/weights/double", test_double);
    g_test_add_func("/weights/double-too-large", test_double_too_large);
    g_test_add_func("/weights/not-finite", test_not_finite);
    g_test_add_func("/weights/labels", test_labels);
    g_test_add_func("/weights/strides", test_strides);
    g_test_add_func("/weights/shape-count", test_shape_count);
    g_test_add_func("/pickle/last-value-wins", test_last_value_wins);
    g_test_add_func("/pickle/integers", test_integers);
    g_test_add_func("/output/round-trip", test_round_trip);
    g_test_add_func("/output/recipe", test_recipe);
    g_test_add_func("/output/whole", test_output);
    g_test_add_func("/output/link", test_output_link);
    g_test_add_func("/output/full", test_output_full);
    g_test_add_func("/output/refused", test_output_refused);
    return g_test_run();
}
