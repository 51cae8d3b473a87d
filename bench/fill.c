/* Fills a catalog with applications, each with a credential and a subscription, as fast as SQLite takes them:
 * the admin API would spend minutes on making verifiers of passwords that nobody uses. Only while no control
 * plane runs on the folder.
 *
 *   bench-fill DATA_DIR APPLICATIONS [KEYS]
 *
 * An empty catalog gets a small world first. In one that has a gateway group, a team and plans the applications
 * are the team's, subscribed to all plans in the group's environment. KEYS is a file to write their API keys
 * to, one a line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/catalog.h"
#include "catalog/read.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"

#define BATCH        5000
#define ID_CHARS     16
#define SECRET_CHARS 32

/* What is there before the first application; ' for ". */
static const struct {
    const char *kind, *body;
} world[] = {
    {"teams", "{'name':'bench'}"},
    {"gateway-groups", "{'name':'bench','environment':'bench'}"},
    {"backend-clusters", "{'name':'kafka','bootstrap_servers':['127.0.0.1:9092']}"},
    {"virtual-clusters", "{'name':'vc','backend_cluster':'kafka'}"},
    {"listeners", "{'name':'edge','gateway_group':'bench','protocol':'http','address':'127.0.0.1:8000'}"},
    {"event-apis", "{'name':'orders','major':1,'team':'bench','lifecycle':'published','operations':['publish',"
                   "'read'],'exposures':['rest','sse']}"},
    {"deployments", "{'event_api':'orders.v1','gateway_group':'bench','virtual_cluster':'vc','topic':'orders',"
                    "'listener':'edge'}"},
    {"products", "{'name':'orders','team':'bench','visibility':'public','lifecycle':'published','event_apis':["
                 "'orders.v1']}"},
    {"plans", "{'product':'orders','name':'free','operations':['publish','read'],'approval':'auto'}"},
};

struct batch {
    unsigned first, count;
    FILE *keys; /* NULL: nobody wants them */
};

/* Is there a world already? */
static bool has_world(slc_txn *txn, bool *has, slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_query(txn, err, "SELECT 1 FROM gateway_groups LIMIT 1", "");
    int row = stmt != NULL ? slc_txn_step(txn, stmt, err) : -1;
    slc_txn_finish(txn, stmt);
    *has = row == 1;
    return row >= 0;
}

static bool make_world(slc_txn *txn, void *arg, slc_error *err)
{
    bool has = false;
    (void)arg;
    if (!has_world(txn, &has, err) || has)
        return has;
    for (size_t i = 0; i < sizeof world / sizeof *world; i++) {
        char body[400];
        snprintf(body, sizeof body, "%s", world[i].body);
        for (char *p = body; *p != '\0'; p++)
            if (*p == '\'')
                *p = '"';
        json_t *json = json_loads(body, 0, NULL);
        json_t *made = slc_entity_create(txn, slc_kind_find(world[i].kind), json, err);
        json_decref(json);
        if (made == NULL)
            return slc_fail_context(err, "%s", world[i].kind);
        json_decref(made);
    }
    return true;
}

static bool add_application(slc_txn *txn, unsigned number, int64_t revision, FILE *keys, slc_error *err)
{
    char application[ID_CHARS + 1], credential[ID_CHARS + 1], subscription[ID_CHARS + 1], name[32];
    char secret[SECRET_CHARS + 1];
    uint8_t verifiers[32 + 84 + 148];
    int64_t now_ms = slc_txn_now_ms(txn);
    slc_random_id(application, ID_CHARS);
    slc_random_id(credential, ID_CHARS);
    slc_random_id(subscription, ID_CHARS);
    slc_random(verifiers, sizeof verifiers);
    slc_random_id(secret, SECRET_CHARS);
    slc_sha256(secret, SECRET_CHARS, verifiers);
    if (keys != NULL && fprintf(keys, "slk_%s_%s\n", credential, secret) < 0)
        return slc_fail(err, SLC_IO, NULL, "cannot write the keys");
    snprintf(name, sizeof name, "app-%u", number);
    return slc_txn_exec(
               txn, err,
               "INSERT INTO applications (id, key, revision, manager, created_at, updated_at, name, team) "
               "SELECT ?1, ?2, ?3, 'api', ?4, ?4, ?2, id FROM teams LIMIT 1",
               "ssii", application, name, revision, now_ms) &&
           slc_txn_exec(
               txn, err,
               "INSERT INTO credentials (id, key, revision, manager, created_at, updated_at, application, "
               "type, disabled, lookup, secret_sha256, scram_sha256, scram_sha512) VALUES (?1, ?1, ?2, "
               "'api', ?3, ?3, ?4, 'secret', 0, 'secret:' || ?1, ?5, ?6, ?7)",
               "siisbbb", credential, revision, now_ms, application, (const void *)verifiers, (size_t)32,
               (const void *)(verifiers + 32), (size_t)84, (const void *)(verifiers + 116), (size_t)148) &&
           slc_txn_exec(
               txn, err,
               "INSERT INTO subscriptions (id, key, revision, manager, created_at, updated_at, application, "
               "plan, product, environment, state) SELECT ?1, ?1, ?2, 'api', ?3, ?3, ?4, id, product, "
               "(SELECT environment FROM gateway_groups LIMIT 1), 'approved' FROM plans",
               "siis", subscription, revision, now_ms, application);
}

static bool add_batch(slc_txn *txn, void *arg, slc_error *err)
{
    struct batch *batch = arg;
    uint64_t revision;
    bool ok = slc_txn_bump(txn, &revision, err);
    for (unsigned i = 0; ok && i < batch->count; i++)
        ok = add_application(txn, batch->first + i, (int64_t)revision, batch->keys, err);
    return ok;
}

static bool fill(slc_catalog *catalog, unsigned applications, FILE *keys, slc_error *err)
{
    slc_actor actor = {.kind = "system", .id = "bench", .name = "bench"};
    if (!slc_catalog_write_sync(catalog, &actor, make_world, NULL, err))
        return false;
    for (unsigned first = 0; first < applications; first += BATCH) {
        unsigned left = applications - first;
        struct batch batch = {first, left < BATCH ? left : BATCH, keys};
        if (!slc_catalog_write_sync(catalog, &actor, add_batch, &batch, err))
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    slc_error err;
    slc_log_init("bench-fill", SLC_LOG_WARN, true);
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: %s DATA_DIR APPLICATIONS [KEYS]\n", argv[0]);
        return 2;
    }
    FILE *keys = argc == 4 ? fopen(argv[3], "w") : NULL;
    if (argc == 4 && keys == NULL) {
        perror(argv[3]);
        return 1;
    }
    slc_catalog_options options = {.data_dir = argv[1]};
    slc_catalog *catalog = slc_catalog_open(&options, &err);
    bool ok = catalog != NULL && fill(catalog, (unsigned)strtoul(argv[2], NULL, 10), keys, &err);
    slc_catalog_close(catalog);
    if (!ok)
        fprintf(stderr, "%s: %s\n", argv[0], err.message);
    if (keys != NULL && fclose(keys) != 0)
        ok = false;
    return ok ? 0 : 1;
}
