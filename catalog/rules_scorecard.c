/* Scorecard rules: what they are checked for, and how they are evaluated. */
#include <stdio.h>
#include <string.h>

#include "catalog/entity.h"
#include "catalog/kinds.h"
#include "catalog/scorecard_private.h"
#include "catalog/store.h"

#define SQL_MAX_BYTES 2048

slc_cel *slc_scorecard_compile(const char *text, slc_error *err)
{
    return slc_cel_compile(text, strlen(text), slc_scorecard_attributes, SLC_CEL_BOOL, err);
}

/* ---- what is written ---- */

bool slc_scorecard_check(slc_txn *txn, const json_t *next, slc_error *err)
{
    slc_error why = {0};
    slc_cel *cel = slc_scorecard_compile(slc_get_text(next, "condition"), &why);
    if (cel == NULL)
        return slc_txn_problem(txn, "/condition", err, "%s", why.message);
    size_t len;
    const char *zone = slc_cel_unknown_zone(cel, &len);
    bool ok =
        zone == NULL || slc_txn_problem(txn, "/condition", err, "there is no time zone %.*s", (int)len, zone);
    slc_cel_free(cel);
    return ok;
}

static bool check_count(slc_txn *txn, slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_prepare(txn, "SELECT count(*) FROM scorecard_rules", err);
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    int64_t count = rc == 1 ? sqlite3_column_int64(stmt, 0) : 0;
    slc_txn_finish(txn, stmt);
    return rc == 1 &&
           (count < SLC_SCORECARD_RULES_MAX ||
            slc_fail(err, SLC_CONFLICT, NULL,
                     "there are %d scorecard rules already, and there can be no more: delete one, or "
                     "put two into one",
                     SLC_SCORECARD_RULES_MAX));
}

static bool check(slc_txn *txn, slc_change *change, slc_error *err)
{
    return slc_scorecard_check(txn, change->next, err) && (change->before != NULL || check_count(txn, err));
}

const struct slc_kind_rules slc_rules_scorecard_rule = {.check = check};

/* ---- a card ---- */

static int level_of(const json_t *stored)
{
    int level = 0;
    while (strcmp(slc_scorecard_levels[level], slc_get_text(stored, "level")) != 0)
        level++;
    return level;
}

void slc_card_add(slc_card *card, json_t *stored)
{
    slc_card_rule *rule = &card->rules[card->count++];
    *rule = (slc_card_rule){.stored = stored,
                            .level = level_of(stored),
                            .points = slc_get_int(stored, "points"),
                            .blocking = json_is_true(json_object_get(stored, "blocking"))};
    slc_error why = {0};
    rule->cel = slc_scorecard_compile(slc_get_text(stored, "condition"), &why);
}

bool slc_card_load(slc_txn *txn, slc_card *card, slc_error *err)
{
    const slc_kind *kind = &slc_kind_scorecard_rule;
    char sql[SQL_MAX_BYTES];
    card->count = 0;
    snprintf(sql, sizeof sql, "%s ORDER BY t.key", slc_row_select(kind));
    sqlite3_stmt *stmt = slc_txn_prepare(txn, sql, err);
    int rc = stmt == NULL ? -1 : 1;
    while (rc == 1 && (rc = slc_txn_step(txn, stmt, err)) == 1) {
        json_t *stored = slc_row_read(kind, stmt);
        if (json_is_true(json_object_get(stored, "enabled")) && card->count < SLC_SCORECARD_RULES_MAX)
            slc_card_add(card, stored);
        else
            json_decref(stored);
    }
    slc_txn_finish(txn, stmt);
    if (rc != 0)
        slc_card_release(card);
    return rc == 0;
}

void slc_card_release(slc_card *card)
{
    for (size_t i = 0; i < card->count; i++) {
        json_decref(card->rules[i].stored);
        slc_cel_free(card->rules[i].cel);
    }
    card->count = 0;
}

/* ---- evaluation ---- */

static bool meets(const json_t *wanted, const json_t *there)
{
    size_t i;
    json_t *item;
    if (json_array_size(wanted) == 0)
        return true;
    json_array_foreach ((json_t *)wanted, i, item)
        if (slc_has_text(there, json_string_value(item)))
            return true;
    return false;
}

static bool is_one_of(const json_t *wanted, const char *text)
{
    return json_array_size(wanted) == 0 || slc_has_text(wanted, text);
}

static bool is_about(const json_t *rule, const slc_facts *facts)
{
    return is_one_of(json_object_get(rule, "kinds"), slc_facts_kind(facts)) &&
           is_one_of(json_object_get(rule, "teams"), facts->team_id) &&
           is_one_of(json_object_get(rule, "lifecycles"), slc_facts_text(facts, SLC_FACT_LIFECYCLE)) &&
           meets(json_object_get(rule, "tags"), facts->parsed[SLC_FACT_TAGS]) &&
           meets(json_object_get(rule, "environments"), facts->parsed[SLC_FACT_ENVIRONMENTS]);
}

static bool resolve(void *ctx, size_t variable, slc_cel_value *value)
{
    const slc_facts *facts = ctx;
    *value = facts->values[variable];
    return facts->known[variable];
}

static void evaluate(slc_card_rule *rule, slc_facts *facts, slc_cel_scratch *scratch)
{
    rule->detail[0] = '\0';
    rule->verdict = SLC_RULE_FOREIGN;
    if (!is_about(rule->stored, facts))
        return;
    rule->verdict = SLC_RULE_FAILED;
    if (rule->cel == NULL) {
        snprintf(rule->detail, sizeof rule->detail, "its condition is no longer understood");
        return;
    }
    slc_cel_value result = slc_cel_eval(rule->cel, resolve, facts, scratch);
    if (result.kind == SLC_CEL_BOOL && result.as.boolean)
        rule->verdict = SLC_RULE_MET;
    else if (result.kind != SLC_CEL_BOOL)
        snprintf(rule->detail, sizeof rule->detail, "its condition cannot be evaluated: %s (at character %zu)",
                 result.kind == SLC_CEL_ERROR ? result.as.error.message : "it gives no bool",
                 result.kind == SLC_CEL_ERROR ? result.as.error.at + 1 : 1);
}

void slc_card_evaluate(slc_card *card, const slc_facts *facts)
{
    slc_cel_scratch scratch;
    for (size_t i = 0; i < card->count; i++)
        evaluate(&card->rules[i], (slc_facts *)facts, &scratch);
}
