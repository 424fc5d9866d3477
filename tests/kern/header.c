/* dk.h needs nothing before it, in C11 (here) and in C++ (header.cc).
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/dk.h"

int main(void)
{
    DkDevice *device = NULL;
    dk_device_close(&device);
    return 0;
}
