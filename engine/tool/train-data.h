/* Pictures to train on, out of folders or as a table lists them.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TOOL_TRAIN_DATA_H
#define DIM_TOOL_TRAIN_DATA_H

#include "engine/dim-train.h"

/* Adds the pictures of `path` and their classes. It is
 *   - a folder with a folder for each class, pictures in it; or with two folders, train and test,
 *     and those in these. What is no picture is skipped, and one line on stderr says how many;
 *     hidden files count for nothing;
 *   - or a file: a table with the columns file and class, and perhaps split (train or test) and
 *     group. Files are relative to the table's folder.
 *
 * Where nothing says the split, about every tenth picture of a class that has ten or more is for
 * testing: by a hash of its name, so that more pictures do not move the others, or of its group's,
 * which so stays together. Classes are numbered as they appear, folders by name, after those that
 * the dataset has already. On failure the dataset may hold some of the pictures. */
gboolean tool_dataset_read(DimDataset *dataset, const char *path, DimTask *task, GError **error);

/* Adds the pictures of a folder, all of them of one class. A shorter side is at least `side_min`,
 * and together they have at least `pixels_min` pixels. *side: the median of the shorter sides. */
gboolean tool_dataset_read_class(DimDataset *dataset, const char *folder, const char *class_name,
                                 int side_min, gint64 pixels_min, int *side, DimTask *task,
                                 GError **error);

#endif
