#include "dataplane/explain/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "dataplane/config/build.h"
#include "dataplane/explain/explain_private.h"
#include "dataplane/policy/access.h"

#define PUBLISH SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_PUBLISH
#define READ    SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_READ

struct slc_explainer {
    slc_snapshot *snapshot;
};

/* ---- the configuration ---- */

static bool has_chunk(void *arg, const uint8_t sha256[SLC_SHA256_BYTES])
{
    const slc_explain_chunks *chunks = arg;
    size_t len;
    return chunks->get(chunks->arg, sha256, &len) != NULL;
}

static uint8_t *get_chunk(void *arg, const uint8_t sha256[SLC_SHA256_BYTES], size_t *len)
{
    const slc_explain_chunks *chunks = arg;
    const uint8_t *content = chunks->get(chunks->arg, sha256, len);
    return content != NULL ? slc_memdup(content, *len) : NULL;
}

slc_explainer *slc_explainer_new(const uint8_t *manifest, size_t manifest_len, const slc_explain_chunks *chunks,
                                 const slc_explainer *previous, slc_error *err)
{
    const slc_chunk_source source = {has_chunk, get_chunk, (void *)chunks};
    Sluice__Snapshot__V1__Manifest *decoded = slc_manifest_decode(manifest, manifest_len, err);
    if (decoded == NULL)
        return NULL;
    slc_snapshot *snapshot =
        slc_snapshot_build_elsewhere(decoded, &source, previous != NULL ? previous->snapshot : NULL, err);
    sluice__snapshot__v1__manifest__free_unpacked(decoded, NULL);
    if (snapshot == NULL)
        return NULL;
    slc_explainer *explainer = slc_calloc(1, sizeof *explainer);
    explainer->snapshot = snapshot;
    return explainer;
}

void slc_explainer_free(slc_explainer *explainer)
{
    if (explainer == NULL)
        return;
    slc_snapshot_unref(explainer->snapshot);
    free(explainer);
}

/* ---- the question ---- */

static const char *text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static bool read_http(slc_explain_case *asked, slc_error *err)
{
    const char *operation = text(asked->question, "operation");
    bool publish = operation != NULL && strcmp(operation, "publish") == 0;
    if (!publish && (operation == NULL || strcmp(operation, "read") != 0))
        return slc_fail(err, SLC_INVALID, "/operation", "must be publish or read for an event API");
    asked->operation = publish ? PUBLISH : READ;
    if (publish && asked->stream)
        return slc_fail(err, SLC_INVALID, "/protocol", "server-sent events are only read");
    asked->listener = slc_snapshot_listener_by_id(asked->snapshot, asked->api->msg->listener_id);
    return true;
}

static bool read_resource(slc_explain_case *asked, slc_error *err)
{
    static const struct {
        const char *name;
        enum slc_resource resource;
    } types[] = {{"topic", SLC_RESOURCE_TOPIC},
                 {"group", SLC_RESOURCE_GROUP},
                 {"transactional-id", SLC_RESOURCE_TXN_ID},
                 {"cluster", SLC_RESOURCE_CLUSTER}};
    const json_t *resource = json_object_get(asked->question, "resource");
    const char *type = text(resource, "type");
    asked->name = text(resource, "name");
    for (size_t i = 0; type != NULL && i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i].name, type) != 0)
            continue;
        asked->resource = types[i].resource;
        if (asked->resource == SLC_RESOURCE_CLUSTER)
            asked->name = SLC_GUARD_CLUSTER;
        return asked->name != NULL ||
               slc_fail(err, SLC_INVALID, "/resource/name", "name the %s as clients do", type);
    }
    return slc_fail(err, SLC_INVALID, "/resource/type", "must be topic, group, transactional-id or cluster");
}

static bool read_access(slc_explain_case *asked, slc_error *err)
{
    const char *operation = text(asked->question, "operation");
    for (int i = 0; operation != NULL && i < SLC_OPERATIONS; i++) {
        const char *name = slc_operation_name((enum slc_operation)i);
        if (name != NULL && i != SLC_OP_ALL && strcmp(name, operation) == 0) {
            asked->access = (enum slc_operation)i;
            return true;
        }
    }
    return slc_fail(err, SLC_INVALID, "/operation",
                    "must be one of Kafka's: read, write, create, describe, ...");
}

/* An event API by native Kafka is its topic. */
static bool read_topic(slc_explain_case *asked, const slc_event_api *api, slc_error *err)
{
    const char *operation = text(asked->question, "operation");
    bool publish = operation != NULL && strcmp(operation, "publish") == 0;
    asked->resource = SLC_RESOURCE_TOPIC;
    asked->name = api->msg->topic;
    if (!publish && (operation == NULL || strcmp(operation, "read") != 0))
        return slc_fail(err, SLC_INVALID, "/operation", "must be publish or read for an event API");
    asked->access = publish ? SLC_OP_WRITE : SLC_OP_READ;
    return true;
}

static const slc_listener *listener_of(const slc_explain_case *asked)
{
    size_t count;
    slc_listener *const *listeners = slc_snapshot_listeners(asked->snapshot, &count);
    const char *wanted = text(asked->question, "listener");
    for (size_t i = 0; i < count; i++) {
        if (listeners[i]->vcluster != asked->vcluster && strcmp(listeners[i]->msg->kafka_routing, "sni") != 0)
            continue;
        if (wanted != NULL ? strcmp(listeners[i]->msg->id, wanted) == 0
                           : strcmp(listeners[i]->msg->protocol, "kafka") == 0)
            return listeners[i];
    }
    return NULL;
}

static const slc_vcluster *vcluster_by_id(const slc_snapshot *snapshot, const char *id)
{
    size_t count;
    slc_vcluster *const *vclusters = slc_snapshot_vclusters(snapshot, &count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(vclusters[i]->msg->id, id) == 0)
            return vclusters[i];
    return NULL;
}

static bool read_case(slc_explain_case *asked, slc_error *err)
{
    const char *protocol = text(asked->question, "protocol"), *api_id = text(asked->question, "event_api"),
               *vcluster_id = text(asked->question, "virtual_cluster");
    bool native = protocol != NULL && strcmp(protocol, "kafka") == 0;
    const slc_event_api *api = api_id != NULL ? slc_snapshot_event_api_by_id(asked->snapshot, api_id) : NULL;
    if (api_id != NULL && api == NULL)
        return slc_fail(err, SLC_INVALID, "/event_api",
                        "the group's gateways do not have it: it is not deployed there, or not published");
    asked->address = text(asked->question, "address");
    asked->stream = protocol != NULL && strcmp(protocol, "sse") == 0;
    if (!native && api != NULL) {
        asked->api = api;
        return read_http(asked, err);
    }
    if (!native)
        return slc_fail(err, SLC_INVALID, "/protocol", "a virtual cluster is asked by kafka");
    asked->vcluster = api != NULL ? api->vcluster : vcluster_by_id(asked->snapshot, vcluster_id);
    if (asked->vcluster == NULL)
        return slc_fail(err, SLC_INVALID, "/virtual_cluster",
                        "the group's gateways do not have it: no listener or deployment of theirs uses it");
    asked->listener = listener_of(asked);
    if (api != NULL)
        return read_topic(asked, api, err);
    return read_resource(asked, err) && read_access(asked, err);
}

/* ---- asking ---- */

static json_t *try_proof(const slc_explain_case *asked, const slc_explain_proof *proof)
{
    slc_explain_outcome outcome;
    slc_explain_outcome_init(&outcome);
    if (asked->api != NULL)
        slc_explain_http(asked, proof, &outcome);
    else
        slc_explain_native(asked, proof, &outcome);
    json_t *answer = slc_explain_answer(asked, proof, &outcome);
    slc_explain_outcome_release(&outcome);
    return answer;
}

/* The first that is let in and allowed; when none is, the first. */
static json_t *try_credentials(const slc_explain_case *asked, const json_t *credentials)
{
    json_t *first = NULL;
    for (size_t i = 0; i < json_array_size(credentials) && i < SLC_EXPLAIN_CREDENTIALS; i++) {
        slc_explain_proof proof;
        slc_explain_proof_of(asked, json_array_get(credentials, i), &proof);
        json_t *answer = try_proof(asked, &proof);
        slc_explain_proof_release(&proof);
        if (json_is_true(json_object_get(answer, "allowed"))) {
            json_decref(first);
            return answer;
        }
        if (first == NULL)
            first = answer;
        else
            json_decref(answer);
    }
    return first;
}

static json_t *try_claims(const slc_explain_case *asked, slc_error *err)
{
    slc_explain_proof proof;
    json_t *answer = slc_explain_proof_of_claims(asked, &proof, err) ? try_proof(asked, &proof) : NULL;
    slc_explain_proof_release(&proof);
    return answer;
}

json_t *slc_explain(const slc_explainer *explainer, const json_t *question, slc_error *err)
{
    slc_explain_case asked = {.snapshot = explainer->snapshot, .question = question};
    const json_t *credentials = json_object_get(question, "credentials");
    json_t *answer = NULL;
    slc_wall_pretend(json_integer_value(json_object_get(question, "time_ms")));
    if (read_case(&asked, err)) {
        if (json_object_get(question, "claims") != NULL)
            answer = try_claims(&asked, err);
        else if (json_array_size(credentials) > 0)
            answer = try_credentials(&asked, credentials);
        else
            answer = try_proof(&asked, &(slc_explain_proof){0});
    }
    slc_wall_pretend(0);
    return answer;
}
