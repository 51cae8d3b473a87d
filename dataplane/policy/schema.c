/* schema: values are checked by schemas, and HTTP clients write and read JSON where Avro is stored. */
#include "dataplane/policy/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/schema_rule.h"
#include "dataplane/policy/record_chain.h"
#include "dataplane/policy/schema_private.h"

#define MARK_HEADER "sluice.schema-error"

/* ---- the configuration ---- */

static void release(void *compiled)
{
    slc_schema_policy *policy = compiled;
    free(policy->registry);
    free(policy->subject);
    free(policy->mark_header);
    free(policy->dead_letter_topic);
    free(policy);
}

/* Which of the words it is, of which the first is the default. */
static bool choose(const json_t *config, const char *member, const char *const *words, int *out, slc_error *err)
{
    char pointer[64];
    const char *text = slc_policy_config_string(config, member, words[0], 40, err);
    snprintf(pointer, sizeof pointer, "/config/%s", member);
    for (*out = 0; text != NULL && words[*out] != NULL; ++*out)
        if (strcmp(words[*out], text) == 0)
            return true;
    return text != NULL && slc_fail(err, SLC_INVALID, pointer, "%s is none of those that there are", member);
}

static bool compile_choices(const json_t *config, slc_schema_policy *policy, slc_error *err)
{
    static const char *const formats[] = {"any", "json_schema", "avro", NULL};
    static const char *const publish[] = {"reject", "mark", "pass", NULL};
    static const char *const read[] = {"pass", "fail", "skip", "mark", NULL};
    static const char *const places[] = {"value", "header", NULL}, *const unions[] = {"plain", "tagged", NULL};
    static const enum slc_misfit of_publish[] = {SLC_MISFIT_REJECT, SLC_MISFIT_MARK, SLC_MISFIT_PASS};
    static const enum slc_misfit of_read[] = {SLC_MISFIT_PASS, SLC_MISFIT_REJECT, SLC_MISFIT_SKIP,
                                              SLC_MISFIT_MARK};
    int format, at_publish, at_read, place, form;
    if (!choose(config, "format", formats, &format, err) ||
        !choose(config, "publish", publish, &at_publish, err) || !choose(config, "read", read, &at_read, err) ||
        !choose(config, "id_in", places, &place, err) || !choose(config, "unions", unions, &form, err))
        return false;
    policy->any_format = format == 0;
    policy->format = format == 2 ? SLC_SCHEMA_AVRO : SLC_SCHEMA_JSON;
    policy->publish = of_publish[at_publish];
    policy->read = of_read[at_read];
    policy->id_in_header = place == 1;
    policy->tagged = form == 1;
    return slc_policy_config_bool(config, "check_subject", true, &policy->check_subject, err) &&
           slc_policy_config_bool(config, "convert", true, &policy->convert, err);
}

static bool is_name(const char *text)
{
    size_t len = strlen(text);
    return strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == len && text[0] != '-' &&
           text[len - 1] != '-';
}

static bool is_topic(const char *text)
{
    return text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == '\0' &&
           strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

/* A text of the policy's own; an absent one without a default stays NULL. */
static bool text_of(const json_t *config, const char *member, const char *fallback, size_t max, char **out,
                    slc_error *err)
{
    if (json_object_get(config, member) == NULL && fallback == NULL)
        return true;
    const char *text = slc_policy_config_string(config, member, fallback, max, err);
    *out = text != NULL ? slc_strdup(text) : NULL;
    return text != NULL;
}

static bool compile_texts(const json_t *config, slc_schema_policy *policy, slc_error *err)
{
    if (!text_of(config, "registry", NULL, SLC_REGISTRY_NAME_MAX, &policy->registry, err) ||
        !text_of(config, "subject", "{topic}-value", SLC_SUBJECT_TEMPLATE_MAX, &policy->subject, err) ||
        !text_of(config, "mark_header", MARK_HEADER, 100, &policy->mark_header, err) ||
        !text_of(config, "dead_letter_topic", NULL, 249, &policy->dead_letter_topic, err))
        return false;
    const char *wrong = slc_subject_template_check(policy->subject);
    for (const char *p = policy->mark_header; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return slc_fail(err, SLC_INVALID, "/config/mark_header", "mark_header has control characters");
    if (wrong != NULL)
        return slc_fail(err, SLC_INVALID, "/config/subject", "subject %s", wrong);
    if (policy->from_registry != (policy->registry != NULL))
        return slc_fail(err, SLC_INVALID, "/config/registry",
                        "registry goes with the source registry, and is required there");
    if (policy->registry != NULL && !is_name(policy->registry))
        return slc_fail(err, SLC_INVALID, "/config/registry",
                        "registry must be a name of lower-case letters, digits and dashes");
    return policy->dead_letter_topic == NULL || is_topic(policy->dead_letter_topic) ||
           slc_fail(err, SLC_INVALID, "/config/dead_letter_topic",
                    "dead_letter_topic must be the name of a topic");
}

static bool compile(const json_t *config, void **compiled, slc_error *err)
{
    static const char *const known[] = {
        "source",  "registry", "format", "subject",     "check_subject",     "publish", "read",
        "convert", "id_in",    "unions", "mark_header", "dead_letter_topic", NULL};
    static const char *const sources[] = {"registry", "event-api", NULL};
    int source;
    if (!slc_policy_config_known(config, known, err))
        return false;
    if (json_object_get(config, "source") == NULL)
        return slc_fail(err, SLC_INVALID, "/config/source", "source is missing");
    if (!choose(config, "source", sources, &source, err))
        return false;
    slc_schema_policy *policy = slc_calloc(1, sizeof *policy);
    policy->from_registry = source == 0;
    if (!compile_texts(config, policy, err) || !compile_choices(config, policy, err)) {
        release(policy);
        return false;
    }
    *compiled = policy;
    return true;
}

bool slc_schema_names(const char *config_json, char name[SLC_REGISTRY_NAME_MAX + 1])
{
    slc_error unused;
    json_t *config = slc_json_parse(config_json, strlen(config_json), 1 << 20, &unused);
    const char *registry = json_string_value(json_object_get(config, "registry"));
    snprintf(name, SLC_REGISTRY_NAME_MAX + 1, "%s", registry != NULL ? registry : "");
    json_decref(config);
    return name[0] != '\0';
}

static const char *dead_letter_topic(const void *compiled)
{
    return ((const slc_schema_policy *)compiled)->dead_letter_topic;
}

/* ---- binding ---- */

static bool acts(const void *compiled, enum slc_record_direction direction)
{
    const slc_schema_policy *policy = compiled;
    return direction == SLC_RECORDS_PRODUCE || policy->convert || policy->read != SLC_MISFIT_PASS;
}

/* Of what the event API has, its schema or a registry; neither: nothing is checked. */
static bool find_own(slc_check *check, const slc_event_api *api, const char **registry, slc_error *err)
{
    snprintf(check->api_id, sizeof check->api_id, "%s", api->msg->id);
    if (api->schema_error[0] != '\0')
        return slc_fail(err, SLC_UNSUPPORTED, NULL, "the event API's schema is of no use: %s",
                        api->schema_error);
    if (api->msg->schema != NULL && api->msg->schema->registry[0] != '\0')
        *registry = api->msg->schema->registry;
    else if (api->schema != NULL)
        check->own = slc_schema_ref(api->schema);
    return true;
}

static bool find_registry(slc_check *check, const slc_snapshot *snapshot, const char *name, slc_error *err)
{
    const slc_registry_entity *entity = slc_snapshot_registry(snapshot, name);
    if (entity == NULL || entity->registry == NULL)
        return slc_fail(err, SLC_UNAVAILABLE, NULL, "the schema registry %s cannot be used: %s", name,
                        entity != NULL ? entity->unusable : "it is not there");
    check->registry = slc_registry_ref(entity->registry);
    return true;
}

static void unbind(void *bound)
{
    slc_check *check = bound;
    if (check == NULL)
        return;
    slc_check_forget(check);
    slc_schema_unref(check->own);
    slc_registry_unref(check->registry);
    free(check);
}

static bool bind_policy(const void *compiled, const slc_record_subject *subject, void **bound, slc_error *err)
{
    const slc_schema_policy *policy = compiled;
    bool http = subject->request->api != NULL, reads = subject->direction == SLC_RECORDS_CONSUME;
    const char *registry = policy->registry;
    *bound = NULL;
    if (reads && policy->read == SLC_MISFIT_PASS && (!http || !policy->convert))
        return true;
    if (!policy->from_registry && subject->api == NULL)
        return true; /* a topic that is no event API's */
    slc_check *check = slc_calloc(1, sizeof *check);
    check->policy = policy;
    check->http = http;
    bool ok = policy->from_registry || find_own(check, subject->api, &registry, err);
    if (ok && !slc_subject_template_fill(policy->subject, subject->topic, subject->backend_topic,
                                         check->subject, sizeof check->subject))
        ok = slc_fail(err, SLC_INVALID, NULL, "the name of the subject is too long");
    ok = ok && (registry == NULL || find_registry(check, subject->snapshot, registry, err));
    if (!ok || (check->registry == NULL && check->own == NULL)) {
        unbind(check);
        return ok;
    }
    *bound = check;
    return true;
}

static bool holds(const void *bound, const slc_snapshot *snapshot)
{
    const slc_check *check = bound;
    const char *name = check != NULL ? check->policy->registry : NULL;
    const slc_schema *own = NULL;
    if (check == NULL)
        return false; /* what it would be bound to may have come */
    if (check->api_id[0] != '\0') {
        const slc_event_api *api = slc_snapshot_event_api_by_id(snapshot, check->api_id);
        own = api != NULL ? api->schema : NULL;
        bool has_name = api != NULL && api->msg->schema != NULL && api->msg->schema->registry[0] != '\0';
        name = has_name ? api->msg->schema->registry : NULL;
    }
    const slc_registry_entity *entity = name != NULL ? slc_snapshot_registry(snapshot, name) : NULL;
    return own == check->own && (entity != NULL ? entity->registry : NULL) == check->registry;
}

/* ---- what is wrong ---- */

static enum slc_record_verdict reject(const struct slc_finding *finding, slc_record_problem *problem)
{
    slc_record_reject(problem, finding->code, "%s", finding->detail);
    snprintf(problem->why, sizeof problem->why, "%.*s", (int)sizeof problem->why - 1, finding->message);
    snprintf(problem->pointer, sizeof problem->pointer, "%.*s", (int)sizeof problem->pointer - 1,
             finding->pointer);
    return SLC_RECORD_REJECT;
}

static enum slc_record_verdict add_header(slc_record_turn *turn, slc_policy_record *record, const char *name,
                                          const uint8_t *value, size_t len, slc_record_problem *problem)
{
    slc_record_header *headers = slc_record_scratch_headers(turn->scratch, record->header_count + 1);
    slc_buf *copy = slc_record_scratch_buf(turn->scratch);
    if (headers == NULL || !slc_buf_add(copy, value, len))
        return slc_record_reject(problem, SLC_TOO_LARGE, "The headers of the record are too large.");
    if (record->header_count > 0)
        memcpy(headers, record->headers, record->header_count * sizeof *headers);
    headers[record->header_count] =
        (slc_record_header){name, (uint32_t)strlen(name), (uint32_t)len, copy->data};
    record->headers = headers;
    record->header_count++;
    return SLC_RECORD_CHANGE;
}

/* A value that is not as it should be, or could not be looked at. What is out of reach is no reason to hold up
 * what would only be marked, or pass. */
static enum slc_record_verdict settle(const slc_check *check, enum slc_misfit misfit, slc_record_turn *turn,
                                      slc_policy_record *record, const struct slc_finding *finding,
                                      slc_record_problem *problem)
{
    switch (misfit) {
    case SLC_MISFIT_PASS:
        return SLC_RECORD_KEEP;
    case SLC_MISFIT_MARK:
        return add_header(turn, record, check->policy->mark_header, (const uint8_t *)finding->detail,
                          strlen(finding->detail), problem);
    case SLC_MISFIT_SKIP:
        return finding->code == SLC_UNAVAILABLE ? reject(finding, problem) : SLC_RECORD_DROP;
    default:
        return reject(finding, problem);
    }
}

/* ---- publishing ---- */

static enum slc_record_verdict too_large(slc_record_problem *problem)
{
    return slc_record_reject(problem, SLC_TOO_LARGE, "The value is too large once it is converted.");
}

static enum slc_record_verdict add_guid(slc_record_turn *turn, slc_policy_record *record,
                                        const slc_schema *schema, slc_record_problem *problem)
{
    uint8_t value[1 + SLC_SCHEMA_GUID] = {1};
    const uint32_t id = (uint32_t)schema->id;
    const uint8_t number[SLC_SCHEMA_PREFIX] = {0, (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8),
                                               (uint8_t)id};
    memcpy(value + 1, schema->guid, SLC_SCHEMA_GUID);
    return schema->has_guid ? add_header(turn, record, SLC_SCHEMA_VALUE_HEADER, value, sizeof value, problem)
                            : add_header(turn, record, SLC_SCHEMA_VALUE_HEADER, number, sizeof number, problem);
}

/* JSON that came over HTTP becomes what the topic's schema wants. What cannot is never stored: the topic's
 * other readers could make nothing of it. */
static enum slc_record_verdict convert(slc_check *check, slc_record_turn *turn, slc_policy_record *record,
                                       slc_record_problem *problem)
{
    struct slc_finding finding = {0};
    slc_schema *schema = NULL;
    enum slc_record_verdict verdict = slc_check_latest(check, turn, &schema, &finding);
    if (verdict != SLC_RECORD_KEEP)
        return verdict == SLC_RECORD_LATER ? verdict : reject(&finding, problem);
    slc_buf *out = slc_record_scratch_buf(turn->scratch);
    bool framed = check->registry != NULL;
    if (framed && !check->policy->id_in_header && !slc_schema_prefix_add(out, schema->id))
        return too_large(problem);
    if (!slc_value_store(schema, record->value, record->value_len, out, &finding))
        return reject(&finding, problem);
    if (!framed && schema->format == SLC_SCHEMA_JSON)
        return SLC_RECORD_KEEP;
    record->value = out->data != NULL ? out->data : (const uint8_t *)"";
    record->value_len = out->len;
    return framed && check->policy->id_in_header ? add_guid(turn, record, schema, problem) : SLC_RECORD_CHANGE;
}

/* The schema of a value as it is. KEEP when it is there, LATER, or REJECT with a finding. */
static enum slc_record_verdict find_schema(slc_check *check, slc_record_turn *turn, const slc_schema_mark *mark,
                                           bool of_subject, slc_schema **schema, struct slc_finding *finding)
{
    if (check->registry == NULL)
        return slc_check_latest(check, turn, schema, finding);
    if (mark->place != SLC_SCHEMA_NOWHERE)
        return slc_check_marked(check, turn, mark, of_subject, schema, finding);
    slc_finding_fail(finding, SLC_INVALID, "The value does not say which schema it is of.");
    return SLC_RECORD_REJECT;
}

/* Where the value says which schema it is of. False: in a header that says nothing. */
static bool read_mark(const slc_check *check, const slc_policy_record *record, slc_schema_mark *mark,
                      struct slc_finding *finding)
{
    *mark = (slc_schema_mark){0};
    return check->registry == NULL ||
           slc_schema_mark_read(record->value, record->value_len, record->headers, record->header_count,
                                mark) ||
           slc_finding_fail(finding, SLC_INVALID,
                            "The header " SLC_SCHEMA_VALUE_HEADER " is not as it should be.");
}

static enum slc_record_verdict produce(void *bound, slc_record_turn *turn, slc_policy_record *record,
                                       slc_record_problem *problem)
{
    slc_check *check = bound;
    const slc_schema_policy *policy = check->policy;
    struct slc_finding finding = {0};
    slc_schema_mark mark;
    slc_schema *schema = NULL;
    if (record->value == NULL)
        return SLC_RECORD_KEEP; /* a tombstone */
    if (!read_mark(check, record, &mark, &finding))
        return settle(check, policy->publish, turn, record, &finding, problem);
    if (check->http && policy->convert && mark.place == SLC_SCHEMA_NOWHERE)
        return convert(check, turn, record, problem);
    enum slc_record_verdict verdict = find_schema(check, turn, &mark, policy->check_subject, &schema, &finding);
    if (verdict == SLC_RECORD_LATER)
        return verdict;
    if (verdict == SLC_RECORD_KEEP &&
        slc_value_check(schema, record->value + mark.skip, record->value_len - mark.skip, &finding))
        return SLC_RECORD_KEEP;
    return settle(check, policy->publish, turn, record, &finding, problem);
}

/* ---- reading ---- */

/* The JSON of it, for HTTP clients; a value that is JSON anyhow loses what is before it. */
static bool show(const slc_check *check, slc_record_turn *turn, const slc_schema *schema,
                 const slc_schema_mark *mark, slc_policy_record *record, struct slc_finding *finding)
{
    const uint8_t *data = record->value + mark->skip;
    size_t len = record->value_len - mark->skip;
    if (schema->format == SLC_SCHEMA_JSON) {
        if (check->policy->read != SLC_MISFIT_PASS && !slc_value_check(schema, data, len, finding))
            return false;
        record->value = data;
        record->value_len = len;
        finding->changed = mark->skip > 0;
        return true;
    }
    slc_buf *out = slc_record_scratch_buf(turn->scratch);
    if (!slc_value_show(schema, check->policy->tagged, data, len, out, finding))
        return false;
    record->value = out->data;
    record->value_len = out->len;
    finding->changed = true;
    return true;
}

static enum slc_record_verdict consume(void *bound, slc_record_turn *turn, slc_policy_record *record,
                                       slc_record_problem *problem)
{
    slc_check *check = bound;
    const slc_schema_policy *policy = check->policy;
    struct slc_finding finding = {0};
    slc_schema_mark mark = {0};
    slc_schema *schema = NULL;
    if (record->value == NULL)
        return SLC_RECORD_KEEP;
    enum slc_record_verdict verdict = SLC_RECORD_REJECT;
    if (read_mark(check, record, &mark, &finding))
        verdict = find_schema(check, turn, &mark, false, &schema, &finding);
    if (verdict == SLC_RECORD_LATER)
        return verdict;
    bool ok = verdict == SLC_RECORD_KEEP;
    if (ok && check->http && policy->convert)
        ok = show(check, turn, schema, &mark, record, &finding);
    else if (ok)
        ok = slc_value_check(schema, record->value + mark.skip, record->value_len - mark.skip, &finding);
    if (ok)
        return finding.changed ? SLC_RECORD_CHANGE : SLC_RECORD_KEEP;
    if (finding.code ==
        SLC_UNAVAILABLE) /* the same record must not be shown in one way now and in another later */
        return reject(&finding, problem);
    return settle(check, policy->read, turn, record, &finding, problem);
}

static const slc_record_ops on_records = {
    .rank = SLC_RANK_SCHEMA,
    .headers = true,
    .acts = acts,
    .bind = bind_policy,
    .unbind = unbind,
    .holds = holds,
    .on_produce_record = produce,
    .on_consume_record = consume,
    .dead_letter_topic = dead_letter_topic,
};

const slc_policy_type slc_policy_schema = {
    .name = "schema",
    .summary =
        "Checks the values of records by JSON Schema or Avro schemas, the same for REST, SSE and native "
        "Kafka:\n"
        "[schemas.md](schemas.md). With the source `registry` a value says which schema it is of, as "
        "Confluent's\n"
        "serializers write it; with `event-api` the schema is the event API's own. HTTP clients write and read "
        "JSON\n"
        "where Avro is stored (`convert`); native clients write and read what is stored. A tombstone passes.",
    .config_schema =
        "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"source\"],\"properties\":{"
        "\"source\":{\"type\":\"string\",\"enum\":[\"registry\",\"event-api\"],\"description\":\"Where schemas "
        "come from.\"},"
        "\"registry\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":63,\"description\":\"Name of the "
        "schema registry; "
        "with the source `registry`.\"},"
        "\"format\":{\"type\":\"string\",\"enum\":[\"any\",\"json_schema\",\"avro\"],\"default\":\"any\","
        "\"description\":\"Of "
        "what language the schema must be.\"},"
        "\"subject\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":250,\"default\":\"{topic}-value\","
        "\"description\":\"The "
        "subject; `{topic}` stands for the topic as clients name it, `{backend_topic}` for the backend's "
        "name.\"},"
        "\"check_subject\":{\"type\":\"boolean\",\"default\":true,\"description\":\"Must the schema of what is "
        "published be "
        "one of the subject's?\"},"
        "\"publish\":{\"type\":\"string\",\"enum\":[\"reject\",\"mark\",\"pass\"],\"default\":\"reject\","
        "\"description\":\"What "
        "becomes of published values that are not as the schema says: they are rejected, get a header, or "
        "pass. JSON that "
        "has to be converted and cannot is always rejected.\"},"
        "\"read\":{\"type\":\"string\",\"enum\":[\"fail\",\"skip\",\"mark\",\"pass\"],\"default\":\"pass\","
        "\"description\":\"What "
        "becomes of such values when they are read: an error, nothing, a header, or they pass as they are.\"},"
        "\"convert\":{\"type\":\"boolean\",\"default\":true,\"description\":\"Do HTTP clients write and read "
        "JSON, whatever is "
        "stored?\"},"
        "\"id_in\":{\"type\":\"string\",\"enum\":[\"value\",\"header\"],\"default\":\"value\",\"description\":"
        "\"Where converted "
        "values say which schema they are of.\"},"
        "\"unions\":{\"type\":\"string\",\"enum\":[\"plain\",\"tagged\"],\"default\":\"plain\",\"description\":"
        "\"How values of "
        "Avro's unions are read: by themselves, or as `{\\\"type\\\": value}`. Both are taken.\"},"
        "\"mark_header\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":100,\"default\":\"sluice.schema-"
        "error\","
        "\"description\":\"The header that `mark` adds; its value says what is wrong.\"},"
        "\"dead_letter_topic\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":249,\"description\":\"Topic "
        "of the same "
        "backend where rejected records go as well.\"}}}",
    .compile = compile,
    .release = release,
    .records = &on_records,
    .access = slc_record_access,
};
