/* Health and metrics over HTTP, on an address of their own. Runs on the loop that it is made with. */
#ifndef SLC_DATAPLANE_OBSERVE_OBSERVE_H
#define SLC_DATAPLANE_OBSERVE_OBSERVE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/loop.h"

typedef struct slc_observe slc_observe;

typedef struct slc_observe_source {
    /* Why the process is not ready: new array of strings, empty when it is ready. */
    json_t *(*not_ready)(void *arg);
    json_t *(*backends)(void *arg); /* new object */
    json_t *(*keys)(void *arg);     /* likewise, of key rings */
    int64_t (*connections)(void *arg);
    void *arg;
    const char *folder; /* on the disk that /metrics tells about; borrowed */
} slc_observe_source;

slc_observe *slc_observe_new(slc_loop *loop, const char *address, const slc_observe_source *source,
                             slc_error *err) SLC_CHECKED;
uint16_t slc_observe_port(const slc_observe *observe);
void slc_observe_free(slc_observe *observe);

#endif
