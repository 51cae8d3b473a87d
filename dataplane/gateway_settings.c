/* The settings of sluice-gateway. */
#include "dataplane/gateway_settings.h"

#define AT(member) offsetof(slc_gateway_settings, member)
#define DAY_MS     86400000LL
#define GIB        (1LL << 30)

const slc_setting slc_gateway_settings_table[] = {
    {"state-dir", SLC_SET_STRING, "/var/lib/sluice-gateway",
     "folder of the node's identity and its last good configuration", AT(state_dir), 0, 0},
    {"join", SLC_SET_SECRET, NULL, "join string, needed until the node has an identity", AT(join), 0, 0},
    {"join-file", SLC_SET_STRING, NULL, "file that holds the join string", AT(join_file), 0, 0},
    {"enrolment.endpoint", SLC_SET_ADDRESS, NULL,
     "HOST:PORT where to enrol with the token of a service account, instead of a join string",
     AT(enrolment_endpoint), 0, 0},
    {"enrolment.ca-sha256", SLC_SET_STRING, NULL,
     "hexadecimal SHA-256 of the public key of the control plane's node CA (GET /v1/node-ca shows it)",
     AT(enrolment_ca_sha256), 0, 0},
    {"enrolment.service-account-token-file", SLC_SET_STRING, NULL,
     "file of the projected service-account token; read anew at each enrolment", AT(service_account_token_file),
     0, 0},
    {"node-name", SLC_SET_STRING, NULL, "name of this node for people (default: the host's)", AT(node_name), 0,
     0},
    {"observe-address", SLC_SET_ADDRESS, "127.0.0.1:8100", "where /metrics and /health listen",
     AT(observe_address), 0, 0},
    {"access-log", SLC_SET_STRING, "-", "file for one JSON line a request; - is standard output, empty is none",
     AT(access_log), 0, 0},
    {"access-log-queue", SLC_SET_SIZE, "4MiB",
     "lines that wait to be written; what does not fit is dropped and counted", AT(access_log_queue_bytes),
     256 * 1024, GIB},
    {"log-level", SLC_SET_STRING, "info", "debug, info, warn or error", AT(log_level), 0, 0},
    {"log-format", SLC_SET_STRING, "json", "json or text", AT(log_format), 0, 0},
    {"workers", SLC_SET_INT, "0", "worker threads; 0: one for each core", AT(workers), 0, 256},

    {"config.reconnect-min", SLC_SET_DURATION, "500ms", "first wait before reconnecting to the control plane",
     AT(reconnect_min_ms), 10, DAY_MS},
    {"config.reconnect-max", SLC_SET_DURATION, "30s", "longest wait before reconnecting to the control plane",
     AT(reconnect_max_ms), 10, DAY_MS},
    {"config.retry-min", SLC_SET_DURATION, "1s",
     "first wait before a configuration is tried again that this node's surroundings did not allow, such as an "
     "address in use",
     AT(retry_apply_min_ms), 10, DAY_MS},
    {"config.retry-max", SLC_SET_DURATION, "60s", "longest wait before it is tried again",
     AT(retry_apply_max_ms), 10, DAY_MS},
    {"readiness.require-backend", SLC_SET_BOOL, "false", "not ready while a backend is down",
     AT(require_backend), 0, 0},

    {"http.header-limit", SLC_SET_SIZE, "32KiB", "largest request line and headers",
     AT(limits.request_header_bytes), 1024, 1LL << 20},
    {"http.body-limit", SLC_SET_SIZE, "8MiB", "largest request body", AT(limits.request_body_bytes), 1024, GIB},
    {"http.bodies-limit", SLC_SET_SIZE, "256MiB",
     "bytes of all request bodies under way, beyond 64 KiB of each, for each worker; over it 503",
     AT(limits.request_bodies_bytes), 1024, 64 * GIB},
    {"http.request-timeout", SLC_SET_DURATION, "15s", "time to receive a request, and idle keep-alive",
     AT(limits.request_timeout_ms), 100, DAY_MS},
    {"http.answer-timeout", SLC_SET_DURATION, "60s",
     "time to take an answer that is no stream; who takes longer is cut", AT(limits.answer_timeout_ms), 100,
     DAY_MS},
    {"http.connections", SLC_SET_INT, "20000", "open connections of each worker; at it accepting pauses",
     AT(limits.connections), 1, 1000000},
    {"http.streams", SLC_SET_INT, "20000", "open event streams of each worker; over it 503", AT(limits.streams),
     1, 1000000},

    {"limits.keys", SLC_SET_INT, "65536",
     "whoever is limited at once: applications, addresses, ...; 64 bytes each", AT(limit_keys), 1024, 1 << 24},

    {"kafka.connections", SLC_SET_INT, "20000", "native Kafka sessions of each worker; at it accepting pauses",
     AT(limits.kafka_connections), 1, 1000000},
    {"kafka.frame-limit", SLC_SET_SIZE, "100MiB", "largest request of a native client",
     AT(limits.kafka_frame_bytes), 64 * 1024, GIB},
    {"kafka.rewrite-limit", SLC_SET_SIZE, "64MiB", "largest answer that is held in memory to be rewritten",
     AT(limits.kafka_rewrite_bytes), 1024 * 1024, GIB},
    {"kafka.buffer-limit", SLC_SET_SIZE, "256MiB", "bytes of native sessions on their way, for each worker",
     AT(limits.kafka_buffer_bytes), 1024 * 1024, 16 * GIB},
    {"kafka.in-flight", SLC_SET_INT, "1000", "unanswered requests of a native session; at it reading pauses",
     AT(limits.kafka_in_flight), 1, 100000},
    {"kafka.splice-from", SLC_SET_SIZE, "32KiB",
     "bytes left of a frame that move from socket to socket without being copied, when neither has TLS; 0: "
     "never",
     AT(limits.kafka_splice_bytes), 0, GIB},
    {"kafka.connect-timeout", SLC_SET_DURATION, "10s", "to connect and authenticate to a broker",
     AT(limits.kafka_connect_timeout_ms), 100, 600000},
    {"kafka.authentication-timeout", SLC_SET_DURATION, "10s", "for a native client to authenticate",
     AT(limits.kafka_authentication_timeout_ms), 100, 600000},
    {"kafka.idle-timeout", SLC_SET_DURATION, "10m",
     "a native session that no broker is connected for yet, and whose client says nothing, is closed; "
     "later the broker's own limit holds",
     AT(limits.kafka_idle_timeout_ms), 100, DAY_MS},
    {"kafka.cut-off-grace", SLC_SET_DURATION, "2s",
     "for the answers under way of native sessions when the configuration is older than max_staleness",
     AT(limits.kafka_cut_off_grace_ms), 0, 600000},

    {"kafka.change-grace", SLC_SET_DURATION, "2s",
     "for the answers under way of native sessions when filters, aliases, extra topics or limits of their "
     "virtual "
     "cluster change; those that take longer are closed",
     AT(limits.kafka_change_grace_ms), 0, 600000},
    {"kafka.conflict-memory", SLC_SET_DURATION, "15m",
     "a topic that an alias or an extra topic hides is reported to the control plane for this long after an "
     "answer "
     "showed it",
     AT(limits.kafka_conflict_memory_ms), 1000, DAY_MS},

    {"kafka.log-interval", SLC_SET_DURATION, "1m",
     "a native session that ends for the same reason as others of the same client is counted, and logged once "
     "in "
     "this time; 0: each is logged",
     AT(limits.kafka_log_interval_ms), 0, DAY_MS},

    {"publish.deadline", SLC_SET_DURATION, "10s", "wait for the broker's acknowledgement, then 503 or 504",
     AT(limits.publish_deadline_ms), 100, 600000},
    {"publish.gather", SLC_SET_DURATION, "1ms",
     "longest wait of an event for company while few others are under way", AT(limits.publish_gather_ms), 0,
     100},
    {"publish.queue-limit", SLC_SET_SIZE, "64MiB", "events waiting for acknowledgement, for each producer",
     AT(limits.producer_queue_bytes), 1LL << 20, 16 * GIB},

    {"stream.heartbeat", SLC_SET_DURATION, "15s", "comment on an idle event stream", AT(limits.heartbeat_ms),
     100, DAY_MS},
    {"stream.stalled-write", SLC_SET_DURATION, "5s", "a reader that takes nothing for this long is closed",
     AT(limits.stalled_write_ms), 100, DAY_MS},
    {"stream.retry", SLC_SET_DURATION, "3s", "reconnection time that clients are told, jittered",
     AT(limits.retry_ms), 10, DAY_MS},

    {"feed.ring-limit", SLC_SET_SIZE, "8MiB", "records kept in memory for the readers of one topic",
     AT(limits.feed_ring_bytes), 64 * 1024, 16 * GIB},
    {"feed.prefill", SLC_SET_DURATION, "60s", "how far back a topic is read when its first reader comes",
     AT(limits.feed_prefill_ms), 0, DAY_MS},
    {"feed.fetch-size", SLC_SET_SIZE, "256KiB", "records fetched from a backend at once, for each consumer",
     AT(limits.feed_fetch_bytes), 16 * 1024, 256LL << 20},
    {"feed.idle", SLC_SET_DURATION, "60s", "a topic without readers is let go after this",
     AT(limits.feed_idle_ms), 0, DAY_MS},
    {"feed.catchup-consumers", SLC_SET_INT, "8", "consumers for readers that are behind the records in memory",
     AT(limits.catchup_consumers), 1, 1024},
    {"feed.catchup-queue", SLC_SET_INT, "256",
     "reads at different places that wait for such a consumer; beyond it pages are 429, and streams wait "
     "outside",
     AT(limits.catchup_queue), 1, 100000},
    {"feed.catchup-window", SLC_SET_SIZE, "256KiB", "records that such a consumer holds for its readers",
     AT(limits.catchup_window_bytes), 64 * 1024, GIB},
    {"feed.catchup-park", SLC_SET_DURATION, "30s", "such a consumer waits for the next page for so long",
     AT(limits.catchup_park_ms), 0, DAY_MS},

    {"kafka.metadata-refresh", SLC_SET_DURATION, "5s",
     "how often topics in use are looked at: partitions, limits, whether they were made anew",
     AT(limits.metadata_refresh_ms), 100, DAY_MS},
    {"kafka.metadata-timeout", SLC_SET_DURATION, "5s", "wait for a backend's answer about its topics",
     AT(limits.metadata_timeout_ms), 100, 600000},

    {"page.max-events", SLC_SET_INT, "1000", "largest page", AT(limits.page_max_events), 1, 100000},
    {"page.max-wait", SLC_SET_DURATION, "30s", "longest long-poll", AT(limits.page_max_wait_ms), 0, 600000},
    {"page.max-size", SLC_SET_SIZE, "8MiB", "largest page in bytes", AT(limits.page_max_bytes), 1024, GIB},
    {"page.total-size", SLC_SET_SIZE, "256MiB",
     "bytes of all pages that readers have not taken yet, for each worker; at it pages are short, over it 503",
     AT(limits.pages_bytes), 1024, 64 * GIB},

    {"ticket.lifetime", SLC_SET_DURATION, "10m", "how long a ticket opens event streams",
     AT(limits.ticket_lifetime_ms), 1000, DAY_MS},

    {"drain.deadline", SLC_SET_DURATION, "30s", "time to finish what is open after SIGTERM",
     AT(limits.drain_ms), 0, DAY_MS},
    {NULL, SLC_SET_STRING, NULL, NULL, 0, 0, 0},
};
