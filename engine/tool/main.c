/* `dim`: each part of the sampler by itself. The commands are those of docs/command-line.md.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tool.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"sample", "make a picture", tool_sample},
    {"forward", "one raw evaluation of the backbone", tool_forward},
    {"decode", "latents to pictures", tool_decode},
    {"encode", "pictures to latents", tool_encode},
    {"info", "what a model folder, a weight file or a picture holds", tool_info},
    {"hash", "sha256 of a model's files", tool_hash},
    {"import", "a model folder out of a published checkpoint", tool_import},
    {"check", "a known-answer run of a model on a device", tool_check},
    {"train", "a model of one's own from pictures", tool_train},
    {"sheet", "pictures of many classes and seeds on one contact sheet", tool_sheet},
    {"codec", "an autoencoder fitted to pictures", tool_codec},
    {"bench", "where the time of one network evaluation goes", tool_bench},
};

/* "a, b or c"; g_free */
static char *list_commands(void)
{
    GString *list = g_string_new(NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++)
        g_string_append_printf(list, "%s%s",
                               i == 0                           ? ""
                               : i + 1 < G_N_ELEMENTS(commands) ? ", "
                                                                : " or ",
                               commands[i].name);
    return g_string_free(list, FALSE);
}

static void print_help(void)
{
    g_print("Usage: dim COMMAND [OPTION...]\n\n");
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++)
        g_print("  %-8s  %s\n", commands[i].name, commands[i].summary);
    g_print("\n`dim COMMAND --help` lists a command's options.\n");
}

/* What a command printed may have met a full disk; buffered text meets it here. */
static int check_stdout(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    if (status == TOOL_DONE)
        fprintf(stderr, "dim: standard output: cannot be written: %s\n", g_strerror(errno));
    return status == TOOL_DONE ? TOOL_FAILED : status;
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");
    dim_process_prepare(argv);
    g_autofree char *all = list_commands();
    if (argc < 2)
        return tool_usage("expected a command: %s", all);
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        print_help();
        return check_stdout(TOOL_DONE);
    }
    if (!strcmp(argv[1], "--version")) {
        g_print("dim %s\n", DIM_VERSION_TEXT);
        return TOOL_DONE;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++)
        if (!strcmp(argv[1], commands[i].name))
            return check_stdout(commands[i].run(argc - 1, argv + 1));
    return tool_usage("unknown command \"%s\": expected %s", argv[1], all);
}
