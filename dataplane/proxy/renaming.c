/* A virtual cluster's filters, aliases, extra topics or limits change while sessions are open. A session takes
 * no more requests until those under way are answered by the names that they were asked by, and goes on with
 * the new ones. Records of a topic that has left are not given any more, also when the request for them waits
 * at the broker. */
#include <string.h>

#include "common/clock.h"
#include "dataplane/kafka/metadata_codec.h"
#include "dataplane/proxy/session_private.h"

static bool same_texts(char *const *a, size_t a_count, char *const *b, size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++)
        if (strcmp(a[i], b[i]) != 0)
            return false;
    return true;
}

/* Is all that a client was told of, or let in by, as it was? */
static bool same_but_names(const slc_vcluster *then, const slc_vcluster *now)
{
    const Sluice__Snapshot__V1__VirtualCluster *a = then->msg, *b = now->msg;
    if (then->names == NULL || now->names == NULL ||
        memcmp(then->backend->digest, now->backend->digest, sizeof then->backend->digest) != 0)
        return false;
    return a->mode == b->mode && strcmp(a->prefix, b->prefix) == 0 && strcmp(a->name, b->name) == 0 &&
           same_texts(a->client_authentication, a->n_client_authentication, b->client_authentication,
                      b->n_client_authentication) &&
           same_texts(a->admin_apis, a->n_admin_apis, b->admin_apis, b->n_admin_apis) &&
           slc_names_has_extras(then->names) == slc_names_has_extras(now->names) &&
           slc_view_min_version(then->names, SLC_KAFKA_METADATA_KEY) ==
               slc_view_min_version(now->names, SLC_KAFKA_METADATA_KEY);
}

bool slc_session_will_rename(slc_session *session, slc_vcluster *now)
{
    const slc_vcluster *last = session->renamed != NULL ? session->renamed : session->vcluster;
    if (memcmp(now->digest, last->digest, sizeof now->digest) == 0)
        return true;
    /* A share session (KIP-932) cannot be begun anew from here. */
    if (session->view == NULL || session->view->shares || !same_but_names(session->vcluster, now))
        return false;
    slc_vcluster_unref(session->renamed);
    session->renamed = slc_vcluster_ref(now);
    slc_view_will_rename(session->view, now->names);
    session->rename_until_ms = slc_monotonic_ms() + session->front->limits->kafka_change_grace_ms;
    return true;
}

bool slc_session_rename(slc_session *session)
{
    if (session->flights.count > 0 || session->request_left > 0 || session->response_left > 0)
        return false;
    slc_vcluster *before = session->vcluster;
    session->vcluster = session->renamed;
    session->renamed = NULL;
    slc_view_rename(session->view);
    if (session->authorised)
        (void)!slc_session_authorise(session); /* what he may is asked of the new one; addresses were before */
    slc_vcluster_unref(before);
    return true;
}
