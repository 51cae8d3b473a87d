/* filter: shows its readers the records for which an expression is true, and no others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/policy/condition.h"
#include "dataplane/policy/record_chain.h"
#include "dataplane/policy/record_values.h"
#include "dataplane/policy/types.h"

struct filter {
    slc_cel *expression;
    enum slc_record_readers readers;
    char *dead_letter_topic;
};

static void release(void *compiled)
{
    struct filter *filter = compiled;
    slc_cel_free(filter->expression);
    free(filter->dead_letter_topic);
    free(filter);
}

static bool compile(const json_t *config, void **compiled, slc_error *err)
{
    static const char *const known[] = {"expression", "dead_letter_topic", NULL};
    slc_error inner = {0};
    if (!slc_policy_config_known(config, known, err))
        return false;
    if (json_object_get(config, "expression") == NULL)
        return slc_fail(err, SLC_INVALID, "/config/expression", "must be set");
    const char *text = slc_policy_config_string(config, "expression", NULL, SLC_CEL_MAX_CHARS, err);
    char *topic = NULL;
    if (text == NULL || !slc_policy_config_topic(config, "dead_letter_topic", &topic, err))
        return false;
    struct filter *filter = slc_calloc(1, sizeof *filter);
    filter->expression = slc_record_expression_compile(text, &filter->readers, &inner);
    if (filter->expression == NULL) {
        free(filter);
        free(topic);
        return slc_fail(err, SLC_INVALID, "/config/expression", "%s", inner.message);
    }
    filter->dead_letter_topic = topic;
    *compiled = filter;
    return true;
}

/* ---- for one reader ---- */

/* What the expression may say of who reads, as it is when the chain is bound. */
struct bound {
    slc_cel *expression; /* the policy's */
    uint64_t version;    /* of the configuration that it is of */
    bool there[SLC_RECORD_ATTRIBUTES];
    slc_cel_value values[SLC_RECORD_ATTRIBUTES];
    char *texts[SLC_RECORD_ATTRIBUTES]; /* that they point into */
};

static size_t text_of(const slc_cel_value *value)
{
    bool text = value->kind == SLC_CEL_STRING || value->kind == SLC_CEL_BYTES;
    return text ? value->as.text.len : 0;
}

static char *copy_text(char *to, slc_cel_value *value)
{
    size_t len = text_of(value);
    if (len > 0)
        memcpy(to, value->as.text.data, len);
    if (len > 0)
        value->as.text.data = to;
    return to + len;
}

/* Lists of texts are the only ones there are. */
static char *copy(slc_cel_value *value)
{
    if (value->kind != SLC_CEL_LIST) {
        char *text = slc_malloc(text_of(value) + 1);
        copy_text(text, value);
        return text;
    }
    size_t count = value->as.list.count, size = count * sizeof(slc_cel_value);
    for (size_t i = 0; i < count; i++)
        size += text_of(&value->as.list.items[i]);
    char *memory = slc_malloc(size + 1), *to = memory + count * sizeof(slc_cel_value);
    slc_cel_value *items = (slc_cel_value *)(void *)memory;
    for (size_t i = 0; i < count; i++) {
        items[i] = value->as.list.items[i];
        to = copy_text(to, &items[i]);
    }
    value->as.list.items = items;
    return memory;
}

static bool bind_filter(const void *compiled, const slc_record_subject *subject, void **out, slc_error *err)
{
    const struct filter *filter = compiled;
    struct bound *bound = slc_calloc(1, sizeof *bound);
    (void)err;
    bound->expression = filter->expression;
    bound->version = slc_snapshot_version(subject->snapshot);
    for (size_t i = SLC_RECORD_ATTRIBUTES_OF_RECORD; i < SLC_RECORD_ATTRIBUTES; i++) {
        bound->there[i] =
            slc_condition_resolve(subject->request, slc_record_attribute_of(i), &bound->values[i]);
        if (bound->there[i])
            bound->texts[i] = copy(&bound->values[i]);
    }
    *out = bound;
    return true;
}

static void unbind(void *bound_)
{
    struct bound *bound = bound_;
    for (size_t i = 0; i < SLC_RECORD_ATTRIBUTES; i++)
        free(bound->texts[i]);
    free(bound);
}

/* Names of applications, teams and plans may be others then. */
static bool holds(const void *bound, const slc_snapshot *snapshot)
{
    return ((const struct bound *)bound)->version == slc_snapshot_version(snapshot);
}

static enum slc_record_audience audience(const void *compiled)
{
    const struct filter *filter = compiled;
    return filter->readers == SLC_READERS_ALL           ? SLC_AUDIENCE_ALL
           : filter->readers == SLC_READERS_APPLICATION ? SLC_AUDIENCE_APPLICATION
                                                        : SLC_AUDIENCE_ONE;
}

struct evaluation {
    const struct bound *bound;
    slc_record_values values;
};

static bool resolve(void *ctx, size_t variable, slc_cel_value *value)
{
    struct evaluation *evaluation = ctx;
    if (variable < SLC_RECORD_ATTRIBUTES_OF_RECORD)
        return slc_record_values_resolve(&evaluation->values, variable, value);
    *value = evaluation->bound->values[variable];
    return evaluation->bound->there[variable];
}

/* What cannot be judged is not shown. */
static enum slc_record_verdict judge(void *bound, slc_record_turn *turn, slc_policy_record *record,
                                     slc_record_problem *problem)
{
    struct evaluation evaluation = {.bound = bound};
    slc_cel_scratch scratch;
    slc_record_values_init(&evaluation.values, record, turn->scratch);
    slc_cel_value value = slc_cel_eval(evaluation.bound->expression, resolve, &evaluation, &scratch);
    if (value.kind == SLC_CEL_BOOL)
        return value.as.boolean ? SLC_RECORD_KEEP : SLC_RECORD_DROP;
    problem->code = SLC_INVALID;
    if (value.kind == SLC_CEL_ERROR)
        snprintf(problem->why, sizeof problem->why, "the filter cannot be evaluated, at character %zu: %s",
                 value.as.error.at + 1, value.as.error.message);
    else
        snprintf(problem->why, sizeof problem->why, "the filter gives a value of kind %s, not of kind bool",
                 slc_cel_kind_name(value.kind));
    return SLC_RECORD_DROP;
}

static const char *dead_letter_topic(const void *compiled)
{
    return ((const struct filter *)compiled)->dead_letter_topic;
}

static const slc_record_ops on_records = {
    .rank = SLC_RANK_FILTER,
    .headers = true,
    .audience = audience,
    .bind = bind_filter,
    .unbind = unbind,
    .holds = holds,
    .on_consume_record = judge,
    .dead_letter_topic = dead_letter_topic,
};

const slc_policy_type slc_policy_filter = {
    .name = "filter",
    .summary = "Leaves out of what is read the records for which an expression of CEL is not true, on REST, "
               "SSE and native "
               "Kafka alike. It speaks of\nthe record and of who reads, with the variables below; what "
               "conditions can do, it can. "
               "A record for which it cannot be\nevaluated (a member that is not there, a value that is no "
               "JSON) is withheld, and "
               "counted as `withheld` in\n`sluice_policy_records_total`; `has(record.value.x)` asks first. "
               "Offsets stay as they "
               "are, and what is left out is no gap. See\n[records](records.md).",
    .config_schema =
        "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"expression\"],\"properties\":{"
        "\"expression\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":1000,\"description\":\"True for the "
        "records that are shown.\"},"
        "\"dead_letter_topic\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":249,\"description\":\"Topic "
        "of the "
        "same backend, by its name there, for records that could not be judged.\"}}}",
    .compile = compile,
    .release = release,
    .records = &on_records,
    .access = slc_record_access,
};
