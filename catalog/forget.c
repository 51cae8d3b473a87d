/* When the master key is lost for good: what is sealed is dropped, and the catalog goes on with a new key.
 *
 * A secret that was dropped leaves a mark, so that configuration that lacks it is not compiled: gateways keep
 * what they have until it has been supplied again. What the control plane makes itself (the node CA, cursor
 * keys) is made anew. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/backup.h"
#include "catalog/migrate.h"
#include "catalog/sealed.h"
#include "catalog/store.h"
#include "common/alloc.h"
#include "common/file.h"
#include "common/log.h"

#define CURSOR_KEY_BYTES 32

static bool forget_value(slc_txn *txn, const json_t *entity, const slc_kind *kind, const char *path,
                         const char *context, json_t *holder, const char *name, void *arg, slc_error *err)
{
    json_t *fields = arg;
    char key[SLC_KEY_CHARS];
    (void)context, (void)err;
    slc_key_of(txn, kind->name, slc_get_text(entity, "id"), key);
    json_object_set_new(holder, name, json_pack("{s:s}", "sealed", ""));
    json_array_append_new(fields, json_sprintf("%s/%s %s", kind->name, key, path));
    return true;
}

/* Cursors that clients hold are refused from now on; they begin anew. */
static bool make_cursor_keys(slc_txn *txn, slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_prepare(txn, "SELECT id FROM event_apis", err);
    int rc = stmt == NULL ? -1 : 1;
    while (rc == 1 && (rc = slc_txn_step(txn, stmt, err)) == 1) {
        uint8_t key[CURSOR_KEY_BYTES];
        char context[64];
        size_t len;
        const char *id = slc_column_text(stmt, 0);
        slc_random(key, sizeof(key));
        snprintf(context, sizeof(context), "cursor_keys/%s/%d", id, 1);
        uint8_t *sealed = slc_txn_seal(txn, context, key, sizeof(key), &len);
        if (!slc_txn_exec(
                txn, err,
                "INSERT INTO cursor_keys (event_api, key_id, sealed_key, created_at) VALUES (?, 1, ?, ?)",
                "sbi", id, (const void *)sealed, len, slc_txn_now_ms(txn)))
            rc = -1;
        free(sealed);
    }
    slc_txn_finish(txn, stmt);
    return rc == 0;
}

static bool forget_all(slc_txn *txn, void *arg, slc_error *err)
{
    json_t *report = arg;
    json_t *fields = json_object_get(report, "fields");
    uint64_t revision;
    if (!slc_txn_bump(txn, &revision, err) || !slc_sealed_fields(txn, forget_value, fields, err))
        return false;
    for (const slc_sealed_column *column = slc_sealed_columns; column->select != NULL; column++)
        if (!slc_txn_exec(txn, err, column->forget, ""))
            return false;
    /* Join strings pin the node CA that is gone. */
    if (!slc_txn_exec(txn, err, "DELETE FROM enrolment_tokens", ""))
        return false;
    json_object_set_new(report, "enrolment_tokens_voided", json_integer(slc_txn_changes(txn)));
    return make_cursor_keys(txn, err) && slc_key_write_check(txn->conn, &txn->catalog->master, err) &&
           slc_audit(txn, "forget-secrets", "master-key", "master-key", "master-key", report, err);
}

/* A key file that can be read is kept, though it is another key: nothing that might still be needed is
 * destroyed. */
static bool take_key(slc_catalog *catalog, slc_conn *conn, slc_error *err)
{
    slc_error why;
    if (slc_key_open(conn, &catalog->master, catalog->key_path, false, &why) && catalog->master.count > 0)
        return slc_fail(err, SLC_CONFLICT, NULL,
                        "the master key in %s opens the catalog: there is nothing to forget",
                        catalog->key_path);
    slc_log(SLC_LOG_WARN, "the catalog cannot be opened with the master key that is there",
            LS("why", why.message));
    if (slc_master_key_load(&catalog->master, catalog->key_path, &why))
        return true;
    if (why.code != SLC_NOT_FOUND && why.code != SLC_CORRUPT) {
        *err = why;
        return false;
    }
    char *aside = slc_asprintf("%s.damaged", catalog->key_path);
    bool ok = why.code == SLC_NOT_FOUND || slc_file_rename(catalog->key_path, aside, err);
    free(aside);
    catalog->master.count = 0;
    return ok && slc_master_key_push(&catalog->master, err) &&
           slc_master_key_save(&catalog->master, catalog->key_path, err);
}

static bool forget(slc_catalog *catalog, json_t *report, slc_error *err)
{
    static const slc_actor actor = {.kind = "system", .id = "system", .name = "forget-secrets"};
    char fingerprint[SLC_FINGERPRINT_CHARS], needed[SLC_FINGERPRINT_CHARS];
    slc_conn_options options = {.path = catalog->db_path, .fsync_every_commit = true};
    slc_conn *conn = slc_conn_open(&options, err);
    bool ok = conn != NULL && slc_migrate(slc_conn_db(conn), catalog->db_path, slc_catalog_migrations, err) &&
              slc_key_needed(conn, needed, err) && take_key(catalog, conn, err) &&
              slc_backup_before(catalog, "-before-forgetting", err);
    if (ok) {
        slc_master_key_fingerprint(&catalog->master, 0, fingerprint);
        json_object_set_new(report, "lost_master_key", json_string(needed));
        json_object_set_new(report, "master_key", json_string(fingerprint));
        ok = slc_txn_run(catalog, conn, SLC_LANE_WRITE, &actor, forget_all, report, err);
    }
    slc_conn_free(conn);
    return ok;
}

bool slc_catalog_forget_secrets(const slc_catalog_options *options, json_t **report, slc_error *err)
{
    *report = NULL;
    slc_catalog *catalog = slc_store_lock(options, err);
    if (catalog == NULL)
        return false;
    json_t *made = json_pack("{s:[]}", "fields");
    bool ok = slc_file_exists(catalog->db_path) ||
              slc_fail(err, SLC_NOT_FOUND, NULL, "there is no catalog %s", catalog->db_path);
    ok = ok && forget(catalog, made, err);
    if (ok)
        *report = json_incref(made);
    json_decref(made);
    slc_catalog_close(catalog);
    return ok;
}
