#include "fixture.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "catalog/token.h"
#include "common/alloc.h"
#include "common/log.h"

char t_dir[64];
slc_catalog *t_catalog;
slc_actor t_actor;
slc_error t_error;

/* ---- the folder and the catalog ---- */

bool t_try_open(slc_error *err)
{
    slc_catalog_options options = {.data_dir = t_dir, .readers = 2};
    t_actor = (slc_actor){.kind = "token", .id = "test", .name = "test"};
    t_catalog = slc_catalog_open(&options, err);
    return t_catalog != NULL;
}

void t_open(void)
{
    slc_error err;
    ck_assert_msg(t_try_open(&err), "%s", err.message);
}

void t_close(void)
{
    slc_catalog_close(t_catalog);
    t_catalog = NULL;
}

void t_setup(void)
{
    slc_log_init("test", SLC_LOG_ERROR, false);
    strcpy(t_dir, "/tmp/slc-catalog-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(t_dir));
    t_open();
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void t_teardown(void)
{
    t_act_unbound();
    t_close();
    nftw(t_dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

char *t_path(const char *name)
{
    static char path[200];
    snprintf(path, sizeof(path), "%s/%s", t_dir, name);
    return path;
}

/* ---- requests ---- */

json_t *t_json(const char *text)
{
    char *copy = slc_strdup(text);
    for (char *p = copy; *p != '\0'; p++)
        if (*p == '\'')
            *p = '"';
    json_error_t error;
    json_t *value = json_loads(copy, JSON_DECODE_ANY, &error);
    ck_assert_msg(value != NULL, "%s in %s", error.text, copy);
    free(copy);
    return value;
}

bool t_write(slc_txn_fn fn, void *arg, slc_error *err)
{
    return slc_catalog_write_sync(t_catalog, &t_actor, fn, arg, err);
}

bool t_read(slc_txn_fn fn, void *arg, slc_error *err)
{
    return slc_catalog_read_sync(t_catalog, fn, arg, err);
}

enum verb { CREATE, GET, PUT, PATCH, DELETE, ACT, LIST };

struct request {
    enum verb verb;
    const slc_kind *kind;
    const char *key, *action;
    json_t *body;
    slc_list_query query;
    json_t *answer;
};

static int64_t revision_of(slc_txn *txn, const struct request *request)
{
    json_t *stored = slc_entity_load(txn, request->kind, request->key, NULL);
    int64_t revision = json_integer_value(json_object_get(stored, "revision"));
    json_decref(stored);
    return revision;
}

static bool run(slc_txn *txn, void *arg, slc_error *err)
{
    struct request *r = arg;
    switch (r->verb) {
    case CREATE:
        return (r->answer = slc_entity_create(txn, r->kind, r->body, err)) != NULL;
    case GET:
        return (r->answer = slc_entity_get(txn, r->kind, r->key, err)) != NULL;
    case PUT:
    case PATCH:
        return (r->answer = slc_entity_update(txn, r->kind, r->key, r->body, r->verb == PATCH,
                                              revision_of(txn, r), err)) != NULL;
    case DELETE:
        return slc_entity_delete(txn, r->kind, r->key, -1, &r->answer, err);
    case ACT:
        return (r->answer = slc_entity_act(txn, r->kind, r->key, r->action, r->body, err)) != NULL;
    case LIST:
        return (r->answer = slc_entity_list(txn, r->kind, &r->query, err)) != NULL;
    }
    return false;
}

static bool ask(struct request *r, const char *kind, const char *body)
{
    r->kind = slc_kind_find(kind);
    ck_assert_ptr_nonnull(r->kind);
    r->body = body != NULL ? t_json(body) : NULL;
    bool reading = r->verb == GET || r->verb == LIST;
    bool ok = reading ? t_read(run, r, &t_error) : t_write(run, r, &t_error);
    json_decref(r->body);
    return ok;
}

static json_t *must(struct request *r, const char *kind, const char *body)
{
    bool ok = ask(r, kind, body);
    ck_assert_msg(ok, "%s %s: %s (%s)", kind, body != NULL ? body : r->key, t_error.message, t_error.field);
    return r->answer;
}

static void fails(struct request *r, const char *kind, const char *body, enum slc_code code, const char *field)
{
    bool ok = ask(r, kind, body);
    json_decref(r->answer);
    ck_assert_msg(!ok, "%s %s should fail", kind, body != NULL ? body : r->key);
    ck_assert_msg(t_error.code == code, "%s %.200s: %s %s", kind, body, slc_code_name(t_error.code),
                  t_error.message);
    if (field != NULL)
        ck_assert_msg(strcmp(t_error.field, field) == 0, "%s: %s at %s", body, t_error.message, t_error.field);
}

json_t *t_create(const char *kind, const char *body)
{
    return must(&(struct request){.verb = CREATE}, kind, body);
}

void t_make(const char *kind, const char *body)
{
    json_decref(t_create(kind, body));
}

json_t *t_get(const char *kind, const char *key)
{
    struct request request = {.verb = GET, .key = key};
    return ask(&request, kind, NULL) ? request.answer : NULL;
}

json_t *t_patch(const char *kind, const char *key, const char *patch)
{
    return must(&(struct request){.verb = PATCH, .key = key}, kind, patch);
}

json_t *t_put(const char *kind, const char *key, const char *body)
{
    return must(&(struct request){.verb = PUT, .key = key}, kind, body);
}

json_t *t_act(const char *kind, const char *key, const char *action)
{
    return must(&(struct request){.verb = ACT, .key = key, .action = action}, kind, NULL);
}

json_t *t_list(const char *kind, const char *filters, int limit, const char *cursor)
{
    json_t *parsed = filters != NULL ? t_json(filters) : NULL;
    struct request request = {.verb = LIST, .query = {.limit = limit, .cursor = cursor, .filters = parsed}};
    json_t *answer = must(&request, kind, NULL);
    json_decref(parsed);
    return answer;
}

void t_delete(const char *kind, const char *key)
{
    must(&(struct request){.verb = DELETE, .key = key}, kind, NULL);
}

void t_create_fails(const char *kind, const char *body, enum slc_code code, const char *field)
{
    fails(&(struct request){.verb = CREATE}, kind, body, code, field);
}

void t_patch_fails(const char *kind, const char *key, const char *patch, enum slc_code code, const char *field)
{
    fails(&(struct request){.verb = PATCH, .key = key}, kind, patch, code, field);
}

void t_put_fails(const char *kind, const char *key, const char *body, enum slc_code code, const char *field)
{
    fails(&(struct request){.verb = PUT, .key = key}, kind, body, code, field);
}

void t_delete_fails(const char *kind, const char *key, enum slc_code code)
{
    fails(&(struct request){.verb = DELETE, .key = key}, kind, NULL, code, NULL);
}

void t_act_fails(const char *kind, const char *key, const char *action, enum slc_code code)
{
    fails(&(struct request){.verb = ACT, .key = key, .action = action}, kind, NULL, code, NULL);
}

/* ---- who asks ---- */

static slc_identity who;

static bool identify(slc_txn *txn, void *arg, slc_error *err)
{
    return slc_catalog_token_check(txn, arg, &who, err);
}

void t_act_unbound(void)
{
    slc_identity_release(&who);
    t_actor.identity = NULL;
}

void t_act_as(const char *user, const char *scopes)
{
    t_act_unbound();
    json_t *body = json_pack("{s:s, s:s*, s:o}", "name", "acting", "owner", user, "scopes", t_json(scopes));
    char *text = json_dumps(body, 0);
    json_t *made = t_create("api-tokens", text);
    ck_assert_msg(t_read(identify, (char *)t_text(made, "token"), &t_error), "%s", t_error.message);
    t_actor.identity = &who;
    json_decref(made);
    free(text);
    json_decref(body);
}

const char *t_text(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text != NULL ? text : "";
}

static bool run_sql(slc_txn *txn, void *arg, slc_error *err)
{
    static char text[4096];
    const char **sql = arg;
    sqlite3_stmt *stmt = slc_txn_prepare(txn, *sql, err);
    if (stmt == NULL)
        return false;
    text[0] = '\0';
    if (slc_txn_step(txn, stmt, err) == 1)
        snprintf(text, sizeof(text), "%s", slc_column_text(stmt, 0) != NULL ? slc_column_text(stmt, 0) : "");
    slc_txn_finish(txn, stmt);
    *sql = text;
    return true;
}

const char *t_sql(const char *sql)
{
    slc_error err;
    ck_assert_msg(t_read(run_sql, &sql, &err), "%s", err.message);
    return sql;
}

static bool subscribe_to_many(slc_txn *txn, void *arg, slc_error *err)
{
    const int *count = arg;
    return slc_txn_exec(txn, err,
                        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) "
                        "INSERT INTO products (id, key, revision, manager, created_at, updated_at, name, team, "
                        "visibility, lifecycle) SELECT 'many' || i, 'many' || i, 1, 'api', 1, 1, 'many' || i, "
                        "team, visibility, lifecycle FROM products, n WHERE products.id = (SELECT min(product) "
                        "FROM subscriptions)",
                        "i", (int64_t)*count) &&
           slc_txn_exec(
               txn, err,
               "INSERT INTO subscriptions (id, key, revision, manager, created_at, updated_at, "
               "application, plan, product, environment, state) SELECT p.id, p.id, 1, 'api', 1, 1, "
               "s.application, s.plan, p.id, s.environment, CASE substr(p.id, -1) WHEN '1' THEN "
               "'pending' WHEN '2' THEN 'suspended' ELSE 'approved' END FROM subscriptions s, products "
               "p WHERE p.name LIKE 'many%'",
               "");
}

void t_subscribe_to_many(int count)
{
    ck_assert_msg(t_write(subscribe_to_many, &count, &t_error), "%s", t_error.message);
}
