/* Backends in use: one broker object for each (by the digest of its configuration), shared by all workers. */
#ifndef SLC_DATAPLANE_MEDIATION_LINK_H
#define SLC_DATAPLANE_MEDIATION_LINK_H

#include <jansson.h>
#include <pthread.h>
#include <sys/queue.h>

#include "dataplane/broker/broker.h"

/* A topic that cannot be served, and why: for health. */
typedef struct slc_link_trouble {
    char *topic;
    char *text;
    TAILQ_ENTRY(slc_link_trouble) entry;
} slc_link_trouble;

typedef struct slc_link {
    unsigned refs;
    struct slc_links *links;
    const slc_broker_ops *ops;
    slc_broker *broker;
    uint8_t digest[32];
    char *name;
    TAILQ_HEAD(, slc_link_trouble) troubles; /* links' lock */
    TAILQ_ENTRY(slc_link) entry;
} slc_link;

typedef struct slc_links {
    const slc_broker_ops *ops;
    slc_broker_settings settings;
    pthread_mutex_t lock;
    pthread_cond_t closed;
    unsigned closing;
    TAILQ_HEAD(, slc_link) list;
} slc_links;

void slc_links_init(slc_links *links, const slc_broker_ops *ops, const slc_broker_settings *settings);
/* Waits until every link that was let go is closed. */
void slc_links_release(slc_links *links);

/* Any thread; takes a lock: keep the link. New reference; NULL with an error when the configuration is
 * unusable. */
slc_link *slc_link_get(slc_links *links, const slc_backend *backend, slc_error *err) SLC_CHECKED;
slc_link *slc_link_ref(slc_link *link);
/* The last one closes the broker on a thread of its own, since that blocks. */
void slc_link_unref(slc_link *link);

/* Notes what is wrong with a topic, or that nothing is (NULL). Any thread. */
void slc_link_note(slc_link *link, const char *topic, const slc_error *err);

/* {name: {up, last_error, since, topics: {name: what is wrong}}}; new reference; any thread. */
json_t *slc_links_health(slc_links *links);

#endif
