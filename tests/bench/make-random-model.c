/* Writes a model folder of family dim with random weights, of any size, to measure with.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 *     make-random-model FOLDER CONFIG TABLE_SIDE
 *
 * CONFIG is backbone.config as JSON, TABLE_SIDE the side of the position table in tokens. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/engine/random-model.h"

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    const int side = argc == 4 ? atoi(argv[3]) : 0;

    if (side < 1 || side > 1024) {
        fprintf(stderr, "usage: make-random-model FOLDER CONFIG TABLE_SIDE\n");
        return 2;
    }
    if (g_mkdir_with_parents(argv[1], 0777) != 0) {
        fprintf(stderr, "make-random-model: %s cannot be made\n", argv[1]);
        return 1;
    }
    if (!random_model_write(argv[1], argv[2], side, 1, &error)) {
        fprintf(stderr, "make-random-model: %s\n", error->message);
        return 1;
    }
    return 0;
}
