/* The settings of sluice-control. */
#include "controlplane/settings.h"

#define AT(member) offsetof(slc_control_settings, member)

const slc_setting slc_control_settings_table[] = {
    {"data-dir", SLC_SET_STRING, "/var/lib/sluice-control", "folder of the database, the keys and the node CA",
     AT(data_dir), 0, 0},
    {"master-key-file", SLC_SET_STRING, NULL,
     "key that seals secrets at rest (default: master.key in the data folder)", AT(master_key_file), 0, 0},
    {"bootstrap-token-file", SLC_SET_STRING, NULL,
     "write the first administrator token to this file instead of standard output", AT(bootstrap_token_file), 0,
     0},
    {"log-level", SLC_SET_STRING, "info", "debug, info, warn or error", AT(log_level), 0, 0},
    {"log-format", SLC_SET_STRING, "json", "json or text", AT(log_format), 0, 0},

    {"admin-address", SLC_SET_ADDRESS, "127.0.0.1:8001", "where the admin API listens", AT(admin_address), 0,
     0},
    {"admin-tls.certificate-file", SLC_SET_STRING, NULL,
     "PEM chain for HTTPS on the admin API; empty: plain HTTP", AT(admin_tls_certificate_file), 0, 0},
    {"admin-tls.key-file", SLC_SET_STRING, NULL, "PEM key of that certificate", AT(admin_tls_key_file), 0, 0},
    {"admin-limits.body", SLC_SET_SIZE, "16MiB", "largest request body", AT(admin_body_bytes), 1024, 1LL << 30},
    {"admin-limits.header", SLC_SET_SIZE, "32KiB", "largest request line and headers", AT(admin_header_bytes),
     1024, 1LL << 20},
    {"admin-limits.request-timeout", SLC_SET_DURATION, "30s", "time to receive a request, and idle keep-alive",
     AT(admin_request_timeout_ms), 100, 3600000},
    {"admin-limits.connections", SLC_SET_INT, "1000", "open connections; over it accepting pauses",
     AT(admin_connections), 1, 1000000},

    {"grpc-address", SLC_SET_ADDRESS, "127.0.0.1:8005", "where gateways fetch configuration (mutual TLS)",
     AT(grpc_address), 0, 0},
    {"grpc-advertise", SLC_SET_ADDRESS, NULL, "HOST:PORT that gateways dial for it (default: grpc-address)",
     AT(grpc_advertise), 0, 0},
    {"enrolment-address", SLC_SET_ADDRESS, "127.0.0.1:8006", "where new gateways enrol (server TLS)",
     AT(enrolment_address), 0, 0},
    {"enrolment-advertise", SLC_SET_ADDRESS, NULL,
     "HOST:PORT written into join strings (default: enrolment-address)", AT(enrolment_advertise), 0, 0},

    {"node.trust-domain", SLC_SET_STRING, "sluice", "SPIFFE trust domain of node certificates",
     AT(trust_domain), 0, 0},
    {"node.lost-after", SLC_SET_DURATION, "45s", "silence after which a node counts as lost", AT(node_lost_ms),
     1000, 86400000},
    {"node.heartbeat", SLC_SET_DURATION, "10s", "how often nodes report", AT(heartbeat_ms), 100, 3600000},
    {"node.answer-timeout", SLC_SET_DURATION, "60s", "how long a node may take to answer a push",
     AT(answer_timeout_ms), 1000, 3600000},
    {"node.server-names", SLC_SET_STRING, NULL,
     "more names and addresses for the certificate of the gRPC ports, comma separated", AT(server_names), 0, 0},
    {"snapshot.versions-kept", SLC_SET_INT, "100", "compiled versions kept for each group", AT(versions_kept),
     1, 100000},
    {"snapshot.debounce", SLC_SET_DURATION, "50ms",
     "wait after a change before compiling, so that a burst is one version", AT(debounce_ms), 0, 60000},

    {"catalog.busy-timeout", SLC_SET_DURATION, "5s", "wait for another process's lock on the database",
     AT(catalog_busy_timeout_ms), 0, 600000},
    {"catalog.readers", SLC_SET_INT, "2", "reader connections to the database", AT(catalog_readers), 1, 64},
    {"shutdown-grace", SLC_SET_DURATION, "5s", "time for open requests and streams to end on shutdown",
     AT(shutdown_grace_ms), 0, 600000},
    {NULL, SLC_SET_STRING, NULL, NULL, 0, 0, 0},
};
