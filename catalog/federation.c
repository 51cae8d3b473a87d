#include "catalog/federation.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "catalog/account.h"
#include "catalog/entity.h"
#include "catalog/store.h"
#include "common/alloc.h"
#include "common/file.h"

#define SECRET_FILE_MAX 4096
#define NAME_CHARS      63
#define NAME_TRIES      100

static const slc_kind *provider_kind(void)
{
    return slc_kind_find("sign-in-providers");
}

/* ---- providers ---- */

static char *copy(const json_t *object, const char *field)
{
    const char *text = slc_get_text(object, field);
    return text != NULL ? slc_strdup(text) : NULL;
}

static char *read_secret_file(const char *path, slc_error *err)
{
    size_t len;
    char *text = slc_file_read(path, SECRET_FILE_MAX, &len, err);
    if (text == NULL) {
        slc_fail_context(err, "the provider's client_secret");
        err->code = SLC_UNAVAILABLE;
        return NULL;
    }
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        text[--len] = '\0';
    return text;
}

static bool open_secret(slc_txn *txn, const json_t *stored, slc_provider *provider, slc_error *err)
{
    enum slc_secret_source source;
    char *text = NULL;
    size_t len = 0;
    if (!slc_secret_open(txn, provider_kind(), provider->id, "client_secret",
                         json_object_get(stored, "client_secret"), &source, &text, &len, err))
        return false;
    if (source == SLC_SECRET_FILE)
        provider->client_secret = read_secret_file(text, err);
    else if (source == SLC_SECRET_ENV && getenv(text) != NULL)
        provider->client_secret = slc_strdup(getenv(text));
    else if (source == SLC_SECRET_ENV)
        slc_fail(err, SLC_UNAVAILABLE, NULL,
                 "the provider's client_secret: the control plane has no variable %s", text);
    else if (source == SLC_SECRET_VALUE)
        provider->client_secret = slc_strdup(text);
    slc_free_secret(text, len);
    return provider->client_secret != NULL || source == SLC_SECRET_NONE;
}

bool slc_provider_load(slc_txn *txn, const char *key, slc_provider *provider, slc_error *err)
{
    memset(provider, 0, sizeof(*provider));
    json_t *stored = slc_entity_load(txn, provider_kind(), key, err);
    if (stored == NULL)
        return false;
    bool disabled = json_is_true(json_object_get(stored, "disabled"));
    snprintf(provider->id, sizeof(provider->id), "%s", slc_get_text(stored, "id"));
    provider->name = copy(stored, "name");
    provider->issuer = copy(stored, "issuer");
    provider->client_id = copy(stored, "client_id");
    provider->groups_claim = copy(stored, "groups_claim");
    provider->name_claim = copy(stored, "name_claim");
    provider->ca_pem = copy(stored, "ca_pem");
    provider->scopes = json_incref(json_object_get(stored, "scopes"));
    provider->domains = json_incref(json_object_get(stored, "domains"));
    provider->trust_email = json_is_true(json_object_get(stored, "trust_email"));
    bool ok = disabled
                  ? slc_fail(err, SLC_NOT_FOUND, NULL, "the sign-in provider %s is disabled", provider->name)
                  : open_secret(txn, stored, provider, err);
    json_decref(stored);
    return ok;
}

void slc_provider_release(slc_provider *provider)
{
    char *texts[] = {provider->name,         provider->issuer,     provider->client_id,
                     provider->groups_claim, provider->name_claim, provider->ca_pem};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        free(texts[i]);
    if (provider->client_secret != NULL)
        slc_free_secret(provider->client_secret, strlen(provider->client_secret));
    json_decref(provider->scopes);
    json_decref(provider->domains);
    memset(provider, 0, sizeof(*provider));
}

json_t *slc_provider_list(slc_txn *txn, slc_error *err)
{
    sqlite3_stmt *stmt =
        slc_txn_prepare(txn, "SELECT name, title FROM sign_in_providers WHERE disabled = 0 ORDER BY name", err);
    json_t *list = json_array();
    int rc = stmt == NULL ? -1 : 1;
    while (rc == 1 && (rc = slc_txn_step(txn, stmt, err)) == 1)
        json_array_append_new(list, json_pack("{s:s, s:s?}", "name", slc_column_text(stmt, 0), "title",
                                              slc_column_text(stmt, 1)));
    slc_txn_finish(txn, stmt);
    if (rc == 0)
        return list;
    json_decref(list);
    return NULL;
}

/* ---- what rules give ---- */

/* Teams and roles of a user, as arrays of ids. */
struct gift {
    json_t *teams, *roles;
};

static void release_gift(struct gift *gift)
{
    json_decref(gift->teams);
    json_decref(gift->roles);
}

static void add_id(json_t *list, const char *id)
{
    if (id != NULL && !slc_has_text(list, id))
        json_array_append_new(list, json_string(id));
}

static bool find_gift(slc_txn *txn, const slc_provider *provider, const slc_vouched *who, struct gift *gift,
                      slc_error *err)
{
    gift->teams = json_array();
    gift->roles = json_array();
    sqlite3_stmt *stmt = slc_txn_query(
        txn, err, "SELECT \"group\", team, role FROM sign_in_rules WHERE provider = ?1 ORDER BY id", "s",
        provider->id);
    int rc = stmt == NULL ? -1 : 1;
    while (rc == 1 && (rc = slc_txn_step(txn, stmt, err)) == 1) {
        if (!slc_has_text(who->groups, slc_column_text(stmt, 0)))
            continue;
        add_id(gift->teams, slc_column_text(stmt, 1));
        add_id(gift->roles, slc_column_text(stmt, 2));
    }
    slc_txn_finish(txn, stmt);
    return rc == 0;
}

/* What stays of the list: all that the rules did not give, and what they give now. New; `*given` (new) is what
 * is theirs of it. */
static json_t *merge(const json_t *has, const json_t *gave, const json_t *give, json_t **given)
{
    json_t *out = json_array(), *id;
    size_t index;
    *given = json_array();
    json_array_foreach (has, index, id) {
        const char *text = json_string_value(id);
        if (!slc_has_text(gave, text) || slc_has_text(give, text))
            add_id(out, text);
    }
    json_array_foreach (give, index, id) {
        const char *text = json_string_value(id);
        if (slc_has_text(gave, text) || !slc_has_text(has, text))
            add_id(*given, text);
        add_id(out, text);
    }
    return out;
}

static void set_list(json_t *user, const char *field, json_t *list)
{
    if (json_array_size(list) > 0)
        json_object_set(user, field, list);
    else
        json_object_del(user, field);
    json_decref(list);
}

/* Who is no longer in a team does not own it either. */
static void keep_owned(json_t *user)
{
    json_t *owned = json_object_get(user, "owned_teams"), *kept = json_array(), *id;
    size_t index;
    json_array_foreach (owned, index, id) {
        if (slc_has_text(json_object_get(user, "teams"), json_string_value(id)))
            json_array_append(kept, id);
    }
    set_list(user, "owned_teams", kept);
}

static bool load_given(slc_txn *txn, const slc_provider *provider, const char *subject, json_t **given,
                       slc_error *err)
{
    sqlite3_stmt *stmt =
        slc_txn_query(txn, err, "SELECT given FROM user_identities WHERE provider = ?1 AND subject = ?2", "ss",
                      provider->id, subject);
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    *given = rc == 1 ? slc_column_json(stmt, 0) : NULL;
    slc_txn_finish(txn, stmt);
    return rc >= 0;
}

static bool apply(slc_txn *txn, const slc_provider *provider, const slc_vouched *who, const struct gift *gift,
                  const char *user_id, slc_error *err)
{
    const slc_kind *users = slc_kind_find("users");
    json_t *gave = NULL, *teams, *roles;
    json_t *before = slc_entity_load(txn, users, user_id, err);
    if (before == NULL || !load_given(txn, provider, who->subject, &gave, err)) {
        json_decref(before);
        return false;
    }
    json_t *next = json_deep_copy(before);
    set_list(next, "teams",
             merge(json_object_get(before, "teams"), json_object_get(gave, "teams"), gift->teams, &teams));
    set_list(next, "roles",
             merge(json_object_get(before, "roles"), json_object_get(gave, "roles"), gift->roles, &roles));
    keep_owned(next);
    json_t *given = json_pack("{s:o, s:o}", "teams", teams, "roles", roles);
    char *text = json_dumps(given, JSON_COMPACT);
    bool ok =
        slc_entity_save(txn, users, "update", before, next, NULL, err) &&
        slc_txn_exec(txn, err,
                     "INSERT INTO user_identities (provider, subject, user, created_at, given) VALUES (?1, ?2, "
                     "?3, ?4, ?5) ON CONFLICT (provider, subject) DO UPDATE SET given = excluded.given",
                     "sssis", provider->id, who->subject, user_id, slc_txn_now_ms(txn), text);
    free(text);
    json_decref(given);
    json_decref(gave);
    json_decref(next);
    json_decref(before);
    return ok;
}

/* ---- who it is ---- */

/* A user whom an administrator made and nobody has opened yet. Who made an account themselves chose its
 * address: they would wait in it for whom the address belongs to. */
static bool find_by_email(slc_txn *txn, const char *email, slc_account *account, slc_error *err)
{
    if (!slc_account_find(txn, email, account, err))
        return false;
    sqlite3_stmt *stmt =
        slc_txn_query(txn, err, "SELECT 1 FROM user_identities WHERE user = ?1", "s", account->user_id);
    int opened = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    slc_txn_finish(txn, stmt);
    if (opened == 1 || account->hash[0] != '\0')
        memset(account, 0, sizeof(*account));
    return opened >= 0;
}

/* Fills user_id, empty: nobody yet. */
static bool find_user(slc_txn *txn, const slc_provider *provider, const slc_vouched *who, slc_account *account,
                      slc_error *err)
{
    char user_id[SLC_ID_CHARS + 1] = "";
    sqlite3_stmt *stmt =
        slc_txn_query(txn, err, "SELECT user FROM user_identities WHERE provider = ?1 AND subject = ?2", "ss",
                      provider->id, who->subject);
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    if (rc == 1)
        snprintf(user_id, sizeof(user_id), "%s", slc_column_text(stmt, 0));
    slc_txn_finish(txn, stmt);
    memset(account, 0, sizeof(*account));
    if (rc < 0)
        return false;
    if (rc == 1)
        return slc_account_load(txn, user_id, account, err);
    return !provider->trust_email || who->email == NULL || find_by_email(txn, who->email, account, err);
}

static bool has_domain(const slc_provider *provider, const char *email)
{
    const char *at = email != NULL ? strrchr(email, '@') : NULL;
    size_t index;
    json_t *domain;
    json_array_foreach (provider->domains, index, domain) {
        if (at != NULL && strcasecmp(at + 1, json_string_value(domain)) == 0)
            return true;
    }
    return false;
}

static bool is_admitted(const slc_provider *provider, const slc_vouched *who, const struct gift *gift,
                        enum slc_admission admission)
{
    bool ruled = json_array_size(gift->teams) + json_array_size(gift->roles) > 0;
    return admission == SLC_ADMIT_ALL || (admission >= SLC_ADMIT_RULES && ruled) ||
           (admission >= SLC_ADMIT_DOMAINS && has_domain(provider, who->email));
}

/* What is left of a text when it must be a name. */
static void make_name(const char *text, char out[NAME_CHARS + 1])
{
    size_t len = 0;
    for (; text != NULL && *text != '\0' && *text != '@' && len < NAME_CHARS - 4; text++) {
        if (isalnum((unsigned char)*text) && (unsigned char)*text < 0x80)
            out[len++] = (char)tolower((unsigned char)*text);
        else if (len > 0 && out[len - 1] != '-')
            out[len++] = '-';
    }
    while (len > 0 && out[len - 1] == '-')
        len--;
    out[len] = '\0';
    if (len == 0)
        snprintf(out, NAME_CHARS + 1, "user");
}

/* One that nobody has. */
static bool free_name(slc_txn *txn, const slc_vouched *who, char out[NAME_CHARS + 1], slc_error *err)
{
    char base[NAME_CHARS + 1];
    slc_account taken;
    make_name(who->name != NULL ? who->name : who->email, base);
    for (int i = 1; i <= NAME_TRIES; i++) {
        if (i == 1)
            snprintf(out, NAME_CHARS + 1, "%s", base);
        else
            snprintf(out, NAME_CHARS + 1, "%.50s-%d", base, i);
        if (!slc_account_find(txn, out, &taken, err))
            return false;
        if (taken.user_id[0] == '\0')
            return true;
    }
    return slc_fail(err, SLC_CONFLICT, NULL,
                    "%d users have names like %s: an administrator must make the account", NAME_TRIES, base);
}

static bool make_user(slc_txn *txn, const slc_vouched *who, const char *role, const char *invitation,
                      char user_id[SLC_TOKEN_ID_CHARS + 1], slc_error *err)
{
    char name[NAME_CHARS + 1];
    slc_account taken = {.disabled = false};
    if (!free_name(txn, who, name, err) ||
        (who->email != NULL && !slc_account_find(txn, who->email, &taken, err)))
        return false;
    /* An address that somebody has already stays theirs. */
    slc_newcomer newcomer = {
        .name = name, .email = taken.user_id[0] == '\0' ? who->email : NULL, .title = who->title};
    return invitation != NULL ? slc_invitation_accept(txn, invitation, &newcomer, user_id, err)
                              : slc_account_open(txn, &newcomer, role, user_id, err);
}

static bool admit(slc_txn *txn, const slc_provider *provider, const slc_vouched *who, const struct gift *gift,
                  enum slc_admission admission, const char *role, const char *invitation,
                  char user_id[SLC_TOKEN_ID_CHARS + 1], slc_error *err)
{
    slc_account account;
    if (!find_user(txn, provider, who, &account, err))
        return false;
    if (account.disabled)
        return slc_fail(err, SLC_DENIED, NULL, "the account is disabled");
    if (account.user_id[0] != '\0') {
        memcpy(user_id, account.user_id, SLC_TOKEN_ID_CHARS + 1);
        return true;
    }
    if (invitation == NULL && !is_admitted(provider, who, gift, admission))
        return slc_fail(err, SLC_DENIED, NULL, "nobody here knows them, and they were not invited");
    return make_user(txn, who, json_array_size(gift->roles) > 0 ? NULL : role, invitation, user_id, err);
}

bool slc_federation_admit(slc_txn *txn, const slc_provider *provider, const slc_vouched *who,
                          enum slc_admission admission, const char *role, const char *invitation,
                          char user_id[SLC_TOKEN_ID_CHARS + 1], slc_error *err)
{
    struct gift gift;
    bool ok = find_gift(txn, provider, who, &gift, err) &&
              admit(txn, provider, who, &gift, admission, role, invitation, user_id, err) &&
              apply(txn, provider, who, &gift, user_id, err);
    release_gift(&gift);
    return ok;
}
