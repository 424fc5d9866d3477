/* Pictures to train on, out of folders or as a table lists them.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TOOL_TRAIN_DATA_H
#define DIM_TOOL_TRAIN_DATA_H

#include "engine/dim-train.h"

/* Adds the pictures of `path` and their classes:
 *   - a folder with a folder for each class, the pictures in it (or with the two folders train and
 * test, and these so). What is no picture is skipped, and one line on stderr says how many; hidden
 * files count for nothing.
 *   - a file: a table with the columns file and class, and perhaps split and group. Files are
 * relative to the table's folder. split is train or test. Where nothing says it, every tenth
 * picture (by a hash of its name, so that more pictures do not move the others) of a class that has
 * ten or more is for testing; pictures of one group stay together. Classes are numbered in their
 * order of appearance, folders by name, after those that the dataset has already. On failure the
 * dataset may hold some of them. */
gboolean tool_dataset_read(DimDataset *dataset, const char *path, DimTask *task, GError **error);

#endif
