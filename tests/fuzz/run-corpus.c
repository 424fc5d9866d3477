/* Runs a fuzz target without a fuzzer: every file of some folders, mutations of it from a fixed
 * seed, and every allocation on its way made to fail once.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include "fuzz.h"

enum { MAX_MUTATED = 1 << 16, CUTS = 24, MUTATIONS = 120, MAX_FAILURES = 400, ROOM = 64 };

static void run(const guint8 *data, gsize size)
{
    /* A copy of its own size, so that reading past the end is seen. */
    g_autofree guint8 *copy = g_memdup2(data, size);
    LLVMFuzzerTestOneInput(copy, size);
}

/* Writes one of the values that sizes and indices go wrong at. */
static void plant(GRand *rand, guint8 *at, gsize room)
{
    static const guint64 values[] = {0,
                                     1,
                                     0x7f,
                                     0xff,
                                     0xffff,
                                     0x7fffffff,
                                     0x80000000,
                                     0xffffffff,
                                     G_GUINT64_CONSTANT(0x7fffffffffffffff),
                                     G_GUINT64_CONSTANT(0x8000000000000000),
                                     G_GUINT64_CONSTANT(0xffffffffffffffff)};
    const guint64 value = GUINT64_TO_LE(values[g_rand_int_range(rand, 0, G_N_ELEMENTS(values))]);

    memcpy(at, &value, MIN(room, (gsize)1 << g_rand_int_range(rand, 0, 4)));
}

/* Changes a few places; answers the new size. `data` has ROOM bytes more. */
static gsize mutate(GRand *rand, guint8 *data, gsize size)
{
    for (int n = g_rand_int_range(rand, 1, 5); n > 0 && size > 0; n--) {
        const gsize at = (gsize)g_rand_int_range(rand, 0, (gint32)size);
        switch (g_rand_int_range(rand, 0, 5)) {
        case 0:
            data[at] ^= (guint8)(1 << g_rand_int_range(rand, 0, 8));
            break;
        case 1:
            data[at] = (guint8)g_rand_int_range(rand, 0, 256);
            break;
        case 2:
            plant(rand, data + at, size - at);
            break;
        case 3: /* the same bytes elsewhere */
            memmove(data + at, data + (gsize)g_rand_int_range(rand, 0, (gint32)size) / 2,
                    MIN(size - at, size / 2) / 2);
            break;
        default: /* out with some */
            memmove(data + at, data + MIN(at + 3, size), size - MIN(at + 3, size));
            size -= MIN(3, size - at);
            break;
        }
    }
    return size;
}

static void run_mutations(const guint8 *data, gsize size, GRand *rand)
{
    g_autofree guint8 *changed = g_malloc(size + ROOM);

    for (int i = 0; i < CUTS; i++)
        run(data, (gsize)g_rand_int_range(rand, 0, (gint32)size));
    for (int i = 0; i < MUTATIONS; i++) {
        memcpy(changed, data, size);
        run(changed, mutate(rand, changed, size));
    }
}

static void run_failures(const guint8 *data, gsize size)
{
    gboolean more = TRUE;

    for (int nth = 0; nth < MAX_FAILURES && more; nth++) {
        fuzz_fail_allocation(nth);
        run(data, size);
        more = fuzz_allocation_failed();
    }
    fuzz_fail_allocation(-1);
}

static int run_folder(const char *folder)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, &error);
    const char *name;
    int n = 0;

    g_assert_no_error(error);
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, name, NULL), *data = NULL;
        g_autoptr(GRand) rand =
            g_rand_new_with_seed(g_str_hash(name)); /* whatever the order of the folder */
        gsize size;
        if (!g_file_get_contents(path, &data, &size, NULL))
            continue;
        run((guint8 *)data, size);
        n++;
        if (size == 0 || size > MAX_MUTATED)
            continue;
        run_mutations((guint8 *)data, size, rand);
        run_failures((guint8 *)data, size);
    }
    return n;
}

int main(int argc, char **argv)
{
    int n = 0;

    for (int i = 1; i < argc; i++)
        n += run_folder(argv[i]);
    g_print("%d files\n", n);
    return n > 0 ? 0 : 1;
}
