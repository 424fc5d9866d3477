/* Between the pickle machine and the meaning of the few names that it knows.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_PICKLE_MACHINE_H
#define DIM_PICKLE_MACHINE_H

#include "error.h"
#include "pickle.h"

/* Values that are there from the start. */
enum {
    DIM_PICKLE_CONSTANT_NONE,
    DIM_PICKLE_CONSTANT_FALSE,
    DIM_PICKLE_CONSTANT_TRUE,
    DIM_PICKLE_CONSTANT_EMPTY_TUPLE,
    DIM_N_PICKLE_CONSTANTS
};

typedef struct {
    DimPickle *pickle;
    const char *origin;
    GError **error;
    guint32 at; /* in the data */
    gboolean stopped;
    guint32 *stack, *memo;
    guint32 n_stack, r_stack, n_memo;
} DimPickleMachine;

gboolean dim_pickle_fail(const DimPickleMachine *machine, const char *what);
gboolean dim_pickle_push(DimPickleMachine *machine, guint32 value);
gboolean dim_pickle_push_new(DimPickleMachine *machine, DimPickleValue value);

/* The name behind GLOBAL, pushed; what is not in the list ends the reading. */
gboolean dim_pickle_push_name(DimPickleMachine *machine, const char *module, gsize module_length,
                              const char *name, gsize name_length);
/* What a persistent id, a call, and a construction stand for. */
gboolean dim_pickle_push_persistent(DimPickleMachine *machine, guint32 id);
gboolean dim_pickle_push_call(DimPickleMachine *machine, guint32 name, guint32 arguments);
gboolean dim_pickle_push_object(DimPickleMachine *machine, guint32 name, guint32 arguments);

#endif
