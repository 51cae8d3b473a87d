/* Key rings: those that some policy of the group encrypts with. */
#include <stdio.h>

#include "catalog/compile_private.h"
#include "catalog/rules.h"

static bool compile_secrets(slc_compile *compile, const json_t *config, Sluice__Snapshot__V1__KeyRing *ring,
                            slc_error *err)
{
    const struct {
        const char *path;
        Sluice__Snapshot__V1__Secret **out;
    } secrets[] = {{"passphrase", &ring->passphrase},
                   {"token", &ring->token},
                   {"secret_access_key", &ring->secret_access_key},
                   {"session_token", &ring->session_token}};
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
        char path[40];
        snprintf(path, sizeof path, "config.%s", secrets[i].path);
        if (!slc_compile_secret(compile, "key-rings", ring->id, path, json_object_get(config, secrets[i].path),
                                secrets[i].out, err))
            return false;
    }
    return true;
}

static bool compile_key_ring(slc_compile *compile, sqlite3_stmt *stmt, slc_items *items, slc_error *err)
{
    Sluice__Snapshot__V1__KeyRing *ring = slc_compile_alloc(compile, sizeof *ring);
    json_t *config = slc_column_json(stmt, 3);
    sluice__snapshot__v1__key_ring__init(ring);
    ring->id = slc_compile_text(compile, slc_column_text(stmt, 0));
    ring->name = slc_compile_text(compile, slc_column_text(stmt, 1));
    ring->provider = slc_compile_text(compile, slc_column_text(stmt, 2));
    ring->path = slc_compile_json_text(compile, config, "path");
    ring->url = slc_compile_json_text(compile, config, "url");
    ring->mount = slc_compile_json_text(compile, config, "mount");
    ring->namespace_name = slc_compile_json_text(compile, config, "namespace");
    ring->ca_pem = slc_compile_json_text(compile, config, "ca_pem");
    ring->region = slc_compile_json_text(compile, config, "region");
    ring->access_key_id = slc_compile_json_text(compile, config, "access_key_id");
    ring->mac_key = slc_compile_json_text(compile, config, "mac_key");
    ring->key = slc_compile_json_text(compile, config, "key");
    bool ok = compile_secrets(compile, config, ring, err);
    json_decref(config);
    slc_items_add(items, &ring->base, ring->id);
    return ok;
}

bool slc_compile_key_rings(slc_compile *compile, slc_error *err)
{
    slc_items items = {0};
    bool ok = true;
    int row = 0;
    sqlite3_stmt *stmt =
        slc_txn_prepare(compile->txn, "SELECT id, name, provider, config FROM key_rings ORDER BY id", err);
    if (stmt == NULL)
        return false;
    while (ok && (row = slc_txn_step(compile->txn, stmt, err)) == 1)
        if (slc_set_has(compile->key_rings, slc_column_text(stmt, 1)))
            ok = compile_key_ring(compile, stmt, &items, err);
    slc_txn_finish(compile->txn, stmt);
    slc_compile_section(compile, SLUICE__SNAPSHOT__V1__SECTION__SECTION_KEY_RINGS, &items);
    return ok && row == 0;
}
