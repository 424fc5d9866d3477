/* The machine that computes: a back end of kernels/ by its name.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "model.h"

#include <string.h>

struct DimDevice {
    DkDevice *dk;
    int n_models;
};

static const struct {
    const char *name;
    DkBackend backend;
} backends[] = {{"auto", DK_BACKEND_CPU},
                {"cpu", DK_BACKEND_CPU},
                {"cuda", DK_BACKEND_CUDA},
                {"ref", DK_BACKEND_REF}};

DimDevice *dim_device_open(const char *name, int n_threads, GError **error)
{
    gsize i = 0;

    while (i < G_N_ELEMENTS(backends) && strcmp(backends[i].name, name))
        i++;
    if (i == G_N_ELEMENTS(backends)) {
        g_set_error(error, DIM_ERROR, DIM_ERROR_ARGUMENT,
                    "device \"%s\" is unknown; expected auto, cpu, cuda or ref", name);
        return NULL;
    }
    char problem[DK_PROBLEM_BYTES];
    DkDevice *dk = dk_device_try(backends[i].backend, n_threads, DK_ISA_ALL, problem);
    if (!dk) {
        g_set_error(error, DIM_ERROR, DIM_ERROR_DEVICE, "device \"%s\" cannot be opened: %s", name,
                    problem);
        return NULL;
    }
    DimDevice *device = g_new0(DimDevice, 1);
    device->dk = dk;
    return device;
}

void dim_device_close(DimDevice **device)
{
    if (!*device)
        return;
    g_assert((*device)->n_models == 0);
    dk_device_close(&(*device)->dk);
    g_clear_pointer(device, g_free);
}

const char *dim_device_describe(const DimDevice *device)
{
    return dk_device_describe(device->dk);
}

gint64 dim_device_bytes(const DimDevice *device, gint64 *peak)
{
    if (peak)
        *peak = (gint64)dk_device_peak_bytes(device->dk);
    return (gint64)dk_device_bytes(device->dk);
}

void dim_device_profile(DimDevice *device, gboolean on)
{
    dk_profile_enable(device->dk, on);
}

int dim_device_stages(const DimDevice *device, DimStage *stages, int n_max)
{
    DkProfile entries[64];
    const int n = dk_profile_read(device->dk, entries, MIN(n_max, (int)G_N_ELEMENTS(entries)));

    for (int i = 0; i < n; i++)
        stages[i] =
            (DimStage){entries[i].op, entries[i].seconds, entries[i].flop, entries[i].calls};
    return n;
}

DkDevice *dim_device_dk(DimDevice *device)
{
    return device->dk;
}

void dim_device_count_models(DimDevice *device, int more)
{
    device->n_models += more;
}

void dim_dk_follow(DkDevice *dk, const DimTask *task)
{
    /* gint and atomic_int are the same int to the machine; GLib's headers stay clear of stdatomic
     * for C++. */
    G_STATIC_ASSERT(sizeof(atomic_int) == sizeof(gint));
    dk_device_set_cancel(dk, task ? (const atomic_int *)&task->cancel : NULL);
}

gboolean dim_dk_check(DkDevice *dk, const char *what, GError **error)
{
    static const DimError codes[] = {
        [DK_NO_MEMORY] = DIM_ERROR_NO_MEMORY,
        [DK_CANCELLED] = DIM_ERROR_CANCELLED,
        [DK_DEVICE_FAILED] = DIM_ERROR_DEVICE,
        [DK_UNSUPPORTED] = DIM_ERROR_UNSUPPORTED,
    };
    const DkStatus status = dk_sync(dk);

    if (status == DK_OK)
        return TRUE;
    const char *problem = dk_device_problem(dk);
    const gboolean known = (status == DK_DEVICE_FAILED || status == DK_UNSUPPORTED) && problem[0];
    g_set_error(error, DIM_ERROR, (int)codes[status], "%s: %s%s%s", what, dk_status_text(status),
                known ? ": " : "", known ? problem : "");
    return FALSE;
}
