/* Known-answer runs: good devices pass, a wrong answer is seen.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include <glib/gstdio.h>

#include "engine/dim.h"
#include "random-model.h"

static const char config[] = "{\"hidden_size\": 64, \"depth\": 3, \"num_classes\": 4}";

static void test_device(gconstpointer name)
{
    GError *error = NULL;
    DimDevice *device = dim_device_open(name, 2, &error);
    DimCheck check = {0};

    g_assert_no_error(error);
    g_assert_true(dim_device_check(device, &check, &error));
    g_assert_no_error(error);
    g_assert_cmpfloat(check.difference, <, 1e-5);
    g_assert_cmpfloat(check.difference, >=, 0);
    dim_device_close(&device);
}

/* The plain C back end reads the folder anew: what another file holds is another answer. */
static void test_model(void)
{
    g_autofree char *folder = g_dir_make_tmp("dim-check-XXXXXX", NULL);
    g_autofree char *weights = g_build_filename(folder, "weights.safetensors", NULL);
    g_autofree char *json = g_build_filename(folder, "model.json", NULL);
    GError *error = NULL;
    DimDevice *device = dim_device_open("cpu", 2, NULL);
    DimCheck check = {0};

    g_assert_true(random_model_write(folder, config, 4, 1, &error));
    DimModel *model =
        dim_model_open(device, folder, DIM_PARTS_BACKBONE, DIM_PRECISION_F32, NULL, &error);
    g_assert_no_error(error);
    g_assert_true(dim_model_try(model, &check, NULL, &error));
    g_assert_no_error(error);
    g_assert_cmpfloat(check.difference, <, 1e-5);
    g_assert_cmpfloat(check.difference, >, 0);

    g_assert_cmpint(g_unlink(weights), ==, 0);
    g_assert_true(random_model_write(folder, config, 4, 2, NULL));
    g_assert_false(dim_model_try(model, &check, NULL, &error));
    g_assert_error(error, DIM_ERROR, DIM_ERROR_DEVICE);
    g_assert_nonnull(strstr(error->message, "family dim: the answer is off by"));
    g_clear_error(&error);
    dim_model_close(&model);
    dim_device_close(&device);
    g_unlink(weights);
    g_unlink(json);
    g_rmdir(folder);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/check/cpu", "cpu", test_device);
    g_test_add_data_func("/check/ref", "ref", test_device);
    g_test_add_func("/check/model", test_model);
    return g_test_run();
}
