/* Compiling from an earlier result gives the bytes of compiling from nothing, whatever has changed in between.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/compile.h"
#include "catalog/entity.h"
#include "catalog/store.h"
#include "common/clock.h"
#include "fixture.h"

#define GROUPS 3
#define STEPS  120
#define CROWD  400 /* ids that are all of one bucket */

static const char *const group_names[GROUPS] = {"dev", "dev-2", "prod"};
static char group_ids[GROUPS][24];
static slc_compiled *results[GROUPS];
static int64_t now_ms; /* of every transaction here */
static uint64_t state; /* of the generator */
static size_t rows_from_before, rows_from_nothing;

static unsigned roll(unsigned sides)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 33) % sides;
}

/* ---- a world ---- */

static char crowd[CROWD][24], crowd_apps[CROWD][24];

static void find_crowd(char ids[CROWD][24], const char *prefix)
{
    unsigned made = 0;
    for (unsigned i = 0; made < CROWD; i++) {
        char key[40];
        uint8_t hash[SLC_SHA256_BYTES];
        snprintf(ids[made], sizeof ids[made], "crowd%011u", i);
        snprintf(key, sizeof key, "%s%s", prefix, ids[made]);
        slc_sha256(key, strlen(key), hash);
        made += hash[0] == 7;
    }
}

static void make_group(unsigned i, const char *environment)
{
    char body[160];
    snprintf(body, sizeof body, "{'name': '%s', 'environment': '%s'}", group_names[i], environment);
    json_t *group = t_create("gateway-groups", body);
    snprintf(group_ids[i], sizeof group_ids[i], "%s", t_text(group, "id"));
    json_decref(group);
    snprintf(body, sizeof body,
             "{'name': 'edge-%u', 'gateway_group': '%s', 'protocol': 'http', 'address': '127.0.0.1:80%u0'}", i,
             group_names[i], i);
    t_make("listeners", body);
}

static void make_api(unsigned i)
{
    char body[400];
    snprintf(body, sizeof body,
             "{'name': 'api-%u', 'major': 1, 'team': 'team-0', 'lifecycle': 'published', "
             "'operations': ['read'], 'exposures': ['sse']}",
             i);
    t_make("event-apis", body);
    for (unsigned group = 0; group < GROUPS; group++) {
        snprintf(body, sizeof body,
                 "{'event_api': 'api-%u.v1', 'gateway_group': '%s', 'virtual_cluster': 'vc', 'topic': "
                 "'t-%u', 'listener': 'edge-%u'}",
                 i, group_names[group], i, group);
        t_make("deployments", body);
    }
    snprintf(body, sizeof body,
             "{'name': 'product-%u', 'team': 'team-0', 'visibility': 'public', 'lifecycle': 'published', "
             "'event_apis': ['api-%u.v1']}",
             i, i);
    t_make("products", body);
    snprintf(body, sizeof body,
             "{'product': 'product-%u', 'name': 'plan', 'operations': ['read'], 'approval': 'auto'}", i);
    t_make("plans", body);
}

static void setup(void)
{
    t_setup();
    for (unsigned i = 0; i < 3; i++) {
        char body[60];
        snprintf(body, sizeof body, "{'name': 'team-%u'}", i);
        t_make("teams", body);
    }
    make_group(0, "dev");
    make_group(1, "dev");
    make_group(2, "prod");
    t_make("issuers", "{'name': 'login', 'url': 'https://login.example.com'}");
    t_make("backend-clusters", "{'name': 'kafka', 'bootstrap_servers': ['127.0.0.1:9092']}");
    t_make("virtual-clusters", "{'name': 'vc', 'backend_cluster': 'kafka'}");
    for (unsigned i = 0; i < 3; i++)
        make_api(i);
    find_crowd(crowd, "secret:");
    find_crowd(crowd_apps, "");
    now_ms = 1900000000000;
    rows_from_before = rows_from_nothing = 0;
}

static void teardown(void)
{
    for (unsigned i = 0; i < GROUPS; i++) {
        slc_compiled_unref(results[i]);
        results[i] = NULL;
    }
    t_teardown();
}

/* ---- random changes: each is one or more in a transaction; what is refused rolls all of them back ---- */

static bool done(json_t *answer)
{
    json_decref(answer);
    return answer != NULL;
}

static bool make(slc_txn *txn, const char *kind, const char *body, slc_error *err)
{
    json_t *json = t_json(body);
    bool ok = done(slc_entity_create(txn, slc_kind_find(kind), json, err));
    json_decref(json);
    return ok;
}

/* A random row's column; false when the table is empty. */
static bool pick(slc_txn *txn, const char *table, const char *column, char out[200], slc_error *err)
{
    char sql[200];
    snprintf(sql, sizeof sql,
             "SELECT %s FROM %s WHERE id NOT LIKE 'crowd%%' LIMIT 1 OFFSET ?1 %% max(1, "
             "(SELECT count(*) FROM %s WHERE id NOT LIKE 'crowd%%'))",
             column, table, table);
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "i", (int64_t)roll(100000));
    bool found = stmt != NULL && slc_txn_step(txn, stmt, err) == 1;
    if (found)
        snprintf(out, 200, "%s", slc_column_text(stmt, 0));
    slc_txn_finish(txn, stmt);
    return found;
}

static bool patch(slc_txn *txn, const char *kind, const char *table, const char *body, slc_error *err)
{
    char id[200];
    if (!pick(txn, table, "id", id, err))
        return false;
    const slc_kind *of = slc_kind_find(kind);
    json_t *stored = slc_entity_load(txn, of, id, err), *json = t_json(body);
    bool ok =
        stored != NULL && done(slc_entity_update(txn, of, id, json, true,
                                                 json_integer_value(json_object_get(stored, "revision")), err));
    json_decref(stored);
    json_decref(json);
    return ok;
}

static bool act(slc_txn *txn, const char *kind, const char *table, const char *action, slc_error *err)
{
    char id[200];
    return pick(txn, table, "id", id, err) &&
           done(slc_entity_act(txn, slc_kind_find(kind), id, action, NULL, err));
}

static bool drop(slc_txn *txn, const char *kind, const char *table, slc_error *err)
{
    char id[200];
    return pick(txn, table, "id", id, err) && slc_entity_delete(txn, slc_kind_find(kind), id, -1, NULL, err);
}

/* A moment that comes soon, as a member of a body, or nothing. */
static const char *soon(void)
{
    static char text[60];
    char time[SLC_RFC3339_CHARS];
    if (roll(3) != 0)
        return "";
    slc_rfc3339_format(now_ms + 1 + roll(40000), time);
    snprintf(text, sizeof text, ", 'expires_at': '%s'", time);
    return text;
}

static bool change_application(slc_txn *txn, slc_error *err)
{
    char body[300], name[200];
    switch (roll(5)) {
    case 0:
        snprintf(body, sizeof body, "{'title': 'Title %u'}", roll(1000));
        return patch(txn, "applications", "applications", body, err);
    case 1:
        snprintf(body, sizeof body, "{'team': 'team-%u'}", roll(3));
        return patch(txn, "applications", "applications", body, err);
    case 2: /* that nothing refers to any more */
        return pick(txn, "applications", "id", name, err) &&
               slc_entity_delete(txn, slc_kind_find("applications"), name, -1, NULL, err);
    default:
        snprintf(body, sizeof body, "{'name': 'app-%u', 'team': 'team-%u'}", roll(1000000), roll(3));
        return make(txn, "applications", body, err);
    }
}

static bool make_credential(slc_txn *txn, slc_error *err)
{
    char body[600], name[200], match[160] = "'type': 'secret'";
    unsigned type = roll(4), n = roll(1000000);
    if (type == 0)
        snprintf(match, sizeof match, "'type': 'certificate', 'certificate': {'san': 'san-%u.example.com'}", n);
    else if (type == 1)
        snprintf(match, sizeof match, "'type': 'oidc', 'oidc': {'issuer': 'login', 'value': 'value-%u'}", n);
    if (!pick(txn, "applications", "name", name, err))
        return false;
    snprintf(body, sizeof body, "{'application': '%s', %s%s}", name, match, soon());
    return make(txn, "credentials", body, err);
}

static bool change_credential(slc_txn *txn, slc_error *err)
{
    char body[120];
    switch (roll(8)) {
    case 0:
        return act(txn, "credentials", "credentials", "revoke", err);
    case 1:
        return drop(txn, "credentials", "credentials", err);
    case 2:
        snprintf(body, sizeof body, "{'disabled': %s%s}", roll(2) == 0 ? "true" : "false", soon());
        return patch(txn, "credentials", "credentials", body, err);
    default:
        return make_credential(txn, err);
    }
}

static bool change_subscription(slc_txn *txn, slc_error *err)
{
    static const char *const actions[] = {"suspend", "resume", "revoke", "approve"};
    char body[400], name[200];
    switch (roll(8)) {
    case 0:
    case 1:
        return act(txn, "subscriptions", "subscriptions", actions[roll(4)], err);
    case 2:
        return drop(txn, "subscriptions", "subscriptions", err);
    case 3:
        snprintf(body, sizeof body, "{'labels': {'a': 'b'}%s}", soon());
        return patch(txn, "subscriptions", "subscriptions", body, err);
    default:
        if (!pick(txn, "applications", "name", name, err))
            return false;
        snprintf(body, sizeof body, "{'application': '%s', 'plan': 'product-%u.plan', 'environment': '%s'%s}",
                 name, roll(3), roll(2) == 0 ? "dev" : "prod", soon());
        return make(txn, "subscriptions", body, err);
    }
}

/* Plans that groups know come and go with what they grant. */
static bool change_plans(slc_txn *txn, slc_error *err)
{
    static const char *const lifecycles[] = {"published", "deprecated", "retired", "draft"};
    char body[300];
    switch (roll(6)) {
    case 0:
    case 1:
        snprintf(body, sizeof body, "{'lifecycle': '%s'}", lifecycles[roll(4)]);
        return patch(txn, "products", "products", body, err);
    case 2:
        snprintf(body, sizeof body, "{'event_apis': ['api-%u.v1']}", roll(3));
        return patch(txn, "products", "products", body, err);
    case 3:
        return drop(txn, "deployments", "deployments", err);
    case 4: {
        unsigned group = roll(GROUPS), api = roll(3);
        snprintf(body, sizeof body,
                 "{'event_api': 'api-%u.v1', 'gateway_group': '%s', 'virtual_cluster': 'vc', 'topic': 't-%u', "
                 "'listener': 'edge-%u'}",
                 api, group_names[group], api, group);
        return make(txn, "deployments", body, err);
    }
    default:
        snprintf(body, sizeof body,
                 "{'product': 'product-%u', 'name': 'plan-%u', 'operations': ['read'], 'approval': 'auto'}",
                 roll(3), roll(1000));
        return make(txn, "plans", body, err);
    }
}

/* No API renames a team, but the compiler does not count on it. */
static bool rename_team(slc_txn *txn, slc_error *err)
{
    char id[200], name[40];
    uint64_t revision;
    snprintf(name, sizeof name, "name-%u", roll(1000000));
    return pick(txn, "teams", "id", id, err) && slc_txn_bump(txn, &revision, err) &&
           slc_txn_exec(txn, err, "UPDATE teams SET name = ?2 WHERE id = ?1", "ss", id, name) &&
           slc_audit(txn, "update", "teams", id, id, NULL, err);
}

static bool change_configuration(slc_txn *txn, slc_error *err)
{
    char body[300];
    switch (roll(6)) {
    case 0:
        return rename_team(txn, err);
    case 1:
        snprintf(body, sizeof body, "{'environment': '%s'}", roll(2) == 0 ? "dev" : "prod");
        return patch(txn, "gateway-groups", "gateway_groups", body, err);
    case 2:
        snprintf(body, sizeof body, "{'name': 'user-%u'}", roll(1000000));
        return make(txn, "users", body, err);
    case 3:
        snprintf(body, sizeof body,
                 "{'name': 'policy-%u', 'type': 'cors', 'scope': {'kind': 'event-api', 'ref': 'api-%u.v1'}, "
                 "'config': {'origins': ['https://shop.example']}}",
                 roll(1000000), roll(3));
        return make(txn, "policies", body, err);
    case 4:
        return drop(txn, "policies", "policies", err);
    default:
        snprintf(body, sizeof body, "{'title': 'Title %u'}", roll(1000));
        return patch(txn, "event-apis", "event_apis", body, err);
    }
}

/* Rows as the catalog writes them, with ids that crowd one bucket, so that it is split and joined again. */
static bool change_crowd(slc_txn *txn, slc_error *err)
{
    uint64_t revision;
    bool app = roll(2) == 0, add = roll(5) > 1;
    unsigned first = roll(CROWD), count = roll(60);
    for (unsigned i = 0; i < count; i++) {
        const char *id = app ? crowd_apps[(first + i) % CROWD] : crowd[(first + i) % CROWD];
        const char *kind = app ? "subscriptions" : "credentials";
        static const char *const sql[2][2] = {
            {"DELETE FROM credentials WHERE id = ?1",
             "INSERT OR IGNORE INTO credentials (id, key, revision, manager, created_at, updated_at, "
             "application, "
             "type, disabled, lookup, secret_sha256, scram_sha256, scram_sha512) SELECT ?1, ?1, 1, 'api', 1, "
             "1, "
             "(SELECT min(id) FROM applications), 'secret', 0, 'secret:' || ?1, zeroblob(32), zeroblob(84), "
             "zeroblob(148) WHERE EXISTS (SELECT 1 FROM applications)"},
            {"DELETE FROM subscriptions WHERE id = ?1",
             "INSERT OR IGNORE INTO subscriptions (id, key, revision, manager, created_at, updated_at, "
             "application, "
             "plan, product, environment, state) SELECT ?1, ?1, 1, 'api', 1, 1, ?1, p.id, p.product, 'dev', "
             "'approved' FROM plans AS p ORDER BY p.id LIMIT 1"}};
        if (app && !slc_txn_exec(
                       txn, err,
                       "INSERT OR IGNORE INTO applications (id, key, revision, manager, created_at, "
                       "updated_at, name, team) SELECT ?1, ?1, 1, 'api', 1, 1, 'a-long-name-so-that-few-fill-"
                       "a-bucket-' || ?1, min(id) FROM teams",
                       "s", id))
            return false;
        if (!slc_txn_bump(txn, &revision, err) || !slc_txn_exec(txn, err, sql[app][add], "s", id) ||
            !slc_audit(txn, "update", kind, id, id, NULL, err))
            return false;
    }
    return true;
}

/* What no caller does, and what must cost time only: a change that is not audited, an audit trail that was
 * pruned before it was read. */
static bool misbehave(slc_txn *txn, slc_error *err)
{
    uint64_t revision;
    if (roll(2) == 0)
        return make_credential(txn, err) && change_subscription(txn, err) &&
               slc_txn_exec(txn, err,
                            "DELETE FROM audit_events WHERE seq = (SELECT max(seq) FROM audit_events)", "");
    return slc_txn_bump(txn, &revision, err) &&
           slc_txn_exec(txn, err, "UPDATE credentials SET expires_at = NULL WHERE expires_at IS NOT NULL", "");
}

static bool change(slc_txn *txn, void *arg, slc_error *err)
{
    static bool (*const changes[])(slc_txn *, slc_error *) = {
        change_application, change_application,   change_credential,   change_credential,
        change_credential,  change_credential,    change_subscription, change_subscription,
        change_plans,       change_configuration, change_crowd,
    };
    unsigned count = 1 + roll(3);
    (void)arg;
    txn->now_ms = now_ms;
    if (roll(25) == 0)
        return misbehave(txn, err);
    if (roll(10) == 0)
        return slc_catalog_expire(txn, NULL, err);
    for (unsigned i = 0; i < count; i++)
        if (!changes[roll(sizeof changes / sizeof *changes)](txn, err))
            return false;
    return true;
}

/* ---- the comparison ---- */

static void compare(const slc_compiled *ours, const slc_compiled *truth, unsigned step)
{
    size_t ours_len, truth_len;
    const uint8_t *ours_sha256, *truth_sha256;
    ck_assert_uint_eq(slc_compiled_chunk_count(ours), slc_compiled_chunk_count(truth));
    for (size_t i = 0; i < slc_compiled_chunk_count(truth); i++) {
        const uint8_t *a = slc_compiled_chunk(ours, i, &ours_len, &ours_sha256);
        const uint8_t *b = slc_compiled_chunk(truth, i, &truth_len, &truth_sha256);
        ck_assert_mem_eq(ours_sha256, truth_sha256, SLC_SHA256_BYTES);
        ck_assert_uint_eq(ours_len, truth_len);
        ck_assert_mem_eq(a, b, truth_len);
    }
    ck_assert_msg(slc_compiled_expires_ms(ours) == slc_compiled_expires_ms(truth),
                  "step %u: expiry %lld, not %lld", step, (long long)slc_compiled_expires_ms(ours),
                  (long long)slc_compiled_expires_ms(truth));
}

/* The manifest but for its version, which says when it was compiled first. */
static void compare_manifests(slc_txn *txn, const slc_compiled *ours, const slc_compiled *truth)
{
    size_t ours_len, truth_len;
    const uint8_t *a = slc_compiled_manifest(ours, &ours_len), *b = slc_compiled_manifest(truth, &truth_len);
    if (slc_compiled_version(ours) != slc_catalog_revision(txn))
        return;
    ck_assert_uint_eq(ours_len, truth_len);
    ck_assert_mem_eq(a, b, truth_len);
}

static bool check_all(slc_txn *txn, void *arg, slc_error *err)
{
    unsigned step = *(unsigned *)arg;
    txn->now_ms = now_ms;
    for (unsigned i = 0; i < GROUPS; i++) {
        slc_compiled *sibling = i > 0 ? results[i - 1] : roll(2) == 0 ? results[2] : NULL;
        slc_compiled *next = slc_compile_group(txn, group_ids[i], results[i], sibling, err);
        ck_assert_msg(next != NULL, "%s", err->message);
        slc_compiled *truth = slc_compile_group(txn, group_ids[i], NULL, NULL, err);
        ck_assert_msg(truth != NULL, "%s", err->message);
        compare(next, truth, step);
        compare_manifests(txn, next, truth);
        rows_from_before += slc_compiled_rows(next);
        rows_from_nothing += slc_compiled_rows(truth);
        slc_compiled_unref(truth);
        slc_compiled_unref(results[i]);
        results[i] = next;
    }
    return true;
}

static void pass_time(void)
{
    if (roll(4) == 0)
        now_ms += roll(20000);
    else if (roll(60) == 0)
        now_ms -= roll(20000); /* somebody sets the clock */
}

START_TEST(any_change_gives_the_bytes_of_a_compilation_from_nothing)
{
    const char *steps_text = getenv("SLUICE_TEST_STEPS");
    unsigned steps = steps_text != NULL ? (unsigned)strtoul(steps_text, NULL, 10) : STEPS, made = 0;
    state = 0x9e3779b97f4a7c15u * ((unsigned)_i + 1);
    for (unsigned step = 0; step < steps; step++) {
        made += t_write(change, NULL, &t_error);
        pass_time();
        ck_assert_msg(t_read(check_all, &step, &t_error), "seed %d step %u: %s", _i, step, t_error.message);
    }
    ck_assert_uint_gt(made, steps / 3);
    /* It did start from what was there. */
    ck_assert_msg(rows_from_before * 3 < rows_from_nothing, "%zu of %zu rows", rows_from_before,
                  rows_from_nothing);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("compile_delta");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 300);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, any_change_gives_the_bytes_of_a_compilation_from_nothing, 0, 4);
    suite_add_tcase(suite, tcase);
    return suite;
}

TEST_MAIN(make_suite)
