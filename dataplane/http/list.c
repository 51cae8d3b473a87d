/* The open connections of a worker, for people. A connection with a stream or another request under way is
 * described by that; an idle one by a note that its last request left. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "dataplane/http/front_private.h"

struct note {
    char application[64];
    char credential[24];
    char name[64];
    uint32_t major;
    Sluice__Snapshot__V1__Operation operation;
    slc_charges *held; /* places of limited connections; NULL: none */
};

static void copy(char *out, size_t size, const char *text)
{
    size_t len = strnlen(text, size - 1);
    memcpy(out, text, len);
    out[len] = '\0';
}

/* NULL once the client has gone. */
static struct note *note_of(slc_exchange *exchange)
{
    void **slot = slc_httpd_note(exchange->req);
    if (slot != NULL && *slot == NULL)
        *slot = slc_calloc(1, sizeof(struct note));
    return slot != NULL ? *slot : NULL;
}

void slc_connection_note_free(void *arg)
{
    struct note *note = arg;
    if (note->held != NULL)
        slc_charges_release(note->held);
    free(note->held);
    free(note);
}

slc_charges *slc_exchange_connection_charges(void *arg)
{
    slc_exchange *exchange = arg;
    struct note *note = note_of(exchange);
    if (note != NULL && note->held == NULL) {
        note->held = slc_calloc(1, sizeof *note->held);
        note->held->limits = exchange->worker->limits;
    }
    return note != NULL ? note->held : NULL;
}

/* On the hot path: one allocation for each connection, then a few short copies. */
void slc_exchange_note_connection(slc_exchange *exchange)
{
    struct note *note = note_of(exchange);
    if (note == NULL)
        return;
    copy(note->application, sizeof note->application, exchange->principal.application_name);
    copy(note->credential, sizeof note->credential, exchange->principal.credential_id);
    copy(note->name, sizeof note->name, exchange->api->msg->name);
    note->major = exchange->api->msg->major;
    note->operation = exchange->operation;
}

static void set_api(slc_open_connection *item, const char *name, uint32_t major)
{
    snprintf(item->event_api, sizeof item->event_api, "%.64s.v%u", name, major);
}

static void describe(slc_open_connection *item, const struct slc_exchange_private *self)
{
    const slc_exchange *exchange = &self->base;
    item->protocol = exchange->streamed ? "sse" : "http";
    if (exchange->api == NULL)
        return;
    set_api(item, exchange->api->msg->name, exchange->api->msg->major);
    item->operation = exchange->operation;
    copy(item->application, sizeof item->application, exchange->principal.application_name);
    copy(item->credential, sizeof item->credential, exchange->principal.credential_id);
}

static void recall(slc_open_connection *item, const struct note *note)
{
    item->protocol = "http";
    if (note == NULL || note->name[0] == '\0')
        return;
    set_api(item, note->name, note->major);
    item->operation = note->operation;
    copy(item->application, sizeof item->application, note->application);
    copy(item->credential, sizeof item->credential, note->credential);
}

static void set_address(slc_open_connection *item, const slc_httpd_open *open)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    char host[INET6_ADDRSTRLEN] = "";
    if (open->source != NULL)
        peer = *open->source;
    else if (getpeername(open->fd, (struct sockaddr *)&peer, &len) != 0)
        return;
    if (peer.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&peer;
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        snprintf(item->client_address, sizeof item->client_address, "[%s]:%u", host, ntohs(in6->sin6_port));
    } else if (peer.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&peer;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(item->client_address, sizeof item->client_address, "%s:%u", host, ntohs(in->sin_port));
    }
}

struct listing {
    slc_connection_list *list;
    size_t limit;
};

static bool add(const slc_httpd_open *open, void *arg)
{
    struct listing *listing = arg;
    const struct slc_front_listener *listener = open->tag;
    slc_open_connection *item;
    if (listing->list->count == listing->limit)
        return false;
    item = &listing->list->items[listing->list->count++];
    item->opened_ms = open->opened_ms;
    item->tls = open->tls;
    copy(item->listener, sizeof item->listener, listener->listener->msg->name);
    if (open->end_arg != NULL)
        describe(item, open->end_arg);
    else
        recall(item, open->note);
    set_address(item, open);
    slc_socket_bytes(open->fd, &item->bytes_in, &item->bytes_out);
    return true;
}

void slc_http_front_list(slc_http_front *front, size_t limit, slc_connection_list *list)
{
    SLC_CHECK_MAGIC(front, SLC_FRONT_MAGIC);
    struct listing listing = {list, limit};
    list->total = slc_httpd_connections(front->httpd);
    if (listing.limit > list->total)
        listing.limit = (size_t)list->total;
    list->items = slc_calloc(listing.limit + 1, sizeof *list->items);
    slc_httpd_each(front->httpd, add, &listing);
}
