/* The open native sessions of a worker, for people. */
#include <stdio.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/httpd.h"
#include "dataplane/proxy/session_private.h"

static void describe(slc_open_connection *item, const slc_session *session)
{
    item->opened_ms = session->opened_ms;
    item->protocol = "kafka";
    item->tls = session->client.ssl != NULL;
    snprintf(item->listener, sizeof item->listener, "%s", session->entity->msg->name);
    snprintf(item->client_address, sizeof item->client_address, "%s", session->address);
    snprintf(item->client_id, sizeof item->client_id, "%s", session->client_id);
    snprintf(item->application, sizeof item->application, "%s", session->principal.application_name);
    snprintf(item->credential, sizeof item->credential, "%s", session->principal.credential_id);
    if (session->vcluster != NULL)
        snprintf(item->virtual_cluster, sizeof item->virtual_cluster, "%s", session->vcluster->msg->name);
    slc_socket_bytes(session->client.fd, &item->bytes_in, &item->bytes_out);
}

void slc_proxy_front_list(slc_proxy_front *front, size_t limit, slc_connection_list *list)
{
    slc_session *session;
    SLC_CHECK_MAGIC(front, SLC_PROXY_FRONT_MAGIC);
    list->total = front->session_count;
    if (limit > list->total)
        limit = (size_t)list->total;
    list->items = slc_calloc(limit + 1, sizeof *list->items);
    TAILQ_FOREACH_REVERSE(session, &front->sessions, slc_sessions, entry)
    {
        if (list->count == limit)
            break;
        describe(&list->items[list->count++], session);
    }
}
