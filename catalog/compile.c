/* One compilation from start to end, and the versions that are kept. */
#include "catalog/compile.h"

#include <stdlib.h>
#include <string.h>

#include "catalog/compile_private.h"

static void release_compile(slc_compile *compile);
static slc_compiled *finish(slc_compile *compile);

static void init_sets(slc_compile *compile)
{
    json_t **sets[] = {&compile->event_apis, &compile->vclusters, &compile->backends,  &compile->listeners,
                       &compile->plans,      &compile->key_rings, &compile->registries};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        *sets[i] = json_object();
}

slc_compiled *slc_compile_group(slc_txn *txn, const char *group_id, slc_compiled *previous,
                                slc_compiled *sibling, slc_error *err)
{
    slc_compile compile = {.txn = txn,
                           .now_ms = slc_txn_now_ms(txn),
                           .group_id = group_id,
                           .environment = "",
                           .previous = previous,
                           .sibling = sibling};
    slc_compiled *compiled = NULL;
    init_sets(&compile);
    if (slc_as_of_read(txn, &compile.as_of, err) && slc_compile_configuration(&compile, err) &&
        slc_compile_identities(&compile, err))
        compiled = finish(&compile);
    release_compile(&compile);
    return compiled;
}

static void release_compile(slc_compile *compile)
{
    slc_roots_release(&compile->roots);
    slc_arena_release(&compile->arena);
    free(compile->chunks);
    json_decref(compile->event_apis);
    json_decref(compile->vclusters);
    json_decref(compile->backends);
    json_decref(compile->listeners);
    json_decref(compile->plans);
    json_decref(compile->key_rings);
    json_decref(compile->registries);
}

static bool equal_roots(slc_root *const *a, slc_root *const *b, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (!slc_root_equal(a[i], b[i]))
            return false;
    return true;
}

static bool is_unchanged(const slc_roots *a, const slc_roots *b)
{
    return equal_roots(a->sections, b->sections, SLC_COMPILE_SECTIONS) &&
           equal_roots(a->credentials, b->credentials, SLC_COMPILE_BUCKETS) &&
           equal_roots(a->applications, b->applications, SLC_COMPILE_BUCKETS);
}

/* The number of the version that was kept last, when it says the same: a restart makes no new one. 0: it does
 * not. After a restore every group gets a new one, since nodes may hold a later number with another content. */
static uint64_t kept_version(slc_compile *compile)
{
    uint64_t version = 0;
    slc_error err = {0};
    sqlite3_stmt *stmt = slc_txn_query(
        compile->txn, &err,
        "SELECT version, manifest FROM config_versions WHERE \"group\" = ? AND version >= coalesce((SELECT "
        "int_value FROM catalog_meta WHERE name = 'version_floor'), 0) ORDER BY seq DESC LIMIT 1",
        "s", compile->group_id);
    if (stmt != NULL && slc_txn_step(compile->txn, stmt, &err) == 1) {
        size_t len = 0;
        uint64_t last = (uint64_t)sqlite3_column_int64(stmt, 0);
        uint8_t *same = slc_roots_manifest(&compile->roots, compile->group_id, last, &len);
        if ((size_t)sqlite3_column_bytes(stmt, 1) == len &&
            memcmp(same, sqlite3_column_blob(stmt, 1), len) == 0)
            version = last;
        free(same);
    }
    slc_txn_finish(compile->txn, stmt);
    return version;
}

static slc_compiled *finish(slc_compile *compile)
{
    slc_compiled *previous = compile->previous;
    if (previous != NULL && is_unchanged(&compile->roots, &previous->roots)) {
        slc_compiled_confirm(previous, compile);
        return slc_compiled_ref(previous);
    }
    uint64_t version = previous == NULL ? kept_version(compile) : 0;
    return slc_compiled_new(compile, version != 0 ? version : slc_catalog_revision(compile->txn));
}

/* ---- groups ---- */

json_t *slc_compile_groups(slc_txn *txn, slc_error *err)
{
    json_t *ids = json_array();
    int row = 0;
    sqlite3_stmt *stmt = slc_txn_prepare(txn, "SELECT id FROM gateway_groups ORDER BY id", err);
    while (stmt != NULL && (row = slc_txn_step(txn, stmt, err)) == 1)
        json_array_append_new(ids, json_string(slc_column_text(stmt, 0)));
    slc_txn_finish(txn, stmt);
    if (stmt != NULL && row == 0)
        return ids;
    json_decref(ids);
    return NULL;
}
