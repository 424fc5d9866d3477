/* A model folder, parsed and checked: what model.json says and which classes of code serve it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_MODEL_H
#define DIM_MODEL_H

#include "autoencoder.h"

enum { DIM_MODEL_JSON_BYTES = 4 << 20 }; /* a longer model.json is refused */

typedef enum { DIM_SCHEDULE_LINEAR, DIM_SCHEDULE_SCALED_LINEAR } DimScheduleType;
typedef enum { DIM_PREDICTION_EPSILON, DIM_PREDICTION_V } DimPrediction;

typedef struct {
    DimModelInfo info; /* first: a spec is handed out as its info */

    const DimNetClass *net; /* NULL: no backbone */
    void *net_config;
    char *net_weights; /* paths as spelt in model.json, relative to the folder */

    const DimAutoencoderClass *autoencoder; /* NULL: none */
    void *autoencoder_config;
    char *encoder_weights,
        *decoder_weights; /* the same string twice for one file; NULL: not named */
    double scale_factor;

    char *classes_file, *synonyms_file; /* NULL: they are in model.json, or there are none */

    gboolean has_schedule;
    DimScheduleType schedule;
    double beta_start, beta_end;
    int timesteps;
    gboolean has_prediction, has_unconditional_key;
    DimPrediction prediction;
} DimModelSpec;

/* model.json only, fully checked; the weight files are not opened. dim_model_info_free frees it. */
DimModelSpec *dim_model_spec_read(const char *folder, GError **error);
/* The same of a model.json that is no file yet. `folder`: where a list of classes lies. */
DimModelSpec *dim_model_spec_parse(const json_t *root, const char *folder, const char *origin,
                                   GError **error);
/* Opens every file named, checks every tensor needed against the configuration; fills in the
 * parameters. */
gboolean dim_model_spec_check_files(DimModelSpec *spec, GError **error);
/* The same with files that are open; weights NULL: there is no backbone. */
gboolean dim_model_spec_check_tensors(DimModelSpec *spec, DimWeights *weights,
                                      const DimAutoencoderFiles *files, GError **error);
/* A weight file of the folder: the path must stay inside it, links followed. */
DimWeights *dim_model_spec_open_weights(const DimModelSpec *spec, const char *path, GError **error);
/* The file behind a path of model.json, links followed; one outside of the folder is refused.
 * g_free. */
char *dim_model_resolve(const char *folder, const char *path, GError **error);
/* A file of the program's own, `kind`/`name` beside one of the folders of models; NULL: it is not
 * installed. g_free. */
char *dim_data_find(const char *kind, const char *name);
/* Both parts' files, one that serves both opened once; only those that are named and asked for. */
gboolean dim_model_spec_open_autoencoder(const DimModelSpec *spec, DimParts parts,
                                         DimAutoencoderFiles *files, GError **error);
void dim_autoencoder_files_close(DimAutoencoderFiles *files);
/* For model-spec.c. A path copied out of an object if it is there, its spelling checked; the class
 * names. */
gboolean dim_model_spec_read_path(const json_t *object, const char *key, char **path,
                                  const char *origin, GError **error);
gboolean dim_model_spec_read_classes(DimModelSpec *spec, const json_t *root, const char *origin,
                                     GError **error);
const DimModelSpec *dim_model_spec_of(const DimModelInfo *info);

/* The plan of the last dim_model_forward, kept: the next one of the same sizes allocates nothing.
 */
typedef struct {
    DimArena arena;
    DimNetPlan *plan; /* NULL: none yet */
    DkTensor x, output;
    DkRepeat *kept; /* the evaluation */
} DimModelPlan;

/* What the engine has loaded. */
struct DimModel {
    DimDevice *device;
    DkDevice *dk;
    DimModelSpec *spec;
    DimPrecision precision; /* what runs: never AUTO */
    DimParts parts;         /* what was loaded, a mask */
    DimNet *net;
    DimModelPlan forward;
    DimAutoencoder *ae;
    int n_samplers;
    gint64 weight_bytes;
};

void dim_model_plan_clear(DimModel *model);
/* Of a precision that runs. */
DkProducts dim_precision_products(DimPrecision precision);

/* The kernels' device behind an engine device. Borrowed. */
DkDevice *dim_device_dk(DimDevice *device);
/* Models open on a device; closing it asserts that none is left. */
void dim_device_count_models(DimDevice *device, int more);
/* From now on long operations obey the task's cancel; NULL: nobody's. Undo it before the task goes.
 */
void dim_dk_follow(DkDevice *dk, const DimTask *task);

/* dk's sticky status as a GError; TRUE when all is well. `what` was being done. */
gboolean dim_dk_check(DkDevice *dk, const char *what, GError **error);
/* Why dk made no weight of tensor `name`: its sticky status, else no memory for `bytes`. Always
 * FALSE. */
gboolean dim_dk_fail_weight(DkDevice *dk, const char *name, guint64 bytes, GError **error);

#endif
