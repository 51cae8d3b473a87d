/* How a gateway gets and keeps its configuration: identity, cache, stream. Owns the config thread (one slc_loop
 * with gRPC on it).
 *
 * Start order: the last known good snapshot from disk (applied at once, so that a gateway serves without its
 * control plane), then the identity (enrolment by join string when there is none), then the stream, reconnected
 * for ever with jittered exponential backoff. A snapshot that arrives is fetched, checked and built here,
 * handed to `apply`, and acknowledged only after slc_config_client_applied.
 */
#ifndef SLC_DATAPLANE_CONFIG_CLIENT_H
#define SLC_DATAPLANE_CONFIG_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "dataplane/config/snapshot.h"
#include "dataplane/connections.h"
#include "dataplane/observe/usage.h"
#include "dataplane/virtual/conflicts.h"

typedef struct slc_config_client slc_config_client;

#define SLC_CONFIG_MAX_LISTENERS   64
#define SLC_CONFIG_QUESTION_CHARS  63
#define SLC_CONFIG_MAX_CONNECTIONS 1000 /* in the answer to a question */

/* What the gateway reports with each heartbeat. */
typedef struct slc_config_status {
    uint32_t connections;
    bool draining;
    size_t listener_count;
    struct {
        char name[64];
        char address[128];
        uint32_t connections;
    } listeners[SLC_CONFIG_MAX_LISTENERS];
    slc_conflict conflicts[SLC_CONFLICTS_MAX];
    size_t conflict_count;
    char problem[512]; /* what is wrong though it serves; "": nothing */
} slc_config_status;

/* Whether this gateway takes inventory of the group's backends. */
typedef struct slc_inventory_turn_options {
    bool take;
    int64_t interval_ms, delay_ms; /* the delay before the first */
    int timeout_ms;                /* of a question to a backend */
    size_t groups;                 /* looked at */
} slc_inventory_turn_options;

/* All called on the config thread; none may block for long. */
typedef struct slc_config_gateway {
    /* A new snapshot, already validated in itself. The gateway checks what only it can (listeners can be
     * bound), starts swapping every worker and returns true; when the last has swapped it calls
     * slc_config_client_applied, from any thread, possibly before apply returns. Until then no other snapshot
     * is handed over. False: nothing was changed; `err` says why and its field names the entity
     * ("listener/edge"). Then the same snapshot is handed over again later, with growing pauses, until it is
     * taken or another comes: what only the gateway can check may change by itself. `snapshot` is borrowed:
     * take references. */
    bool (*apply)(void *arg, slc_snapshot *snapshot, slc_error *err);
    /* The group's max_staleness was exceeded (true) or contact was made again (false): not ready and refuse, or
     * go on. */
    void (*stale)(void *arg, bool stale);
    /* Fills the zeroed struct. */
    void (*status)(void *arg, slc_config_status *status);
    /* Somebody asks who is connected: lists the newest `limit` connections and calls slc_config_client_listed
     * with the same `id` (borrowed), from any thread, now or later. */
    void (*list)(void *arg, const char *id, size_t limit);
    /* So many gateways of the group are at work, this one too. NULL: nobody wants to know. */
    void (*group_size)(void *arg, unsigned gateways);
    /* It is this gateway's turn to take inventory, or no more. NULL: nobody wants to know. */
    void (*inventory_turn)(void *arg, const slc_inventory_turn_options *turn);
    /* An operator wants the gateway to finish what is open, and end. NULL: it does not. */
    void (*drain)(void *arg);
    void *arg;
} slc_config_gateway;

typedef struct slc_config_client_options {
    const char *state_dir;      /* identity and cache; made with mode 0700 */
    const char *join;           /* join string; needed only until there is an identity; NULL: none */
    const char *node_name;      /* a wish, for people; NULL: the host's name */
    const char *build;          /* version and commit */
    int64_t reconnect_min_ms;   /* 0: 500 ms */
    int64_t reconnect_max_ms;   /* 0: 30 s */
    int64_t retry_enrol_ms;     /* 0: 2 s, growing to reconnect_max */
    int64_t retry_apply_min_ms; /* 0: 1 s; after the gateway's refusal, doubling */
    int64_t retry_apply_max_ms; /* 0: 60 s */
    int64_t usage_rows;         /* 0: 100,000; that wait for the control plane, and then are merged */
    int64_t usage_retry_ms;     /* 0: 30 s; what was not acknowledged by then is told again */
    /* Instead of a join string: where to enrol with a service account's token, which is read anew each time,
     * and the hexadecimal SHA-256 of the CA's public key. All or none. */
    const char *enrolment_endpoint, *enrolment_ca_sha256, *service_account_token_file;
} slc_config_client_options;

/* Registers the metrics of this module; once, before threads start. */
void slc_config_client_register_metrics(void);

/* Starts the thread and returns at once. An unusable state directory, an unreadable identity file, a bad join
 * string, or neither identity nor join string are errors (NULL); the network never is. Strings are copied. */
slc_config_client *slc_config_client_new(const slc_config_client_options *options,
                                         const slc_config_gateway *gateway, slc_error *err) SLC_CHECKED;
/* Ends the stream and the thread; blocks. No callback runs after it. */
void slc_config_client_free(slc_config_client *client);

/* Every worker runs on the snapshot of this version now. Any thread. */
void slc_config_client_applied(slc_config_client *client, uint64_t version);

/* The answer to `list`; the items are stolen. Any thread. */
void slc_config_client_listed(slc_config_client *client, const char *id, slc_connection_list *list);

/* What the workers have counted: the tables are emptied. `hour`: of the moment before the first was taken. Any
 * thread.
 */
void slc_config_client_usage(slc_config_client *client, slc_usage_table *tables, size_t count, uint32_t hour);
/* Waits until the control plane has stored all that was counted; false when it has not after `timeout_ms`, or
 * is not there. Any thread but the config thread. */
bool slc_config_client_flush_usage(slc_config_client *client, int64_t timeout_ms);

/* Sends a message if there is a stream now; packed before it returns. Any thread. */
struct Sluice__Config__V1__FromNode;
void slc_config_client_report(slc_config_client *client, struct Sluice__Config__V1__FromNode *message);

/* For readiness and tests; any thread. */
bool slc_config_client_connected(const slc_config_client *client);
uint64_t slc_config_client_applied_version(const slc_config_client *client); /* 0: none yet */

#endif
