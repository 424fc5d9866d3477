/* Starts `dim train --add-class` as a process of its own, which outlives the one that asks.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The process has its own session and writes to RUN/log; how far it is can be read in RUN by
 * anybody (dim_training_read). RUN is a new folder below dim_training_root (). */
#ifndef DIM_TRAIN_START_H
#define DIM_TRAIN_START_H

#include "engine/dim.h"

G_BEGIN_DECLS

#define DIM_TRAIN_MINUTES 25.0
#define DIM_TRAIN_MINUTES_LEAST 0.05
#define DIM_TRAIN_MINUTES_MOST 100000.0

/* What a person asks for, in the words of the procedure's arguments. Every string is owned, never
 * NULL. */
typedef struct
{
  char  *model;      /* name or folder; "": the default model */
  char  *class_name; /* the new one */
  char  *folder;     /* of the pictures; "": the image's layers */
  char  *license;    /* of the pictures; "": as their owner says */
  double minutes;
  char  *output;  /* name or folder of the new model; "": MODEL-CLASS */
  char  *options; /* further ones of `dim train`: name=value, separated by spaces */
} DimTrainRequest;

/* Where pictures come from that are in no folder yet; zeroed: there are none. */
typedef struct
{
  int n; /* of them */
  /* Writes them into an empty folder as PNG files. */
  gboolean (*write) (const char *folder, gpointer data, GError **error);
  gpointer data;
} DimTrainLayers;

void dim_train_request_init (DimTrainRequest *request);
void dim_train_request_clear (DimTrainRequest *request);

/* The folder that the new model will be in; g_free. */
char *dim_train_target (const DimTrainRequest *request, const DimModelInfo *info);

/* The folder of a training, at work or stopped, that is to make the model in `target`; NULL: none;
 * g_free. */
char *dim_train_unfinished (const char *target);

/* What can be said before anything is read: one line that names what is wrong. */
gboolean dim_train_check (const DimTrainRequest *request, const DimModelInfo *info, int n_layers,
                          GError **error);

/* Checks, makes RUN, writes the layers there if they are asked for, and starts. Answers RUN
 * (g_free), or NULL with an error and nothing left behind. tied_pid NULL: the process goes on
 * whatever becomes of this one. Else *tied_pid is a child of this process, to be waited for, and it
 * is stopped with a checkpoint when this one ends, in whatever way. */
char *dim_train_start (const DimTrainRequest *request, const DimTrainLayers *layers, int *tied_pid,
                       GError **error);

/* Starts again what was stopped. */
gboolean dim_train_resume (const char *run, int *tied_pid, GError **error);

G_END_DECLS
#endif
