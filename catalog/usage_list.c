/* Showing what applications use, a page at a time: in the order of the table, so that a cursor is a place in
 * it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/entity.h"
#include "catalog/store.h"
#include "catalog/token.h"
#include "catalog/usage.h"
#include "common/alloc.h"
#include "common/buf.h"
#include "common/clock.h"

#define LIMIT_DEFAULT 100
#define SQL_MAX_BYTES 4096
#define CURSOR_MAX    400
#define FIRST_NUMBER  8 /* column */

/* What the cursor says, and the filters as ids. */
struct place {
    long long at_ms, operation;
    char application[SLC_ID_CHARS + 1], event_api[SLC_ID_CHARS + 1], virtual_cluster[SLC_ID_CHARS + 1];
};

/* ---- cursors: "1 <at> <operation> <application>,<event API>,<virtual cluster>" ---- */

static json_t *cursor_make(const struct place *place)
{
    char text[CURSOR_MAX], out[2 * CURSOR_MAX];
    int len = snprintf(text, sizeof text, "1 %lld %lld %s,%s,%s", place->at_ms, place->operation,
                       place->application, place->event_api, place->virtual_cluster);
    slc_base64url_encode(text, (size_t)len, out);
    return json_string(out);
}

static bool take_part(const char **text, char end, char out[SLC_ID_CHARS + 1])
{
    size_t len = strcspn(*text, ",");
    if (len > SLC_ID_CHARS || (*text)[len] != end)
        return false;
    memcpy(out, *text, len);
    out[len] = '\0';
    *text += len + (end != '\0');
    return true;
}

static bool cursor_parse(const char *cursor, struct place *place, slc_error *err)
{
    char text[CURSOR_MAX + 1];
    int at = 0;
    long len = slc_base64url_decode(cursor, strlen(cursor), (uint8_t *)text, CURSOR_MAX);
    text[len > 0 ? len : 0] = '\0';
    const char *rest = text;
    bool ok = len > 0 && strlen(text) == (size_t)len &&
              sscanf(text, "1 %lld %lld %n", &place->at_ms, &place->operation, &at) == 2 && at > 0;
    rest += at;
    return (ok && take_part(&rest, ',', place->application) && take_part(&rest, ',', place->event_api) &&
            take_part(&rest, '\0', place->virtual_cluster)) ||
           slc_fail(err, SLC_INVALID, "cursor", "the cursor is not one that a list of usage gave out");
}

/* ---- the query ---- */

/* The period's number, or -1. */
static int64_t period_of(const char *by, slc_error *err)
{
    static const char *const names[] = {"hour", "day", "month"};
    for (int i = 0; i < 3; i++)
        if (strcmp(by, names[i]) == 0)
            return i;
    slc_fail(err, SLC_INVALID, "by", "must be hour, day or month");
    return -1;
}

static int64_t operation_of(const char *name, slc_error *err)
{
    for (int64_t i = 0; i < SLC_USAGE_OPERATIONS; i++)
        if (strcmp(name, slc_usage_operation_name(i)) == 0)
            return i;
    slc_fail(err, SLC_INVALID, "operation", "must be publish, read, stream, kafka-produce or kafka-fetch");
    return -1;
}

static bool find_id(slc_txn *txn, const char *kind, const char *parameter, const char *key,
                    char id[SLC_ID_CHARS + 1], slc_error *err)
{
    if (key == NULL)
        return true;
    int rc = slc_row_resolve(txn, slc_kind_find(kind), key, id, err);
    return rc == 1 || (rc == 0 && slc_fail(err, SLC_INVALID, parameter, "there is no %s %.100s",
                                           slc_kind_find(kind)->singular, key));
}

static void make_sql(slc_buf *sql, const slc_usage_query *query, bool bounded)
{
    slc_buf_adds(
        sql,
        "SELECT u.at, u.operation, u.application_id, u.event_api_id, u.virtual_cluster_id, a.key, e.key, "
        "v.key, u.requests, u.events, u.bytes, u.errors, u.throttled FROM usage.usage_sums AS u LEFT JOIN "
        "applications AS a ON a.id = u.application_id LEFT JOIN event_apis AS e ON e.id = u.event_api_id "
        "LEFT JOIN virtual_clusters AS v ON v.id = u.virtual_cluster_id WHERE u.period = ?1 AND u.at >= ?2 "
        "AND u.at < ?3");
    if (query->application != NULL)
        slc_buf_adds(sql, " AND u.application_id = ?4");
    if (query->event_api != NULL)
        slc_buf_adds(sql, " AND u.event_api_id = ?5");
    if (query->virtual_cluster != NULL)
        slc_buf_adds(sql, " AND u.virtual_cluster_id = ?6");
    if (query->operation != NULL)
        slc_buf_adds(sql, " AND u.operation = ?7");
    if (bounded)
        slc_buf_adds(sql, " AND (a.team IN (SELECT value FROM json_each(?8)) OR e.team IN (SELECT value FROM "
                          "json_each(?8)))");
    if (query->cursor != NULL)
        slc_buf_adds(sql, " AND (u.at, u.application_id, u.event_api_id, u.virtual_cluster_id, u.operation) > "
                          "(?9, ?10, ?11, ?12, ?13)");
    slc_buf_adds(sql,
                 " ORDER BY u.at, u.application_id, u.event_api_id, u.virtual_cluster_id, u.operation LIMIT "
                 "?14");
}

static void bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
    sqlite3_bind_text(stmt, at, text, -1, SQLITE_TRANSIENT);
}

/* Every number is bound, whether the statement has it or not: SQLite ignores the others, up to the highest. */
static void bind(sqlite3_stmt *stmt, const slc_usage_query *query, int64_t period, int64_t operation,
                 const struct place *filter, const char *teams, const struct place *after, int limit)
{
    sqlite3_bind_int64(stmt, 1, period);
    sqlite3_bind_int64(stmt, 2, query->from_ms);
    sqlite3_bind_int64(stmt, 3, query->to_ms);
    bind_text(stmt, 4, filter->application);
    bind_text(stmt, 5, filter->event_api);
    bind_text(stmt, 6, filter->virtual_cluster);
    sqlite3_bind_int64(stmt, 7, operation);
    bind_text(stmt, 8, teams);
    sqlite3_bind_int64(stmt, 9, after->at_ms);
    bind_text(stmt, 10, after->application);
    bind_text(stmt, 11, after->event_api);
    bind_text(stmt, 12, after->virtual_cluster);
    sqlite3_bind_int64(stmt, 13, after->operation);
    sqlite3_bind_int(stmt, 14, limit + 1); /* one more tells whether there is a next page */
}

/* ---- rows ---- */

/* The key, or the id of what is gone; nothing for "". */
static void show_ref(json_t *item, const char *name, sqlite3_stmt *stmt, int id, int key)
{
    const char *text =
        slc_column_text(stmt, key) != NULL ? slc_column_text(stmt, key) : slc_column_text(stmt, id);
    if (*text != '\0')
        json_object_set_new(item, name, json_string(text));
}

static json_t *show(sqlite3_stmt *stmt)
{
    static const char *const numbers[SLC_USAGE_NUMBERS] = {"requests", "events", "bytes", "errors",
                                                           "throttled"};
    char at[SLC_RFC3339_CHARS];
    const char *operation = slc_usage_operation_name(sqlite3_column_int64(stmt, 1));
    json_t *item = json_object();
    slc_rfc3339_format(sqlite3_column_int64(stmt, 0), at);
    json_object_set_new(item, "at", json_string(at));
    show_ref(item, "application", stmt, 2, 5);
    show_ref(item, "event_api", stmt, 3, 6);
    show_ref(item, "virtual_cluster", stmt, 4, 7);
    json_object_set_new(item, "operation", json_string(operation != NULL ? operation : "other"));
    for (int i = 0; i < SLC_USAGE_NUMBERS; i++)
        json_object_set_new(item, numbers[i], json_integer(sqlite3_column_int64(stmt, FIRST_NUMBER + i)));
    return item;
}

static void note_place(sqlite3_stmt *stmt, struct place *place)
{
    place->at_ms = sqlite3_column_int64(stmt, 0);
    place->operation = sqlite3_column_int64(stmt, 1);
    snprintf(place->application, sizeof place->application, "%s", slc_column_text(stmt, 2));
    snprintf(place->event_api, sizeof place->event_api, "%s", slc_column_text(stmt, 3));
    snprintf(place->virtual_cluster, sizeof place->virtual_cluster, "%s", slc_column_text(stmt, 4));
}

static bool read_page(slc_txn *txn, sqlite3_stmt *stmt, int limit, json_t *out, slc_error *err)
{
    json_t *items = json_array(), *next = json_null();
    struct place last = {0};
    int rc;
    json_object_set_new(out, "items", items);
    while ((rc = slc_txn_step(txn, stmt, err)) == 1) {
        if (json_array_size(items) == (size_t)limit) {
            next = cursor_make(&last);
            rc = 0;
            break;
        }
        note_place(stmt, &last);
        json_array_append_new(items, show(stmt));
    }
    json_object_set_new(out, "next", next);
    return rc == 0;
}

json_t *slc_usage_list(slc_txn *txn, const slc_usage_query *query, const slc_identity *viewer, slc_error *err)
{
    struct place filter = {0}, after = {0};
    int64_t period = period_of(query->by, err), operation = 0;
    if (period < 0 || (query->operation != NULL && (operation = operation_of(query->operation, err)) < 0) ||
        (query->cursor != NULL && !cursor_parse(query->cursor, &after, err)) ||
        !find_id(txn, "applications", "application", query->application, filter.application, err) ||
        !find_id(txn, "event-apis", "event_api", query->event_api, filter.event_api, err) ||
        !find_id(txn, "virtual-clusters", "virtual_cluster", query->virtual_cluster, filter.virtual_cluster,
                 err))
        return NULL;
    slc_buf sql;
    slc_buf_init(&sql, SQL_MAX_BYTES);
    make_sql(&sql, query, viewer != NULL);
    char *teams = viewer != NULL ? json_dumps(viewer->teams, JSON_COMPACT) : NULL;
    sqlite3_stmt *stmt = slc_txn_prepare(txn, (const char *)sql.data, err);
    int limit = query->limit > 0 ? query->limit : LIMIT_DEFAULT;
    json_t *out = NULL;
    if (stmt != NULL) {
        bind(stmt, query, period, operation, &filter, teams, &after, limit);
        out = json_object();
        if (!read_page(txn, stmt, limit, out, err)) {
            json_decref(out);
            out = NULL;
        }
    }
    slc_txn_finish(txn, stmt);
    free(teams);
    slc_buf_release(&sql);
    return out;
}
