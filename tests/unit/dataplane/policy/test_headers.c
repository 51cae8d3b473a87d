/* headers: what its rules make of a record's headers, and who is asked when. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asker.h"
#include "common/alloc.h"
#include "common/json.h"
#include "dataplane/policy/access.h"
#include "dataplane/policy/chain_private.h"
#include "dataplane/policy/types.h"
#include "tests/unit/common/unit.h"

#define GROUP SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_GROUP
#define PLAN  SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_PLAN

static slc_headers *compiled(const char *rules)
{
    slc_error err = {0};
    void *headers = NULL;
    char *text = slc_asprintf("{\"rules\":%s}", rules);
    json_t *config = slc_json_parse(text, strlen(text), 65536, &err);
    ck_assert_msg(config != NULL, "%s: %s", text, err.message);
    ck_assert_msg(slc_policy_headers.compile(config, &headers, &err), "%s: %s", text, err.message);
    json_decref(config);
    free(text);
    return headers;
}

static const char *value_of(void *ctx, const char *name, size_t len)
{
    (void)ctx;
    if (len == 10 && memcmp(name, "request.id", 10) == 0)
        return "r-1";
    return len == 9 && memcmp(name, "plan.name", 9) == 0 ? "bad\r\nline" : "";
}

/* "a=1 b=2": headers with names of one character. */
static uint32_t parse(const char *text, slc_record_header *out)
{
    uint32_t count = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        out[count++] = (slc_record_header){
            .name = text, .name_len = 1, .value = (const uint8_t *)text + 2, .value_len = (uint32_t)len - 2};
        text += len + (text[len] == ' ');
    }
    return count;
}

static const struct {
    const char *rules, *before, *after;
} edits[] = {
    {"[{\"in\":\"read\",\"action\":\"set\",\"name\":\"a\",\"value\":\"9\"}]", "b=1 a=2 c=3 a=4", "b=1 a=9 c=3"},
    {"[{\"in\":\"read\",\"action\":\"set\",\"name\":\"a\",\"value\":\"9\"}]", "", "a=9"},
    {"[{\"in\":\"read\",\"action\":\"add\",\"name\":\"a\",\"value\":\"9\"}]", "a=1 b=2", "a=1 b=2 a=9"},
    {"[{\"in\":\"read\",\"action\":\"remove\",\"name\":\"a\"}]", "a=1 b=2 a=3", "b=2"},
    {"[{\"in\":\"read\",\"action\":\"remove\",\"name\":\"A\"}]", "a=1", "a=1"},
    {"[{\"in\":\"read\",\"action\":\"rename\",\"name\":\"a\",\"to\":\"b\"}]", "a=1 b=2 a=3", "b=1 b=2 b=3"},
    {"[{\"in\":\"read\",\"action\":\"rename\",\"name\":\"a\",\"to\":\"b\"},"
     "{\"in\":\"read\",\"action\":\"remove\",\"name\":\"b\"},"
     "{\"in\":\"read\",\"action\":\"add\",\"name\":\"c\",\"value\":\"9\"}]",
     "a=1 b=2 d=3", "d=3 c=9"},
    {"[{\"in\":\"publish\",\"action\":\"add\",\"name\":\"a\",\"value\":\"9\"}]", "b=1", "b=1"},
};

START_TEST(rules_keep_order_and_duplicates)
{
    slc_record_header in[8], out[16], want[8];
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        slc_headers *headers = compiled(edits[i].rules);
        slc_header_policies policies = {0};
        slc_header_policies_add(&policies, headers);
        slc_header_edits *made = slc_header_edits_new(&policies, SLC_HEADERS_READ, value_of, NULL);
        uint32_t count = parse(edits[i].before, in), wanted = parse(edits[i].after, want);
        if (made != NULL)
            count = slc_header_edits_record(made, in, count, out);
        else
            memcpy(out, in, sizeof in);
        ck_assert_msg(count == wanted, "%s: %u headers", edits[i].rules, count);
        for (uint32_t h = 0; h < count; h++)
            ck_assert_msg(out[h].name[0] == want[h].name[0] && out[h].value_len == want[h].value_len &&
                              memcmp(out[h].value, want[h].value, want[h].value_len) == 0,
                          "%s: header %u", edits[i].rules, h);
        slc_header_edits_free(made);
        slc_header_policies_release(&policies);
        slc_policy_headers.release(headers);
    }
}
END_TEST

/* A header that shall say who it was must not be left to the client when nobody knows. */
START_TEST(what_cannot_be_put_in_is_taken_away)
{
    slc_headers *headers =
        compiled("[{\"in\":\"publish\",\"action\":\"set\",\"name\":\"a\",\"value\":\"<${request.id}>\"},"
                 "{\"in\":\"publish\",\"action\":\"set\",\"name\":\"b\",\"value\":\"${plan.name}\"},"
                 "{\"in\":\"publish\",\"action\":\"add\",\"name\":\"c\",\"value\":\"${application.team}\"}]");
    slc_header_policies policies = {0};
    slc_record_header in[8], out[16];
    slc_header_policies_add(&policies, headers);
    slc_header_edits *made = slc_header_edits_new(&policies, SLC_HEADERS_PUBLISH, value_of, NULL);
    ck_assert_uint_eq(slc_header_edits_record(made, in, parse("b=forged a=forged", in), out), 1);
    ck_assert(out[0].name[0] == 'a' && out[0].value_len == 5 && memcmp(out[0].value, "<r-1>", 5) == 0);
    slc_header_edits_free(made);
    slc_header_policies_release(&policies);
    slc_policy_headers.release(headers);
}
END_TEST

#define READING "{\"rules\":[{\"in\":\"read\",\"action\":\"remove\",\"name\":\"x\"}]}"

START_TEST(rules_for_reading_hang_on_plans_and_conditions_too)
{
    static const struct {
        Sluice__Snapshot__V1__ScopeKind scope;
        const char *condition;
    } cases[] = {{GROUP, ""}, {GROUP, "request.protocol == 'http'"}, {PLAN, ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Sluice__Snapshot__V1__Policy policy, *policies[] = {&policy};
        slc_error err = {0};
        sluice__snapshot__v1__policy__init(&policy);
        policy.name = "h";
        policy.type = "headers";
        policy.config_json = READING;
        policy.scope = cases[i].scope;
        policy.condition = (char *)cases[i].condition;
        slc_chain *chain = slc_chain_compile((const Sluice__Snapshot__V1__Policy *const *)policies, 1, &err);
        ck_assert_msg(chain != NULL, "case %zu: %s", i, err.message);
        ck_assert(slc_record_ops_act(slc_policy_type_find("headers")->records, chain->entries[0].compiled,
                                     SLC_RECORDS_CONSUME));
        slc_chain_free(chain);
    }
}
END_TEST

UNIT_MAIN("headers policy", rules_keep_order_and_duplicates, what_cannot_be_put_in_is_taken_away,
          rules_for_reading_hang_on_plans_and_conditions_too)
