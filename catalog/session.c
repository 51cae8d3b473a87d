#include "catalog/session.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "catalog/entity.h"
#include "catalog/store.h"
#include "common/clock.h"

#define SECRET_BYTES 32
#define AGENT_MAX    200
#define TOUCH_MAX_MS 60000 /* uses are noted so often at most: each is a write */
#define TOUCH_PART   10    /* and in a tenth of the idle time */
#define CSRF_PURPOSE "sluice portal: requests of this session"

static int64_t touch_after_ms(const slc_session_limits *limits)
{
    int64_t part = limits->idle_ms / TOUCH_PART;
    return part < TOUCH_MAX_MS ? part : TOUCH_MAX_MS;
}

static bool digest_of(const char *secret, uint8_t sha256[SLC_SHA256_BYTES])
{
    if (strlen(secret) != SLC_SESSION_SECRET_CHARS)
        return false;
    slc_sha256(secret, SLC_SESSION_SECRET_CHARS, sha256);
    return true;
}

void slc_session_csrf(const char *secret, char out[SLC_SESSION_CSRF_CHARS + 1])
{
    uint8_t mac[SLC_SHA256_BYTES];
    slc_hmac_sha256(secret, strlen(secret), CSRF_PURPOSE, strlen(CSRF_PURPOSE), mac);
    slc_hex_encode(mac, sizeof(mac), out);
}

/* ---- begin ---- */

static bool make_room(slc_txn *txn, const char *user_id, const slc_session_limits *limits, slc_error *err)
{
    return slc_txn_exec(txn, err, "DELETE FROM sessions WHERE expires_at <= ?1 OR used_at <= ?2", "ii",
                        slc_txn_now_ms(txn), slc_txn_now_ms(txn) - limits->idle_ms) &&
           slc_txn_exec(txn, err,
                        "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE user = ?1 "
                        "ORDER BY used_at DESC, created_at DESC LIMIT -1 OFFSET ?2)",
                        "si", user_id, limits->per_user - 1);
}

/* Cut where a character begins. */
static void cut_agent(const char *agent, char out[AGENT_MAX + 1])
{
    size_t len = strlen(agent);
    if (len > AGENT_MAX) {
        len = AGENT_MAX;
        while (len > 0 && ((unsigned char)agent[len] & 0xc0) == 0x80)
            len--;
    }
    memcpy(out, agent, len);
    out[len] = '\0';
}

static bool audit_user(slc_txn *txn, const char *action, const char *user_id, slc_error *err)
{
    char key[SLC_KEY_CHARS];
    slc_key_of(txn, "users", user_id, key);
    return slc_audit(txn, action, "users", user_id, key, NULL, err);
}

bool slc_session_begin(slc_txn *txn, const char *user_id, const slc_session_limits *limits,
                       const slc_session_facts *facts, char secret[SLC_SESSION_SECRET_CHARS + 1],
                       slc_error *err)
{
    uint8_t random[SECRET_BYTES], sha256[SLC_SHA256_BYTES];
    char id[SLC_ID_CHARS + 1], agent[AGENT_MAX + 1];
    int64_t now_ms = slc_txn_now_ms(txn);
    slc_random(random, sizeof(random));
    slc_base64url_encode(random, sizeof(random), secret);
    OPENSSL_cleanse(random, sizeof(random));
    slc_sha256(secret, SLC_SESSION_SECRET_CHARS, sha256);
    slc_random_id(id, SLC_ID_CHARS);
    cut_agent(facts->agent != NULL ? facts->agent : "", agent);
    return make_room(txn, user_id, limits, err) &&
           slc_txn_exec(
               txn, err,
               "INSERT INTO sessions (id, secret_sha256, user, created_at, used_at, expires_at, address, "
               "agent, provider) VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, nullif(?7, ''), ?8)",
               "sbsiisss", id, (const void *)sha256, sizeof(sha256), user_id, now_ms,
               now_ms + limits->absolute_ms, facts->address, agent, facts->provider) &&
           audit_user(txn, "sign-in", user_id, err);
}

/* ---- check ---- */

static int load(slc_txn *txn, const uint8_t *sha256, const slc_session_limits *limits, slc_identity *identity,
                slc_error *err)
{
    static const char sql[] =
        "SELECT s.id, s.user, u.name, s.used_at FROM sessions AS s JOIN users AS u ON u.id = "
        "s.user WHERE s.secret_sha256 = ?1 AND s.expires_at > ?2 AND s.used_at > ?3 AND "
        "u.disabled = 0";
    int64_t now_ms = slc_txn_now_ms(txn);
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "bii", (const void *)sha256, (size_t)SLC_SHA256_BYTES,
                                       now_ms, now_ms - limits->idle_ms);
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    if (rc == 1) {
        snprintf(identity->token_id, sizeof(identity->token_id), "%s", slc_column_text(stmt, 0));
        snprintf(identity->session_id, sizeof(identity->session_id), "%s", slc_column_text(stmt, 0));
        snprintf(identity->token_name, sizeof(identity->token_name), "session");
        snprintf(identity->user_id, sizeof(identity->user_id), "%s", slc_column_text(stmt, 1));
        snprintf(identity->user_name, sizeof(identity->user_name), "%s", slc_column_text(stmt, 2));
        identity->scopes = json_pack("[s]", "*");
        identity->stale = now_ms - sqlite3_column_int64(stmt, 3) >= touch_after_ms(limits);
    }
    slc_txn_finish(txn, stmt);
    return rc;
}

bool slc_session_check(slc_txn *txn, const char *secret, const slc_session_limits *limits,
                       slc_identity *identity, slc_error *err)
{
    uint8_t sha256[SLC_SHA256_BYTES];
    memset(identity, 0, sizeof(*identity));
    int rc = digest_of(secret, sha256) ? load(txn, sha256, limits, identity, err) : 0;
    if (rc == 0)
        return slc_fail(err, SLC_UNAUTHENTICATED, NULL, "sign in first: there is no session, or it has ended");
    return rc == 1 && slc_identity_load_rights(txn, identity, err);
}

bool slc_session_touch(slc_txn *txn, const char *session_id, slc_error *err)
{
    return slc_txn_exec(txn, err, "UPDATE sessions SET used_at = max(used_at, ?2) WHERE id = ?1", "si",
                        session_id, slc_txn_now_ms(txn));
}

/* ---- end ---- */

bool slc_session_end(slc_txn *txn, const char *secret, bool *ended, slc_error *err)
{
    uint8_t sha256[SLC_SHA256_BYTES];
    *ended = false;
    if (!digest_of(secret, sha256))
        return true;
    if (!slc_txn_exec(txn, err, "DELETE FROM sessions WHERE secret_sha256 = ?1", "b", (const void *)sha256,
                      sizeof(sha256)))
        return false;
    *ended = slc_txn_changes(txn) > 0;
    return true;
}

bool slc_session_end_id(slc_txn *txn, const char *user_id, const char *session_id, bool *ended, slc_error *err)
{
    if (!slc_txn_exec(txn, err, "DELETE FROM sessions WHERE id = ?1 AND user = ?2", "ss", session_id, user_id))
        return false;
    *ended = slc_txn_changes(txn) > 0;
    return !*ended || audit_user(txn, "end-session", user_id, err);
}

bool slc_session_end_all(slc_txn *txn, const char *user_id, const char *but_id, slc_error *err)
{
    return slc_txn_exec(txn, err, "DELETE FROM sessions WHERE user = ?1 AND id IS NOT ?2", "ss", user_id,
                        but_id);
}

/* ---- list ---- */

static void set_time(json_t *object, const char *name, int64_t wall_ms)
{
    char text[SLC_RFC3339_CHARS];
    slc_rfc3339_format(wall_ms, text);
    json_object_set_new(object, name, json_string(text));
}

static void set_text(json_t *object, const char *name, const char *text)
{
    json_t *value = text != NULL ? json_string(text) : NULL; /* an agent may be any bytes */
    json_object_set_new(object, name, value != NULL ? value : json_null());
}

json_t *slc_session_list(slc_txn *txn, const char *user_id, const slc_session_limits *limits, slc_error *err)
{
    static const char sql[] =
        "SELECT id, created_at, used_at, expires_at, address, agent, provider FROM sessions "
        "WHERE user = ?1 AND expires_at > ?2 AND used_at > ?3 ORDER BY used_at DESC, id";
    int64_t now_ms = slc_txn_now_ms(txn);
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "sii", user_id, now_ms, now_ms - limits->idle_ms);
    json_t *list = json_array();
    int rc = stmt == NULL ? -1 : 1;
    while (rc == 1 && (rc = slc_txn_step(txn, stmt, err)) == 1) {
        json_t *session = json_object();
        set_text(session, "id", slc_column_text(stmt, 0));
        set_time(session, "created_at", sqlite3_column_int64(stmt, 1));
        set_time(session, "used_at", sqlite3_column_int64(stmt, 2));
        set_time(session, "expires_at", sqlite3_column_int64(stmt, 3));
        set_text(session, "address", slc_column_text(stmt, 4));
        set_text(session, "agent", slc_column_text(stmt, 5));
        set_text(session, "provider", slc_column_text(stmt, 6));
        json_array_append_new(list, session);
    }
    slc_txn_finish(txn, stmt);
    if (rc == 0)
        return list;
    json_decref(list);
    return NULL;
}
