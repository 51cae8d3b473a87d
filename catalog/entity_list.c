/* Lists: filtered, in the order of the key (logs: newest first), a page at a time. A cursor is the last key of
 * a page, so that what is inserted meanwhile moves nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/discover_private.h"
#include "catalog/entity.h"
#include "common/alloc.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/crypto.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX     1000
#define CURSOR_MAX    512
#define FILTERS_MAX   32
#define LABELS_MAX    8
#define SQL_MAX_BYTES 32768

#define HAS_LABEL    "EXISTS (SELECT 1 FROM json_each(%s) AS l WHERE l.key = ?%d AND l.value = ?%d)"
#define GROUP_LABELS "(SELECT g.labels FROM gateway_groups AS g WHERE g.id = t.\"group\")"

#define TEAMS_PARAMETER 40 /* of slc_kind.visible */

/* ---- cursors ---- */

static json_t *cursor_make(const slc_kind *kind, const char *key)
{
    char *text = slc_asprintf("1 %s %s", kind->name, key);
    size_t len = strlen(text);
    char *out = slc_malloc(4 * ((len + 2) / 3) + 1);
    slc_base64url_encode(text, len, out);
    json_t *cursor = json_string(out);
    free(out);
    free(text);
    return cursor;
}

/* Keys of logs are numbers, in hexadecimal. */
static bool is_place(const slc_kind *kind, const char *key)
{
    if ((kind->flags & SLC_KIND_LOG) == 0)
        return *key != '\0';
    size_t digits = strspn(key, "0123456789abcdef");
    return digits > 0 && digits <= 16 && key[digits] == '\0';
}

static bool cursor_parse(const slc_kind *kind, const char *cursor, char key[CURSOR_MAX + 1], slc_error *err)
{
    char prefix[80];
    size_t prefix_len = (size_t)snprintf(prefix, sizeof(prefix), "1 %s ", kind->name);
    long len = slc_base64url_decode(cursor, strlen(cursor), (uint8_t *)key, CURSOR_MAX);
    bool ok = len >= 0 && (size_t)len >= prefix_len && memcmp(key, prefix, prefix_len) == 0 &&
              memchr(key, '\0', (size_t)len) == NULL;
    if (ok) {
        memmove(key, key + prefix_len, (size_t)len - prefix_len);
        key[(size_t)len - prefix_len] = '\0';
        ok = is_place(kind, key);
    }
    return ok ||
           slc_fail(err, SLC_INVALID, "cursor", "the cursor is not one that a list of %s gave out", kind->name);
}

/* ---- filters ---- */

struct filters {
    int count;
    json_t *values[FILTERS_MAX]; /* new, in stored form */
};

static json_t *filter_value(slc_txn *txn, const slc_field *field, const char *text, slc_error *err)
{
    char id[SLC_ID_CHARS + 1];
    int rc;
    switch (field->type) {
    case SLC_F_REF:
        rc = slc_row_resolve(txn, slc_kind_find(field->ref), text, id, err);
        if (rc == 0)
            slc_fail(err, SLC_INVALID, field->name, "there is no %s %.100s",
                     slc_kind_find(field->ref)->singular, text);
        return rc == 1 ? json_string(id) : NULL;
    case SLC_F_BOOL:
        if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
            return json_integer(*text == 't');
        slc_fail(err, SLC_INVALID, field->name, "must be true or false");
        return NULL;
    case SLC_F_INT: {
        char *end;
        long long number = strtoll(text, &end, 10);
        if (end != text && *end == '\0')
            return json_integer(number);
        slc_fail(err, SLC_INVALID, field->name, "must be an integer");
        return NULL;
    }
    default:
        return json_string(text);
    }
}

static const slc_field *filter_field(const slc_kind *kind, const char *name)
{
    const slc_field *field = slc_field_find(kind->fields, name);
    if (field == NULL)
        field = slc_field_find(slc_kind_common_fields(kind), name);
    return field != NULL && (field->flags & SLC_F_FILTERABLE) != 0 ? field : NULL;
}

/* One that has the label; a gateway also by its group's. */
static bool add_label(const slc_kind *kind, const char *pair, size_t len, struct filters *filters, slc_buf *sql,
                      slc_error *err)
{
    const char *equals = memchr(pair, '=', len);
    if (equals == NULL || equals == pair)
        return slc_fail(err, SLC_INVALID, "label", "is KEY=VALUE, or up to %d of them with commas between them",
                        LABELS_MAX);
    size_t key_len = (size_t)(equals - pair);
    int key = 3 + filters->count;
    filters->values[filters->count++] = json_stringn(pair, key_len);
    filters->values[filters->count++] = json_stringn(equals + 1, len - key_len - 1);
    bool node = strcmp(kind->name, "gateway-nodes") == 0;
    return slc_buf_adds(sql, " AND (") && slc_buf_addf(sql, HAS_LABEL, "t.labels", key, key + 1) &&
           (!node || (slc_buf_adds(sql, " OR ") && slc_buf_addf(sql, HAS_LABEL, GROUP_LABELS, key, key + 1))) &&
           slc_buf_adds(sql, ")");
}

static bool add_labels(const slc_kind *kind, const char *text, struct filters *filters, slc_buf *sql,
                       slc_error *err)
{
    for (int i = 0; i < LABELS_MAX && filters->count + 2 <= FILTERS_MAX; i++) {
        size_t len = strcspn(text, ",");
        if (!add_label(kind, text, len, filters, sql, err))
            return false;
        text += len;
        if (*text++ == '\0')
            return true;
    }
    return slc_fail(err, SLC_INVALID, "label", "are too many");
}

static bool add_filter(slc_txn *txn, const slc_kind *kind, const char *name, const json_t *given,
                       struct filters *filters, slc_buf *sql, slc_error *err)
{
    const slc_field *field = filter_field(kind, name);
    if (strcmp(name, "label") == 0 && json_is_string(given) && slc_kind_has_labels(kind))
        return add_labels(kind, json_string_value(given), filters, sql, err);
    if (field == NULL)
        return slc_fail(err, SLC_INVALID, name, "a list of %s cannot be filtered by it", kind->name);
    if (!json_is_string(given) || filters->count == FILTERS_MAX)
        return slc_fail(err, SLC_INVALID, name, "not a value to filter by");
    if (field->type == SLC_F_ENUM) {
        const char *const *value = field->values;
        while (*value != NULL && strcmp(*value, json_string_value(given)) != 0)
            value++;
        if (*value == NULL)
            return slc_fail(err, SLC_INVALID, name, "%.60s is not one of its values", json_string_value(given));
    }
    json_t *value = filter_value(txn, field, json_string_value(given), err);
    if (value == NULL)
        return false;
    filters->values[filters->count++] = value;
    return slc_buf_addf(sql, " AND t.\"%s\" = ?%d", slc_field_column(field), 2 + filters->count);
}

/* ---- the query: ?1 where to go on, ?2 how many, ?3... filters ---- */

static bool make_sql(slc_txn *txn, const slc_kind *kind, const slc_list_query *query, struct filters *filters,
                     slc_buf *sql, slc_error *err)
{
    bool log = (kind->flags & SLC_KIND_LOG) != 0;
    slc_buf_addf(sql, "%s WHERE %s", slc_row_select_brief(kind),
                 log ? "t.seq < coalesce(?1, 9223372036854775807)" : "t.key > coalesce(?1, '')");
    if (kind->visible != NULL)
        slc_buf_addf(sql, " AND %s", kind->visible);
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)query->filters, name, value) {
        if (!add_filter(txn, kind, name, value, filters, sql, err))
            return false;
    }
    slc_buf_adds(sql, log ? " ORDER BY t.seq DESC LIMIT ?2" : " ORDER BY t.key LIMIT ?2");
    return true;
}

static bool bind(const slc_kind *kind, sqlite3_stmt *stmt, const char *after, int limit,
                 const struct filters *filters)
{
    if (after != NULL && (kind->flags & SLC_KIND_LOG) != 0)
        sqlite3_bind_int64(stmt, 1, (sqlite3_int64)strtoll(after, NULL, 16));
    else
        sqlite3_bind_text(stmt, 1, after, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int(stmt, 2, limit + 1); /* one more tells whether there is a next page */
    for (int i = 0; i < filters->count; i++) {
        const json_t *value = filters->values[i];
        if (json_is_integer(value))
            sqlite3_bind_int64(stmt, 3 + i, json_integer_value(value));
        else
            sqlite3_bind_text(stmt, 3 + i, json_string_value(value), -1, SQLITE_TRANSIENT);
    }
    return true;
}

static void bind_viewer(sqlite3_stmt *stmt, const slc_identity *viewer)
{
    slc_discover_viewer who = slc_discover_viewer_of(viewer);
    char *teams = slc_discover_teams(&who);
    sqlite3_bind_text(stmt, TEAMS_PARAMETER, teams, -1, SQLITE_TRANSIENT);
    free(teams);
}

static bool read_page(slc_txn *txn, const slc_kind *kind, sqlite3_stmt *stmt, int limit, json_t *out,
                      slc_error *err)
{
    json_t *items = json_array();
    json_t *next = json_null();
    json_object_set_new(out, "items", items);
    char last[SLC_KEY_CHARS] = "";
    int rc;
    while ((rc = slc_txn_step(txn, stmt, err)) == 1) {
        if (json_array_size(items) == (size_t)limit) {
            next = cursor_make(kind, last);
            rc = 0;
            break;
        }
        snprintf(last, sizeof(last), "%s", slc_column_text(stmt, slc_row_width(kind) - 1));
        json_t *stored = slc_row_read(kind, stmt);
        json_t *item = slc_entity_show(txn, kind, stored, err);
        json_decref(stored);
        if (item == NULL) {
            rc = -1;
            break;
        }
        json_array_append_new(items, item);
    }
    json_object_set_new(out, "next", next);
    return rc == 0;
}

static json_t *run(slc_txn *txn, const slc_kind *kind, const slc_list_query *query, const char *after,
                   struct filters *filters, slc_buf *sql, slc_error *err)
{
    if (!make_sql(txn, kind, query, filters, sql, err))
        return NULL;
    sqlite3_stmt *stmt = slc_txn_prepare(txn, (const char *)sql->data, err);
    if (stmt == NULL)
        return NULL;
    int limit = query->limit == 0 ? LIMIT_DEFAULT : query->limit;
    bind(kind, stmt, after, limit, filters);
    if (kind->visible != NULL)
        bind_viewer(stmt, query->viewer);
    json_t *out = json_object();
    bool ok = read_page(txn, kind, stmt, limit, out, err);
    slc_txn_finish(txn, stmt);
    if (!ok) {
        json_decref(out);
        return NULL;
    }
    return out;
}

json_t *slc_entity_list(slc_txn *txn, const slc_kind *kind, const slc_list_query *query, slc_error *err)
{
    char key[CURSOR_MAX + 1];
    if (query->limit < 0 || query->limit > LIMIT_MAX) {
        slc_fail(err, SLC_INVALID, "limit", "must be from 1 to %d", LIMIT_MAX);
        return NULL;
    }
    if (query->cursor != NULL && !cursor_parse(kind, query->cursor, key, err))
        return NULL;
    struct filters filters = {.count = 0};
    slc_buf sql;
    slc_buf_init(&sql, SQL_MAX_BYTES);
    json_t *out = run(txn, kind, query, query->cursor != NULL ? key : NULL, &filters, &sql, err);
    slc_buf_release(&sql);
    for (int i = 0; i < filters.count; i++)
        json_decref(filters.values[i]);
    return out;
}

bool slc_entity_visible(slc_txn *txn, const slc_kind *kind, const char *key, const slc_identity *viewer,
                        slc_error *err)
{
    char id[SLC_ID_CHARS + 1];
    if (kind->visible == NULL)
        return true;
    int rc = slc_row_resolve(txn, kind, key, id, err);
    char *sql = slc_asprintf("SELECT 1 FROM \"%s\" AS t WHERE t.id = ?1 AND %s", kind->table, kind->visible);
    sqlite3_stmt *stmt = rc == 1 ? slc_txn_query(txn, err, sql, "s", id) : NULL;
    free(sql);
    if (stmt != NULL) {
        bind_viewer(stmt, viewer);
        rc = slc_txn_step(txn, stmt, err);
    } else if (rc == 1) {
        rc = -1;
    }
    slc_txn_finish(txn, stmt);
    if (rc == 0)
        slc_fail(err, SLC_NOT_FOUND, NULL, "there is no %s %.100s", kind->singular, key);
    return rc == 1;
}
