/* Facts about event APIs and REST APIs, as the conditions of scorecard rules see them. */
#include <stdlib.h>
#include <string.h>

#include "catalog/kinds.h"
#include "catalog/scorecard_private.h"
#include "common/alloc.h"

const slc_cel_variable slc_scorecard_attributes[SLC_FACTS + 1] = {
    [SLC_FACT_KIND] = {"api.kind", SLC_CEL_STRING, "`event-api` or `rest-api`"},
    [SLC_FACT_NAME] = {"api.name", SLC_CEL_STRING, "its name"},
    [SLC_FACT_VERSION] = {"api.version", SLC_CEL_INT, "its major version"},
    [SLC_FACT_TITLE] = {"api.title", SLC_CEL_STRING, "its title"},
    [SLC_FACT_DESCRIPTION] = {"api.description", SLC_CEL_STRING, "its documentation, in Markdown"},
    [SLC_FACT_CHANGELOG] = {"api.changelog", SLC_CEL_STRING, "what changed, in Markdown"},
    [SLC_FACT_LIFECYCLE] = {"api.lifecycle", SLC_CEL_STRING, "`draft`, `published`, `deprecated` or `retired`"},
    [SLC_FACT_TAGS] = {"api.tags", SLC_CEL_LIST, "its tags"},
    [SLC_FACT_LABELS] = {"api.labels", SLC_CEL_LOOKUP, "its labels by name"},
    [SLC_FACT_OPERATIONS] = {"api.operations", SLC_CEL_LIST,
                             "`publish`, `read`; of a REST API `get /path` and the like, 200 at most"},
    [SLC_FACT_EXPOSURES] = {"api.exposures", SLC_CEL_LIST, "`rest`, `sse`, `kafka`"},
    [SLC_FACT_KEY] = {"api.key", SLC_CEL_STRING, "where keys come from: `none`, `json_pointer`, `header`, ..."},
    [SLC_FACT_SCHEMA] = {"api.schema", SLC_CEL_STRING,
                         "format of its schema; `none` without one; `openapi` of a REST API"},
    [SLC_FACT_EXAMPLES] = {"api.examples", SLC_CEL_LIST, "values of its examples, texts"},
    [SLC_FACT_MAX_EVENT_BYTES] = {"api.max_event_bytes", SLC_CEL_INT, "the largest event"},
    [SLC_FACT_DEPRECATED_AT] = {"api.deprecated_at", SLC_CEL_TIMESTAMP,
                                "since when it is deprecated; no value if it never was"},
    [SLC_FACT_SUNSET_AT] = {"api.sunset_at", SLC_CEL_TIMESTAMP, "when it ends; no value if nobody said"},
    [SLC_FACT_ENVIRONMENTS] = {"api.environments", SLC_CEL_LIST, "where it is deployed"},
    [SLC_FACT_PRODUCTS] = {"api.products", SLC_CEL_LIST, "products that bundle it, without retired ones"},
    [SLC_FACT_PLANS] = {"api.plans", SLC_CEL_LIST, "their plans, as `product.plan`"},
    [SLC_FACT_POLICIES] = {"api.policies", SLC_CEL_LIST,
                           "types of the policies that are attached to it and enabled"},
    [SLC_FACT_TEAM_NAME] = {"team.name", SLC_CEL_STRING, "the team that owns it"},
    [SLC_FACT_TEAM_TITLE] = {"team.title", SLC_CEL_STRING, "the team's title"},
    [SLC_FACT_TEAM_OWNERS] = {"team.owners", SLC_CEL_INT, "how many people own the team"},
    [SLC_FACT_NOW] = {"now", SLC_CEL_TIMESTAMP, "when it is looked at"},
    [SLC_FACTS] = {NULL, SLC_CEL_ANY, NULL},
};

/* Where they come from, with e the event API (or REST API, unless it is said otherwise below) and t its team.
 */
static const char *const columns[SLC_FACTS] = {
    [SLC_FACT_KIND] = "'event-api'",
    [SLC_FACT_NAME] = "e.name",
    [SLC_FACT_VERSION] = "e.major",
    [SLC_FACT_TITLE] = "e.title",
    [SLC_FACT_DESCRIPTION] = "e.description",
    [SLC_FACT_CHANGELOG] = "e.changelog",
    [SLC_FACT_LIFECYCLE] = "e.lifecycle",
    [SLC_FACT_TAGS] = "e.tags",
    [SLC_FACT_LABELS] = "e.labels",
    [SLC_FACT_OPERATIONS] = "e.operations",
    [SLC_FACT_EXPOSURES] = "e.exposures",
    [SLC_FACT_KEY] = "coalesce(json_extract(e.event_key, '$.source'), 'none')",
    [SLC_FACT_SCHEMA] = "coalesce(json_extract(e.schema, '$.format'), 'none')",
    [SLC_FACT_EXAMPLES] =
        "(SELECT json_group_array(json_extract(value, '$.value')) FROM json_each(e.examples))",
    [SLC_FACT_MAX_EVENT_BYTES] = "e.max_event_bytes",
    [SLC_FACT_DEPRECATED_AT] = "e.deprecated_at",
    [SLC_FACT_SUNSET_AT] = "e.sunset_at",
    [SLC_FACT_ENVIRONMENTS] = "(SELECT json_group_array(DISTINCT g.environment) FROM deployments AS d JOIN "
                              "gateway_groups AS g ON g.id = d.gateway_group WHERE d.event_api = e.id)",
    [SLC_FACT_PRODUCTS] = "(SELECT json_group_array(p.key) FROM products_event_apis AS l JOIN products AS p ON "
                          "p.id = l.owner_id WHERE l.target_id = e.id AND p.lifecycle <> 'retired')",
    [SLC_FACT_PLANS] = "(SELECT json_group_array(n.key) FROM products_event_apis AS l JOIN products AS p ON "
                       "p.id = l.owner_id JOIN plans AS n ON n.product = p.id WHERE l.target_id = e.id AND "
                       "p.lifecycle <> 'retired')",
    [SLC_FACT_POLICIES] = "(SELECT json_group_array(DISTINCT type) FROM policies WHERE scope_event_api = e.id "
                          "AND enabled = 1)",
    [SLC_FACT_TEAM_NAME] = "t.key",
    [SLC_FACT_TEAM_TITLE] = "t.title",
    [SLC_FACT_TEAM_OWNERS] = "(SELECT count(*) FROM users_owned_teams AS o JOIN users AS u ON u.id = "
                             "o.owner_id WHERE o.target_id = t.id AND u.disabled = 0)",
    [SLC_FACT_NOW] = "NULL",
};

/* With e the REST API. What it has not is empty; of its operations the first are enough to judge by. */
static const char *const rest_columns[SLC_FACTS] = {
    [SLC_FACT_KIND] = "'rest-api'",
    [SLC_FACT_VERSION] = "nullif(CAST(ltrim(e.version, 'v') AS INTEGER), 0)",
    [SLC_FACT_OPERATIONS] =
        "(SELECT json_group_array(json_extract(value, '$.method') || ' ' || json_extract(value, "
        "'$.path')) FROM (SELECT value FROM json_each(e.operations) LIMIT 200))",
    [SLC_FACT_EXPOSURES] = "'[\"rest\"]'",
    [SLC_FACT_KEY] = "'none'",
    [SLC_FACT_SCHEMA] = "'openapi'",
    [SLC_FACT_EXAMPLES] = "'[]'",
    [SLC_FACT_MAX_EVENT_BYTES] = "NULL",
    [SLC_FACT_ENVIRONMENTS] = "'[]'",
    [SLC_FACT_PRODUCTS] = "'[]'",
    [SLC_FACT_PLANS] = "'[]'",
    [SLC_FACT_POLICIES] = "'[]'",
};

/* Three columns before the facts tell which one it is. */
#define FIRST_FACT 3

void slc_facts_sql(slc_buf *sql, const slc_kind *kind)
{
    bool rest = kind == &slc_kind_rest_api;
    slc_buf_adds(sql, "SELECT e.id, e.key, t.id");
    for (size_t fact = 0; fact < SLC_FACTS; fact++)
        slc_buf_addf(sql, ", %s", rest && rest_columns[fact] != NULL ? rest_columns[fact] : columns[fact]);
    slc_buf_addf(sql, " FROM %s AS e JOIN teams AS t ON t.id = e.team WHERE ", kind->table);
    slc_buf_adds(sql, rest ? SLC_DISCOVER_REST("e", "?1", "?20") : SLC_DISCOVER_API);
}

const char *slc_facts_kind(const slc_facts *facts)
{
    bool rest = strcmp(slc_facts_text(facts, SLC_FACT_KIND), "rest-api") == 0;
    return (rest ? &slc_kind_rest_api : &slc_kind_event_api)->name;
}

static void set_list(slc_facts *facts, size_t fact)
{
    json_t *list = facts->parsed[fact], *item;
    size_t count = json_array_size(list), i;
    slc_cel_value *items = count > 0 ? slc_calloc(count, sizeof *items) : NULL;
    json_array_foreach (list, i, item)
        items[i] = slc_cel_string(json_string_value(item), json_string_length(item));
    facts->items[fact] = items;
    facts->values[fact] = (slc_cel_value){.kind = SLC_CEL_LIST, .as.list = {items, count}};
    facts->known[fact] = true;
}

static bool find_label(void *ctx, const char *key, size_t len, slc_cel_value *value)
{
    const json_t *text = json_object_getn(ctx, key, len);
    if (text == NULL)
        return false;
    *value = slc_cel_string(json_string_value(text), json_string_length(text));
    return true;
}

static void read_fact(slc_facts *facts, sqlite3_stmt *stmt, size_t fact)
{
    int column = (int)fact + FIRST_FACT;
    bool there = sqlite3_column_type(stmt, column) != SQLITE_NULL;
    const char *text;
    switch (slc_scorecard_attributes[fact].kind) {
    case SLC_CEL_STRING:
        text = there ? slc_column_text(stmt, column) : "";
        facts->values[fact] = slc_cel_string(text, strlen(text));
        facts->known[fact] = true;
        return;
    case SLC_CEL_INT:
        facts->values[fact] = slc_cel_int(sqlite3_column_int64(stmt, column));
        facts->known[fact] = there;
        return;
    case SLC_CEL_TIMESTAMP:
        facts->values[fact] = slc_cel_timestamp_ms(sqlite3_column_int64(stmt, column));
        facts->known[fact] = there;
        return;
    case SLC_CEL_LOOKUP:
        facts->parsed[fact] = slc_column_json(stmt, column);
        facts->values[fact] =
            (slc_cel_value){.kind = SLC_CEL_LOOKUP, .as.lookup = {find_label, facts->parsed[fact]}};
        facts->known[fact] = true;
        return;
    default:
        facts->parsed[fact] = slc_column_json(stmt, column);
        set_list(facts, fact);
    }
}

void slc_facts_read(slc_facts *facts, sqlite3_stmt *stmt, int64_t now_ms)
{
    memset(facts, 0, sizeof *facts);
    facts->id = slc_column_text(stmt, 0);
    facts->key = slc_column_text(stmt, 1);
    facts->team_id = slc_column_text(stmt, 2);
    for (size_t fact = 0; fact < SLC_FACTS; fact++)
        read_fact(facts, stmt, fact);
    facts->values[SLC_FACT_NOW] = slc_cel_timestamp_ms(now_ms);
    facts->known[SLC_FACT_NOW] = true;
}

void slc_facts_release(slc_facts *facts)
{
    for (size_t fact = 0; fact < SLC_FACTS; fact++) {
        json_decref(facts->parsed[fact]);
        free(facts->items[fact]);
    }
}

const char *slc_facts_text(const slc_facts *facts, enum slc_fact fact)
{
    return facts->values[fact].as.text.data;
}

void slc_facts_suppose(slc_facts *facts, const char *lifecycle)
{
    facts->values[SLC_FACT_LIFECYCLE] = slc_cel_string(lifecycle, strlen(lifecycle));
}
