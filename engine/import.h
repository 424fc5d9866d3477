/* Inside the import: what published models have that is in no tensor.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_IMPORT_H
#define DIM_IMPORT_H

#include "recognise.h"

/* model.json of a backbone and of its autoencoder (either NULL) as far as the recognised
 * configurations tell, the rest as the family's published models have it: name, noise schedule,
 * prediction, unconditional class, native size, defaults. `table_side`: of a dim's
 * position table, in tokens. No file is named in it yet. */
json_t *dim_import_describe(const DimRecognised *net, gint64 table_side,
                            const DimRecognised *autoencoder);

#endif
