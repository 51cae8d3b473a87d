/* Rules: event APIs, products and plans. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/access.h"
#include "catalog/entity.h"
#include "catalog/grants.h"
#include "catalog/kinds.h"
#include "catalog/scorecard.h"
#include "catalog/store.h"
#include "common/crypto.h"

#define CURSOR_KEY_BYTES 32

/* ---- lifecycle ---- */

static int stage(const char *lifecycle)
{
    int i = 0;
    while (strcmp(slc_lifecycle_values[i], lifecycle) != 0)
        i++;
    return i;
}

bool slc_lifecycle_check(slc_txn *txn, const slc_change *change, slc_error *err)
{
    if (change->before == NULL || txn->restoring)
        return true;
    const char *from = slc_get_text(change->before, "lifecycle");
    const char *to = slc_get_text(change->next, "lifecycle");
    return stage(to) >= stage(from) ||
           slc_txn_problem(txn, "/lifecycle", err, "only moves forward: it is %s and cannot become %s", from,
                           to);
}

void slc_lifecycle_note(slc_txn *txn, slc_change *change)
{
    const char *lifecycle = slc_get_text(change->next, "lifecycle");
    bool deprecated = strcmp(lifecycle, "deprecated") == 0;
    if (deprecated && json_object_get(change->next, "deprecated_at") == NULL)
        json_object_set_new(change->next, "deprecated_at", json_integer(slc_txn_now_ms(txn)));
}

/* ---- event APIs ---- */

static bool check_key(slc_txn *txn, const json_t *key, slc_error *err)
{
    static const struct {
        const char *field, *pointer, *source;
    } selectors[] = {{"pointer", "/key/pointer", "json_pointer"}, {"header", "/key/header", "header"}};
    for (size_t i = 0; i < 2; i++) {
        bool wanted = strcmp(slc_get_text(key, "source"), selectors[i].source) == 0;
        if (wanted != (json_object_get(key, selectors[i].field) != NULL))
            return slc_txn_problem(txn, selectors[i].pointer, err,
                                   wanted ? "is required for source %s" : "is only for source %s",
                                   selectors[i].source);
    }
    return true;
}

/* As gateways understand it. What was taken once may stay: a schema is no reason to refuse another change. */
static bool check_definition(slc_txn *txn, const json_t *schema, const json_t *before, slc_error *err)
{
    const char *format = slc_get_text(schema, "format"), *text = slc_get_text(schema, "definition");
    slc_error why = {0};
    if (txn->restoring || txn->catalog->check_definition == NULL ||
        json_equal((json_t *)schema, (json_t *)before))
        return true;
    return txn->catalog->check_definition(format, text, strlen(text), &why) ||
           slc_txn_problem(txn, "/schema/definition", err, "is of no use to gateways: %s", why.message);
}

static bool check_schema(slc_txn *txn, const json_t *schema, const json_t *before, slc_error *err)
{
    if (schema == NULL)
        return true;
    const char *definition = slc_get_text(schema, "definition");
    bool registry = json_object_get(schema, "registry") != NULL;
    bool none = strcmp(slc_get_text(schema, "format"), "none") == 0;
    if (none && (definition != NULL || registry))
        return slc_txn_problem(txn, "/schema/format", err, "is none, but a schema is given");
    if (!none && (definition != NULL) == registry)
        return slc_txn_problem(txn, "/schema", err, "must have either a definition or a registry");
    if (definition == NULL)
        return true;
    json_error_t error;
    json_t *parsed = json_loads(definition, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    bool ok = parsed != NULL;
    json_decref(parsed);
    if (ok)
        return check_definition(txn, schema, before, err);
    return slc_txn_problem(txn, "/schema/definition", err, "is not JSON: line %d column %d: %s", error.line,
                           error.column, error.text);
}

static bool check_event_api(slc_txn *txn, slc_change *change, slc_error *err)
{
    const json_t *next = change->next;
    if (slc_has_text(json_object_get(next, "exposures"), "sse") &&
        !slc_has_text(json_object_get(next, "operations"), "read"))
        return slc_txn_problem(txn, "/exposures", err, "sse needs the operation read");
    slc_lifecycle_note(txn, change);
    return slc_grants_check_api(txn, change, err) && slc_lifecycle_check(txn, change, err) &&
           check_key(txn, json_object_get(next, "key"), err) &&
           check_schema(txn, json_object_get(next, "schema"), json_object_get(change->before, "schema"), err);
}

static bool make_cursor_key(slc_txn *txn, const slc_change *change, slc_error *err)
{
    uint8_t key[CURSOR_KEY_BYTES];
    char context[64];
    size_t len;
    slc_random(key, sizeof(key));
    snprintf(context, sizeof(context), "cursor_keys/%s/%d", change->id, 1);
    uint8_t *sealed = slc_txn_seal(txn, context, key, sizeof(key), &len);
    bool ok = slc_txn_exec(
        txn, err, "INSERT INTO cursor_keys (event_api, key_id, sealed_key, created_at) VALUES (?1, 1, ?2, ?3)",
        "sbi", change->id, sealed, len, slc_txn_now_ms(txn));
    free(sealed);
    return ok;
}

/* What is deployed must still be reachable by the listener that it is on. */
static bool check_deployed(slc_txn *txn, const slc_change *change, slc_error *err)
{
    const json_t *exposures = json_object_get(change->next, "exposures");
    bool http = slc_has_text(exposures, "rest") || slc_has_text(exposures, "sse");
    sqlite3_stmt *stmt =
        slc_txn_query(txn, err,
                      "SELECT d.key FROM deployments AS d JOIN listeners AS l ON l.id = d.listener "
                      "WHERE d.event_api = ?1 AND l.protocol <> ?2",
                      "ss", change->id, http ? "http" : "kafka");
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    if (rc == 1)
        slc_fail(err, SLC_CONFLICT, "/exposures", "deployment %s is on a listener that cannot serve them",
                 slc_column_text(stmt, 0));
    slc_txn_finish(txn, stmt);
    return rc == 0;
}

/* Every plan's operations must be among those of its product's event APIs. `where` restricts to some plans,
 * with one parameter. */
static bool check_plans(slc_txn *txn, const char *sql, const char *id, const char *pointer, slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "s", id);
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    if (rc == 1)
        slc_fail(err, SLC_CONFLICT, pointer, "plan %s grants %s, which no event API of its product offers",
                 slc_column_text(stmt, 0), slc_column_text(stmt, 1));
    slc_txn_finish(txn, stmt);
    return rc == 0;
}

#define PLANS_BEYOND(condition)                                                                                \
    "SELECT p.key, o.value FROM plans AS p, json_each(p.operations) AS o WHERE " condition                     \
    " AND o.value NOT IN (SELECT e.value FROM products_event_apis AS l JOIN event_apis AS a ON a.id = "        \
    "l.target_id,"                                                                                             \
    " json_each(a.operations) AS e WHERE l.owner_id = p.product) LIMIT 1"

static bool is_served(const json_t *api)
{
    const char *lifecycle = slc_get_text(api, "lifecycle");
    return lifecycle != NULL && (strcmp(lifecycle, "published") == 0 || strcmp(lifecycle, "deprecated") == 0);
}

/* Whether it may be is asked when all is there that comes with it, plans for one. A rollback brings back what
 * was published once. */
void slc_publication_note(slc_txn *txn, const slc_change *change)
{
    if (txn->restoring || !is_served(change->next) || is_served(change->before))
        return;
    if (txn->published == NULL)
        txn->published = json_object();
    json_object_set_new(txn->published, change->id, json_true());
}

bool slc_publication_check(slc_txn *txn, const slc_change *change, slc_error *err)
{
    return json_object_get(txn->published, change->id) == NULL ||
           slc_scorecard_gate(txn, change->kind, change->id, err);
}

static bool event_api_written(slc_txn *txn, slc_change *change, slc_error *err)
{
    slc_publication_note(txn, change);
    return change->before != NULL || make_cursor_key(txn, change, err);
}

static bool event_api_settled(slc_txn *txn, const slc_change *change, slc_error *err)
{
    return check_deployed(txn, change, err) &&
           check_plans(
               txn,
               PLANS_BEYOND("p.product IN (SELECT owner_id FROM products_event_apis WHERE target_id = ?1)"),
               change->id, "/operations", err) &&
           slc_publication_check(txn, change, err);
}

const struct slc_kind_rules slc_rules_event_api = {
    .check = check_event_api, .written = event_api_written, .settled = event_api_settled};

/* ---- products and plans ---- */

/* Who bundles an event API decides who uses it. */
static bool check_bundle(slc_txn *txn, const slc_change *change, slc_error *err)
{
    bool ok = true;
    size_t index;
    json_t *id;
    json_array_foreach (json_object_get(change->next, "event_apis"), index, id) {
        char pointer[SLC_POINTER_CHARS];
        snprintf(pointer, sizeof(pointer), "/event_apis/%zu", index);
        if (!slc_has_text(json_object_get(change->before, "event_apis"), json_string_value(id)))
            ok = slc_access_use(txn, slc_kind_find("event-apis"), json_string_value(id), pointer, err) && ok;
    }
    return ok;
}

static bool check_product(slc_txn *txn, slc_change *change, slc_error *err)
{
    bool teams = strcmp(slc_get_text(change->next, "visibility"), "teams") == 0;
    if (!teams && json_array_size(json_object_get(change->next, "visible_to")) > 0)
        return slc_txn_problem(txn, "/visible_to", err, "is only for the visibility teams");
    return check_bundle(txn, change, err) && slc_lifecycle_check(txn, change, err);
}

static bool product_settled(slc_txn *txn, const slc_change *change, slc_error *err)
{
    return check_plans(txn, PLANS_BEYOND("p.product = ?1"), change->id, "/event_apis", err);
}

const struct slc_kind_rules slc_rules_product = {.check = check_product, .settled = product_settled};

static bool plan_settled(slc_txn *txn, const slc_change *change, slc_error *err)
{
    return check_plans(txn, PLANS_BEYOND("p.id = ?1"), change->id, "/operations", err);
}

const struct slc_kind_rules slc_rules_plan = {.settled = plan_settled};
