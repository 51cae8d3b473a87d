#include "asker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/crypto.h"

static uint8_t secret_sha256[SLC_SHA256_BYTES];

struct asker *asker_new(void)
{
    struct asker *asker = slc_calloc(1, sizeof *asker);
    slc_sha256(ASKER_SECRET, strlen(ASKER_SECRET), secret_sha256);
    asker->maker = maker_new();
    asker->limits = slc_limits_new(64);
    asker->maker->policies = 0;
    sluice__snapshot__v1__listener__init(&asker->listener_msg);
    asker->listener_msg.tls = true;
    asker->listener_msg.client_auth = "request";
    asker->listener.msg = &asker->listener_msg;
    asker->maker->credential[0].secret_sha256 = (ProtobufCBinaryData){sizeof secret_sha256, secret_sha256};
    return asker;
}

void asker_free(struct asker *asker)
{
    if (asker->snapshot != NULL)
        slc_snapshot_unref(asker->snapshot);
    maker_free(asker->maker);
    slc_limits_free(asker->limits);
    free(asker);
}

void asker_rebuild(struct asker *asker)
{
    slc_snapshot *previous = asker->snapshot;
    asker->maker->version++;
    asker->snapshot = maker_build(asker->maker, previous);
    if (previous != NULL)
        slc_snapshot_unref(previous);
}

void asker_policy(struct asker *asker, const char *name, const char *type, const char *config)
{
    struct maker *maker = asker->maker;
    SLC_BUG_ON(maker->policies >= sizeof maker->policy / sizeof *maker->policy);
    Sluice__Snapshot__V1__Policy *policy = &maker->policy[maker->policies++];
    policy->name = (char *)name;
    policy->type = (char *)type;
    policy->config_json = (char *)config;
    policy->scope = SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_GROUP;
    policy->scope_id = maker->group.id;
}

void asker_send(struct asker *asker, const char *name, const char *value)
{
    struct asker_header *header = NULL;
    for (size_t i = 0; i < asker->sent_count; i++)
        if (strcasecmp(asker->sent[i].name, name) == 0)
            header = &asker->sent[i];
    if (header == NULL) {
        SLC_BUG_ON(asker->sent_count >= ASKER_HEADERS);
        header = &asker->sent[asker->sent_count++];
    }
    snprintf(header->name, sizeof header->name, "%s", value != NULL ? name : "");
    snprintf(header->value, sizeof header->value, "%s", value != NULL ? value : "");
}

static const char *get_header(void *protocol, const char *name)
{
    const struct asker *asker = protocol;
    for (size_t i = 0; i < asker->sent_count; i++)
        if (strcasecmp(asker->sent[i].name, name) == 0)
            return asker->sent[i].value;
    return NULL;
}

/* Query parameters are sent as headers with a question mark. */
static const char *get_query(void *protocol, const char *name)
{
    char header[64];
    snprintf(header, sizeof header, "?%s", name);
    return get_header(protocol, header);
}

static void add_header(void *protocol, const char *name, const char *value)
{
    struct asker *asker = protocol;
    SLC_BUG_ON(asker->answered_count >= ASKER_HEADERS);
    struct asker_header *header = &asker->answered[asker->answered_count++];
    snprintf(header->name, sizeof header->name, "%s", name);
    snprintf(header->value, sizeof header->value, "%s", value);
}

enum slc_verdict asker_ask_api(struct asker *asker, const char *api_id, const char *method,
                               Sluice__Snapshot__V1__Operation operation)
{
    if (asker->snapshot == NULL)
        asker_rebuild(asker);
    const slc_event_api *api = slc_snapshot_event_api_by_id(asker->snapshot, api_id);
    SLC_BUG_ON(api == NULL);
    memset(&asker->principal, 0, sizeof asker->principal);
    memset(&asker->denial, 0, sizeof asker->denial);
    asker->answered_count = 0;
    slc_charges charges = {.limits = asker->limits};
    slc_policy_request request = {.snapshot = asker->snapshot,
                                  .api = api,
                                  .operation = operation,
                                  .client_address = asker->address != NULL ? asker->address : "192.0.2.1",
                                  .header = get_header,
                                  .query = get_query,
                                  .stream = asker->stream,
                                  .body_bytes = asker->body_bytes,
                                  .add_header = add_header,
                                  .method = method,
                                  .path = "/orders/v1/events",
                                  .protocol = asker,
                                  .charges = &charges,
                                  .token = asker->token,
                                  .certificate = asker->certificate,
                                  .listener = asker->certificate != NULL ? &asker->listener : NULL,
                                  .trace = asker->trace,
                                  .principal = &asker->principal};
    enum slc_verdict verdict = slc_chain_run(api->chain, &request, &asker->denial);
    asker->charges = charges;
    if (!asker->keep)
        slc_charges_release(&asker->charges);
    return verdict;
}

enum slc_verdict asker_ask(struct asker *asker, const char *method)
{
    return asker_ask_api(asker, "api-1", method, strcmp(method, "POST") == 0 ? PUBLISH : READ);
}

const char *asker_answer(const struct asker *asker, const char *name)
{
    for (size_t i = 0; i < asker->answered_count; i++)
        if (strcasecmp(asker->answered[i].name, name) == 0)
            return asker->answered[i].value;
    return NULL;
}

size_t asker_answer_count(const struct asker *asker, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < asker->answered_count; i++)
        count += strcasecmp(asker->answered[i].name, name) == 0 ? 1 : 0;
    return count;
}
