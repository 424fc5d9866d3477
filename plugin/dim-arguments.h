/* The procedures' arguments: one table, from which both hosts declare them, and what they mean
 * together.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The list is a contract with people's scripts and never changes; everything new is a word of
 * `options`.
 */
#ifndef DIM_ARGUMENTS_H
#define DIM_ARGUMENTS_H

#include <glib-object.h>

#include "engine/dim.h"

G_BEGIN_DECLS

#define DIM_LAYER_PROC "plug-in-dim-layer"
#define DIM_NEW_PROC "plug-in-dim-new"
#define DIM_TRAIN_PROC "plug-in-dim-train-class"
#define DIM_N_ARGUMENTS 11
#define DIM_N_TRAIN_ARGUMENTS 6

typedef enum
{
  DIM_ARGUMENT_TEXT,  /* char * */
  DIM_ARGUMENT_COUNT, /* int */
  DIM_ARGUMENT_REAL,  /* double */
  DIM_ARGUMENT_SEED   /* gint64 here, a double in both hosts */
} DimArgumentKind;

typedef struct
{
  const char     *name, *nick, *blurb;
  DimArgumentKind kind;
  double          least, most, initial; /* of numbers; the default of a text is "" */
  gsize           offset;               /* in DimArguments or DimTrainRequest */
} DimArgument;

/* One call's values; all defaults after dim_arguments_init. */
typedef struct
{
  DimRecipe recipe;
  char     *preset; /* file or name */
} DimArguments;

extern const DimArgument dim_arguments[DIM_N_ARGUMENTS];
/* Those of a training: the values are a DimTrainRequest. */
extern const DimArgument dim_train_arguments[DIM_N_TRAIN_ARGUMENTS];

void dim_arguments_init (DimArguments *arguments);
void dim_arguments_clear (DimArguments *arguments);
/* `values` is the struct that the argument's table is about. */
void        dim_arguments_set_text (gpointer values, const DimArgument *argument, const char *text);
const char *dim_arguments_get_text (gconstpointer values, const DimArgument *argument);
/* Refuses what is outside the argument's range or, but for reals, no whole number. */
gboolean dim_arguments_set_number (gpointer values, const DimArgument *argument, double number,
                                   GError **error);
double   dim_arguments_get_number (gconstpointer values, const DimArgument *argument);

/* From and to an object whose properties are named as the arguments: the panel, GIMP 3's
 * configuration. */
gboolean dim_arguments_from_object (gpointer values, const DimArgument *table, int n,
                                    GObject *object, GError **error);
void     dim_arguments_to_object (const DimArguments *arguments, GObject *object);

/* The recipe they ask for, the preset's values included; initialised here, the caller's to clear. A
 * width or height still 0 becomes the canvas's (0: there is none). */
gboolean dim_arguments_recipe (const DimArguments *arguments, int canvas_width, int canvas_height,
                               DimRecipe *recipe, GError **error);

G_END_DECLS
#endif
