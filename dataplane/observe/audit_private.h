/* What the files of the audit trail share. Private to observe/. */
#ifndef SLC_DATAPLANE_OBSERVE_AUDIT_PRIVATE_H
#define SLC_DATAPLANE_OBSERVE_AUDIT_PRIVATE_H

#include <stdatomic.h>

#include "common/metrics.h"
#include "dataplane/http/access_log.h"
#include "dataplane/observe/audit.h"

struct slc_audit {
    slc_access_file *file;
    unsigned classes; /* bits */
    slc_series *lines[SLC_AUDIT_CLASSES];
    const char *backend, *topic; /* NULL backend: no topic. The settings' */
    int64_t topic_limit_bytes;
    _Atomic int64_t topic_bytes; /* on their way to Kafka */
    slc_series *lost;            /* on that way */
};

/* A worker's way to the topic. */
typedef struct slc_audit_topic slc_audit_topic;
slc_audit_topic *slc_audit_topic_new(slc_audit *audit, slc_worker *worker);
void slc_audit_topic_free(slc_audit_topic *topic); /* NULL is fine */
/* Whole lines; each becomes a record. */
void slc_audit_topic_send(slc_audit_topic *topic, const char *text, size_t len);

#endif
