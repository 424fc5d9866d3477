/* The sampling methods by name.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "method.h"

#include <string.h>

#define METHODS(METHOD)                                                                            \
    METHOD("dpm-solver++-fast", dim_method_dpm_solver_pp_fast)                                     \
    METHOD("dpm-solver-fast", dim_method_dpm_solver_fast)                                          \
    METHOD("dpm-solver++-2m", dim_method_dpm_solver_pp_2m)                                         \
    METHOD("dpm-solver++-3m", dim_method_dpm_solver_pp_3m)                                         \
    METHOD("ddim", dim_method_ddim)                                                                \
    METHOD("ddpm", dim_method_ddpm)                                                                \
    METHOD("unipc", dim_method_unipc)                                                              \
    METHOD("euler", dim_method_euler)                                                              \
    METHOD("heun", dim_method_heun)

#define NAME(name, method) name,
#define ADDRESS(name, method) &method,

static const char *const names[] = {METHODS(NAME) NULL};
static const DimMethod *const methods[] = {METHODS(ADDRESS)};

const char *const *dim_sampler_names(void)
{
    return names;
}

const DimMethod *dim_method_find(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(methods); i++)
        if (!strcmp(names[i], name))
            return methods[i];
    return NULL;
}
