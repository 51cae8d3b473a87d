/* What headers policies do to an exchange: the request's fields once it was allowed, the answer's just before
 * they are sent. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "dataplane/http/front_private.h"

static bool is(const char *name, size_t len, const char *text)
{
    return strlen(text) == len && memcmp(name, text, len) == 0;
}

static const char *value_of(void *ctx, const char *name, size_t len)
{
    const slc_exchange *exchange = ctx;
    const slc_principal *principal = &exchange->principal;
    if (is(name, len, "application.id"))
        return principal->application_id;
    if (is(name, len, "application.name"))
        return principal->application_name;
    if (is(name, len, "credential.id"))
        return principal->credential_id;
    if (is(name, len, "client.address"))
        return exchange->client_address;
    if (is(name, len, "request.id"))
        return exchange->request_id;
    if (is(name, len, "plan.name")) {
        const slc_plan *plan =
            principal->plan_id[0] != '\0' ? slc_snapshot_plan(exchange->snapshot, principal->plan_id) : NULL;
        return plan != NULL ? plan->msg->name : NULL;
    }
    const Sluice__Snapshot__V1__Application *application =
        slc_snapshot_application(exchange->snapshot, principal->application_id);
    return application != NULL ? application->team : NULL;
}

slc_header_edits *slc_exchange_edits(slc_exchange *exchange, enum slc_header_place place)
{
    SLC_BUG_ON(exchange->snapshot == NULL); /* they are asked for before an answer begins */
    return slc_header_edits_new(&exchange->headers, place, value_of, exchange);
}

/* ---- the fields of a message ---- */

static void rename_all(struct evkeyvalq *fields, const char *name, const char *to)
{
    const struct evkeyval *field;
    size_t count = 0;
    TAILQ_FOREACH (field, fields, next)
        count += strcasecmp(field->key, name) == 0;
    for (; count > 0; count--) {
        char *value = slc_strdup(evhttp_find_header(fields, name));
        evhttp_remove_header(fields, name);
        evhttp_add_header(fields, to, value);
        free(value);
    }
}

static void apply(const slc_header_edit *edit, struct evkeyvalq *fields)
{
    bool takes = edit->action == SLC_HEADER_SET || edit->action == SLC_HEADER_REMOVE;
    while (takes && evhttp_remove_header(fields, edit->name) == 0)
        ;
    if (edit->action == SLC_HEADER_RENAME)
        rename_all(fields, edit->name, edit->to);
    else if (edit->value != NULL)
        evhttp_add_header(fields, edit->name, edit->value);
}

static void rewrite(slc_exchange *exchange, enum slc_header_place place, struct evkeyvalq *fields)
{
    slc_header_edits *edits = slc_exchange_edits(exchange, place);
    for (size_t i = 0; edits != NULL && i < edits->count; i++)
        apply(&edits->items[i], fields);
    slc_header_edits_free(edits);
}

void slc_exchange_rewrite_request(slc_exchange *exchange)
{
    if (exchange->headers.count > 0)
        rewrite(exchange, SLC_HEADERS_REQUEST, evhttp_request_get_input_headers(exchange->req));
}

void slc_exchange_rewrite_answer(slc_exchange *exchange)
{
    if (exchange->api == NULL || exchange->snapshot == NULL)
        return;
    if (!exchange->headers.judged) {
        slc_header_policies_release(&exchange->headers);
        slc_policy_request request = slc_exchange_policy_request(exchange, slc_http_method(exchange->req));
        slc_chain_answer_headers(exchange->api->chain, &request);
    }
    if (exchange->headers.count > 0)
        rewrite(exchange, SLC_HEADERS_RESPONSE, evhttp_request_get_output_headers(exchange->req));
}
