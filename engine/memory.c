/* Free memory as Linux tells it, and as a card does.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Nothing here is an error: a file that cannot be read sets no limit. */
#include "memory.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* The number behind `key` in a file of "key number" lines; without a key, the first word. -1: none,
 * and so for "max". */
static gint64 read_number(const char *file, const char *key)
{
    g_autofree char *text = NULL;
    gint64 number = -1;

    if (!g_file_get_contents(file, &text, NULL, NULL))
        return -1;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        const char *digits =
            key && !g_str_has_prefix(*line, key) ? "" : *line + strlen(key ? key : "");
        digits += strspn(digits, " \t:");
        if (g_ascii_isdigit(*digits)) {
            number = g_ascii_strtoll(digits, NULL, 10);
            break;
        }
    }
    return number;
}

static gint64 read_in(const char *folder, const char *file, const char *key)
{
    g_autofree char *path = g_build_filename(folder, file, NULL);

    return read_number(path, key);
}

static gint64 machine_leaves(void)
{
    const gint64 kib = read_number("/proc/meminfo", "MemAvailable");

    return kib < 0 ? G_MAXINT64 : kib * 1024;
}

/* Pages of files count as used, and are given back on demand. */
static gint64 group_leaves(const char *folder, const char *limit_file, const char *usage_file,
                           const char *cache_key)
{
    const gint64 limit = read_in(folder, limit_file, NULL);
    const gint64 usage = read_in(folder, usage_file, NULL);
    const gint64 cache = MAX(read_in(folder, "memory.stat", cache_key), 0);

    return limit < 0 || usage < 0 ? G_MAXINT64 : MAX(limit - usage + MIN(cache, usage), 0);
}

/* The group at `path` below `root` and every one above it. */
static gint64 groups_leave(const char *root, const char *path, const char *limit_file,
                           const char *usage_file, const char *cache_key)
{
    g_autofree char *folder = g_build_filename(root, path, NULL);
    gint64 least = G_MAXINT64;

    while (strlen(folder) >= strlen(root)) {
        least = MIN(least, group_leaves(folder, limit_file, usage_file, cache_key));
        char *up = strrchr(folder, '/');
        if (!up || up == folder)
            break;
        *up = '\0';
    }
    return least;
}

/* Lines of /proc/self/cgroup: "0::/path" (version 2), "N:memory:/path" (version 1). Inside a
 * container the path may be the host's: then only the root counts, which is the container's. */
static gint64 control_groups_leave(void)
{
    g_autofree char *text = NULL;
    gint64 least = G_MAXINT64;

    if (!g_file_get_contents("/proc/self/cgroup", &text, NULL, NULL))
        return least;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_auto(GStrv) part = g_strsplit(*line, ":", 3);
        if (g_strv_length(part) < 3)
            continue;
        const gint64 leaves =
            !*part[1] ? groups_leave("/sys/fs/cgroup", part[2], "memory.max", "memory.current",
                                     "inactive_file ")
            : strstr(part[1], "memory")
                ? groups_leave("/sys/fs/cgroup/memory", part[2], "memory.limit_in_bytes",
                               "memory.usage_in_bytes", "total_inactive_file ")
                : G_MAXINT64;
        least = MIN(least, leaves);
    }
    return least;
}

static gint64 address_space_leaves(void)
{
    struct rlimit limit;
    const gint64 pages = read_number("/proc/self/statm", NULL);

    if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY || pages < 0)
        return G_MAXINT64;
    return MAX((gint64)MIN(limit.rlim_cur, (rlim_t)G_MAXINT64) - pages * sysconf(_SC_PAGESIZE), 0);
}

gint64 dim_memory_available(void)
{
    return MIN(MIN(machine_leaves(), control_groups_leave()), address_space_leaves());
}

gint64 dim_memory_available_on(const DkDevice *dk)
{
    const gint64 card = dk_device_free_bytes(dk);

    return card < G_MAXINT64 ? card : dim_memory_available();
}
