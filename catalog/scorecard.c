/* Scorecards: one, a page of them, a rule tried on a page, and the gate that publishing goes through. */
#include "catalog/scorecard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/entity.h"
#include "catalog/kinds.h"
#include "catalog/scorecard_private.h"
#include "catalog/store.h"
#include "catalog/token.h"
#include "common/buf.h"

#define LIMIT_DEFAULT 100
#define SQL_MAX_BYTES 32768
#define NAMES_MAX     300 /* bytes of rules' names in a message */
#define CURSOR_PREFIX "1 "

/* ---- what a card comes to ---- */

/* The highest level that has rules, all of which are met, as are those of the levels below; -1: none. */
static int level_reached(const slc_card *card)
{
    int reached = -1;
    for (int level = 0; slc_scorecard_levels[level] != NULL; level++) {
        bool met = false;
        for (size_t i = 0; i < card->count; i++) {
            const slc_card_rule *rule = &card->rules[i];
            if (rule->level == level && rule->verdict == SLC_RULE_FAILED)
                return reached;
            met = met || (rule->level == level && rule->verdict == SLC_RULE_MET);
        }
        reached = met ? level : reached;
    }
    return reached;
}

static json_t *tally(const slc_card *card)
{
    int64_t points = 0, met = 0, about = 0;
    int level = level_reached(card);
    for (size_t i = 0; i < card->count; i++) {
        const slc_card_rule *rule = &card->rules[i];
        about += rule->verdict != SLC_RULE_FOREIGN;
        points += rule->verdict != SLC_RULE_FOREIGN ? rule->points : 0;
        met += rule->verdict == SLC_RULE_MET ? rule->points : 0;
    }
    return json_pack("{s:o, s:s?}", "score",
                     about == 0 ? json_null() : json_integer(points > 0 ? met * 100 / points : 100), "level",
                     level >= 0 ? slc_scorecard_levels[level] : NULL);
}

static const char *name_of(const slc_card_rule *rule)
{
    return slc_get_text(rule->stored, "name");
}

static bool is_draft(const slc_facts *facts)
{
    return strcmp(slc_facts_text(facts, SLC_FACT_LIFECYCLE), "draft") == 0;
}

/* The verdicts become those of when it is published. */
static void suppose_published(slc_card *card, slc_facts *facts)
{
    slc_facts_suppose(facts, "published");
    slc_card_evaluate(card, facts);
}

static bool is_in_the_way(const slc_card_rule *rule)
{
    return rule->blocking && rule->verdict == SLC_RULE_FAILED;
}

/* Which one it is. */
static json_t *head_of(const slc_facts *facts)
{
    const char *title = slc_facts_text(facts, SLC_FACT_TITLE);
    return json_pack("{s:s, s:s, s:s?, s:s, s:s}", "kind", slc_facts_kind(facts), "key", facts->key, "title",
                     title[0] != '\0' ? title : NULL, "team", slc_facts_text(facts, SLC_FACT_TEAM_NAME),
                     "lifecycle", slc_facts_text(facts, SLC_FACT_LIFECYCLE));
}

/* ---- rows ---- */

/* What is done with one row. */
typedef void row_fn(void *arg, slc_card *card, slc_facts *facts);

static void run_row(slc_txn *txn, sqlite3_stmt *stmt, slc_card *card, row_fn *fn, void *arg)
{
    slc_facts facts;
    slc_facts_read(&facts, stmt, slc_txn_now_ms(txn));
    slc_card_evaluate(card, &facts);
    fn(arg, card, &facts);
    slc_facts_release(&facts);
}

static void bind_viewer(sqlite3_stmt *stmt, const slc_discover_viewer *who)
{
    char *teams = slc_discover_teams(who);
    sqlite3_bind_text(stmt, 1, teams, -1, SQLITE_TRANSIENT);
    free(teams);
    sqlite3_bind_int(stmt, SLC_DISCOVER_VISITOR, who->visitor);
}

/* Rows of one kind, or (NULL) of all that the viewer may read, each with the condition `more`. */
static sqlite3_stmt *prepare(slc_txn *txn, const slc_kind *kind, const char *more, const char *order,
                             const slc_identity *viewer, slc_error *err)
{
    const slc_discover_viewer who = slc_discover_viewer_of(viewer);
    const struct {
        const slc_kind *kind;
        bool may;
    } kinds[] = {{&slc_kind_event_api, who.event_apis}, {&slc_kind_rest_api, who.rest_apis}};
    slc_buf sql;
    slc_buf_init(&sql, SQL_MAX_BYTES);
    for (size_t i = 0; i < 2; i++) {
        if (kind != NULL ? kind != kinds[i].kind : !kinds[i].may)
            continue;
        slc_buf_adds(&sql, sql.len > 0 ? " UNION ALL " : "");
        slc_facts_sql(&sql, kinds[i].kind);
        slc_buf_adds(&sql, more);
    }
    slc_buf_adds(&sql, sql.len > 0 ? order : "SELECT 1 WHERE 0");
    slc_buf_addc(&sql, '\0');
    sqlite3_stmt *stmt = slc_txn_prepare(txn, (const char *)sql.data, err);
    slc_buf_release(&sql);
    if (stmt != NULL)
        bind_viewer(stmt, &who);
    return stmt;
}

/* 1: done; 0: there is no such, or it is not visible; -1: error. */
static int run_one(slc_txn *txn, const slc_kind *kind, const char *id, const slc_identity *viewer,
                   slc_card *card, row_fn *fn, void *arg, slc_error *err)
{
    sqlite3_stmt *stmt = prepare(txn, kind, " AND e.id = ?2", "", viewer, err);
    int rc = -1;
    if (stmt != NULL) {
        sqlite3_bind_text(stmt, 2, id, -1, SQLITE_TRANSIENT);
        rc = slc_txn_step(txn, stmt, err);
    }
    if (rc == 1)
        run_row(txn, stmt, card, fn, arg);
    slc_txn_finish(txn, stmt);
    return rc;
}

/* ---- one ---- */

static json_t *rule_of(const slc_card_rule *rule)
{
    return json_pack("{s:s, s:s?, s:s, s:I, s:b, s:b, s:s, s:s?}", "name", name_of(rule), "title",
                     slc_get_text(rule->stored, "title"), "level", slc_scorecard_levels[rule->level], "points",
                     (json_int_t)rule->points, "blocking", (int)rule->blocking, "met",
                     (int)(rule->verdict == SLC_RULE_MET), "hint", slc_get_text(rule->stored, "hint"), "detail",
                     rule->detail[0] != '\0' ? rule->detail : NULL);
}

static void show_one(void *arg, slc_card *card, slc_facts *facts)
{
    json_t **out = arg, *rules = json_array(), *blocked = NULL;
    *out = head_of(facts);
    json_object_update_new(*out, tally(card));
    for (size_t i = 0; i < card->count; i++)
        if (card->rules[i].verdict != SLC_RULE_FOREIGN)
            json_array_append_new(rules, rule_of(&card->rules[i]));
    json_object_set_new(*out, "rules", rules);
    if (is_draft(facts)) {
        blocked = json_array();
        suppose_published(card, facts);
        for (size_t i = 0; i < card->count; i++)
            if (is_in_the_way(&card->rules[i]))
                json_array_append_new(blocked, rule_of(&card->rules[i]));
    }
    json_object_set_new(*out, "blocked_by", blocked != NULL ? blocked : json_null());
}

json_t *slc_scorecard_get(slc_txn *txn, const slc_kind *kind, const char *key, const slc_identity *viewer,
                          slc_error *err)
{
    char id[SLC_ID_CHARS + 1];
    slc_card card;
    json_t *out = NULL;
    int found = slc_row_resolve(txn, kind, key, id, err);
    if (found == 1 && slc_card_load(txn, &card, err)) {
        found = run_one(txn, kind, id, viewer, &card, show_one, &out, err);
        slc_card_release(&card);
    }
    if (found == 0)
        slc_fail(err, SLC_NOT_FOUND, NULL, "there is no %s %.100s", kind->singular, key);
    return out;
}

/* ---- pages ---- */

static json_t *cursor_make(const char *key)
{
    char text[SLC_KEY_CHARS + 8], out[2 * sizeof text];
    int len = snprintf(text, sizeof text, CURSOR_PREFIX "%s", key);
    slc_base64url_encode(text, (size_t)len, out);
    return json_string(out);
}

static bool cursor_parse(const char *cursor, char key[SLC_KEY_CHARS], slc_error *err)
{
    char text[SLC_KEY_CHARS + 8] = "";
    size_t prefix = strlen(CURSOR_PREFIX);
    long len = slc_base64url_decode(cursor, strlen(cursor), (uint8_t *)text, sizeof text - 1);
    text[len > 0 ? len : 0] = '\0';
    if (len <= (long)prefix || strlen(text) != (size_t)len || strncmp(text, CURSOR_PREFIX, prefix) != 0 ||
        strlen(text + prefix) >= SLC_KEY_CHARS)
        return slc_fail(err, SLC_INVALID, "cursor", "the cursor is not one that the catalog gave out");
    memcpy(key, text + prefix, strlen(text + prefix) + 1);
    return true;
}

static bool check_lifecycle(const char *lifecycle, slc_error *err)
{
    for (size_t i = 0; lifecycle != NULL && slc_lifecycle_values[i] != NULL; i++)
        if (strcmp(lifecycle, slc_lifecycle_values[i]) == 0)
            return true;
    return lifecycle == NULL ||
           slc_fail(err, SLC_INVALID, "lifecycle", "%.60s is not one of its values", lifecycle);
}

/* New: the cursor of the next page, or null; NULL with err. */
static json_t *run_page(slc_txn *txn, const slc_scorecard_query *query, const slc_identity *viewer,
                        slc_card *card, row_fn *fn, void *arg, slc_error *err)
{
    char after[SLC_KEY_CHARS] = "";
    int limit = query->limit > 0 ? query->limit : LIMIT_DEFAULT, rc, count = 0;
    json_t *next = json_null();
    if (!check_lifecycle(query->lifecycle, err) ||
        (query->cursor != NULL && !cursor_parse(query->cursor, after, err)))
        return NULL;
    sqlite3_stmt *stmt = prepare(txn, NULL,
                                 " AND e.key > ?2 AND (?3 IS NULL OR t.key = ?3 OR t.id = ?3) AND (?4 IS NULL "
                                 "OR e.lifecycle = ?4)",
                                 " ORDER BY 2 LIMIT ?5", viewer, err);
    if (stmt == NULL)
        return NULL;
    sqlite3_bind_text(stmt, 2, after, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 3, query->team, -1, SQLITE_TRANSIENT);
    sqlite3_bind_text(stmt, 4, query->lifecycle, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int(stmt, 5, limit + 1); /* one more tells whether there is a next page */
    char last[SLC_KEY_CHARS] = "";
    while ((rc = slc_txn_step(txn, stmt, err)) == 1) {
        if (count++ == limit) {
            next = cursor_make(last);
            rc = 0;
            break;
        }
        snprintf(last, sizeof last, "%s", slc_column_text(stmt, 1));
        run_row(txn, stmt, card, fn, arg);
    }
    slc_txn_finish(txn, stmt);
    return rc == 0 ? next : NULL;
}

static void list_row(void *arg, slc_card *card, slc_facts *facts)
{
    json_t *item = head_of(facts), *failed = json_array(), *blocked = json_array();
    int64_t met = 0;
    json_object_update_new(item, tally(card));
    for (size_t i = 0; i < card->count; i++) {
        met += card->rules[i].verdict == SLC_RULE_MET;
        if (card->rules[i].verdict == SLC_RULE_FAILED)
            json_array_append_new(failed, json_string(name_of(&card->rules[i])));
    }
    if (is_draft(facts)) {
        suppose_published(card, facts);
        for (size_t i = 0; i < card->count; i++)
            if (is_in_the_way(&card->rules[i]))
                json_array_append_new(blocked, json_string(name_of(&card->rules[i])));
    }
    json_object_set_new(item, "met", json_integer(met));
    json_object_set_new(item, "failed", failed);
    json_object_set_new(item, "blocked_by", blocked);
    json_array_append_new(arg, item);
}

json_t *slc_scorecard_list(slc_txn *txn, const slc_scorecard_query *query, const slc_identity *viewer,
                           slc_error *err)
{
    slc_card card;
    if (!slc_card_load(txn, &card, err))
        return NULL;
    json_t *items = json_array();
    json_t *next = run_page(txn, query, viewer, &card, list_row, items, err);
    json_t *out = next == NULL ? NULL
                               : json_pack("{s:I, s:O, s:o}", "rules", (json_int_t)card.count, "items", items,
                                           "next", next);
    json_decref(items);
    slc_card_release(&card);
    return out;
}

/* ---- trying a rule ---- */

struct trial {
    json_t *items;
    json_int_t checked, applies;
};

static void try_row(void *arg, slc_card *card, slc_facts *facts)
{
    struct trial *trial = arg;
    json_t *item = head_of(facts);
    slc_card_rule *rule = &card->rules[0];
    char detail[sizeof rule->detail];
    bool about = rule->verdict != SLC_RULE_FOREIGN, failed = rule->verdict == SLC_RULE_FAILED, blocked = false;
    snprintf(detail, sizeof detail, "%s", rule->detail);
    if (is_draft(facts)) {
        suppose_published(card, facts);
        about = about || rule->verdict != SLC_RULE_FOREIGN;
        blocked = is_in_the_way(rule);
        if (blocked && !failed)
            snprintf(detail, sizeof detail, "%s", rule->detail);
    }
    trial->checked++;
    trial->applies += about;
    json_object_set_new(item, "detail", detail[0] != '\0' ? json_string(detail) : json_null());
    json_object_set_new(item, "blocked", json_boolean(blocked));
    if (failed || blocked)
        json_array_append(trial->items, item);
    json_decref(item);
}

json_t *slc_scorecard_preview(slc_txn *txn, const json_t *rule, const slc_scorecard_query *query,
                              const slc_identity *viewer, slc_error *err)
{
    slc_card card = {.count = 0};
    json_t *stored = slc_body_take(txn, slc_kind_scorecard_rule.fields, rule, err);
    if (stored == NULL)
        return NULL;
    if (!slc_scorecard_check(txn, stored, err)) {
        json_decref(stored);
        return NULL;
    }
    slc_card_add(&card, stored);
    struct trial trial = {.items = json_array()};
    json_t *next = run_page(txn, query, viewer, &card, try_row, &trial, err);
    json_t *out = next == NULL ? NULL
                               : json_pack("{s:I, s:I, s:O, s:o}", "checked", trial.checked, "applies",
                                           trial.applies, "items", trial.items, "next", next);
    json_decref(trial.items);
    slc_card_release(&card);
    return out;
}

/* ---- the gate ---- */

struct gate {
    slc_txn *txn;
    slc_error *err;
    size_t count;
    char names[NAMES_MAX];
};

static void note_rule(struct gate *gate, const slc_card_rule *rule)
{
    size_t len = strlen(gate->names);
    slc_txn_refuse(gate->txn, SLC_CONFLICT, "/lifecycle", gate->err, "the scorecard rule %s is not met: %s%s%s",
                   name_of(rule), slc_get_text(rule->stored, "hint"), rule->detail[0] != '\0' ? "; " : "",
                   rule->detail);
    const json_t *problems = slc_txn_problems(gate->txn);
    json_object_set_new(json_array_get(problems, json_array_size(problems) - 1), "rule",
                        json_string(name_of(rule)));
    snprintf(gate->names + len, sizeof gate->names - len, "%s%s", gate->count > 0 ? ", " : "", name_of(rule));
    gate->count++;
}

static void pass_gate(void *arg, slc_card *card, slc_facts *facts)
{
    struct gate *gate = arg;
    (void)facts;
    for (size_t i = 0; i < card->count; i++)
        if (is_in_the_way(&card->rules[i]))
            note_rule(gate, &card->rules[i]);
}

bool slc_scorecard_gate(slc_txn *txn, const slc_kind *kind, const char *id, slc_error *err)
{
    slc_card card;
    slc_error own;
    struct gate gate = {.txn = txn, .err = err != NULL ? err : &own};
    if (!slc_card_load(txn, &card, err))
        return false;
    int found = card.count > 0 ? run_one(txn, kind, id, NULL, &card, pass_gate, &gate, err) : 1;
    slc_card_release(&card);
    if (gate.count > 0)
        return slc_fail(err, SLC_CONFLICT, "/lifecycle",
                        "%zu scorecard rule%s must be met before it is published: %s", gate.count,
                        gate.count > 1 ? "s" : "", gate.names);
    return found == 1;
}
