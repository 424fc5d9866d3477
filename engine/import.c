/* A model folder out of a checkpoint, which stays as its authors made it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The folder is made under another name beside its place, verified there by a known-answer run, and
 * renamed: a model list never shows half of it, and what fails leaves nothing. */
#include "import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "error.h"
#include "file.h"
#include "json.h"
#include "model.h"
#include "net-dim.h"
#include "task.h"
#include "text.h"
#include "weights.h"

enum { COPY_BYTES = 4 << 20, N_AUTOENCODERS = 2 };

/* Of the progress, where files are copied; loading them has the rest. */
#define COPY_SHARE 0.5

typedef struct {
    const DimImport *asked;
    const char *target;
    char *passing; /* the folder until it is whole; NULL: not made */
    DimTask *task;
    double bytes_copied, bytes; /* of the weight files */
    json_t *keys;               /* that were asked for, over those recognised; NULL: none */
    DimWeights *weights;
    DimAutoencoderFiles files;
    DimRecognised net, autoencoder;
    json_t *model;
} Import;

static gboolean fail_errno(GError **error, const char *path, const char *what)
{
    return dim_fail(error, DIM_ERROR_FILE, path, "%s: %s", what, g_strerror(errno));
}

/* ---- what it is ------------------------------------------------------------------------------ */

static const json_t *given_config(const Import *im, const char *part)
{
    const json_t *config = json_object_get(json_object_get(im->keys, part), "config");

    return json_is_object(config) ? config : NULL;
}

/* Of two files of a tae, the one with the encoder is told by its names. */
static gboolean is_encoder(const DimWeights *weights)
{
    return dim_weights_find(weights, "0.weight") || dim_has_prefix(weights, "encoder.");
}

static gboolean open_autoencoders(Import *im, const char *const *files, GError **error)
{
    DimWeights *opened[N_AUTOENCODERS] = {NULL};
    const guint n = g_strv_length((char **)files);

    if (n > N_AUTOENCODERS)
        return dim_fail(error, DIM_ERROR_ARGUMENT, files[N_AUTOENCODERS],
                        "is a third file of an autoencoder; expected one, or an encoder and a "
                        "decoder");
    for (guint i = 0; i < n; i++)
        if (!(opened[i] = dim_weights_open(files[i], error))) {
            if (i > 0)
                dim_weights_close(&opened[0]);
            return FALSE;
        }
    if (n == 1)
        im->files = (DimAutoencoderFiles){opened[0], opened[0]};
    else if (is_encoder(opened[0]))
        im->files = (DimAutoencoderFiles){opened[0], opened[1]};
    else
        im->files = (DimAutoencoderFiles){opened[1], opened[0]};
    return TRUE;
}

static gboolean check_channels(const Import *im, GError **error)
{
    DimAutoencoderFacts latent;
    DimNetFacts net;

    im->net.net->facts(im->net.parsed, &net);
    im->autoencoder.autoencoder->facts(im->autoencoder.parsed, &latent);
    return net.in_channels == latent.channels ||
           dim_fail(error, DIM_ERROR_ARGUMENT, im->files.decoder->origin,
                    "has latents of %d channels; expected %d, those of %s", latent.channels,
                    net.in_channels, im->asked->checkpoint);
}

/* The checkpoint may be a backbone, or nothing but an autoencoder: then all files are. */
static gboolean recognise(Import *im, GError **error)
{
    const char *const *asked = im->asked->autoencoder;
    g_autoptr(GPtrArray) files = g_ptr_array_new();

    im->weights = dim_weights_open(im->asked->checkpoint, error);
    if (!im->weights)
        return FALSE;
    if (dim_recognise_is_autoencoder(im->weights))
        g_ptr_array_add(files, (char *)im->asked->checkpoint);
    else if (!dim_recognise_net(im->weights, given_config(im, "backbone"), &im->net, error))
        return FALSE;
    for (int i = 0; asked && asked[i]; i++)
        g_ptr_array_add(files, (char *)asked[i]);
    if (!files->len)
        return TRUE;
    g_ptr_array_add(files, NULL);
    return open_autoencoders(im, (const char *const *)files->pdata, error) &&
           dim_recognise_autoencoder(&im->files, given_config(im, "autoencoder"), &im->autoencoder,
                                     error) &&
           (!im->net.net || check_channels(im, error));
}

/* ---- files ----------------------------------------------------------------------------------- */

static gboolean copy_bytes(Import *im, const DimFile *from, DimOutput *to, GError **error)
{
    for (gsize at = 0; at < from->size; at += COPY_BYTES) {
        const gsize n = MIN(COPY_BYTES, from->size - at);
        if (!dim_task_go_on(im->task, error))
            return FALSE;
        if (fwrite(from->data + at, 1, n, dim_output_stream(to)) != n)
            return TRUE; /* the commit says why */
        im->bytes_copied += (double)n;
        dim_task_advance(im->task, COPY_SHARE * im->bytes_copied / im->bytes);
    }
    return TRUE;
}

static gboolean copy(Import *im, const char *from, const char *to, GError **error)
{
    DimFile file = {0};
    DimOutput *output = NULL;
    gboolean good = dim_file_map(&file, from, from, error) &&
                    (output = dim_output_open(to, error)) && copy_bytes(im, &file, output, error);

    if (good)
        good = dim_output_commit(&output, error);
    dim_output_discard(&output);
    dim_file_unmap(&file);
    return good;
}

/* The file itself under a second name, where the file system has that; else a copy. */
static gboolean link_or_copy(Import *im, const char *from, const char *to, GError **error)
{
    return linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW) == 0 ||
           copy(im, from, to, error);
}

/* A name for the file in the folder that model.json can spell and nothing else there has. */
static char *name_in_folder(const Import *im, const char *file)
{
    g_autofree char *base = g_path_get_basename(file);
    const gboolean is_fit = g_utf8_validate(base, -1, NULL) && !strpbrk(base, "/\\") &&
                            *base != '.' && !g_str_has_suffix(base, ".json") &&
                            !g_str_has_suffix(base, ".txt");
    char *name = g_strdup(is_fit ? base : "weights");

    for (int i = 2;; i++) {
        g_autofree char *path = g_build_filename(im->passing, name, NULL);
        if (!g_file_test(path, G_FILE_TEST_EXISTS))
            return name;
        g_free(name);
        name = g_strdup_printf("%d-%s", i, is_fit ? base : "weights");
    }
}

/* Brings a file in; answers what it is called there, NULL and an error. */
static json_t *bring(Import *im, const char *file, GError **error)
{
    g_autofree char *name = name_in_folder(im, file);
    g_autofree char *to = g_build_filename(im->passing, name, NULL);

    return link_or_copy(im, file, to, error) ? json_string(name) : NULL;
}

/* Of the weight files, each once. */
static double bytes_of_files(const Import *im)
{
    double bytes = (double)im->weights->file.size;

    if (im->net.net && im->files.decoder)
        bytes += (double)im->files.decoder->file.size;
    if (im->files.encoder != im->files.decoder)
        bytes += (double)im->files.encoder->file.size;
    return bytes;
}

static gboolean bring_weights(Import *im, GError **error)
{
    json_t *backbone = json_object_get(im->model, "backbone");
    json_t *autoencoder = json_object_get(im->model, "autoencoder");
    const gboolean in_two = im->files.encoder != im->files.decoder;
    json_t *name = NULL;

    im->bytes = bytes_of_files(im);
    if (backbone && !(name = bring(im, im->weights->origin, error)))
        return FALSE;
    if (backbone)
        json_object_set_new(backbone, "weights", name);
    if (!im->files.decoder)
        return TRUE;
    if (!(name = bring(im, im->files.decoder->origin, error)))
        return FALSE;
    if (in_two) {
        json_t *encoder = bring(im, im->files.encoder->origin, error);
        if (!encoder) {
            json_decref(name);
            return FALSE;
        }
        name = json_pack("{s:o, s:o}", "encoder", encoder, "decoder", name);
    }
    json_object_set_new(autoencoder, "weights", name);
    return TRUE;
}

/* ---- classes --------------------------------------------------------------------------------- */

/* The list of names that is installed under a name; NULL: there is none. */
static char *find_list(const char *name)
{
    g_autofree char *file = g_strconcat(name, ".txt", NULL);

    return dim_data_find("classes", file);
}

static gboolean bring_list(Import *im, const char *key, const char *from, GError **error)
{
    g_autofree char *name = g_strconcat(key, ".txt", NULL);
    g_autofree char *to = g_build_filename(im->passing, name, NULL);

    if (!copy(im, from, to, error))
        return FALSE;
    json_object_set_new(im->model, key, json_pack("{s:s}", "file", name));
    return TRUE;
}

/* The file of names, and that of synonyms where an installed list has one; NULL: there is none. */
static char *find_classes(const Import *im, char **synonyms)
{
    const char *asked = im->asked->classes;
    DimNetFacts facts = {0};

    *synonyms = NULL;
    if (im->net.net)
        im->net.net->facts(im->net.parsed, &facts);
    if (!asked && facts.n_labels != 1000)
        return NULL;
    char *list = find_list(asked ? asked : "imagenet");
    if (!list)
        return g_strdup(asked);
    g_autofree char *stem = g_strconcat(asked ? asked : "imagenet", "-synonyms", NULL);
    *synonyms = find_list(stem);
    return list;
}

static gboolean bring_classes(Import *im, GError **error)
{
    g_autofree char *synonyms = NULL, *list = find_classes(im, &synonyms);

    return !list || (bring_list(im, "classes", list, error) &&
                     (!synonyms || bring_list(im, "synonyms", synonyms, error)));
}

/* ---- the folder ------------------------------------------------------------------------------ */

/* Keys that were asked for, over those found, object by object. */
static void put_over(json_t *under, const json_t *over)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)over, key, value)
    {
        json_t *old = json_object_get(under, key);
        if (json_is_object(value) && json_is_object(old))
            put_over(old, value);
        else
            json_object_set(under, key, value);
    }
}

static gboolean describe(Import *im, GError **error)
{
    gint64 side = 0;

    if (im->net.net == &dim_net_dim &&
        !(side = dim_mamba_table_side(im->net.parsed, im->weights, error)))
        return FALSE;
    im->model = dim_import_describe(im->net.net ? &im->net : NULL, side,
                                    im->autoencoder.autoencoder ? &im->autoencoder : NULL);
    if (im->asked->name)
        json_object_set_new(im->model, "name", json_string(im->asked->name));
    if (im->asked->license)
        json_object_set_new(im->model, "license", json_string(im->asked->license));
    if (im->keys)
        put_over(im->model, im->keys);
    return TRUE;
}

static gboolean save_json(const Import *im, GError **error)
{
    g_autofree char *file = g_build_filename(im->passing, "model.json", NULL);
    DimOutput *output = dim_output_open(file, error);

    if (!output)
        return FALSE;
    json_dumpf(im->model, dim_output_stream(output), JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    return dim_output_commit(&output, error);
}

static gboolean make_folder(Import *im, GError **error)
{
    g_autofree char *target = g_canonicalize_filename(im->target, NULL);
    g_autofree char *parent = g_path_get_dirname(target);
    char *passing = g_build_filename(parent, ".dim-XXXXXX", NULL);

    if (g_file_test(im->target, G_FILE_TEST_EXISTS) ||
        g_file_test(im->target, G_FILE_TEST_IS_SYMLINK)) {
        g_free(passing);
        return dim_fail(error, DIM_ERROR_FILE, im->target,
                        "is there already; expected the name of a new folder");
    }
    if (g_mkdtemp_full(passing, 0755)) {
        im->passing = passing;
        return TRUE;
    }
    g_free(passing);
    return fail_errno(error, im->target, "cannot be made");
}

static void remove_folder(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *file = g_build_filename(folder, name, NULL);
        g_unlink(file);
    }
    g_rmdir(folder);
}

/* The answer that is known: the device's, then the model's on it. What the folder's own checks
 * find is said of the folder that was asked for. */
static gboolean verify(const Import *im, DimDevice *device, DimCheck *check, GError **error)
{
    GError *fault = NULL;
    DimModelInfo *info = dim_model_info_read(im->passing, &fault);
    DimModel *model = NULL;
    DimCheck on_device = {0};

    gboolean good = info && dim_device_check(device, &on_device, &fault) &&
                    (model = dim_model_open(device, im->passing, (DimParts)info->parts,
                                            DIM_PRECISION_F32, im->task, &fault)) &&
                    dim_model_try(model, check, im->task, &fault);
    check->seconds += on_device.seconds;
    dim_model_close(&model);
    dim_model_info_free(&info);
    if (good)
        return TRUE;
    g_auto(GStrv) parts = g_strsplit(fault->message, im->passing, -1);
    g_autofree char *message = g_strjoinv(im->target, parts);
    g_set_error_literal(error, fault->domain, fault->code, message);
    g_error_free(fault);
    return FALSE;
}

static gboolean make(Import *im, DimDevice *device, DimCheck *check, GError **error)
{
    if (!make_folder(im, error) || !recognise(im, error) || !describe(im, error) ||
        !bring_weights(im, error) || !bring_classes(im, error) || !save_json(im, error) ||
        !verify(im, device, check, error) || !dim_task_go_on(im->task, error))
        return FALSE;
    return g_rename(im->passing, im->target) == 0 ||
           fail_errno(error, im->target, "cannot be made");
}

/* ---- the two calls --------------------------------------------------------------------------- */

static gboolean read_keys(Import *im, GError **error)
{
    const char *keys = im->asked->keys;

    return !keys || (im->keys = dim_json_parse(keys, strlen(keys), "keys", error));
}

static void clear(Import *im)
{
    dim_weights_close(&im->weights);
    dim_autoencoder_files_close(&im->files);
    dim_recognised_clear(&im->net);
    dim_recognised_clear(&im->autoencoder);
    json_decref(im->model);
    json_decref(im->keys);
    g_free(im->passing);
}

/* model.json as it will be, but that the list of classes is where it is. */
static DimModelSpec *foresee(Import *im, GError **error)
{
    json_t *backbone = json_object_get(im->model, "backbone");
    json_t *autoencoder = json_object_get(im->model, "autoencoder");
    g_autofree char *synonyms = NULL, *found = find_classes(im, &synonyms);
    char *list = found ? realpath(found, NULL) : g_strdup("");

    if (!list) {
        fail_errno(error, found, "cannot be opened");
        return NULL;
    }
    g_autofree char *folder = g_path_get_dirname(list), *name = g_path_get_basename(list);
    free(list);
    if (backbone)
        json_object_set_new(backbone, "weights", json_string("-"));
    if (im->files.decoder)
        json_object_set_new(autoencoder, "weights", json_string("-"));
    if (found)
        json_object_set_new(im->model, "classes", json_pack("{s:s}", "file", name));
    return dim_model_spec_parse(im->model, folder, im->asked->checkpoint, error);
}

DimModelInfo *dim_import_look(const DimImport *import, GError **error)
{
    Import im = {.asked = import};
    const gboolean good = read_keys(&im, error) && recognise(&im, error) && describe(&im, error);
    DimModelSpec *spec = good ? foresee(&im, error) : NULL;
    DimModelInfo *info = (DimModelInfo *)spec;

    if (spec && !dim_model_spec_check_tensors(spec, im.weights, &im.files, error))
        dim_model_info_free(&info);
    if (info) {
        g_clear_pointer(&info->folder, g_free);
        g_clear_pointer(&info->id, g_free);
    }
    clear(&im);
    return info;
}

gboolean dim_import(const DimImport *import, const char *folder, DimDevice *device, DimCheck *check,
                    DimTask *task, GError **error)
{
    Import im = {.asked = import, .target = folder, .task = task};
    DimCheck found = {0};
    const gboolean good = read_keys(&im, error) && make(&im, device, &found, error);

    if (!good && im.passing)
        remove_folder(im.passing);
    if (good && check)
        *check = found;
    clear(&im);
    return good;
}
