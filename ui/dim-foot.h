/* The panel's foot: a message, the estimate or the progress, and the buttons.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Signals "generate", "stop", "close", "accepted" (what a message offers), "use-size" (int
 * width, int height). */
#ifndef DIM_FOOT_H
#define DIM_FOOT_H

#include <gtk/gtk.h>

G_BEGIN_DECLS

#define DIM_TYPE_FOOT (dim_foot_get_type ())
G_DECLARE_FINAL_TYPE (DimFoot, dim_foot, DIM, FOOT, GtkBox)

DimFoot *dim_foot_new (void);

/* What went wrong, or what went well; NULL: none. */
void dim_foot_show_message (DimFoot *foot, const char *text);
void dim_foot_show_news (DimFoot *foot, const char *text);
/* Either, with a button of that label which takes the message away and emits "accepted". */
void     dim_foot_show_offer (DimFoot *foot, const char *text, gboolean good, const char *label);
gboolean dim_foot_has_message (DimFoot *foot);

/* What Generate would cost, or why it cannot be pressed (`ready` FALSE), with a size that could be
 * used instead (0, 0: none). */
void dim_foot_show_estimate (DimFoot *foot, const char *text, gboolean ready, int use_width,
                             int use_height);

/* What the main button is called while nothing runs, with a mnemonic; "_Generate" at first. */
void dim_foot_set_action (DimFoot *foot, const char *label);

void dim_foot_set_running (DimFoot *foot, gboolean running);
void dim_foot_set_progress (DimFoot *foot, double fraction, const char *text);

GtkWidget *dim_foot_generate (DimFoot *foot);

G_END_DECLS
#endif
