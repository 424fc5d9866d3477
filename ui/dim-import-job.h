/* An import of a checkpoint: what is asked for, and the thread that does it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_IMPORT_JOB_H
#define DIM_IMPORT_JOB_H

#include "engine/dim.h"

G_BEGIN_DECLS

/* What a person asks for. Every string is owned, never NULL; "": none. */
typedef struct
{
  char *checkpoint, *autoencoder, *classes; /* files */
  char *name, *license;
} DimImportRequest;

void dim_import_request_clear (DimImportRequest *request);

/* What the files are, told by their headers, under the name that was recognised; NULL with an
 * error. */
DimModelInfo *dim_import_request_look (const DimImportRequest *request, GError **error);

/* The folder that the model will be in, below that of a person's models; g_free. NULL with an
 * error: pictures cannot be made with it, its name is none, or there is such a folder. */
char *dim_import_request_target (const DimImportRequest *request, const DimModelInfo *info,
                                 GError **error);

/* Bytes that will be copied, as the files are on another disk. */
gint64 dim_import_request_copies (const DimImportRequest *request);

typedef struct DimImportJob DimImportJob;

/* The request is copied. The thread calls nobody: it is asked. */
DimImportJob *dim_import_job_new (const DimImportRequest *request, const char *target);
double        dim_import_job_progress (const DimImportJob *job); /* 0..1 */
gboolean      dim_import_job_ended (const DimImportJob *job);
/* Asks it to stop; nothing is left then. */
void dim_import_job_cancel (DimImportJob *job);
/* Waits for the end, and frees the job. FALSE with an error: there is no model. */
gboolean dim_import_job_finish (DimImportJob **job, GError **error);

G_END_DECLS
#endif
