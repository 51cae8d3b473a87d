/* Master key rotation: every sealed value is opened and sealed again, in one transaction. */
#include <stdlib.h>
#include <string.h>

#include "catalog/backup.h"
#include "catalog/sealed.h"
#include "catalog/store.h"
#include "common/alloc.h"
#include "common/log.h"

/* ---- the values ---- */

static bool reseal_value(slc_txn *txn, const json_t *entity, const slc_kind *kind, const char *path,
                         const char *context, json_t *holder, const char *name, void *arg, slc_error *err)
{
    const json_t *base64 = json_object_get(json_object_get(holder, name), "sealed");
    (void)entity, (void)kind, (void)path, (void)arg;
    size_t max = json_string_length(base64);
    uint8_t *sealed = slc_malloc(max + 1);
    long sealed_len = slc_base64_decode(json_string_value(base64), max, sealed, max);
    size_t len;
    uint8_t *plain =
        sealed_len < 0 ? NULL : slc_txn_unseal(txn, context, sealed, (size_t)sealed_len, &len, err);
    free(sealed);
    if (plain == NULL)
        return sealed_len >= 0 ? false
                               : slc_fail(err, SLC_CORRUPT, NULL, "a sealed value is not base64 (%s)", context);
    size_t out_len;
    uint8_t *out = slc_txn_seal(txn, context, plain, len, &out_len);
    char *text = slc_malloc(4 * ((out_len + 2) / 3) + 1);
    slc_base64_encode(out, out_len, text);
    json_object_set_new(holder, name, json_pack("{s:s}", "sealed", text));
    free(text);
    free(out);
    slc_free_secret(plain, len + 1);
    return true;
}

static bool reseal_row(slc_txn *txn, sqlite3_stmt *row, const char *update, slc_error *err)
{
    const char *context = slc_column_text(row, 0);
    size_t len, out_len;
    uint8_t *plain = slc_txn_unseal(txn, context, sqlite3_column_blob(row, 1),
                                    (size_t)sqlite3_column_bytes(row, 1), &len, err);
    if (plain == NULL)
        return false;
    uint8_t *out = slc_txn_seal(txn, context, plain, len, &out_len);
    bool ok =
        slc_txn_exec(txn, err, update, "bss", out, out_len, slc_column_text(row, 2), slc_column_text(row, 3));
    free(out);
    slc_free_secret(plain, len + 1);
    return ok;
}

static bool reseal_table(slc_txn *txn, const char *select, const char *update, slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_prepare(txn, select, err);
    int rc = stmt == NULL ? -1 : 1;
    /* Only values change, not what the statement runs over: each row is met once. */
    while (rc == 1 && (rc = slc_txn_step(txn, stmt, err)) == 1)
        if (!reseal_row(txn, stmt, update, err))
            rc = -1;
    slc_txn_finish(txn, stmt);
    return rc == 0;
}

static bool reseal_all(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    if (!slc_sealed_fields(txn, reseal_value, NULL, err))
        return false;
    for (const slc_sealed_column *column = slc_sealed_columns; column->select != NULL; column++)
        if (!reseal_table(txn, column->select, column->update, err))
            return false;
    return slc_audit(txn, "rotate", "master-key", "master-key", "master-key", NULL, err);
}

/* ---- the keys ---- */

/* `in_file` of them go to the file; all stay in memory, for readers that still see the values of before. */
static bool replace_keys(slc_catalog *catalog, const slc_master_key *master, unsigned in_file, slc_error *err)
{
    slc_master_key kept = *master;
    kept.count = in_file;
    bool ok = slc_master_key_save(&kept, catalog->key_path, err);
    slc_master_key_release(&kept);
    if (!ok)
        return false;
    pthread_rwlock_wrlock(&catalog->key_lock);
    catalog->master = *master;
    pthread_rwlock_unlock(&catalog->key_lock);
    return true;
}

/* Seals under keys[0] and forgets the others. */
static bool reseal(slc_catalog *catalog, slc_master_key *master, const slc_actor *actor, slc_error *err)
{
    char fingerprint[SLC_FINGERPRINT_CHARS];
    if (!slc_catalog_write_sync(catalog, actor, reseal_all, NULL, err))
        return false;
    master->count = master->count < 2 ? master->count : 2;
    if (!replace_keys(catalog, master, 1, err))
        return false;
    slc_master_key_fingerprint(master, 0, fingerprint);
    slc_log(SLC_LOG_INFO,
            "rotated the master key: keep a new copy of it, and the old one as long as its backups",
            LS("path", catalog->key_path), LS("fingerprint", fingerprint));
    return true;
}

static void copy_keys(slc_catalog *catalog, slc_master_key *master)
{
    pthread_rwlock_rdlock(&catalog->key_lock);
    *master = catalog->master;
    pthread_rwlock_unlock(&catalog->key_lock);
}

bool slc_catalog_rotate_master_key(slc_catalog *catalog, const slc_actor *actor, slc_error *err)
{
    slc_master_key master;
    if (!slc_maintenance_begin(catalog, err))
        return false;
    copy_keys(catalog, &master);
    /* New key first, old ones kept; then reseal; only then forget. A third key is there when an earlier
     * rotation failed half-way: then its new key is used. */
    bool ok = (master.count >= 3 || slc_master_key_push(&master, err)) &&
              replace_keys(catalog, &master, master.count, err) && reseal(catalog, &master, actor, err);
    slc_master_key_release(&master);
    slc_maintenance_end(catalog);
    return ok;
}

void slc_rotation_finish(slc_catalog *catalog)
{
    static const slc_actor actor = {.kind = "system", .id = "system", .name = "key rotation"};
    slc_master_key master;
    slc_error err;
    copy_keys(catalog, &master);
    if (master.count > 1) {
        slc_log(SLC_LOG_WARN,
                "the master key file holds several keys, as a rotation that was cut off leaves it: it is "
                "ended now",
                LS("path", catalog->key_path));
        if (!reseal(catalog, &master, &actor, &err))
            slc_log_error(SLC_LOG_ERROR,
                          "the rotation of the master key could not be ended; the next start tries again",
                          &err);
    }
    slc_master_key_release(&master);
}

void slc_catalog_key_fingerprint(slc_catalog *catalog, char out[9])
{
    pthread_rwlock_rdlock(&catalog->key_lock);
    slc_master_key_fingerprint(&catalog->master, 0, out);
    pthread_rwlock_unlock(&catalog->key_lock);
}
