/* The machine that computes: a back end of kernels/ by its name.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "model.h"

#include <string.h>
#include <unistd.h>

#include "error.h"

struct DimDevice {
    DkDevice *dk;
    int n_models;
    char *notice; /* why "auto" took the CPU; NULL: it took a card, or was not asked */
};

static const struct {
    const char *name;
    DkBackend backend;
} backends[] = {{"auto", DK_BACKEND_CUDA}, /* and else the CPU */
                {"cpu", DK_BACKEND_CPU},
                {"cuda", DK_BACKEND_CUDA},
                {"ref", DK_BACKEND_REF}};

static DimDevice *open_named(DkBackend backend, const char *name, int n_threads, GError **error)
{
    char problem[DK_PROBLEM_BYTES];
    DkDevice *dk = dk_device_try(backend, n_threads, DK_ISA_ALL, problem);

    if (!dk) {
        g_set_error(error, DIM_ERROR, DIM_ERROR_DEVICE, "device \"%s\" cannot be opened: %s", name,
                    problem);
        return NULL;
    }
    DimDevice *device = g_new0(DimDevice, 1);
    device->dk = dk;
    return device;
}

/* A card that computes what it should; NULL, and *why tells. */
static DimDevice *open_card(int n_threads, char **why)
{
    g_autoptr(GError) error = NULL;
    char problem[DK_PROBLEM_BYTES];
    DkDevice *dk = dk_device_try(DK_BACKEND_CUDA, n_threads, DK_ISA_ALL, problem);

    if (!dk) {
        *why = g_strdup(problem);
        return NULL;
    }
    DimDevice *device = g_new0(DimDevice, 1);
    device->dk = dk;
    if (!dim_device_check(device, NULL, &error)) {
        *why = g_strdup_printf("%s: %s", dim_device_describe(device), error->message);
        dim_device_close(&device);
    }
    return device;
}

static DimDevice *open_any(int n_threads, GError **error)
{
    char *why = NULL;
    DimDevice *device = open_card(n_threads, &why);

    if (!device && (device = open_named(DK_BACKEND_CPU, "cpu", n_threads, error)))
        device->notice = g_steal_pointer(&why);
    g_free(why);
    return device;
}

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
    return i == 0 ? open_any(n_threads, error)
                  : open_named(backends[i].backend, name, n_threads, error);
}

/* NVIDIA's kernel driver is loaded (in Windows' Linux: the host's graphics). */
static gboolean is_card_likely(void)
{
    return access("/dev/nvidiactl", F_OK) == 0 || access("/dev/dxg", F_OK) == 0;
}

const char *dim_device_notice(const DimDevice *device, gboolean asked)
{
    return asked || is_card_likely() ? device->notice : NULL;
}

void dim_device_close(DimDevice **device)
{
    if (!*device)
        return;
    g_assert((*device)->n_models == 0);
    dk_device_close(&(*device)->dk);
    g_free((*device)->notice);
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
    };
    const DkStatus status = dk_sync(dk);

    if (status == DK_OK)
        return TRUE;
    const char *problem = dk_device_problem(dk);
    const gboolean known = status == DK_DEVICE_FAILED && problem[0];
    g_set_error(error, DIM_ERROR, (int)codes[status], "%s: %s%s%s", what, dk_status_text(status),
                known ? ": " : "", known ? problem : "");
    return FALSE;
}

gboolean dim_dk_fail_weight(DkDevice *dk, const char *name, guint64 bytes, GError **error)
{
    return dim_dk_check(dk, name, error) && dim_fail_memory(error, name, bytes);
}
