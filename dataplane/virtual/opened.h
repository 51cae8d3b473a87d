/* Which administrative APIs a virtual cluster opens (docs/kafka-api.md: optional). Immutable; any thread. */
#ifndef SLC_DATAPLANE_VIRTUAL_OPENED_H
#define SLC_DATAPLANE_VIRTUAL_OPENED_H

#include <stdbool.h>

#include "sluice/snapshot.pb-c.h"

/* Is the key one of those that `msg` opens? What is about principals is opened in the mode none alone:
 * principals are the backend's and belong to no namespace. */
bool slc_opened(const Sluice__Snapshot__V1__VirtualCluster *msg, int key);

#endif
