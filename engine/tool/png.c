/* PNG pictures through libpng.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * libpng leaves by longjmp; what it may leave behind lives in a struct that the caller cleans up.
 */
#include "png.h"

#include <errno.h>
#include <png.h>
#include <stdio.h>
#include <string.h>

#include "engine/dim.h"

enum { RECIPE_MAX = 1 << 20, CHUNK_MAX = 8 << 20 };

/* Keeps libpng's message; libpng goes on to its longjmp. */
static void on_error(png_structp png, png_const_charp message)
{
    g_strlcpy(png_get_error_ptr(png), message, 100);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
}

/* ---- writing ---- */

typedef struct {
    png_structp png;
    png_infop info;
    guint8 *data, *row;
    gsize length, capacity;
    char message[100];
} Writer;

static void append(png_structp png, png_bytep bytes, size_t count)
{
    Writer *writer = png_get_io_ptr(png);

    if (writer->capacity - writer->length < count) {
        const gsize capacity = 2 * writer->capacity + count + 65536;
        guint8 *grown = g_try_realloc(writer->data, capacity);
        if (!grown)
            png_error(png, "not enough memory");
        writer->data = grown;
        writer->capacity = capacity;
    }
    memcpy(writer->data + writer->length, bytes, count);
    writer->length += count;
}

static void flush(png_structp png)
{
}

static void put_texts(Writer *writer, const char *recipe)
{
    char software[] = "gimp-dim " DIM_VERSION_TEXT;
    png_text texts[] = {
        {.compression = PNG_TEXT_COMPRESSION_NONE, .key = (char *)"Software", .text = software},
        {.compression = PNG_ITXT_COMPRESSION_NONE,
         .key = (char *)DIM_RECIPE_KEY,
         .text = (char *)recipe},
    };
    png_set_text(writer->png, writer->info, texts, recipe ? 2 : 1);
}

static gboolean encode(Writer *writer, const float *rgb, int width, int height, const char *recipe)
{
    if (setjmp(png_jmpbuf(writer->png)))
        return FALSE;
    png_set_write_fn(writer->png, writer, append, flush);
    png_set_IHDR(writer->png, writer->info, width, height, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_sRGB(writer->png, writer->info, PNG_sRGB_INTENT_PERCEPTUAL);
    put_texts(writer, recipe);
    png_write_info(writer->png, writer->info);
    const gsize n = 3 * (gsize)width;
    for (int i = 0; i < height; i++) {
        for (gsize j = 0; j < n; j++)
            writer->row[j] = (guint8)(CLAMP(rgb[i * n + j], 0, 1) * 255 + 0.5f);
        png_write_row(writer->png, writer->row);
    }
    png_write_end(writer->png, NULL);
    return TRUE;
}

static gboolean write_whole(const Writer *writer, const char *file, GError **error)
{
    DimOutput *output = dim_output_open(file, error);

    if (!output)
        return FALSE;
    fwrite(writer->data, 1, writer->length, dim_output_stream(output));
    return dim_output_commit(&output, error);
}

gboolean tool_png_save(const char *file, const float *rgb, int width, int height,
                       const char *recipe, GError **error)
{
    Writer writer = {.message = "not enough memory"};
    gboolean done = FALSE;

    writer.row = g_try_malloc_n(width, 3);
    writer.png =
        png_create_write_struct(PNG_LIBPNG_VER_STRING, writer.message, on_error, on_warning);
    writer.info = writer.png ? png_create_info_struct(writer.png) : NULL;
    if (!writer.row || !writer.info || !encode(&writer, rgb, width, height, recipe))
        g_set_error(error, DIM_ERROR, DIM_ERROR_NO_MEMORY, "%s: no PNG could be made: %s", file,
                    writer.message);
    else
        done = write_whole(&writer, file, error);
    png_destroy_write_struct(&writer.png, &writer.info);
    g_free(writer.row);
    g_free(writer.data);
    return done;
}

/* ---- reading ---- */

typedef struct {
    png_structp png;
    png_infop before, after; /* what stands before the pixels, and behind them */
    FILE *stream;
    gboolean whole; /* reads on where the recipe has been found */
    char message[100];
} Reader;

static const char *find_recipe(Reader *reader, png_infop info)
{
    png_textp texts;
    const int n = png_get_text(reader->png, info, &texts, NULL);

    for (int i = 0; i < n; i++)
        if (!strcmp(texts[i].key, DIM_RECIPE_KEY))
            return texts[i].text;
    return NULL;
}

/* Programs that write a picture anew may put its text behind the pixels. NULL: there is none. */
static const char *walk(Reader *reader)
{
    if (setjmp(png_jmpbuf(reader->png)))
        return NULL;
    png_set_chunk_malloc_max(reader->png, CHUNK_MAX);
    png_init_io(reader->png, reader->stream);
    png_read_info(reader->png, reader->before);
    const char *early = find_recipe(reader, reader->before);
    if (early && !reader->whole)
        return early;
    for (int pass = png_set_interlace_handling(reader->png); pass > 0; pass--)
        for (png_uint_32 i = 0; i < png_get_image_height(reader->png, reader->before); i++)
            png_read_row(reader->png, NULL, NULL);
    png_read_end(reader->png, reader->after);
    return early ? early : find_recipe(reader, reader->after);
}

static gboolean read_recipe(const char *file, gboolean whole, char **json, GError **error)
{
    Reader reader = {.stream = fopen(file, "rb"), .whole = whole};
    char *found = NULL;

    if (!reader.stream) {
        g_set_error(error, DIM_ERROR, DIM_ERROR_FILE, "%s: cannot be read: %s", file,
                    g_strerror(errno));
        return FALSE;
    }
    reader.png =
        png_create_read_struct(PNG_LIBPNG_VER_STRING, reader.message, on_error, on_warning);
    reader.before = reader.png ? png_create_info_struct(reader.png) : NULL;
    reader.after = reader.before ? png_create_info_struct(reader.png) : NULL;
    if (reader.after)
        found = g_strdup(walk(&reader));
    png_destroy_read_struct(&reader.png, &reader.before, &reader.after);
    fclose(reader.stream);

    const char *fault = !found ? reader.message[0] ? reader.message : "no recipe in this picture"
                        : strlen(found) > RECIPE_MAX ? "its recipe is longer than 1 MiB"
                                                     : NULL;
    if (fault) {
        g_set_error(error, DIM_ERROR, DIM_ERROR_FORMAT,
                    "%s: %s; expected a PNG written by gimp-dim", file, fault);
        g_free(found);
        return FALSE;
    }
    *json = found;
    return TRUE;
}

gboolean tool_png_read_recipe(const char *file, char **json, GError **error)
{
    return read_recipe(file, FALSE, json, error);
}

gboolean tool_png_read_whole(const char *file, char **json, GError **error)
{
    return read_recipe(file, TRUE, json, error);
}

gboolean tool_png_is(const char *file)
{
    guint8 start[8];
    /* A pipe is not opened to see what it is: that would wait for a writer. */
    FILE *stream = g_file_test(file, G_FILE_TEST_IS_REGULAR) ? fopen(file, "rb") : NULL;
    const gboolean is = stream && fread(start, 1, sizeof start, stream) == sizeof start &&
                        !png_sig_cmp(start, 0, sizeof start);

    if (stream)
        fclose(stream);
    return is;
}
