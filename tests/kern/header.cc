/* dk.h as C++: the same program, linked against the C library.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/dk.h"

int main()
{
    DkDevice *device = nullptr;
    dk_device_close(&device);
    return 0;
}
