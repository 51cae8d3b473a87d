/* Whether the master key that is there is the one that the catalog's secrets are sealed under. */
#include <stdlib.h>
#include <string.h>

#include "catalog/store.h"
#include "common/alloc.h"
#include "common/log.h"

#define KEY_CHECK_CONTEXT "catalog_meta/key_check"
#define KEY_CHECK_TEXT    "sluice"

/* `*sealed` is new memory, NULL in a new catalog. */
static bool read_check(slc_conn *conn, uint8_t **sealed, size_t *len, slc_error *err)
{
    *sealed = NULL;
    *len = 0;
    sqlite3_stmt *stmt =
        slc_conn_prepare(conn, "SELECT blob_value FROM catalog_meta WHERE name = 'key_check'", err);
    if (stmt == NULL)
        return false;
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        *len = (size_t)sqlite3_column_bytes(stmt, 0);
        *sealed = slc_memdup(sqlite3_column_blob(stmt, 0), *len);
    }
    slc_conn_finish(conn, stmt);
    return rc == SQLITE_ROW || rc == SQLITE_DONE || slc_sqlite_fail(slc_conn_db(conn), rc, err);
}

bool slc_key_needed(slc_conn *conn, char *out, slc_error *err)
{
    uint8_t *sealed;
    size_t len;
    out[0] = '\0';
    if (!read_check(conn, &sealed, &len, err))
        return false;
    slc_sealed_fingerprint(sealed, len, out);
    free(sealed);
    return true;
}

bool slc_key_write_check(slc_conn *conn, const slc_master_key *master, slc_error *err)
{
    size_t len;
    uint8_t *sealed = slc_master_seal(master, KEY_CHECK_CONTEXT, KEY_CHECK_TEXT, strlen(KEY_CHECK_TEXT), &len);
    sqlite3_stmt *stmt = slc_conn_prepare(
        conn, "INSERT OR REPLACE INTO catalog_meta (name, blob_value) VALUES ('key_check', ?1)", err);
    int rc = SQLITE_ERROR;
    if (stmt != NULL) {
        sqlite3_bind_blob64(stmt, 1, sealed, len, SQLITE_TRANSIENT);
        rc = sqlite3_step(stmt);
        slc_conn_finish(conn, stmt);
    }
    free(sealed);
    if (stmt == NULL)
        return false;
    return rc == SQLITE_DONE || slc_sqlite_fail(slc_conn_db(conn), rc, err);
}

static bool make_key(slc_conn *conn, slc_master_key *master, const char *key_path, slc_error *err)
{
    char fingerprint[SLC_FINGERPRINT_CHARS];
    if (!slc_master_key_push(master, err) || !slc_master_key_save(master, key_path, err))
        return false;
    slc_master_key_fingerprint(master, 0, fingerprint);
    slc_log(SLC_LOG_INFO, "made the master key: keep a copy of it apart from the backups", LS("path", key_path),
            LS("fingerprint", fingerprint));
    return slc_key_write_check(conn, master, err);
}

static bool lost(const char *what, const char *key_path, const char *needed, slc_error *err)
{
    return slc_fail(err, SLC_CORRUPT, NULL,
                    "%s %s, and the secrets are sealed under the key with the fingerprint %s: put the copy of "
                    "that key file there. If it is lost for good, --forget-secrets drops what is sealed",
                    what, key_path, needed);
}

static bool check(const slc_master_key *master, const char *key_path, const uint8_t *sealed, size_t len,
                  const char *needed, slc_error *err)
{
    if (!slc_master_key_has(master, needed))
        return lost("another key is in the master key file", key_path, needed, err);
    uint8_t *text = slc_master_unseal(master, KEY_CHECK_CONTEXT, sealed, len, &len, err);
    bool ok = text != NULL;
    free(text);
    return ok;
}

bool slc_key_open(slc_conn *conn, slc_master_key *master, const char *key_path, bool make, slc_error *err)
{
    uint8_t *sealed;
    size_t len;
    char needed[SLC_FINGERPRINT_CHARS];
    if (!read_check(conn, &sealed, &len, err))
        return false;
    slc_sealed_fingerprint(sealed, len, needed);
    bool ok = slc_master_key_load(master, key_path, err);
    if (ok && sealed != NULL)
        ok = check(master, key_path, sealed, len, needed, err);
    else if (!ok && err->code == SLC_NOT_FOUND && sealed != NULL)
        ok = lost("there is no master key file", key_path, needed, err);
    else if (!ok && err->code == SLC_NOT_FOUND && make)
        ok = make_key(conn, master, key_path, err);
    else if (ok && make)
        ok = slc_key_write_check(conn, master, err); /* a key file that was there before the catalog */
    free(sealed);
    return ok;
}
