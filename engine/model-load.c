/* A model that computes: its parts on a device.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "model.h"

#include "error.h"
#include "task.h"

static gboolean check_parts(const DimModelSpec *spec, DimParts parts, GError **error)
{
    const char *folder = spec->info.folder;
    const gboolean has_autoencoder = spec->autoencoder != NULL;
    const struct {
        DimParts part;
        gboolean there;
        const char *missing;
    } wanted[] = {
        {DIM_PARTS_BACKBONE, spec->net != NULL, "the model has no backbone"},
        {DIM_PARTS_ENCODER | DIM_PARTS_DECODER, has_autoencoder, "the model has no autoencoder"},
        {DIM_PARTS_ENCODER, spec->info.parts & DIM_PARTS_ENCODER,
         "the autoencoder's files hold no encoder"},
        {DIM_PARTS_DECODER, spec->info.parts & DIM_PARTS_DECODER,
         "the autoencoder's files hold no decoder"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(wanted); i++)
        if (parts & wanted[i].part && !wanted[i].there)
            return dim_fail(error, DIM_ERROR_UNSUPPORTED, folder, "%s", wanted[i].missing);
    return TRUE;
}

DkProducts dim_precision_products(DimPrecision precision)
{
    static const DkProducts of[] = {DK_PRODUCTS_F32, DK_PRODUCTS_F32, DK_PRODUCTS_BF16,
                                    DK_PRODUCTS_F16};
    g_assert(precision != DIM_PRECISION_AUTO && precision < G_N_ELEMENTS(of));
    return of[precision];
}

static gboolean load_net(DimModel *model, double share, DimTask *task, GError **error)
{
    const DimModelSpec *spec = model->spec;
    const DimNetProgress progress = {task, 0, share};
    DimWeights *weights = dim_model_spec_open_weights(spec, spec->net_weights, error);

    /* Products of the backbone only: an autoencoder's errors would be seen. */
    dk_device_set_products(model->dk, dim_precision_products(model->precision));
    if (weights)
        model->net = spec->net->load(model->dk, spec->net_config, weights, &progress, error);
    dk_device_set_products(model->dk, DK_PRODUCTS_F32);
    dim_weights_close(&weights);
    return model->net != NULL;
}

static gboolean load_autoencoder(DimModel *model, DimTask *task, GError **error)
{
    const DimModelSpec *spec = model->spec;
    const DimParts parts = model->parts & (DIM_PARTS_ENCODER | DIM_PARTS_DECODER);
    DimAutoencoderFiles files = {0};

    if (dim_model_spec_open_autoencoder(spec, parts, &files, error))
        model->ae = spec->autoencoder->load(model->dk, spec->autoencoder_config, spec->scale_factor,
                                            &files, parts, task, error);
    dim_autoencoder_files_close(&files);
    return model->ae != NULL;
}

static gboolean load_parts(DimModel *model, DimTask *task, GError **error)
{
    const DimModelInfo *info = &model->spec->info;
    const gboolean net = model->parts & DIM_PARTS_BACKBONE, ae = model->parts & ~DIM_PARTS_BACKBONE;
    const double net_numbers = net ? (double)info->backbone.parameters : 0;
    const double ae_numbers = ae ? (double)info->autoencoder.parameters : 0;
    const gint64 before = (gint64)dk_device_bytes(model->dk);

    if (net && !load_net(model, net_numbers / (net_numbers + ae_numbers), task, error))
        return FALSE;
    if (ae && (!dim_task_go_on(task, error) || !load_autoencoder(model, task, error)))
        return FALSE;
    if (!dim_dk_check(model->dk, info->folder, error))
        return FALSE;
    model->weight_bytes = (gint64)dk_device_bytes(model->dk) - before;
    dim_task_advance(task, 1);
    return TRUE;
}

static DimPrecision running_precision(const DkDevice *dk, DimPrecision asked)
{
    if (asked != DIM_PRECISION_AUTO)
        return asked;
    return dk_device_has_fast_bf16(dk) ? DIM_PRECISION_BF16 : DIM_PRECISION_F32;
}

DimModel *dim_model_open(DimDevice *device, const char *folder, DimParts parts,
                         DimPrecision precision, DimTask *task, GError **error)
{
    DimModelSpec *spec = dim_model_spec_read(folder, error);
    if (!spec)
        return NULL;

    DimModel *model = g_new0(DimModel, 1);
    *model = (DimModel){.device = device,
                        .dk = dim_device_dk(device),
                        .spec = spec,
                        .precision = running_precision(dim_device_dk(device), precision),
                        .parts = parts};
    dim_device_count_models(device, 1);
    dim_dk_follow(model->dk, task);
    if (!dim_model_spec_check_files(spec, error) || !check_parts(spec, parts, error) ||
        !load_parts(model, task, error))
        dim_model_close(&model);
    dim_dk_follow(dim_device_dk(device), NULL);
    return model;
}

void dim_model_close(DimModel **model)
{
    DimModel *m = *model;

    if (!m)
        return;
    g_assert(m->n_samplers == 0);
    dim_model_plan_clear(m);
    if (m->net)
        m->spec->net->free(m->dk, m->net);
    if (m->ae)
        m->spec->autoencoder->free(m->dk, m->ae);
    DimModelInfo *info = &m->spec->info;
    dim_model_info_free(&info);
    dim_device_count_models(m->device, -1);
    g_free(m);
    *model = NULL;
}

const DimModelInfo *dim_model_info(const DimModel *model)
{
    return &model->spec->info;
}
