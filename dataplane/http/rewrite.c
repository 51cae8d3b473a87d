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

static const char *value_in(const slc_exchange *exchange, const slc_snapshot *snapshot, const char *name,
                            size_t len)
{
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
            principal->plan_id[0] != '\0' ? slc_snapshot_plan(snapshot, principal->plan_id) : NULL;
        return plan != NULL ? plan->msg->name : NULL;
    }
    const Sluice__Snapshot__V1__Application *application =
        slc_snapshot_application(snapshot, principal->application_id);
    return application != NULL ? application->team : NULL;
}

static const char *value_of(void *ctx, const char *name, size_t len)
{
    const slc_exchange *exchange = ctx;
    return value_in(exchange, exchange->snapshot, name, len);
}

static slc_policy_request request_of(slc_exchange *exchange, const slc_snapshot *snapshot, slc_event_api *api)
{
    slc_policy_request request = slc_exchange_policy_request(exchange, slc_http_method(exchange->req));
    request.snapshot = snapshot;
    request.api = api;
    request.stream = exchange->streamed;
    return request;
}

/* What is put in is of who asks, and of the configuration at hand. */
struct putting {
    slc_exchange *exchange;
    const slc_snapshot *snapshot;
};

static const char *put_in(void *ctx, const char *name, size_t len)
{
    const struct putting *putting = ctx;
    return value_in(putting->exchange, putting->snapshot, name, len);
}

slc_record_chain *slc_exchange_record_chain(slc_exchange *exchange, const slc_snapshot *snapshot,
                                            slc_event_api *api)
{
    if (exchange->records.count == 0)
        return NULL;
    slc_policy_request request = request_of(exchange, snapshot, api);
    struct putting putting = {exchange, snapshot};
    const bool publishes = exchange->operation == SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_PUBLISH;
    const slc_record_subject subject = {.direction = publishes ? SLC_RECORDS_PRODUCE : SLC_RECORDS_CONSUME,
                                        .snapshot = snapshot,
                                        .vcluster = api->vcluster,
                                        .api = api,
                                        .topic = api->msg->topic,
                                        .backend_topic = api->backend_topic,
                                        .request = &request,
                                        .value_of = put_in,
                                        .value_ctx = &putting};
    return slc_record_chain_bind(&exchange->records, &subject);
}

bool slc_exchange_find_records(slc_exchange *exchange, const slc_snapshot *snapshot, slc_event_api *api)
{
    slc_policy_request request = request_of(exchange, snapshot, api);
    return slc_chain_records(api->chain, &request);
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
    slc_header_edits *edits = slc_header_edits_new(&exchange->headers, place, value_of, exchange);
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
