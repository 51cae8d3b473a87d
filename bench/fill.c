/* Fills a new catalog with applications, each with a credential and a subscription, as fast as SQLite takes
 * them: the admin API would spend minutes on making verifiers of passwords that nobody uses. Only while no
 * control plane runs on the folder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/catalog.h"
#include "catalog/read.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"

#define BATCH    5000
#define ID_CHARS 16

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
};

static bool make_world(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
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

static bool add_application(slc_txn *txn, unsigned number, int64_t revision, slc_error *err)
{
    char application[ID_CHARS + 1], credential[ID_CHARS + 1], subscription[ID_CHARS + 1], name[32];
    uint8_t verifiers[32 + 84 + 148];
    int64_t now_ms = slc_txn_now_ms(txn);
    slc_random_id(application, ID_CHARS);
    slc_random_id(credential, ID_CHARS);
    slc_random_id(subscription, ID_CHARS);
    slc_random(verifiers, sizeof verifiers);
    snprintf(name, sizeof name, "app-%u", number);
    return slc_txn_exec(
               txn, err,
               "INSERT INTO applications (id, key, revision, manager, created_at, updated_at, name, team) "
               "SELECT ?1, ?2, ?3, 'api', ?4, ?4, ?2, id FROM teams WHERE name = 'bench'",
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
               "'bench', 'approved' FROM plans",
               "siis", subscription, revision, now_ms, application);
}

static bool add_batch(slc_txn *txn, void *arg, slc_error *err)
{
    struct batch *batch = arg;
    uint64_t revision;
    bool ok = slc_txn_bump(txn, &revision, err);
    for (unsigned i = 0; ok && i < batch->count; i++)
        ok = add_application(txn, batch->first + i, (int64_t)revision, err);
    return ok;
}

static bool fill(slc_catalog *catalog, unsigned applications, slc_error *err)
{
    slc_actor actor = {.kind = "system", .id = "bench", .name = "bench"};
    if (!slc_catalog_write_sync(catalog, &actor, make_world, NULL, err))
        return false;
    for (unsigned first = 0; first < applications; first += BATCH) {
        unsigned left = applications - first;
        struct batch batch = {first, left < BATCH ? left : BATCH};
        if (!slc_catalog_write_sync(catalog, &actor, add_batch, &batch, err))
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    slc_error err;
    slc_log_init("bench-fill", SLC_LOG_WARN, true);
    if (argc != 3) {
        fprintf(stderr, "usage: %s DATA_DIR APPLICATIONS\n", argv[0]);
        return 2;
    }
    slc_catalog_options options = {.data_dir = argv[1]};
    slc_catalog *catalog = slc_catalog_open(&options, &err);
    bool ok = catalog != NULL && fill(catalog, (unsigned)strtoul(argv[2], NULL, 10), &err);
    slc_catalog_close(catalog);
    if (!ok)
        fprintf(stderr, "%s: %s\n", argv[0], err.message);
    return ok ? 0 : 1;
}
