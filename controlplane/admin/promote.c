/* What is deployed on one gateway group, on another: what would change, and the change. */
#include <stdio.h>
#include <string.h>

#include "catalog/declare.h"
#include "catalog/read.h"
#include "controlplane/admin/handlers.h"

#define PLACE      "/resources/deployments/0"
#define TEXT_CHARS 249

/* The body's fields; what is left out is as the target has it. */
static const char *const places[] = {"virtual_cluster", "topic", "listener", NULL};

static bool read_body(slc_call *call, slc_error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach (call->body, name, value) {
        const char *const *place = places;
        char pointer[160];
        snprintf(pointer, sizeof pointer, "/%.100s", name);
        while (*place != NULL && strcmp(*place, name) != 0)
            place++;
        if (*place == NULL && strcmp(name, "gateway_group") != 0)
            return slc_fail(err, SLC_INVALID, pointer, "is not a field of this object");
        if (!json_is_string(value) || json_string_length(value) == 0 || json_string_length(value) > TEXT_CHARS)
            return slc_fail(err, SLC_INVALID, pointer, "must be a text of 1 to %d bytes", TEXT_CHARS);
    }
    if (json_object_get(call->body, "gateway_group") == NULL)
        return slc_fail(err, SLC_INVALID, "/gateway_group", "is required: where to");
    return true;
}

static const char *text_of(const json_t *entity, const char *field)
{
    return json_string_value(json_object_get(entity, field));
}

/* What the target group has of the event API: new, or NULL with err when it could not be read. JSON null is
 * nothing. `group` is its name. */
static json_t *find_target(slc_txn *txn, const json_t *source, const char *group, slc_error *err)
{
    char key[SLC_KEY_CHARS];
    const slc_kind *kind = slc_kind_find("deployments");
    snprintf(key, sizeof key, "%s@%s", text_of(source, "event_api"), group);
    json_t *target = slc_entity_get(txn, kind, key, err);
    return target != NULL || err->code != SLC_NOT_FOUND ? target : json_null();
}

/* dev's Kafka must not end up behind prod because somebody forgot to say otherwise. */
static bool choose_places(const slc_call *call, const json_t *source, const json_t *target, json_t *wish,
                          slc_error *err)
{
    for (const char *const *place = places; *place != NULL; place++) {
        json_t *value = json_object_get(call->body, *place);
        char pointer[40];
        if (value == NULL)
            value = json_object_get(target, *place);
        if (value == NULL && strcmp(*place, "topic") == 0)
            value = json_object_get(source, *place);
        snprintf(pointer, sizeof pointer, "/%s", *place);
        if (value == NULL)
            return slc_fail(err, SLC_INVALID, pointer, "is required: the event API is not deployed there yet");
        json_object_set(wish, *place, value);
    }
    return true;
}

static json_t *compose(const slc_call *call, const json_t *source, const json_t *target, const char *group,
                       slc_error *err)
{
    json_t *wish = json_pack("{s:O, s:s, s:O?}", "event_api", json_object_get(source, "event_api"),
                             "gateway_group", group, "labels", json_object_get(source, "labels"));
    const char *manager = json_is_object(target)  ? text_of(target, "manager")
                          : call->surface != NULL ? "portal"
                                                  : "api";
    if (json_is_null(json_object_get(wish, "labels")))
        json_object_del(wish, "labels");
    if (choose_places(call, source, target, wish, err))
        return json_pack("{s:s, s:{s:[o]}}", "manager", manager, "resources", "deployments", wish);
    json_decref(wish);
    return NULL;
}

/* What it rests on: when either has changed, what somebody looked at is no longer what would be done. */
static int64_t based_on(const json_t *source, const json_t *target)
{
    int64_t one = json_integer_value(json_object_get(source, "revision"));
    int64_t other = json_integer_value(json_object_get(target, "revision"));
    return one > other ? one : other;
}

static bool check_match(const slc_call *call, int64_t revision, slc_error *err)
{
    if (call->if_match < 0 || call->if_match == revision)
        return true;
    return slc_fail(err, SLC_STALE, NULL,
                    "one of the deployments has changed meanwhile: look at the difference again");
}

/* Places in the document become places in the body. */
static void keep_problems(slc_txn *txn, slc_call *call, slc_error *err)
{
    json_t *errors = json_array(), *problem;
    size_t index;
    json_array_foreach (slc_txn_problems(txn), index, problem) {
        const char *pointer = text_of(problem, "pointer");
        json_t *copy = json_copy(problem);
        if (pointer != NULL && strncmp(pointer, PLACE, strlen(PLACE)) == 0)
            json_object_set_new(copy, "pointer", json_string(pointer + strlen(PLACE)));
        json_array_append_new(errors, copy);
    }
    if (strncmp(err->field, PLACE, strlen(PLACE)) == 0)
        memmove(err->field, err->field + strlen(PLACE), strlen(err->field) - strlen(PLACE) + 1);
    if (json_array_size(errors) > 0)
        call->problem = json_pack("{s:O}", "errors", errors);
    json_decref(errors);
}

static bool promote(slc_txn *txn, slc_call *call, const json_t *source, const json_t *target, const char *group,
                    bool dry_run, slc_error *err)
{
    const slc_declare_options options = {.dry_run = dry_run};
    json_t *document = compose(call, source, target, group, err);
    if (document == NULL || !check_match(call, based_on(source, target), err)) {
        json_decref(document);
        return false;
    }
    call->answer = slc_catalog_apply(txn, document, &options, err);
    json_decref(document);
    if (call->answer == NULL) {
        keep_problems(txn, call, err);
        return false;
    }
    call->etag = based_on(source, target);
    return true;
}

bool slc_route_promote(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const parameters[] = {"dry_run", NULL};
    bool dry_run;
    if (!slc_call_query_only(call, parameters, err) || !slc_call_query_bool(call, "dry_run", &dry_run, err) ||
        !read_body(call, err))
        return false;
    json_t *source = slc_entity_get(txn, slc_kind_find("deployments"), call->target.key, err), *target = NULL;
    json_t *group = source != NULL ? slc_entity_get(txn, slc_kind_find("gateway-groups"),
                                                    text_of(call->body, "gateway_group"), err)
                                   : NULL;
    if (source != NULL && group == NULL && err->code == SLC_NOT_FOUND)
        slc_fail(err, SLC_INVALID, "/gateway_group", "there is no gateway group %.60s",
                 text_of(call->body, "gateway_group"));
    if (group != NULL)
        target = find_target(txn, source, text_of(group, "name"), err);
    bool ok = target != NULL && promote(txn, call, source, target, text_of(group, "name"), dry_run, err);
    json_decref(target);
    json_decref(group);
    json_decref(source);
    return ok;
}
