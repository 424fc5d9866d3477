/* The processes that `mpirun` started for one training.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TOOL_TRAIN_PEERS_H
#define DIM_TOOL_TRAIN_PEERS_H

#include "engine/dim-train.h"

typedef struct {
    DimTrainPeers peers; /* rank 0 of 1: alone */
    void (*leave)(void); /* NULL: alone */
} ToolPeers;

/* Where the program was started by mpirun or its like, waits for all of them. To be called before
 * other threads are there. */
gboolean tool_peers_join(ToolPeers *peers, GError **error);
/* After a training that went well: all processes have to come here. */
void tool_peers_leave(ToolPeers *peers);
/* Whether any of them says so; waits for all. */
gboolean tool_peers_any(const ToolPeers *peers, gboolean here);

#endif
