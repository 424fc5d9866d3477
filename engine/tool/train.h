/* `dim train`: what its files share.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TOOL_TRAIN_H
#define DIM_TOOL_TRAIN_H

#include "progress.h"
#include "tool.h"
#include "train-log.h"
#include "train-peers.h"
#include "train-settings.h"

/* A folder of one training; every name is absolute or as the folder was given. */
typedef struct {
    char *folder, *settings, *checkpoint, *model, *weights, *log, *plot, *sheet;
    char *teacher, *replay, *status; /* of a class more: the old model, latents, how far it is */
    int lock;                        /* descriptor of the folder; -1: not locked */
    gboolean fresh; /* begun by this call: taken away again where nothing comes of it */
    gboolean made;  /* the folder itself, too */
} ToolTrainFolder;

/* Opens or makes it, and locks it: refused where it is no training's, or another one is at work
 * there. */
gboolean tool_train_folder_open(ToolTrainFolder *folder, const char *path, GError **error);
/* Its names only: for processes that write nothing. */
void tool_train_folder_name(ToolTrainFolder *folder, const char *path);
void tool_train_folder_close(ToolTrainFolder *folder);

/* Everything that a training holds. */
typedef struct {
    ToolCommon common;
    gboolean quiet;
    double stop_after;  /* minutes; 0: not at all */
    gint64 steps_asked; /* 0: none */
    gint64 began;       /* microseconds, when the program was called */

    ToolTrainFolder folder;
    ToolSettings settings;
    ToolPeers peers;
    ToolProgress *progress;
    DimTask task; /* the one that is watched; a signal cancels it */
    DimDataset *dataset;
    DimDevice *device;
    DimModel *teacher; /* these two: of a class more */
    DimReplay *replay;
    DimTrainer *trainer;
    ToolTrainLog *log;
} ToolTrain;

gboolean tool_train_leads(const ToolTrain *train); /* rank 0: the one that writes and speaks */
void tool_train_say(ToolTrain *train, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* All steps that are left, or as many as there is time for; *stopped: there are some left. */
gboolean tool_train_loop(ToolTrain *train, gboolean *stopped, GError **error);

#endif
