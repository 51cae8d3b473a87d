/* Search: words by the full text index, filters by SQL, a page at a time. */
#include "catalog/discover.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/discover_private.h"
#include "catalog/entity.h"
#include "common/alloc.h"
#include "common/buf.h"

#define LIMIT_DEFAULT 100
#define SQL_MAX_BYTES 8192
#define WORDS_MAX     16
#define MATCH_MAX     2048
#define PAGE_MAX      (32 << 20)
#define CURSOR_MAX    (SLC_KEY_CHARS + 40)

/* How much a word counts in name, title, tags and description. The lower the rank, the better. */
#define RANK "bm25(catalog_search, 10.0, 6.0, 4.0, 1.0)"

/* Visitors see nothing of where something is deployed. */
static const char api_item_sql[] =
    "json_object('kind', 'event-apis', 'key', e.key, 'name', e.name, 'major', e.major, 'title', e.title, "
    "'summary', substr(e.description, 1, 400), 'team', t.key, 'team_title', t.title, 'lifecycle', e.lifecycle, "
    "'sunset_at', strftime('%Y-%m-%dT%H:%M:%fZ', e.sunset_at / 1000.0, 'unixepoch'), 'operations', "
    "json(e.operations), 'exposures', json(e.exposures), 'tags', json(coalesce(e.tags, '[]')), 'served', "
    "json('true'), 'environments', (SELECT json_group_array(DISTINCT g.environment) FROM deployments AS d JOIN "
    "gateway_groups AS g ON g.id = d.gateway_group WHERE d.event_api = e.id AND ?20 = 0))";

static const char rest_item_sql[] =
    "json_object('kind', 'rest-apis', 'key', r.key, 'name', r.name, 'title', r.title, 'summary', "
    "substr(r.description, 1, 400), 'team', t.key, 'team_title', t.title, 'lifecycle', r.lifecycle, "
    "'sunset_at', "
    "strftime('%Y-%m-%dT%H:%M:%fZ', r.sunset_at / 1000.0, 'unixepoch'), 'version', r.version, "
    "'operation_count', "
    "r.operation_count, 'tags', json(coalesce(r.tags, '[]')), 'served', json('false'))";

/* ---- who looks ---- */

slc_discover_viewer slc_discover_viewer_of(const slc_identity *identity)
{
    if (identity == NULL)
        return (slc_discover_viewer){.event_apis = true, .rest_apis = true, .everything = true};
    /* A machine's token has no teams, and only an administrator makes one. */
    return (slc_discover_viewer){.event_apis = slc_identity_may(identity, "event-apis:read"),
                                 .rest_apis = slc_identity_may(identity, "rest-apis:read"),
                                 .everything = identity->user_id[0] == '\0' ||
                                               slc_identity_may(identity, SLC_PERMISSION_ALL_TEAMS),
                                 .teams = identity->teams};
}

slc_discover_viewer slc_discover_visitor(void)
{
    return (slc_discover_viewer){.event_apis = true, .rest_apis = true, .visitor = true};
}

char *slc_discover_teams(const slc_discover_viewer *viewer)
{
    if (viewer->everything && !viewer->visitor)
        return NULL;
    /* NULL would be everything: whoever has no teams has an empty list of them. */
    return viewer->teams != NULL && !viewer->visitor ? json_dumps(viewer->teams, JSON_COMPACT)
                                                     : slc_strdup("[]");
}

/* ---- keys ---- */

/* Its length before it, so that no text can look like two. */
static void add_part(slc_buf *out, const char *text)
{
    if (text == NULL)
        slc_buf_adds(out, "-,");
    else
        slc_buf_addf(out, "%zu:%s,", strlen(text), text);
}

void slc_discover_key(const slc_discover_query *query, const slc_discover_viewer *viewer, slc_buf *out)
{
    const char *const parts[] = {query->words,     query->kind,     query->tag,         query->team,
                                 query->lifecycle, query->protocol, query->environment, query->cursor};
    char *teams = slc_discover_teams(viewer);
    slc_buf_addf(out, "%d%d%d %d ", viewer->event_apis, viewer->rest_apis, viewer->visitor, query->limit);
    add_part(out, teams);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        add_part(out, parts[i]);
    free(teams);
}

/* ---- words ---- */

/* "new ord" becomes "new"* "ord"*: nothing that somebody types is an operator of FTS5. */
static bool make_match(const char *words, slc_buf *match, slc_error *err)
{
    size_t count = 0;
    for (const char *p = words; *p != '\0';) {
        size_t len = strcspn(p, " \t\r\n");
        if (len > 0 && ++count > WORDS_MAX)
            return slc_fail(err, SLC_INVALID, "q", "must have at most %d words", WORDS_MAX);
        if (len > 0)
            slc_buf_adds(match, count > 1 ? " \"" : "\"");
        for (size_t i = 0; i < len; i++)
            slc_buf_adds(match, (char[]){p[i], p[i] == '"' ? '"' : '\0', '\0'});
        if (len > 0)
            slc_buf_adds(match, "\"*");
        p += len + (p[len] != '\0');
    }
    return slc_buf_addc(match, '\0') || slc_fail(err, SLC_INVALID, "q", "is too long");
}

/* ---- cursors: "1 <rank> <key>" ---- */

struct place {
    double rank;
    char key[SLC_KEY_CHARS];
};

static void cursor_add(slc_buf *out, const struct place *place)
{
    char text[CURSOR_MAX + 1], cursor[2 * CURSOR_MAX];
    int len = snprintf(text, sizeof text, "1 %.17g %s", place->rank, place->key);
    slc_base64url_encode(text, (size_t)len, cursor);
    slc_buf_addf(out, "\"%s\"", cursor);
}

static bool cursor_parse(const char *cursor, struct place *place, slc_error *err)
{
    char text[CURSOR_MAX + 1] = "", *end = NULL;
    long len = slc_base64url_decode(cursor, strlen(cursor), (uint8_t *)text, CURSOR_MAX);
    text[len > 0 ? len : 0] = '\0';
    bool ok = len > 2 && strlen(text) == (size_t)len && strncmp(text, "1 ", 2) == 0;
    if (ok) {
        place->rank = strtod(text + 2, &end);
        ok = end != text + 2 && *end == ' ' && isfinite(place->rank) && strlen(end + 1) < sizeof place->key;
    }
    if (ok)
        snprintf(place->key, sizeof place->key, "%s", end + 1);
    return ok || slc_fail(err, SLC_INVALID, "cursor", "the cursor is not one that the catalog gave out");
}

/* ---- the query ---- */

static bool is_one_of(const char *value, const char *const *values, const char *parameter, slc_error *err)
{
    for (; value != NULL && *values != NULL; values++)
        if (strcmp(value, *values) == 0)
            return true;
    return value == NULL || slc_fail(err, SLC_INVALID, parameter, "%.60s is not one of its values", value);
}

static bool check(const slc_discover_query *query, const slc_discover_viewer *viewer, slc_error *err)
{
    static const char *const lifecycles[] = {"draft", "published", "deprecated", "retired", NULL};
    static const char *const protocols[] = {"rest", "sse", "kafka", NULL};
    static const char *const kinds[] = {"event-apis", "rest-apis", NULL};
    if (viewer->visitor && query->environment != NULL)
        return slc_fail(err, SLC_INVALID, "environment", "only who is signed in finds by it");
    return is_one_of(query->lifecycle, lifecycles, "lifecycle", err) &&
           is_one_of(query->protocol, protocols, "protocol", err) && is_one_of(query->kind, kinds, "kind", err);
}

/* What is asked for, of what may be seen at all. */
struct scope {
    bool event_apis, rest_apis;
};

static struct scope scope_of(const slc_discover_query *query, const slc_discover_viewer *viewer)
{
    bool rest = query->kind == NULL || strcmp(query->kind, "rest-apis") == 0;
    bool events = query->kind == NULL || strcmp(query->kind, "event-apis") == 0;
    bool reached =
        query->environment == NULL && (query->protocol == NULL || strcmp(query->protocol, "rest") == 0);
    return (struct scope){.event_apis = events && viewer->event_apis,
                          .rest_apis = rest && reached && viewer->rest_apis};
}

/* ?1 teams, ?2 words, ?3 and ?4 where to go on, ?5 how many, ?6... filters, ?20 is it a visitor. */
static void add_filters(slc_buf *sql, const slc_discover_query *query, const char *table)
{
    if (query->tag != NULL)
        slc_buf_addf(sql, " AND EXISTS (SELECT 1 FROM json_each(%s.tags) WHERE value = ?6)", table);
    if (query->team != NULL)
        slc_buf_adds(sql, " AND (t.key = ?7 OR t.id = ?7)");
    if (query->lifecycle != NULL)
        slc_buf_addf(sql, " AND %s.lifecycle = ?8", table);
}

static void add_api_filters(slc_buf *sql, const slc_discover_query *query)
{
    add_filters(sql, query, "e");
    if (query->protocol != NULL)
        slc_buf_adds(sql, " AND EXISTS (SELECT 1 FROM json_each(e.exposures) WHERE value = ?9)");
    if (query->environment != NULL)
        slc_buf_adds(sql, " AND EXISTS (SELECT 1 FROM deployments AS d JOIN gateway_groups AS g ON g.id = "
                          "d.gateway_group WHERE d.event_api = e.id AND g.environment = ?10)");
}

/* Both tables in the order of their keys, which is that of an index of each. */
static void make_browse_sql(slc_buf *sql, const slc_discover_query *query, struct scope scope)
{
    const char *after = query->cursor != NULL ? " > ?4" : " NOT NULL";
    if (scope.event_apis) {
        slc_buf_addf(
            sql,
            "SELECT %s AS item, e.key AS key, 0.0 AS rank FROM event_apis AS e JOIN teams AS t ON t.id = "
            "e.team WHERE " SLC_DISCOVER_API " AND e.key%s",
            api_item_sql, after);
        add_api_filters(sql, query);
    }
    if (scope.event_apis && scope.rest_apis)
        slc_buf_adds(sql, " UNION ALL ");
    if (scope.rest_apis) {
        slc_buf_addf(
            sql,
            "SELECT %s AS item, r.key AS key, 0.0 AS rank FROM rest_apis AS r JOIN teams AS t ON t.id = "
            "r.team WHERE " SLC_DISCOVER_REST("r", "?1", "?20") " AND r.key%s",
            rest_item_sql, after);
        add_filters(sql, query, "r");
    }
    slc_buf_adds(sql, " ORDER BY 2 LIMIT ?5");
}

/* One pass over the index for both. */
static void make_search_sql(slc_buf *sql, const slc_discover_query *query, struct scope scope)
{
    slc_buf_addf(
        sql,
        "SELECT CASE WHEN c.rest_api IS NULL THEN %s ELSE %s END, coalesce(e.key, r.key) AS key, " RANK
        " AS rank FROM catalog_search JOIN catalog_entries AS c ON c.number = catalog_search.rowid LEFT JOIN "
        "event_apis AS e ON e.id = c.event_api LEFT JOIN rest_apis AS r ON r.id = c.rest_api JOIN teams AS t "
        "ON t.id = coalesce(e.team, r.team) WHERE catalog_search MATCH ?2",
        api_item_sql, rest_item_sql);
    if (query->cursor != NULL)
        slc_buf_adds(sql, " AND (" RANK ", coalesce(e.key, r.key)) > (?3, ?4)");
    slc_buf_adds(sql, " AND (");
    if (scope.event_apis) {
        slc_buf_adds(sql, "(c.event_api NOT NULL AND " SLC_DISCOVER_API);
        add_api_filters(sql, query);
        slc_buf_adds(sql, ")");
    }
    if (scope.event_apis && scope.rest_apis)
        slc_buf_adds(sql, " OR ");
    if (scope.rest_apis) {
        slc_buf_adds(sql, "(c.rest_api NOT NULL AND " SLC_DISCOVER_REST("r", "?1", "?20"));
        add_filters(sql, query, "r");
        slc_buf_adds(sql, ")");
    }
    slc_buf_adds(sql, ") ORDER BY rank, key LIMIT ?5");
}

/* Every number is bound, whether the statement has it or not: SQLite ignores the others. */
static void bind(sqlite3_stmt *stmt, const slc_discover_query *query, const slc_discover_viewer *viewer,
                 const char *match, const struct place *after, int limit)
{
    const char *const filters[] = {query->tag, query->team, query->lifecycle, query->protocol,
                                   query->environment};
    char *teams = slc_discover_teams(viewer);
    sqlite3_bind_text(stmt, 1, teams, -1, SQLITE_TRANSIENT);
    free(teams);
    sqlite3_bind_text(stmt, 2, match, -1, SQLITE_TRANSIENT);
    sqlite3_bind_double(stmt, 3, after->rank);
    sqlite3_bind_text(stmt, 4, after->key, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int(stmt, 5, limit + 1); /* one more tells whether there is a next page */
    for (int i = 0; i < 5; i++)
        sqlite3_bind_text(stmt, 6 + i, filters[i], -1, SQLITE_TRANSIENT);
    sqlite3_bind_int(stmt, SLC_DISCOVER_VISITOR, viewer->visitor);
}

/* SQLite writes each item; they are not parsed, since a page would take several times as long. */
static bool read_page(slc_txn *txn, sqlite3_stmt *stmt, int limit, slc_buf *out, slc_error *err)
{
    struct place last = {0};
    int count = 0, rc;
    slc_buf_adds(out, "{\"items\":[");
    while ((rc = slc_txn_step(txn, stmt, err)) == 1 && count < limit) {
        if (count++ > 0)
            slc_buf_addc(out, ',');
        slc_buf_add(out, sqlite3_column_text(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0));
        snprintf(last.key, sizeof last.key, "%s", slc_column_text(stmt, 1));
        last.rank = sqlite3_column_double(stmt, 2);
    }
    slc_buf_adds(out, "],\"next\":");
    if (rc == 1)
        cursor_add(out, &last);
    else
        slc_buf_adds(out, "null");
    slc_buf_addc(out, '}');
    if (out->overflow)
        return slc_fail(err, SLC_LIMIT, "limit", "the page would have more than %d bytes: ask for fewer",
                        PAGE_MAX);
    return rc >= 0;
}

static bool run(slc_txn *txn, const slc_discover_query *query, const slc_discover_viewer *viewer,
                const char *match, const struct place *after, slc_buf *out, slc_error *err)
{
    struct scope scope = scope_of(query, viewer);
    slc_buf sql;
    if (!scope.event_apis && !scope.rest_apis)
        return slc_buf_adds(out, "{\"items\":[],\"next\":null}");
    slc_buf_init(&sql, SQL_MAX_BYTES);
    if (match != NULL)
        make_search_sql(&sql, query, scope);
    else
        make_browse_sql(&sql, query, scope);
    slc_buf_addc(&sql, '\0');
    sqlite3_stmt *stmt = slc_txn_prepare(txn, (const char *)sql.data, err);
    slc_buf_release(&sql);
    if (stmt == NULL)
        return false;
    int limit = query->limit > 0 ? query->limit : LIMIT_DEFAULT;
    bind(stmt, query, viewer, match, after, limit);
    bool ok = read_page(txn, stmt, limit, out, err);
    slc_txn_finish(txn, stmt);
    return ok;
}

char *slc_discover_list(slc_txn *txn, const slc_discover_query *query, const slc_discover_viewer *viewer,
                        size_t *len, slc_error *err)
{
    struct place after = {0};
    slc_buf match, out;
    slc_buf_init(&match, MATCH_MAX);
    slc_buf_init(&out, PAGE_MAX);
    bool words = query->words != NULL && query->words[strspn(query->words, " \t\r\n")] != '\0';
    bool ok = check(query, viewer, err) &&
              (query->cursor == NULL || cursor_parse(query->cursor, &after, err)) &&
              (!words || make_match(query->words, &match, err)) &&
              run(txn, query, viewer, words ? (const char *)match.data : NULL, &after, &out, err);
    char *text = ok ? slc_buf_steal(&out, len) : NULL;
    slc_buf_release(&match);
    slc_buf_release(&out);
    return text;
}
