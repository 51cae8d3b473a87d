/* Fills a catalog with applications, each with a credential and a subscription, as fast as SQLite takes them:
 * the admin API would spend minutes on making verifiers of passwords that nobody uses. Only while no control
 * plane runs on the folder.
 *
 *   bench-fill DATA_DIR APPLICATIONS [KEYS [EVENT_APIS]]
 *
 * An empty catalog gets a small world first. In one that has a gateway group, a team and plans the applications
 * are the team's, subscribed to all plans in the group's environment. KEYS is a file to write their API keys
 * to, one a line; "-" is none. Event APIs (api-00000, ...) are the small world's: published, documented,
 * deployed, and a hundred to a public product. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/catalog.h"
#include "catalog/read.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"

#define BATCH        5000
#define ID_CHARS     16
#define SECRET_CHARS 32
#define API_BATCH    500
#define API_WORDS    100  /* of its documentation */
#define VOCABULARY   3000 /* the first words are in most texts, the last in few */
#define BUNDLE       100  /* event APIs of a product */

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

/* ---- event APIs ---- */

static unsigned next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Every event API's text has "orders"; others come as often as words of a language do, roughly. */
static void add_text(slc_buf *out, unsigned number)
{
    static const char *const syllables[] = {"ka", "lo", "mi", "ne", "ru", "sta", "ve", "bon", "tir", "cha"};
    uint32_t state = number * 2654435761u + 1;
    slc_buf_adds(out, "Tells of orders.");
    for (unsigned i = 0; i < API_WORDS; i++) {
        unsigned word = next_random(&state) % VOCABULARY;
        word = word * (next_random(&state) % VOCABULARY) / VOCABULARY;
        slc_buf_addf(out, " %s%s%s%s", syllables[word % 10], syllables[word / 10 % 10],
                     syllables[word / 100 % 10], syllables[word / 1000 % 10]);
    }
    slc_buf_addc(out, '\0');
}

static bool create(slc_txn *txn, const char *kind, json_t *body, slc_error *err)
{
    json_t *made = body != NULL ? slc_entity_create(txn, slc_kind_find(kind), body, err) : NULL;
    bool ok = made != NULL || slc_fail_context(err, "%s", kind);
    json_decref(made);
    json_decref(body);
    return ok;
}

static bool add_api(slc_txn *txn, unsigned number, slc_error *err)
{
    char name[32], key[40], topic[32];
    slc_buf text;
    slc_buf_init(&text, 4096);
    add_text(&text, number);
    snprintf(name, sizeof name, "api-%05u", number);
    snprintf(key, sizeof key, "%s.v1", name);
    snprintf(topic, sizeof topic, "topic-%05u", number);
    json_t *body = json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:[s,s], s:[s,s], s:[s]}", "name", name, "major",
                             1, "team", "bench", "title", name, "lifecycle", "published", "description",
                             (const char *)text.data, "operations", "publish", "read", "exposures", "rest",
                             "sse", "tags", number % 10 == 0 ? "tenth" : "other");
    slc_buf_release(&text);
    return create(txn, "event-apis", body, err) &&
           create(txn, "deployments",
                  json_pack("{s:s, s:s, s:s, s:s, s:s}", "event_api", key, "gateway_group", "bench",
                            "virtual_cluster", "vc", "topic", topic, "listener", "edge"),
                  err);
}

static bool add_bundle(slc_txn *txn, unsigned first, unsigned count, slc_error *err)
{
    char name[32], key[40];
    json_t *apis = json_array();
    for (unsigned i = 0; i < count; i++) {
        snprintf(key, sizeof key, "api-%05u.v1", first + i);
        json_array_append_new(apis, json_string(key));
    }
    snprintf(name, sizeof name, "bundle-%05u", first);
    return create(txn, "products",
                  json_pack("{s:s, s:s, s:s, s:s, s:o}", "name", name, "team", "bench", "visibility", "public",
                            "lifecycle", "published", "event_apis", apis),
                  err) &&
           create(txn, "plans",
                  json_pack("{s:s, s:s, s:[s], s:s}", "product", name, "name", "free", "operations", "read",
                            "approval", "auto"),
                  err);
}

static bool add_apis(slc_txn *txn, void *arg, slc_error *err)
{
    const struct batch *batch = arg;
    bool ok = true;
    for (unsigned i = 0; ok && i < batch->count; i++)
        ok = add_api(txn, batch->first + i, err);
    for (unsigned i = 0; ok && i < batch->count; i += BUNDLE) {
        unsigned left = batch->count - i;
        ok = add_bundle(txn, batch->first + i, left < BUNDLE ? left : BUNDLE, err);
    }
    return ok;
}

static bool fill_apis(slc_catalog *catalog, const slc_actor *actor, unsigned apis, slc_error *err)
{
    for (unsigned first = 0; first < apis; first += API_BATCH) {
        unsigned left = apis - first;
        struct batch batch = {first, left < API_BATCH ? left : API_BATCH, NULL};
        if (!slc_catalog_write_sync(catalog, actor, add_apis, &batch, err))
            return false;
    }
    return true;
}

static bool fill(slc_catalog *catalog, unsigned applications, unsigned apis, FILE *keys, slc_error *err)
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
    return fill_apis(catalog, &actor, apis, err);
}

int main(int argc, char **argv)
{
    slc_error err;
    slc_log_init("bench-fill", SLC_LOG_WARN, true);
    if (argc < 3 || argc > 5) {
        fprintf(stderr, "usage: %s DATA_DIR APPLICATIONS [KEYS [EVENT_APIS]]\n", argv[0]);
        return 2;
    }
    bool wanted = argc > 3 && strcmp(argv[3], "-") != 0;
    FILE *keys = wanted ? fopen(argv[3], "w") : NULL;
    unsigned apis = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;
    if (wanted && keys == NULL) {
        perror(argv[3]);
        return 1;
    }
    slc_catalog_options options = {.data_dir = argv[1]};
    slc_catalog *catalog = slc_catalog_open(&options, &err);
    bool ok = catalog != NULL && fill(catalog, (unsigned)strtoul(argv[2], NULL, 10), apis, keys, &err);
    slc_catalog_close(catalog);
    if (!ok)
        fprintf(stderr, "%s: %s\n", argv[0], err.message);
    if (keys != NULL && fclose(keys) != 0)
        ok = false;
    return ok ? 0 : 1;
}
