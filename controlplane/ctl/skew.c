#include "controlplane/ctl/skew.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/version.h"
#include "controlplane/ctl/ctl.h"

bool slc_skew_too_far(const char *ours, const char *theirs)
{
    int major, minor, their_major, their_minor;
    if (sscanf(ours, "%d.%d", &major, &minor) != 2 || sscanf(theirs, "%d.%d", &their_major, &their_minor) != 2)
        return false;
    return major != their_major || abs(minor - their_minor) > 1;
}

void slc_skew_warn(const char *server_version)
{
    if (slc_skew_too_far(SLC_VERSION, server_version))
        slc_ctl_note(
            "sluicectl is %s, the control plane %s: further apart than one minor release, so that one may not "
            "know what the other does",
            SLC_VERSION, server_version);
}
