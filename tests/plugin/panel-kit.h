/* What the panel's tests share: a panel in a window of its own, found controls, keys, two models.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef PANEL_KIT_H
#define PANEL_KIT_H

#include "ui/dim-panel.h"

typedef struct {
    GtkWidget *window;
    DimPanel *panel;
} Kit;

/* Exits 77 where there is no display. Models: "textures" (by its name the default one; 15 classes, native 128, grid 16) and
 * "tiny" (native 16, 10 classes "class 0".., 50 steps). The user's folders are empty ones. */
void kit_init(int *argc, char ***argv);

Kit kit_open(int canvas_width, int canvas_height);
Kit kit_open_with(GtkWidget *content); /* without a DimPanel */
void kit_close(Kit *kit);
/* The default model under another name, with this among its defaults. */
void kit_model_that(const char *name, const char *key, gboolean value);
void kit_no_models(void); /* until kit_init's models are put back by kit_models */
void kit_models(void);
void kit_remove(const char *path); /* a folder too; links in it are not followed */

GtkWidget *kit_find(const Kit *kit, const char *name);        /* asserts that it is there */
GtkWidget *kit_find_below(GtkWidget *root, const char *name); /* NULL: not there */
void kit_settle(void);                                        /* the main loop, until it is idle */

void kit_expand(const Kit *kit);               /* More, until it is laid out */
void kit_wait(const int *count, int expected); /* a pressed button acts a moment later */

/* A key as the window gets it. */
void kit_key(const Kit *kit, guint keyval, GdkModifierType modifiers);
void kit_focus(const Kit *kit, const char *name);
/* The named control that has the focus: a combo's or a menu button's inner button stands for it. */
const char *kit_focused(const Kit *kit);
/* Replaces the text of an entry as typing it does, key by key. */
void kit_type(const Kit *kit, const char *name, const char *text);
void kit_click(const Kit *kit, const char *name);
void kit_pick(const Kit *kit, const char *name, const char *id); /* of a combo */

const char *kit_text(const Kit *kit, const char *name); /* of an entry, a label or a button */
char *kit_string(const Kit *kit, const char *property); /* g_free */
double kit_number(const Kit *kit, const char *property);
gboolean kit_sensitive(const Kit *kit, const char *name);

/* Writes the window as a PNG into $DIM_SCREENSHOTS, if that is set. */
void kit_screenshot(const Kit *kit, const char *name);

#define kit_assert_string(kit, property, expected)                                                 \
    G_STMT_START                                                                                   \
    {                                                                                              \
        g_autofree char *kit_is = kit_string(kit, property);                                       \
        g_assert_cmpstr(kit_is, ==, expected);                                                     \
    }                                                                                              \
    G_STMT_END

#define kit_assert_has(text, part)                                                                 \
    G_STMT_START                                                                                   \
    {                                                                                              \
        if (!strstr(text, part))                                                                   \
            g_error("\"%s\" does not have \"%s\"", text, part);                                    \
    }                                                                                              \
    G_STMT_END

#endif
