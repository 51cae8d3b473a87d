/* Who is connected: gathered worker by worker for whoever asks the control plane. */
#ifndef SLC_DATAPLANE_CONNECTIONS_H
#define SLC_DATAPLANE_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sluice/snapshot.pb-c.h"

/* One open client connection: what it is doing, or did last. Names, never secrets. */
typedef struct slc_open_connection {
    int64_t opened_ms;            /* wall clock */
    uint64_t bytes_in, bytes_out; /* of the TCP connection */
    const char *protocol;         /* "http", "sse", "kafka"; static */
    bool tls;
    Sluice__Snapshot__V1__Operation operation;
    char listener[64];
    char client_address[72]; /* host:port */
    char application[64];    /* empty: nobody has authenticated */
    char credential[24];
    char event_api[80]; /* "orders.v1" */
    char client_id[64]; /* kafka: what the client calls itself */
    char virtual_cluster[64];
} slc_open_connection;

typedef struct slc_connection_list {
    uint64_t total; /* open; may be more than are listed */
    size_t count;
    slc_open_connection *items; /* the newest first */
} slc_connection_list;

void slc_connection_list_release(slc_connection_list *list);

#endif
