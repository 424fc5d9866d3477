/* Fuzz target: the pickle machine alone, as an archive's checksum would keep most mutations from
 * it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "engine/pickle.h"
#include "fuzz.h"

static void look_at(const DimPickle *pickle, const DimPickleItem *item)
{
    DimEntry entry;
    gint64 offset;

    if (pickle->values[item->value].kind != DIM_PICKLE_TENSOR)
        return;
    const DimPickleStorage storage =
        dim_pickle_storage(pickle, dim_pickle_tensor(pickle, item->value, &entry, &offset));
    g_assert_cmpint(entry.tensor.rank, >=, 0);
    g_assert_cmpint(entry.tensor.rank, <=, DIM_MAX_RANK);
    g_assert_cmpint(offset, >=, 0);
    g_assert_cmpint(entry.tensor.count, <=, MAX(storage.count, 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    GError *error = NULL;
    DimPickle pickle;
    const gboolean read = dim_pickle_read(&pickle, data, size, "data.pkl", &error);

    fuzz_check(read, &error);
    if (read && pickle.values[pickle.root].kind == DIM_PICKLE_DICT) {
        guint32 n = 0;
        g_autofree DimPickleItem *items = dim_pickle_items(&pickle, pickle.root, &n);
        for (guint32 i = 0; i < n; i++)
            look_at(&pickle, &items[i]);
    }
    if (read)
        dim_pickle_clear(&pickle);
    return 0;
}
