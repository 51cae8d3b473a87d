/* Whom the pages may talk to beside the portal itself: the gateways, by the public URLs of their groups, as
 * sources for the content security policy's connect-src. On the loop. */
#ifndef SLC_CONTROLPLANE_PORTAL_CONNECT_H
#define SLC_CONTROLPLANE_PORTAL_CONNECT_H

#include <stdbool.h>
#include <stddef.h>

#include "catalog/catalog.h"
#include "common/loop.h"

#define SLC_CONNECT_SOURCE_CHARS 300

typedef struct slc_connect slc_connect;

/* Begins to read them. */
slc_connect *slc_connect_new(slc_loop *loop, slc_catalog *catalog);
/* Once the catalog is closed: whatever it read for this has ended. NULL is fine. */
void slc_connect_free(slc_connect *connect);

/* " https://eu.example.com https://us.example.com:8443", or "": as they were when last read. */
const char *slc_connect_sources(const slc_connect *connect);
/* Reads them again, unless a read is under way: a page asks for the next one. */
void slc_connect_refresh(slc_connect *connect);

/* The origin of an http or https URL with a host that can stand in the policy; false: there is none. */
bool slc_connect_source(const char *url, char out[SLC_CONNECT_SOURCE_CHARS]);

#endif
