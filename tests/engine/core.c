/* The engine's ground: tasks, arrays, arenas, devices by name, and the process' second life.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include "engine/model.h"
#include "engine/task.h"

static void test_task(void)
{
    DimTask task = {0};
    g_autoptr(GError) error = NULL;

    dim_task_advance(&task, 0.25);
    g_assert_cmpfloat(dim_task_progress(&task), ==, 0.25);
    dim_task_advance(&task, 0.125);
    g_assert_cmpfloat(dim_task_progress(&task), ==, 0.25);
    dim_task_advance(&task, 7);
    g_assert_cmpfloat(dim_task_progress(&task), ==, 1);
    dim_task_advance(NULL, 0.5);

    g_assert_true(dim_task_go_on(NULL, NULL));
    g_assert_true(dim_task_go_on(&task, NULL));
    dim_task_cancel(&task);
    g_assert_false(dim_task_go_on(&task, &error));
    g_assert_error(error, DIM_ERROR, DIM_ERROR_CANCELLED);
}

static void test_progress(void)
{
    DimTask task = {0};
    const DimNetProgress progress = {&task, 0.5, 0.25};

    dim_net_progress(&progress, 0.5);
    g_assert_cmpfloat(dim_task_progress(&task), ==, 0.625);
    dim_net_progress(NULL, 1);
}

static void test_array(void)
{
    static const gint64 huge[][2] = {
        {G_MAXINT64, 1}, {G_MAXINT64, 8}, {-1, 4}, {G_GINT64_CONSTANT(1) << 40, 1 << 20}};
    DimArray array = {0};

    g_assert_true(dim_array_alloc(&array, 3, (gint64[]){2, 3, 4}, NULL));
    g_assert_cmpint(dim_array_count(&array), ==, 24);
    memset(array.data, 0, 24 * sizeof(float));
    dim_array_clear(&array);
    g_assert_null(array.data);
    for (gsize i = 0; i < G_N_ELEMENTS(huge); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_false(dim_array_alloc(&array, 2, huge[i], &error));
        g_assert_error(error, DIM_ERROR, DIM_ERROR_NO_MEMORY);
        g_assert_null(array.data);
    }
}

static DkTensor take(DimArena *arena, gint64 count)
{
    return dim_arena_take(arena, DK_F32, 1, &count);
}

/* Three tensors; the second and third share their place. */
static void take_three(DimArena *arena, DkTensor t[3])
{
    t[0] = take(arena, 17);
    const gsize mark = dim_arena_mark(arena);
    t[1] = take(arena, 100);
    const gsize end = dim_arena_mark(arena);
    dim_arena_release(arena, mark);
    t[2] = take(arena, 3);
    dim_arena_keep(arena, end);
}

static void test_arena(void)
{
    DkDevice *dk = dk_device_open(DK_BACKEND_REF, 1, DK_ISA_ALL);
    DkTensor dry[3], real[3];
    DimArena arena;

    dim_arena_dry(&arena);
    take_three(&arena, dry);
    g_assert_cmpuint(arena.peak, ==, 128 + 448);
    g_assert_cmpuint(arena.used, ==, arena.peak);
    g_assert_true(dim_arena_commit(&arena, dk, NULL));
    take_three(&arena, real);
    for (int i = 0; i < 3; i++) {
        g_assert_true(dk_tensor_is_empty(dry[i]));
        g_assert_cmpuint(real[i].offset, ==, dry[i].offset);
        g_assert_cmpuint(real[i].offset % 64, ==, 0);
        g_assert_cmpint(real[i].sizes[0], ==, dry[i].sizes[0]);
    }
    g_assert_cmpuint(real[1].offset, ==, real[2].offset);
    dim_arena_clear(&arena);
    g_assert_cmpuint(dk_device_bytes(dk), ==, 0);
    dk_device_close(&dk);
}

static void test_arena_too_large(void)
{
    static const gint64 sizes[][2] = {
        {G_MAXINT64, 2}, {G_MAXINT64 / 4, 1}, {G_GINT64_CONSTANT(1) << 50, 1}};
    DkDevice *dk = dk_device_open(DK_BACKEND_REF, 1, DK_ISA_ALL);

    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(GError) error = NULL;
        DimArena arena;
        dim_arena_dry(&arena);
        take(&arena, 5);
        dim_arena_take(&arena, DK_F32, 2, sizes[i]);
        take(&arena, 5);
        g_assert_false(dim_arena_commit(&arena, dk, &error));
        g_assert_error(error, DIM_ERROR, DIM_ERROR_NO_MEMORY);
        dim_arena_clear(&arena);
    }
    g_assert_cmpuint(dk_device_bytes(dk), ==, 0);
    dk_device_close(&dk);
}

static void test_device(void)
{
    static const char *const names[] = {"auto", "cpu", "ref"};
    g_autoptr(GError) error = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        DimDevice *device = dim_device_open(names[i], 1, NULL);
        g_assert_nonnull(device);
        g_assert_nonnull(dim_device_describe(device));
        g_assert_cmpint(dim_device_bytes(device, NULL), >=, 0);
        dim_device_close(&device);
        g_assert_null(device);
        dim_device_close(&device);
    }
    g_assert_null(dim_device_open("abacus", 1, &error));
    g_assert_error(error, DIM_ERROR, DIM_ERROR_ARGUMENT);
    g_assert_nonnull(strstr(error->message, "abacus"));
}

/* Runs this program with the argument "prepare" and an environment; what it prints. */
static char *life(const char *self, const char *policy)
{
    char *argv[] = {(char *)self, (char *)"prepare", NULL}, *out = NULL;
    g_auto(GStrv) env = g_environ_unsetenv(g_get_environ(), "GOMP_SPINCOUNT");
    int status = -1;

    env = g_environ_unsetenv(env, "OMP_WAIT_POLICY");
    if (policy)
        env = g_environ_setenv(env, "OMP_WAIT_POLICY", policy, TRUE);
    g_assert_true(
        g_spawn_sync(NULL, argv, env, G_SPAWN_DEFAULT, NULL, NULL, &out, NULL, &status, NULL));
    g_assert_cmpint(status, ==, 0);
    return out;
}

static void test_process(gconstpointer self)
{
    g_autofree char *prepared = life(self, NULL), *kept = life(self, "active");

    g_assert_cmpstr(prepared, ==, "prepare passive 10000\n");
    g_assert_cmpstr(kept, ==, "prepare active (null)\n");
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "prepare")) {
        dim_process_prepare(argv);
        const char *spins = g_getenv("GOMP_SPINCOUNT");
        g_print("%s %s %s\n", argv[1], g_getenv("OMP_WAIT_POLICY"), spins ? spins : "(null)");
        return 0;
    }
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/core/task", test_task);
    g_test_add_func("/core/progress", test_progress);
    g_test_add_func("/core/array", test_array);
    g_test_add_func("/core/arena", test_arena);
    g_test_add_func("/core/arena-too-large", test_arena_too_large);
    g_test_add_func("/core/device", test_device);
    g_test_add_data_func("/core/process", argv[0], test_process);
    return g_test_run();
}
