/* The filter policy: what an expression sees of a record, and for whom its result is the same. */
#include <stdlib.h>

#include "asker.h"
#include "dataplane/policy/types.h"
#include "tests/unit/common/unit.h"

static slc_record_scratch scratch;
static slc_record_problem problem;
static slc_principal principal;

static void *compile(const char *expression)
{
    void *compiled = NULL;
    slc_error err = {0};
    json_t *config = json_pack("{s:s}", "expression", expression);
    ck_assert_msg(slc_policy_filter.compile(config, &compiled, &err), "%s: %s", expression, err.message);
    json_decref(config);
    return compiled;
}

static const char *no_header(void *protocol, const char *name)
{
    (void)protocol, (void)name;
    return NULL;
}

static enum slc_record_verdict run(const char *expression, const slc_policy_record *record)
{
    void *compiled = compile(expression), *bound;
    struct asker *asker = asker_new();
    asker_rebuild(asker);
    slc_policy_request request = {.snapshot = asker->snapshot,
                                  .principal = &principal,
                                  .client_address = "192.0.2.7",
                                  .header = no_header};
    const slc_record_subject subject = {
        .direction = SLC_RECORDS_CONSUME, .snapshot = asker->snapshot, .request = &request};
    slc_record_turn turn = {.scratch = &scratch};
    slc_policy_record copy = *record;
    slc_error err = {0};
    if (scratch.max_bytes == 0)
        slc_record_scratch_init(&scratch, 1 << 20);
    slc_record_scratch_reset(&scratch);
    problem = (slc_record_problem){0};
    ck_assert(slc_policy_filter.records->bind(compiled, &subject, &bound, &err));
    ck_assert(slc_policy_filter.records->holds(bound, asker->snapshot));
    asker->maker->version++;
    asker_rebuild(asker);
    ck_assert(!slc_policy_filter.records->holds(bound, asker->snapshot));
    asker_free(asker);
    memset(&principal, 0x55, sizeof principal); /* what was bound is a copy */
    enum slc_record_verdict verdict =
        slc_policy_filter.records->on_consume_record(bound, &turn, &copy, &problem);
    slc_policy_filter.records->unbind(bound);
    slc_policy_filter.release(compiled);
    return verdict;
}

/* Whose, of which value. */
static slc_policy_record make(const char *value)
{
    static const slc_record_header headers[] = {{"kind", 4, 1, (const uint8_t *)"a"},
                                                {"kind", 4, 1, (const uint8_t *)"b"},
                                                {"raw", 3, 1, (const uint8_t *)"\xff"},
                                                {"none", 4, 0, NULL}};
    memset(&principal, 0, sizeof principal);
    snprintf(principal.application_name, sizeof principal.application_name, "shop");
    return (slc_policy_record){.partition = 3,
                               .offset = 42,
                               .timestamp_ms = 1700000000000,
                               .key = (const uint8_t *)"k1",
                               .key_len = 2,
                               .value = (const uint8_t *)value,
                               .value_len = value != NULL ? strlen(value) : 0,
                               .headers = headers,
                               .header_count = 4};
}

static const char sample[] =
    "{\"n\": 5, \"x\": 1.5, \"name\": \"\\u00e4b\", \"deep\": {\"list\": [1, {\"id\": \"z\"}, null]}, "
    "\"big\": 123456789012345678901, \"t\": true, \"twice\": 1, \"twice\": 2}";

START_TEST(an_expression_looks_into_the_record)
{
    static const char *const yes[] = {
        "record.value.n == 5 && record.value.x > 1 && record.value.n < 5.5",
        "record.value.name == '\xc3\xa4\x62' && record.value.t",
        "record.value.deep.list[1].id == 'z' && size(record.value.deep.list) == 3",
        "record.value['deep']['list'][2] == null && 1 in record.value.deep.list",
        "record.value.big > 1e20 && record.value.twice == 2",
        "has(record.value.n) && !has(record.value.other) && !('other' in record.value)",
        "record.key == 'k1' && record.key.startsWith('k')",
        "record.headers['kind'] == 'b' && record.headers['none'] == null && record.headers['raw'] == b'\\xff'",
        "record.partition == 3 && record.offset == 42 && !record.tombstone",
        "record.time == timestamp('2023-11-14T22:13:20Z')",
        "application.name == 'shop' && client.address == '192.0.2.7' && request.protocol == 'kafka'",
        "!has(plan.name)",
    };
    static const char *const no[] = {"record.value.n == 6", "record.tombstone", "application.name == 'bank'"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        const slc_policy_record record = make(sample);
        ck_assert_msg(run(yes[i], &record) == SLC_RECORD_KEEP, "%s: %s", yes[i], problem.why);
    }
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
        const slc_policy_record record = make(sample);
        ck_assert_msg(run(no[i], &record) == SLC_RECORD_DROP && problem.code == SLC_OK, "%s", no[i]);
    }
    slc_record_scratch_release(&scratch);
}
END_TEST

START_TEST(what_cannot_be_judged_is_withheld)
{
    static const struct {
        const char *expression, *value;
    } cases[] = {{"record.value.missing == 1", sample}, {"record.value.n == 1", "no json"},
                 {"record.value.n == 1", NULL},         {"record.value.n", sample},
                 {"record.value.name > 5", sample},     {"token.subject == 'x'", sample}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const slc_policy_record record = make(cases[i].value);
        ck_assert_msg(run(cases[i].expression, &record) == SLC_RECORD_DROP, "case %zu", i);
        ck_assert_msg(problem.code == SLC_INVALID && problem.why[0] != '\0', "case %zu", i);
    }
    slc_record_scratch_release(&scratch);
}
END_TEST

START_TEST(what_is_large_is_bounded)
{
    char *value = malloc(100000);
    size_t len = 1;
    value[0] = '[';
    for (int i = 0; i < 5000; i++)
        len += (size_t)sprintf(value + len, "%s{\"n\":%d}", i > 0 ? "," : "", i);
    sprintf(value + len, "]");
    const slc_policy_record record = make(value);
    ck_assert_int_eq(run("record.value[0].n == 0", &record), SLC_RECORD_DROP);
    ck_assert_int_eq(problem.code, SLC_INVALID);
    free(value);
    slc_record_scratch_release(&scratch);
}
END_TEST

START_TEST(a_result_is_shared_by_those_for_whom_it_is_the_same)
{
    static const struct {
        const char *expression;
        enum slc_record_audience audience;
    } cases[] = {{"record.value.n == 5 && group.name == 'g'", SLC_AUDIENCE_ALL},
                 {"record.value.owner == application.name", SLC_AUDIENCE_APPLICATION},
                 {"plan.name == 'gold' || record.value.free", SLC_AUDIENCE_APPLICATION},
                 {"record.value.group in token.groups", SLC_AUDIENCE_ONE},
                 {"client.address == 'x'", SLC_AUDIENCE_ONE}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *compiled = compile(cases[i].expression);
        ck_assert_msg(slc_policy_filter.records->audience(compiled) == cases[i].audience, "case %zu", i);
        slc_policy_filter.release(compiled);
    }
}
END_TEST

START_TEST(bad_expressions_are_refused)
{
    static const char *const bad[] = {"", "1 +", "record.other == 1", "'text'", "request.headers['x'] == 'y'"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        void *compiled = NULL;
        slc_error err = {0};
        json_t *config = json_pack("{s:s}", "expression", bad[i]);
        ck_assert_msg(!slc_policy_filter.compile(config, &compiled, &err), "%s was taken", bad[i]);
        json_decref(config);
    }
}
END_TEST

UNIT_MAIN("filter policy", an_expression_looks_into_the_record, what_cannot_be_judged_is_withheld,
          what_is_large_is_bounded, a_result_is_shared_by_those_for_whom_it_is_the_same,
          bad_expressions_are_refused)
