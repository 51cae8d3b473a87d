/* headers: sets, adds, removes and renames fields of HTTP messages and headers of records. */
#include "dataplane/policy/headers.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/policy/record_chain.h"
#include "dataplane/policy/types.h"

/* ---- the configuration ---- */

static void release(void *compiled)
{
    slc_headers *headers = compiled;
    for (size_t i = 0; i < headers->count; i++) {
        free((char *)headers->rules[i].name);
        free((char *)headers->rules[i].value);
        free((char *)headers->rules[i].to);
    }
    free(headers);
}

/* Which of the names it is; -1 with err. */
static int choice(const json_t *rule, const char *member, const char *const *names, slc_error *err)
{
    const char *text = slc_policy_config_string(rule, member, "", 20, err);
    for (int i = 0; text != NULL && names[i] != NULL; i++)
        if (strcmp(names[i], text) == 0)
            return i;
    if (text != NULL)
        slc_fail(err, SLC_INVALID, "/config/rules", "%s is none of those that there are", member);
    return -1;
}

/* A text of the rule's own; NULL when it is absent. */
static bool text_of(const json_t *rule, const char *member, size_t max, const char **out, slc_error *err)
{
    if (json_object_get(rule, member) == NULL)
        return true;
    const char *text = slc_policy_config_string(rule, member, NULL, max, err);
    if (text == NULL)
        return false;
    *out = slc_strdup(text);
    return true;
}

static bool compile_rule(const json_t *config, slc_header_rule *rule, slc_error *err)
{
    static const char *const known[] = {"in", "action", "name", "value", "to", NULL};
    const char *member = "", *wrong;
    if (!json_is_object(config))
        return slc_fail(err, SLC_INVALID, "/config/rules", "a rule must be an object");
    if (!slc_policy_config_known(config, known, err))
        return false;
    int place = choice(config, "in", slc_header_place_names, err);
    int action = place >= 0 ? choice(config, "action", slc_header_action_names, err) : -1;
    if (action < 0)
        return false;
    rule->place = (enum slc_header_place)place;
    rule->action = (enum slc_header_action)action;
    if (!text_of(config, "name", SLC_HEADER_NAME_MAX, &rule->name, err) ||
        !text_of(config, "value", SLC_HEADER_VALUE_MAX, &rule->value, err) ||
        !text_of(config, "to", SLC_HEADER_NAME_MAX, &rule->to, err))
        return false;
    wrong = slc_header_rule_check(rule, &member);
    return wrong == NULL || slc_fail(err, SLC_INVALID, "/config/rules", "%s %s", member, wrong);
}

static bool compile(const json_t *config, void **compiled, slc_error *err)
{
    static const char *const known[] = {"rules", NULL};
    const json_t *rules = json_object_get(config, "rules");
    size_t i;
    json_t *rule;
    if (!slc_policy_config_known(config, known, err))
        return false;
    if (!json_is_array(rules) || json_array_size(rules) == 0 || json_array_size(rules) > SLC_HEADER_RULES)
        return slc_fail(err, SLC_INVALID, "/config/rules", "rules must be a list of 1 to %d rules",
                        SLC_HEADER_RULES);
    slc_headers *headers = slc_calloc(1, sizeof *headers + json_array_size(rules) * sizeof headers->rules[0]);
    json_array_foreach ((json_t *)rules, i, rule) {
        headers->count++;
        if (!compile_rule(rule, &headers->rules[i], err)) {
            release(headers);
            return false;
        }
        headers->places[headers->rules[i].place] = true;
    }
    *compiled = headers;
    return true;
}

/* ---- at work ---- */

static enum slc_verdict transform(void *compiled, slc_policy_request *request, slc_denial *denial)
{
    (void)denial;
    if (request->headers != NULL)
        slc_header_policies_add(request->headers, compiled);
    return SLC_PASS;
}

static bool asks_access(const void *compiled)
{
    const slc_headers *headers = compiled;
    return headers->places[SLC_HEADERS_PUBLISH] || headers->places[SLC_HEADERS_READ];
}

static bool acts(const void *compiled, enum slc_record_direction direction)
{
    const slc_headers *headers = compiled;
    return headers->places[direction == SLC_RECORDS_PRODUCE ? SLC_HEADERS_PUBLISH : SLC_HEADERS_READ];
}

static bool bind_edits(const void *compiled, const slc_record_subject *subject, void **bound, slc_error *err)
{
    const slc_headers *headers = compiled;
    const slc_header_policies one = {.items = &headers, .count = 1};
    (void)err;
    *bound = slc_header_edits_new(
        &one, subject->direction == SLC_RECORDS_PRODUCE ? SLC_HEADERS_PUBLISH : SLC_HEADERS_READ,
        subject->value_of, subject->value_ctx);
    return true;
}

static void unbind(void *bound)
{
    slc_header_edits_free(bound);
}

static bool same_bytes(const void *a, const void *b, size_t len)
{
    return len == 0 || a == b || memcmp(a, b, len) == 0;
}

static bool same(const slc_record_header *a, const slc_record_header *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (a[i].name_len != b[i].name_len || a[i].value_len != b[i].value_len ||
            (a[i].value == NULL) != (b[i].value == NULL) || !same_bytes(a[i].name, b[i].name, a[i].name_len) ||
            !same_bytes(a[i].value, b[i].value, a[i].value_len))
            return false;
    return true;
}

static enum slc_record_verdict edit(void *bound, slc_record_turn *turn, slc_policy_record *record,
                                    slc_record_problem *problem)
{
    const slc_header_edits *edits = bound;
    slc_record_header *after =
        slc_record_scratch_headers(turn->scratch, record->header_count + (uint32_t)edits->count);
    if (after == NULL)
        return slc_record_reject(problem, SLC_TOO_LARGE, "The headers of a record are too large.");
    uint32_t count = slc_header_edits_record(edits, record->headers, record->header_count, after);
    if (count == record->header_count && same(after, record->headers, count))
        return SLC_RECORD_KEEP;
    record->headers = after;
    record->header_count = count;
    return SLC_RECORD_CHANGE;
}

static const slc_record_ops on_records = {
    .rank = SLC_RANK_HEADERS,
    .headers = true,
    .acts = acts,
    .bind = bind_edits,
    .unbind = unbind,
    .on_produce_record = edit,
    .on_consume_record = edit,
};

const slc_policy_type slc_policy_headers = {
    .name = "headers",
    .summary =
        "Sets, adds, removes and renames fields of HTTP requests and answers, and headers of records. Rules "
        "are applied in their\norder, those of wide scopes first; of several headers with one name each keeps "
        "its place. Requests are changed after all policies\nhave looked at them, and before the event is "
        "made of them; answers to requests\nthat were "
        "refused get the rules of wide scopes. Fields that frame a message (`Content-Length`, `Connection`, "
        "...), `Content-Type`,\n`Accept`, `Authorization` and `X-Request-Id` stay as they are. Applications, "
        "plans "
        "and callers with some claim\nmay be shown different headers of what they read (`scope`, `condition`); "
        "of who reads nothing is put in.\n\n"
        "On native Kafka rules `in` `publish` and `read` are applied to the records in their batches, which "
        "keep their compression.\nThere `${plan.name}` stands for a plan if the application has one "
        "subscription "
        "alone, and `${request.id}` for nothing. A batch that\ncannot be looked into is refused. With the "
        "condition "
        "`request.protocol == 'http'` rules `in` `publish` leave native clients alone.\nClients that "
        "authenticate to "
        "the broker themselves (pass-through) are the broker's to judge, also here.",
    .config_schema =
        "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"rules\"],\"properties\":{"
        "\"rules\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":100,\"description\":\"Applied in their "
        "order.\","
        "\"items\":{\"type\":\"object\",\"additionalProperties\":false,"
        "\"required\":[\"in\",\"action\",\"name\"],\"properties\":{"
        "\"in\":{\"type\":\"string\",\"enum\":[\"request\",\"response\",\"publish\",\"read\"],"
        "\"description\":\"Fields of the HTTP request or answer, or headers of records that are published or "
        "read.\"},"
        "\"action\":{\"type\":\"string\",\"enum\":[\"set\",\"add\",\"remove\",\"rename\"],"
        "\"description\":\"`set`: one of that name is left, with the value. `add`: one more. `remove`, "
        "`rename`: all of that name.\"},"
        "\"name\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":249,"
        "\"description\":\"In any case for HTTP, byte by byte for records.\"},"
        "\"value\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":1000,"
        "\"description\":\"For `set` and `add`. ${application.id}, ${application.name}, ${application.team}, "
        "${credential.id}, ${plan.name}, ${client.address} and ${request.id} are put in, not where it is read. "
        "When one of them is nothing, `set` removes and `add` does nothing.\"},"
        "\"to\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":249,"
        "\"description\":\"For `rename`: the new name.\"}}}}}}",
    .compile = compile,
    .release = release,
    .transform = transform,
    .records = &on_records,
    .access = slc_record_access,
    .asks_access = asks_access,
};
