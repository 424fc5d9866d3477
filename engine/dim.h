/* The engine's whole public interface: the only engine header that plug-in, panel and command line see.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Rules
 *   - `error` is the last argument; FALSE, NULL or -1 exactly when *error is set; outputs are untouched on failure.
 *   - close and free take the address, accept NULL inside and leave NULL there.
 *   - A model outlives its samplers, a device its models. Nothing returned `const` is ever freed.
 *   - The caller owns pixel memory. Colours are RGB in [0, 1], sRGB encoded, interleaved.
 *   - All computing calls on one device come from one thread; *_progress and *_cancel may come from any.
 *   - Same parameters, seed, back end and instruction set give the same bits on every run, with any number of threads.
 */
#ifndef DIM_H
#define DIM_H

#include <stdio.h>

#include <glib.h>

/* Declarations in columns, so that the header reads as a table. */
/* clang-format off */

G_BEGIN_DECLS

#define DIM_VERSION_TEXT "0.1.0"
#define DIM_SIDE_MIN 16
#define DIM_SEED_MAX G_GINT64_CONSTANT (9007199254740991) /* 2^53 - 1: exact in JSON and in a double */
#define DIM_RECIPE_KEY "gimp-dim-recipe" /* under which files carry one: PNG text, safetensors' metadata */

/* ---- errors -------------------------------------------------------------------------------------------- */

#define DIM_ERROR (dim_error_quark ())
typedef enum {
    DIM_ERROR_FILE,        /* cannot be read or written */
    DIM_ERROR_FORMAT,      /* not what it claims to be */
    DIM_ERROR_UNSUPPORTED, /* well formed, and not for us */
    DIM_ERROR_ARGUMENT,    /* an option or a parameter */
    DIM_ERROR_NO_MEMORY,
    DIM_ERROR_DEVICE,
    DIM_ERROR_CANCELLED
} DimError;
GQuark dim_error_quark (void);

/* ---- long work ------------------------------------------------------------------------------------------ */

/* Progress and cancel of one long call; zero-initialised by its owner, shared between two threads. */
typedef struct {
    gint per_million; /* atomic; never decreases within one call */
    gint cancel;      /* atomic; non-zero: stop within 300 ms with DIM_ERROR_CANCELLED */
} DimTask;

double dim_task_progress (const DimTask *task); /* 0..1 */
void   dim_task_cancel   (DimTask *task);

/* ---- process and device --------------------------------------------------------------------------------- */

/* First thing in main: sets libgomp's waiting policy for a busy desktop and, as libgomp reads it only when it is
 * loaded, executes the program anew with the same arguments and open files. Returns in the second life. */
void dim_process_prepare (char **argv);

typedef struct DimDevice DimDevice;

/* name: "auto" (a card that passes dim_device_check, else the CPU), "cpu", "cuda", "ref" (plain C, slow, for checking).
 * n_threads 0: as many as there are physical cores. */
DimDevice  *dim_device_open     (const char *name, int n_threads, GError **error);
void        dim_device_close    (DimDevice **device);
const char *dim_device_describe (const DimDevice *device); /* borrowed; one line for people */
/* Why "auto" took the CPU: a sentence without full stop; NULL: it did not. Unless the user `asked` for "auto", NULL also where
 * the machine shows no sign of a card: nobody waits for one there. Borrowed. */
const char *dim_device_notice   (const DimDevice *device, gboolean asked);
gint64      dim_device_bytes    (const DimDevice *device, gint64 *peak); /* held now; *peak (may be NULL) the most so far */

/* Time by operation, for `dim bench`. Off at first; switching it on clears what was counted. */
typedef struct {
    const char *name; /* "linear", "selective_scan", ...; static */
    double      seconds, flop;
    gint64      calls;
} DimStage;
void dim_device_profile (DimDevice *device, gboolean on);
int  dim_device_stages  (const DimDevice *device, DimStage *stages, int n_max); /* how many, longest first */

/* ---- tensor files ---------------------------------------------------------------------------------------- */

/* A .safetensors file or a PyTorch zip checkpoint, mapped; docs: checkpoint formats. Only headers are read at opening. */
typedef struct DimWeights DimWeights;

typedef struct {
    const char *name;  /* as in the file; for people through dim_text_clean */
    const char *dtype; /* safetensors' spelling: "F32", "BF16", ... */
    int         rank;
    gint64      sizes[8]; /* more dimensions than 8: rank says so, the first 8 are here */
    gint64      count;    /* elements */
} DimTensor;

DimWeights      *dim_weights_open   (const char *file, GError **error);
void             dim_weights_close  (DimWeights **weights);
const char      *dim_weights_format (const DimWeights *weights); /* "safetensors" or "torch-zip" */
const char      *dim_weights_key    (const DimWeights *weights); /* the nested dictionary that was taken ("ema"), or NULL */
const char      *dim_weights_recipe (const DimWeights *weights); /* the text that dim_tensors_save_recipe has written, or NULL */
int              dim_weights_count  (const DimWeights *weights);
const DimTensor *dim_weights_tensor (const DimWeights *weights, int index); /* in the file's order */
const DimTensor *dim_weights_find   (const DimWeights *weights, const char *name); /* NULL: not there */
/* Any float type to f32, row-major, `out` of tensor->count; a NaN or Inf is refused with the tensor's name. */
gboolean dim_weights_read_f32 (DimWeights *weights, const DimTensor *tensor, float *out, GError **error);
gboolean dim_weights_read_i64 (DimWeights *weights, const DimTensor *tensor, gint64 *out, GError **error); /* I64 only */
/* Reads every value of every tensor (and a zip's checksums). */
gboolean dim_weights_check    (DimWeights *weights, DimTask *task, GError **error);

/* Writes F32 tensors as safetensors under a temporary name, then renames. */
struct DimArray;
gboolean dim_tensors_save (const char *file, int n, const char *const *names, const struct DimArray *arrays, GError **error);
/* One of them, with the recipe (UTF-8) that makes it in the header's __metadata__. */
gboolean dim_tensors_save_recipe (const char *file, const char *name, const struct DimArray *array, const char *recipe,
                                  GError **error);

/* A file that is there whole or not at all: written under a temporary name beside it, renamed by commit. */
typedef struct DimOutput DimOutput;
DimOutput *dim_output_open    (const char *file, GError **error); /* refuses what is no regular file */
gboolean   dim_output_check   (const char *file, GError **error); /* FALSE: opening it would fail; creates nothing */
FILE      *dim_output_stream  (DimOutput *output); /* write here; do not close */
gboolean   dim_output_commit  (DimOutput **output, GError **error); /* frees; on failure the earlier file is untouched */
void       dim_output_discard (DimOutput **output);

/* Text from a file made fit to show: control characters, invalid UTF-8 and bidirectional overrides replaced. g_free. */
char *dim_text_clean (const char *text);

/* ---- models: what a folder holds ------------------------------------------------------------------------ */

/* One part of a model: the backbone or the autoencoder. */
typedef struct {
    char    *family;     /* "dim", "kl", ...; NULL: the folder has no such part */
    gint64   parameters; /* numbers in the tensors that the configuration uses */
    int      channels;   /* backbone: of its input; autoencoder: of its latent */
    int      factor;     /* backbone: pixels of its grid a token, one way (patch); autoencoder: picture pixels a latent pixel */
} DimPart;

typedef struct {
    char    *sampler;    /* "dpm-solver++-2m", ... */
    int      steps;
    double   guidance;
    double   theta, eta, t; /* upsample guidance, dim.md section 10 */
    gboolean seamless;   /* DIM_SEAMLESS_AUTO */
    gboolean windows;    /* sizes above the native one are evaluated in windows of it */
} DimDefaults;

typedef struct {
    char       *folder;              /* absolute */
    char       *id;                  /* the folder's last part: how an installed model is named */
    char       *name, *license, *source; /* for people; license and source may be NULL */
    DimPart     backbone, autoencoder;
    int         parts;               /* a mask of DimParts: what the folder's files hold */
    char      **classes;             /* names, NULL-terminated; index = label; empty: none are named */
    int         n_classes;
    char      **synonyms;            /* [n_classes], further names with commas between them, or NULL; NULL: no class has any */
    int         n_labels;            /* labels the backbone takes besides the unconditional one; 0: no label table */
    int         unconditional_class; /* -1: none, no guidance */
    int         native_size;         /* pixels; 0 when the folder does not say */
    char       *prediction;          /* "epsilon", "v"; NULL when the folder does not say */
    DimDefaults defaults;            /* every field filled in */
} DimModelInfo;

/* Reads model.json and every tensor's header, and checks them against each other; no values are read. */
DimModelInfo *dim_model_info_read (const char *folder, GError **error);
/* Reads every value of every weight file named, and its checksums; NaN and Inf are refused. */
gboolean      dim_model_check     (const char *folder, DimTask *task, GError **error);
void          dim_model_info_free (DimModelInfo **info);
/* -1 and an error that offers the nearest names. `name` is a name, a synonym of one class only (case does not matter) or an
 * index; "": the first class. */
int           dim_model_info_find_class (const DimModelInfo *info, const char *name, GError **error);

/* Folder of a model: `name` is a folder, an installed model's name (folder name or its "name"), or "" for the default one.
 * Looked up in $DIM_MODEL_PATH, $XDG_DATA_HOME/gimp-dim/models, $XDG_DATA_DIRS/gimp-dim/models, beside the executable
 * (models/, ../share/gimp-dim/models). Free with g_free. */
char  *dim_model_find (const char *name, GError **error);
/* The folder that a model of this name gets: small letters and figures, hyphens for all else; "" where nothing is left. g_free. */
char  *dim_model_id   (const char *name);
/* Folders of all installed models, the default one first; NULL-terminated, free with g_strfreev. Never fails. */
char **dim_model_list (void);
/* The files that model.json names, as spelt there, each once; NULL-terminated, g_strfreev. model.json is checked, the files are not. */
char **dim_model_files (const char *folder, GError **error);
/* Lower-case hex sha256 of one of them; g_free. */
char  *dim_model_file_hash (const char *folder, const char *path, DimTask *task, GError **error);
/* One hash for the whole folder: sha256 of model.json's bytes followed by the lines of `dim hash`; g_free. */
char  *dim_model_hash (const char *folder, DimTask *task, GError **error);

/* ---- models: computing ---------------------------------------------------------------------------------- */

/* f32 numbers, row-major. */
typedef struct DimArray {
    float *data;
    int    rank;
    gint64 sizes[5];
} DimArray;

gboolean dim_array_alloc (DimArray *array, int rank, const gint64 *sizes, GError **error); /* DIM_ERROR_NO_MEMORY */
void     dim_array_clear (DimArray *array);
gint64   dim_array_count (const DimArray *array);

/* Of the backbone's products: F32 is exact; BF16 and F16 round their operands, sums stay f32; AUTO is BF16 where the
 * device is faster at it. Autoencoders always compute in f32. */
typedef enum { DIM_PRECISION_AUTO, DIM_PRECISION_F32, DIM_PRECISION_BF16, DIM_PRECISION_F16 } DimPrecision;
typedef enum { DIM_PARTS_BACKBONE = 1, DIM_PARTS_ENCODER = 2, DIM_PARTS_DECODER = 4 } DimParts;

typedef struct DimModel DimModel;

/* Loads the parts asked for (a mask); refuses what is not in the folder, and NaN or Inf in weights. */
DimModel           *dim_model_open  (DimDevice *device, const char *folder, DimParts parts, DimPrecision precision,
                                     DimTask *task, GError **error);
void                dim_model_close (DimModel **model);
const DimModelInfo *dim_model_info  (const DimModel *model);

/* One raw evaluation of the backbone: x, output [N,C,H,W], t and y [N] (y may be NULL where the model has no labels).
 * `output` is allocated here. */
gboolean dim_model_forward (DimModel *model, const DimArray *x, const float *t, const gint64 *y, DimArray *output,
                            DimTask *task, GError **error);
/* image [N,3,H,W] in [-1,1] to scaled latents z [N,C,h,w]: the posterior's mean. */
gboolean dim_model_encode  (DimModel *model, const DimArray *image, DimArray *z, DimTask *task, GError **error);
/* and back. tile: pieces of about tile x tile latent pixels; 0 whole, -1 the engine picks. The picture does not depend on it. */
gboolean dim_model_decode  (DimModel *model, const DimArray *z, int tile, DimArray *image, DimTask *task, GError **error);

/* ---- known-answer runs ---------------------------------------------------------------------------------- */

typedef struct {
    double seconds;
    double difference; /* the largest from plain C, of the values' own size (root mean square); -1: nothing was compared */
} DimCheck;

/* Whether a device computes what it should: small built-in networks of every family run on it and in plain C, alone and in
 * a batch. About a second. What is wrong is an error (DIM_ERROR_DEVICE, or _NO_MEMORY); `check` may be NULL. */
gboolean dim_device_check (DimDevice *device, DimCheck *check, GError **error);
/* The same for the parts that are loaded of a model, on the smallest grid: finite, the same bits alone, in a batch and
 * once more; in plain C, too, where that takes no more than a second or two. */
gboolean dim_model_try    (DimModel *model, DimCheck *check, DimTask *task, GError **error);

/* ---- importing ------------------------------------------------------------------------------------------ */

/* What is known of a published file besides the file. */
typedef struct {
    const char        *checkpoint;  /* the weight file of a backbone, or of an autoencoder only */
    const char *const *autoencoder; /* its files, NULL-terminated: one, or encoder and decoder; may be NULL */
    const char        *classes;     /* a file of names, one a line, or "imagenet"; NULL: ImageNet's where there are 1000 labels */
    const char        *name, *license; /* of the model; NULL: the name that was recognised, and none */
    const char        *keys;        /* JSON: an object of further keys of model.json, over those recognised; may be NULL */
} DimImport;

/* What it would be, as the files' headers tell: nothing is written. `folder` and `id` are NULL, synonyms are left out. */
DimModelInfo *dim_import_look (const DimImport *import, GError **error);
/* Makes a model folder of a checkpoint. Family and configuration are recognised from the tensors' names and shapes, the
 * files are linked into the folder or, across file systems, copied; what no tensor tells has the published model's value. The
 * folder is checked (dim_device_check, dim_model_try) before it has its name; nothing is left of one that fails. One that is
 * there already is refused, and so is a file with a tensor too few or too many. `check` may be NULL. */
gboolean dim_import (const DimImport *import, const char *folder, DimDevice *device, DimCheck *check, DimTask *task,
                     GError **error);

/* ---- sampling ------------------------------------------------------------------------------------------- */

enum { DIM_UPSAMPLE_AUTO = 0, DIM_UPSAMPLE_OFF = 1 }; /* else the factor itself, 2 and up */

/* Which sides of a picture fit their opposites: left and right, top and bottom. Such a side is a multiple of the grid's
 * pixels (times the upsampling factor). AUTO: as BOTH for any size; of a side that is no such multiple it is cropped. */
typedef enum { DIM_SEAMLESS_OFF, DIM_SEAMLESS_X, DIM_SEAMLESS_Y, DIM_SEAMLESS_BOTH, DIM_SEAMLESS_AUTO } DimSeamless;

/* What a seed's noise is made with: Philox, indexed by place, or as PyTorch's generator on the CPU gives it, in a row. */
typedef enum { DIM_RNG_PHILOX, DIM_RNG_TORCH } DimRng;

typedef struct {
    int             label;         /* -1: unconditional, or the model has no labels */
    int             width, height; /* pixels of the picture */
    int             steps;
    double          guidance;      /* w of eps = eps_uncond + w (eps_cond - eps_uncond); 1 is off */
    gint64          seed;          /* 0..DIM_SEED_MAX */
    const char     *sampler;       /* one of dim_sampler_names () */
    int             upsample;      /* DIM_UPSAMPLE_AUTO, DIM_UPSAMPLE_OFF or the factor */
    int             tile;          /* as in dim_model_decode */
    DimSeamless     seamless;
    gboolean        windows;       /* sizes above the native one are evaluated in windows of it */
    double          guidance_low, guidance_high; /* guided at times tc from low to high only (1: all noise, 0: none); 0, 1: always */
    DimRng          rng;
    const DimArray *noise;         /* x [1,C,H,W] on the working grid, in place of the seed's; may be NULL */
    const DimArray *step_noise;    /* [steps,1,C,H,W], what a sampler that adds noise takes; may be NULL, is not copied */
} DimParams;

typedef struct {
    int    grid_width, grid_height; /* working grid, in latent pixels */
    int    upsample;                /* the factor, 1: none */
    gint64 bytes;                   /* peak: weights, activations, decoding */
    double flop;                    /* whole run, decoding included */
    int    evaluations;             /* network evaluations, guidance and the small pass counted */
} DimEstimate;

const char *const *dim_sampler_names  (void); /* NULL-terminated, static */
const char *const *dim_seamless_names (void); /* "off", "x", "y", "both", "auto", in the order of DimSeamless; as above */
const char *const *dim_rng_names      (void); /* "philox", "torch", in the order of DimRng; as above */

/* The model's defaults, its first class, its native size, seed 0. */
void     dim_params_init  (DimParams *params, const DimModelInfo *info);
/* Range, combination, memory: the machine's, while dim_sampler_new looks at the card's where the model is on one. A size too
 * large is refused with the largest one of its shape that fits. */
gboolean dim_params_check (const DimParams *params, const DimModelInfo *info, GError **error);
/* Where params_check says DIM_ERROR_NO_MEMORY: width and height become the largest of their shape that fits into memory,
 * with a sixteenth to spare, as what is free changes all the time; FALSE, and untouched: no size does. */
gboolean dim_params_shrink (DimParams *params, const DimModelInfo *info);
/* The nearest size whose sides may be seamless where params asks for that; FALSE, and untouched: it has such a size. */
gboolean dim_params_fit    (DimParams *params, const DimModelInfo *info);
/* Never fails for params that are in range; allocates nothing of size. */
void     dim_estimate     (const DimModelInfo *info, const DimParams *params, DimEstimate *estimate);
gint64   dim_seed_fresh   (void); /* a random seed */

typedef struct DimSampler DimSampler;

DimSampler *dim_sampler_new      (DimModel *model, const DimParams *params, GError **error); /* all memory is taken here */
gboolean    dim_sampler_step     (DimSampler *sampler, GError **error);   /* one network evaluation time, heun: two */
gboolean    dim_sampler_done     (const DimSampler *sampler);
int         dim_sampler_at       (const DimSampler *sampler);             /* steps done */
/* The whole run, decoding too, 0..1; from any thread; never decreases. */
double      dim_sampler_progress (const DimSampler *sampler);
void        dim_sampler_cancel   (DimSampler *sampler);                   /* from any thread; obeyed within 300 ms */
/* The final latent [1,C,h,w] of the working grid; may be asked for at any step. Allocated here. */
gboolean    dim_sampler_latent   (DimSampler *sampler, DimArray *z, GError **error);
/* Decodes, crops, clamps: rgb [height][width][3] in [0,1], row_stride in floats. */
gboolean    dim_sampler_finish   (DimSampler *sampler, float *rgb, gsize row_stride, GError **error);
void        dim_sampler_free     (DimSampler **sampler);

/* ---- recipes and presets -------------------------------------------------------------------------------- */

/* What a person asks for, in the words of the procedures' arguments. Every string is owned, never NULL; the defaults
 * ("" and 0, seed -1) mean "the model's". The same thing is a preset, a layer's parasite, and the text inside a PNG. */
typedef struct {
    char  *model;        /* name or folder; "" = the default model */
    char  *class_name;   /* name or index; "" = the first */
    int    width, height;
    int    steps;
    double guidance;
    gint64 seed;         /* -1: a fresh one */
    char  *sampler;
    char  *upsample;     /* "", "auto", "off" or a number */
    char  *options;      /* "name=value ..."; see dim_recipe_options */
    /* Set by dim_recipe_record only; "" when unknown. */
    char  *model_hash, *device, *precision, *program;
    char  *name;         /* a preset's, for people */
    char  *unknown;      /* further keys of the file it came from, as one JSON object, kept when it is written again */
} DimRecipe;

typedef struct {
    int          n_threads;     /* threads=N; 0 */
    char         device[8];     /* device=auto|cpu|cuda|ref; "auto" */
    DimPrecision precision;     /* precision=auto|f32|bf16|f16 */
    int          tile;          /* tile=N; -1 */
    int          seamless;      /* seamless=off|x|y|both|auto: a DimSeamless; -1: as the model's defaults say */
    int          windows;       /* windows=off|on: 0, 1; -1: as the model's defaults say */
    double       guidance_low, guidance_high; /* guidance-interval=LO,HI; 0, 1 */
    DimRng       rng;           /* rng=philox|torch */
} DimOptions;

/* init, copy, parse, load and record initialise their target, which must hold nothing; on failure it is left alone. */
void     dim_recipe_init       (DimRecipe *recipe);
void     dim_recipe_clear      (DimRecipe *recipe);
void     dim_recipe_copy       (DimRecipe *to, const DimRecipe *from);
/* `origin` names the text in errors, a recipe of a newer version is refused. A preset may leave keys out; *unknown_keys (may be NULL) gets a list for people or NULL. */
gboolean dim_recipe_parse      (DimRecipe *recipe, const char *json, gssize length, const char *origin, char **unknown_keys,
                                GError **error);
char    *dim_recipe_print      (const DimRecipe *recipe); /* readable JSON, docs/recipe.md; g_free */
gboolean dim_recipe_load       (DimRecipe *recipe, const char *file, char **unknown_keys, GError **error);
gboolean dim_recipe_save       (const DimRecipe *recipe, const char *file, GError **error); /* temporary name, then renamed */
gboolean dim_recipe_options    (const DimRecipe *recipe, DimOptions *options, GError **error);
/* "LO,HI" with 0 <= LO <= HI <= 1; FALSE, and untouched: it is something else. */
gboolean dim_interval_parse    (const char *text, double *low, double *high);
/* Fills params from the recipe and the model's defaults, and checks them: class by name, upsample, a fresh seed for -1.
 * width and height of 0 become the native size. */
gboolean dim_recipe_resolve    (const DimRecipe *recipe, const DimModelInfo *info, DimParams *params, GError **error);
/* What ran, with nothing left to defaults: the recipe that makes the same picture again. Initialises *record. */
void     dim_recipe_record     (DimRecipe *record, const DimModel *model, const DimParams *params, const DimOptions *options,
                                const char *model_hash);
/* The first key in which two records of runs are not one picture's, NULL: they are. Not compared: the model's name where both
 * have its hash, the recipe's own name, and the device, on which pictures differ by rounding only. Static. */
const char *dim_recipe_difference (const DimRecipe *a, const DimRecipe *b);

/* ---- trainings of a class of one's own ------------------------------------------------------------------- */

/* `dim train --add-class` works in a folder of its own and says there, in progress.json, how far it is: docs/training.md. */
typedef enum {
    DIM_TRAINING_STARTING,
    DIM_TRAINING_READING,  /* the pictures */
    DIM_TRAINING_SAMPLING, /* the other classes, to keep them */
    DIM_TRAINING_TRAINING, /* up to here a process is at work */
    DIM_TRAINING_STOPPED,  /* goes on where it is asked to; so does one whose process was killed */
    DIM_TRAINING_FAILED,
    DIM_TRAINING_DONE,
    DIM_TRAINING_ENDING    /* stopped, failed or done, and its process is not quite gone */
} DimTrainingState;

typedef struct {
    char            *folder;         /* absolute */
    char            *class_name;     /* NULL: not said yet; so are these */
    char            *model;          /* folder of the finished model */
    char            *message;        /* why it failed */
    DimTrainingState state;
    gint64           step, steps;    /* done, in all (0: not settled) */
    double           fraction, loss; /* 0..1; NAN: none yet */
    gint64           seconds_left;   /* -1: not known */
    int              pid;            /* whose process it is or was; 0: none */
    gboolean         can_resume;     /* it got far enough to be gone on with */
} DimTraining;

char *dim_training_name (const char *model, const char *class_name); /* how a model with one class more is called; g_free */
char *dim_training_root (void);                                      /* folder of all trainings; g_free */
/* Folders of all trainings, the one changed last first; NULL-terminated, g_strfreev. Never fails. */
char       **dim_training_list  (void);
DimTraining *dim_training_read  (const char *folder, GError **error);
void         dim_training_free  (DimTraining **training);
/* For who starts one: writes progress.json as `starting`, with the training's class, model, pid, step, steps and fraction. */
gboolean     dim_training_announce (const DimTraining *training, GError **error);
/* Whether somebody was told how it stands since it last said anything of itself: an end is told once. */
gboolean     dim_training_is_told  (const char *folder);
void         dim_training_set_told (const char *folder); /* in a file of the folder; what cannot be written is told again */
/* Asks the process to write a checkpoint and end, and does not wait for it. TRUE as well where none is at work. */
gboolean     dim_training_stop  (const char *folder, GError **error);
/* The whole folder; refused while a training is at work there. The finished model is elsewhere. */
gboolean     dim_training_remove(const char *folder, GError **error);
/* About what a class more takes: bytes in the training's folder and in the new model's, and in memory. */
void         dim_training_needs (const DimModelInfo *info, gint64 *disk, gint64 *memory);

G_END_DECLS
#endif
