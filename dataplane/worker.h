/* A worker: one thread, one event loop, everything that its connections touch. Connections belong to one worker
 * for life; workers share only immutable snapshots and refcounted records, and talk through mailboxes.
 */
#ifndef SLC_DATAPLANE_WORKER_H
#define SLC_DATAPLANE_WORKER_H

#include <stdint.h>

#include "common/httpd.h"
#include "common/loop.h"
#include "dataplane/config/snapshot.h"
#include "dataplane/observe/usage.h"
#include "dataplane/page_bytes.h"

struct slc_gateway;
struct slc_proxy_front;
struct slc_audit_log;
struct slc_tracer;
struct slc_mediation_worker; /* mediation/: the worker's view of feeds and producers */

typedef struct slc_worker {
    unsigned magic;
    unsigned index; /* 0.. */
    struct slc_gateway *gateway;
    slc_loop *loop;
    struct slc_limits *limits;        /* policy/limits.h; the process's */
    struct slc_failures *failures;    /* policy/failures.h; the process's; NULL: none is counted */
    struct slc_shared_limits *shared; /* policy/shared_limits.h; NULL: no Redis */
    struct slc_tokens *tokens;        /* identity/tokens.h; NULL: no token is taken */
    struct slc_headcount *headcount;  /* proxy/headcount.h; the process's */
    struct slc_audit_log *audit;      /* observe/audit.h; NULL: nobody wants one */
    struct slc_tracer *tracer;        /* observe/trace.h; the process's; NULL: no traces */
    slc_snapshot *snapshot;           /* current; own reference; NULL before the first */
    struct slc_mediation_worker *mediation;
    struct slc_http_front *http;   /* http/: listeners, connections, requests in flight */
    struct slc_proxy_front *kafka; /* proxy/: native sessions */
    slc_usage_table usage;         /* what was counted since it was last collected */
    slc_page_bytes page_bytes;     /* of pages that are collected, or that their readers have not taken yet */
} slc_worker;

/* Limits and times of the gateway process; every one is a setting (settings table in
 * dataplane/gateway_settings.c). */
typedef struct slc_gateway_limits {
    int64_t request_header_bytes; /* 32 KiB */
    int64_t request_body_bytes;   /* 1 MiB + room for a batch: 8 MiB */
    int64_t request_bodies_bytes; /* 256 MiB: of all requests of a worker, beyond 64 KiB of each */
    int64_t request_timeout_ms;   /* 15 s */
    int64_t answer_timeout_ms;    /* 60 s: to take an answer that is no stream */
    int64_t publish_deadline_ms;  /* 10 s: then 503 or 504 */
    int64_t publish_gather_ms;    /* 1 ms: longest wait for company */
    int64_t heartbeat_ms;         /* 15 s: SSE comment */
    int64_t apply_slice_ms;       /* 2 ms: at once for a changed configuration's connections */
    int64_t stalled_write_ms;     /* 5 s: a reader that takes nothing is closed */
    int64_t retry_ms;             /* 3 s: SSE retry field, jittered */
    int64_t feed_ring_bytes;      /* 8 MiB for each feed */
    int64_t feed_prefill_ms;      /* 60 s */
    int64_t feed_fetch_bytes;     /* 256 KiB: of one fetch, for feeds and for catch-up */
    int64_t feed_idle_ms;         /* 60 s: a feed without readers is closed */
    int64_t page_max_events;      /* 1,000 */
    int64_t page_max_wait_ms;     /* 30 s */
    int64_t page_max_bytes;       /* 8 MiB */
    int64_t pages_bytes;          /* 256 MiB: of all pages of a worker */
    int64_t application_bytes;    /* 64 MiB: of those, of one application */
    int64_t catchup_consumers;    /* 8 */
    int64_t catchup_queue;        /* 256: scans that wait for such a consumer */
    int64_t catchup_window_bytes; /* 256 KiB: records that a catch-up consumer holds for its readers */
    int64_t catchup_park_ms;      /* 30 s: a catch-up consumer waits for the next page */
    int64_t producer_queue_bytes; /* 64 MiB */
    int64_t metadata_refresh_ms;  /* 5 s: topics are looked at again */
    int64_t metadata_timeout_ms;  /* 5 s: of a question about them */
    int64_t ticket_lifetime_ms;   /* 10 min */
    int64_t drain_ms;             /* 30 s */
    int64_t connections;          /* each worker: 20,000 */
    int64_t streams;              /* SSE, each worker: 20,000 */
    int64_t kafka_connections;    /* native sessions, each worker: 20,000 */
    /* 10,000: native sessions of an address at a listener that says nothing else, whole process; 0: no limit */
    int64_t kafka_address_connections;
    int64_t kafka_strangers;         /* native sessions that have not authenticated yet, each worker: 1,000 */
    int64_t kafka_stranger_grace_ms; /* 2 s: what these have for it when others wait */
    int64_t kafka_frame_bytes;       /* 100 MiB: largest request */
    int64_t kafka_rewrite_bytes;     /* 64 MiB: largest answer that is held to be rewritten */
    int64_t records_inflated_bytes;  /* 64 MiB: of one batch of records that policies look into */
    int64_t records_wait_ms;         /* 5 s: for what policies on records need, such as a key */
    int64_t records_letters;         /* 1,000: dead letters that are not stored yet, whole process */
    int64_t records_gzip_level, records_lz4_level, records_zstd_level; /* that they are compressed with again */
    int64_t kafka_buffer_bytes; /* 256 MiB: bytes on their way, each worker */
    int64_t kafka_in_flight;    /* 1,000: requests of a session that wait for their answer */
    int64_t kafka_splice_bytes; /* 32 KiB: of a frame left, from which they are not copied; 0: always */
    int64_t
        kafka_throttle_max_ms; /* 30 s: longest that a session is left unread at a time because of a limit */
    int64_t kafka_log_interval_ms; /* 1 min: what repeats itself is logged once in it; 0: always */
    /* 10 s: to a broker, with TLS and SASL */
    int64_t kafka_connect_timeout_ms;
    /* 10 s: for a client to authenticate */
    int64_t kafka_authentication_timeout_ms;
    /* 10 min: for a client to say something that needs a broker, before one is connected */
    int64_t kafka_idle_timeout_ms;
    /* 2 s: longest that an attempt to authenticate is held that is refused because too many failed before */
    int64_t kafka_failure_delay_ms;
    int64_t kafka_session_lifetime_ms; /* clients authenticate again by then; 0: when what they have expires */
    int64_t kafka_expiry_grace_ms;     /* 30 s: for that, and for the answers under way */
    /* 2 s: for the answers that are under way when the configuration gets too old */
    int64_t kafka_cut_off_grace_ms;
    /* 2 s: for the answers that are under way when a virtual cluster's names change */
    int64_t kafka_change_grace_ms;
    /* 5 s: a broker's list of topics may not show what was made or deleted before */
    int64_t kafka_list_lag_ms;
    /* 15 min: a topic whose name is taken is told of after it was seen */
    int64_t kafka_conflict_memory_ms;
} slc_gateway_limits;

const slc_gateway_limits *slc_gateway_limits_of(const struct slc_gateway *gateway);

#endif
