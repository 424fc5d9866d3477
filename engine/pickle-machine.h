/* Between the pickle machine and the meaning of the few names that it knows.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_PICKLE_MACHINE_H
#define DIM_PICKLE_MACHINE_H

#include "error.h"
#include "pickle.h"

/* Values that are there from the start. */
enum { PICKLE_NONE, PICKLE_FALSE, PICKLE_TRUE, PICKLE_EMPTY_TUPLE, N_PICKLE_CONSTANTS };

typedef struct {
    DimPickle *pickle;
    const char *origin;
    GError **error;
    guint32 at; /* in the data */
    gboolean stopped;
    guint32 *stack, *memo;
    guint32 n_stack, r_stack, n_memo;
} PickleMachine;

gboolean pickle_fail(const PickleMachine *machine, const char *what);
gboolean pickle_push(PickleMachine *machine, guint32 value);
gboolean pickle_push_new(PickleMachine *machine, DimPickleValue value);

/* The name behind GLOBAL, pushed; what is not in the list ends the reading. */
gboolean pickle_push_name(PickleMachine *machine, const char *module, gsize module_length,
                          const char *name, gsize name_length);
/* What a persistent id, a call, and a construction stand for. */
gboolean pickle_push_persistent(PickleMachine *machine, guint32 id);
gboolean pickle_push_call(PickleMachine *machine, guint32 name, guint32 arguments);
gboolean pickle_push_object(PickleMachine *machine, guint32 name, guint32 arguments);

#endif
