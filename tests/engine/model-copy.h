/* A model folder with some of its model.json changed, for tests.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef MODEL_COPY_H
#define MODEL_COPY_H

/* Copies the folder's model.json, with the keys of the JSON object `changes` set and the key
 * `without` (may be NULL) taken out, and its model.safetensors, into a new temporary folder;
 * g_free. */
char *model_copy(const char *folder, const char *changes, const char *without);
void model_copy_remove(const char *folder);

#endif
