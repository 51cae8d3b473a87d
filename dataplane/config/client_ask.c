/* What the control plane asks: who is connected. The gateway gathers the answer; it goes out in parts, so that
 * none is large. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "dataplane/config/client_private.h"

#define PART_MAX 200

bool slc_client_asked(slc_config_client *client, const Sluice__Config__V1__ConnectionsRequest *request)
{
    size_t len = strlen(request->id);
    if (client->question[0] != '\0' || len == 0 || len > SLC_CONFIG_QUESTION_CHARS)
        return false;
    memcpy(client->question, request->id, len + 1);
    size_t limit = request->limit < SLC_CONFIG_MAX_CONNECTIONS ? request->limit : SLC_CONFIG_MAX_CONNECTIONS;
    client->gateway.list(client->gateway.arg, client->question, limit);
    return true;
}

static void fill(Sluice__Config__V1__Connection *out, slc_open_connection *item)
{
    sluice__config__v1__connection__init(out);
    out->protocol = (char *)item->protocol;
    out->tls = item->tls;
    out->listener = item->listener;
    out->client_address = item->client_address;
    out->application = item->application;
    out->credential = item->credential;
    out->event_api = item->event_api;
    out->operation = item->operation;
    out->opened_at_ms = item->opened_ms;
    out->bytes_in = item->bytes_in;
    out->bytes_out = item->bytes_out;
    out->client_id = item->client_id;
    out->virtual_cluster = item->virtual_cluster;
}

static void send_part(slc_config_client *client, const slc_connection_list *list, size_t first, size_t count)
{
    Sluice__Config__V1__FromNode message = SLUICE__CONFIG__V1__FROM_NODE__INIT;
    Sluice__Config__V1__Connections body = SLUICE__CONFIG__V1__CONNECTIONS__INIT;
    Sluice__Config__V1__Connection items[PART_MAX], *pointers[PART_MAX];
    for (size_t i = 0; i < count; i++) {
        fill(&items[i], &list->items[first + i]);
        pointers[i] = &items[i];
    }
    body.id = client->question;
    body.total = list->total;
    body.connections = pointers;
    body.n_connections = count;
    body.last = first + count == list->count;
    message.message_case = SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_CONNECTIONS;
    message.connections = &body;
    slc_client_send(client, &message);
}

static void send_list(slc_config_client *client, const slc_connection_list *list)
{
    size_t first = 0;
    do {
        size_t count = list->count - first < PART_MAX ? list->count - first : PART_MAX;
        send_part(client, list, first, count);
        first += count;
    } while (first < list->count);
}

struct listed {
    slc_message msg;
    slc_config_client *client;
    char id[SLC_CONFIG_QUESTION_CHARS + 1];
    slc_connection_list list;
};

static void drop_listed(slc_message *msg)
{
    struct listed *listed = (struct listed *)msg;
    slc_connection_list_release(&listed->list);
    free(listed);
}

/* The stream that asked may be gone: then its question is forgotten. */
static void run_listed(slc_message *msg, void *owner)
{
    struct listed *listed = (struct listed *)msg;
    slc_config_client *client = listed->client;
    (void)owner;
    SLC_CHECK_MAGIC(client, SLC_CLIENT_MAGIC);
    if (strcmp(client->question, listed->id) == 0) {
        send_list(client, &listed->list);
        client->question[0] = '\0';
    }
    drop_listed(msg);
}

void slc_config_client_listed(slc_config_client *client, const char *id, slc_connection_list *list)
{
    struct listed *listed = slc_calloc(1, sizeof *listed);
    SLC_CHECK_MAGIC(client, SLC_CLIENT_MAGIC);
    listed->msg.run = run_listed;
    listed->msg.drop = drop_listed;
    listed->client = client;
    snprintf(listed->id, sizeof listed->id, "%s", id);
    listed->list = *list;
    *list = (slc_connection_list){0};
    slc_mailbox_post(slc_loop_mailbox(client->loop), &listed->msg);
}
