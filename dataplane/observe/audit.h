/* The data plane's audit trail: authentications, denials and access as one JSON object a line, to a file and,
 * if wanted, to a Kafka topic of one of the group's backends. docs/operations.md, "Audit".
 *
 * Lines are gathered by each worker and handed over in large pieces; nothing here blocks. What waits is
 * bounded, in memory by audit.queue and on the way to Kafka by audit.kafka-queue, and what does not fit is lost
 * and counted in sluice_audit_dropped_total. No line holds a secret, a token, or what an event says.
 *
 * slc_audit is the process's (any thread); a log is its worker's.
 */
#ifndef SLC_DATAPLANE_OBSERVE_AUDIT_H
#define SLC_DATAPLANE_OBSERVE_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "dataplane/worker.h"

typedef struct slc_audit slc_audit;
typedef struct slc_audit_log slc_audit_log;

enum slc_audit_class {
    SLC_AUDIT_AUTHENTICATION, /* somebody proved who they are, or could not */
    SLC_AUDIT_DENIAL,         /* somebody was not allowed what they asked for */
    SLC_AUDIT_ACCESS,         /* an HTTP request, or a native session, is over */
    SLC_AUDIT_CLASSES,
};

typedef struct slc_audit_options {
    const char *file;    /* to append to; "-": standard output; "": none */
    const char *classes; /* "authentication,denial" */
    int64_t queue_bytes; /* lines that wait for the file */
    const char *backend; /* name of a backend cluster that the group uses; NULL: no topic */
    const char *topic;
    int64_t topic_queue_bytes; /* lines on their way to it, of all workers */
} slc_audit_options;

/* What a line says. NULL or "": left out; so are zeros. Borrowed, and cut to 512 bytes each. */
typedef struct slc_audit_event {
    enum slc_audit_class class;
    const char *outcome;  /* "good", "refused", "denied", "over" */
    const char *protocol; /* "http", "kafka" */
    const char *mechanism;
    const char *client, *client_id;
    const char *listener, *virtual_cluster, *event_api;
    const char *application, *credential;
    const char *operation, *resource, *name; /* what was asked for */
    const char *reason;                      /* names the rule */
    const char *request_id, *method, *path;
    int status;
    uint64_t events, bytes_in, bytes_out;
    int64_t duration_ms;
} slc_audit_event;

/* Registers the metrics of this module; once, before threads start. */
void slc_audit_register_metrics(void);

slc_audit *slc_audit_new(const slc_audit_options *options, slc_error *err) SLC_CHECKED;
/* After the last log was freed. Waits until what is left is in the file, for two seconds at most. */
void slc_audit_free(slc_audit *audit); /* NULL is fine */
/* After a rotation: opens the file again. */
bool slc_audit_reopen(slc_audit *audit, slc_error *err) SLC_CHECKED;

/* `worker` has its snapshot and its mediation whenever it flushes. */
slc_audit_log *slc_audit_log_new(slc_audit *audit, slc_worker *worker);
/* Hands over what is left, without Kafka when mediation has ended. NULL is fine. */
void slc_audit_log_free(slc_audit_log *log);
/* Does anybody want to know? So that nothing is put together in vain. NULL: no. */
bool slc_audit_wants(const slc_audit_log *log, enum slc_audit_class class);
void slc_audit_add(slc_audit_log *log, const slc_audit_event *event);

#endif
