/* Text that must not stay in memory. */
#ifndef SLC_CONTROLPLANE_CTL_SECRET_H
#define SLC_CONTROLPLANE_CTL_SECRET_H

#include <string.h>

#include "common/alloc.h"

/* NULL is fine. */
static inline void slc_secret_free(char *text)
{
    if (text != NULL)
        slc_free_secret(text, strlen(text));
}

#endif
