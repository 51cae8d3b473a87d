/* What credentials may match tokens and certificates by: the claims that an issuer's owner lists, the
 * properties that listeners list. So teams cannot stand in each other's way by naming something else of the
 * same token. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "catalog/entity.h"
#include "catalog/rules.h"
#include "catalog/store.h"
#include "proto/lookup.h"

#define SAN_CHARS 501

/* ---- what a certificate is matched by ---- */

static bool is_dns(char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._*";
    return name[0] != '.' && strspn(name, letters) == strlen(name);
}

static bool is_email(char *name)
{
    const char *at = strrchr(name, '@');
    return at != NULL && at != name && at[1] != '\0';
}

static bool is_uri(char *name)
{
    const char *colon = strchr(name, ':');
    return colon != NULL && colon != name && colon[1] != '\0';
}

/* And written as gateways write it. */
static bool is_ip(char *name)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    int family = strchr(name, ':') != NULL ? AF_INET6 : AF_INET;
    return inet_pton(family, name, bytes) == 1 && inet_ntop(family, bytes, name, SAN_CHARS) != NULL;
}

static const struct {
    const char *prefix;
    const char *property;
    bool (*check)(char *name);
    const char *wrong;
} kinds[] = {
    {"DNS:", "dns", is_dns, "behind DNS: must be a DNS name"},
    {"URI:", "uri", is_uri, "behind URI: must be an absolute URI"},
    {"email:", "email", is_email, "behind email: must be an address"},
    {"IP:", "ip", is_ip, "behind IP: must be an IP address"},
};

static const char *property_of_san(const char *san, char *lookup, size_t size, const char **wrong)
{
    char name[SAN_CHARS];
    *wrong = "must begin with its kind: DNS:, URI:, email: or IP:";
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        size_t len = strlen(kinds[i].prefix);
        if (strncmp(san, kinds[i].prefix, len) != 0)
            continue;
        snprintf(name, sizeof(name), "%s", san + len);
        *wrong = kinds[i].wrong;
        if (name[0] == '\0' || !kinds[i].check(name))
            return NULL;
        slc_lookup_fold(kinds[i].property, name);
        if (lookup != NULL)
            snprintf(lookup, size, "cert:%s:%s", kinds[i].property, name);
        return kinds[i].property;
    }
    return NULL;
}

const char *slc_certificate_property(const json_t *certificate, char *lookup, size_t size, const char **wrong)
{
    const char *san = slc_get_text(certificate, "san");
    const char *subject = slc_get_text(certificate, "subject");
    if (san != NULL)
        return property_of_san(san, lookup, size, wrong);
    if (lookup != NULL && subject != NULL)
        snprintf(lookup, size, "cert:subject:%s", subject);
    else if (lookup != NULL)
        snprintf(lookup, size, "cert:sha256:%s", slc_get_text(certificate, "fingerprint"));
    return subject != NULL ? "subject" : "fingerprint";
}

/* ---- credentials ---- */

static void list_texts(const json_t *texts, char *out, size_t size)
{
    size_t len = 0, i;
    json_t *text;
    out[0] = '\0';
    json_array_foreach ((json_t *)texts, i, text) {
        if (len < size)
            len += (size_t)snprintf(out + len, size - len, "%s%s", i > 0 ? ", " : "", json_string_value(text));
    }
}

/* Where its owner lists nothing, teams choose the claims, and each costs all tokens of the issuer a look-up. */
static bool check_claim_count(slc_txn *txn, const char *issuer_id, const char *claim, slc_error *err)
{
    json_t *claims = json_array();
    bool ok = slc_issuer_claims(txn, issuer_id, claims, err);
    if (ok && json_array_size(claims) >= SLC_ISSUER_CLAIMS_MAX && !slc_has_text(claims, claim))
        ok = slc_txn_problem(txn, "/oidc/claim", err,
                             "credentials of the issuer have %d different claims already: use one of these",
                             SLC_ISSUER_CLAIMS_MAX);
    json_decref(claims);
    return ok;
}

static bool check_claim(slc_txn *txn, const json_t *oidc, slc_error *err)
{
    char list[600];
    const char *issuer_id = slc_get_text(oidc, "issuer"), *claim = slc_get_text(oidc, "claim");
    if (slc_claim_is_common(claim))
        return slc_txn_problem(txn, "/oidc/claim", err, "does not tell one application from another");
    json_t *issuer = slc_entity_load(txn, slc_kind_find("issuers"), issuer_id, err);
    const json_t *listed = json_object_get(issuer, "identifying_claims");
    bool ok = issuer != NULL;
    if (ok && json_array_size(listed) == 0)
        ok = check_claim_count(txn, issuer_id, claim, err);
    else if (ok && !slc_has_text(listed, claim)) {
        list_texts(listed, list, sizeof(list));
        ok = slc_txn_problem(txn, "/oidc/claim", err,
                             "must be one of the issuer's identifying_claims: %s (its owner may list more)",
                             list);
    }
    json_decref(issuer);
    return ok;
}

/* Listeners that ask clients for a certificate and look at all of its properties, or at this one. */
#define LISTENERS_THAT_TAKE                                                                                    \
    "SELECT 1 FROM listeners WHERE id <> ?2 AND json_extract(tls, '$.client_auth') IN ('request', 'require') " \
    "AND "                                                                                                     \
    "(coalesce(json_array_length(tls, '$.client_identity'), 0) = 0 OR EXISTS (SELECT 1 FROM json_each(tls, "   \
    "'$.client_identity') WHERE value = ?1))"

/* 1: some do, 0: none, -1: the error. */
static int is_taken(slc_txn *txn, const char *property, const char *but, slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_query(txn, err, LISTENERS_THAT_TAKE, "ss", property, but);
    int row = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    slc_txn_finish(txn, stmt);
    return row;
}

/* As long as no listener asks for certificates, nobody has said which. */
static bool check_property(slc_txn *txn, const json_t *certificate, slc_error *err)
{
    const char *wrong, *property = slc_certificate_property(certificate, NULL, 0, &wrong);
    char pointer[40];
    if (property == NULL)
        return slc_txn_problem(txn, "/certificate/san", err, "%s", wrong);
    int taken = is_taken(txn, property, "", err);
    if (taken != 0)
        return taken == 1;
    sqlite3_stmt *stmt = slc_txn_prepare(
        txn, "SELECT 1 FROM listeners WHERE json_extract(tls, '$.client_auth') IN ('request', 'require')", err);
    int asked = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    slc_txn_finish(txn, stmt);
    snprintf(pointer, sizeof(pointer), "/certificate/%s",
             json_object_iter_key(json_object_iter((json_t *)certificate)));
    if (asked == 1)
        slc_txn_problem(txn, pointer, err,
                        "no listener has %s in its tls.client_identity (their owner may list it)", property);
    return asked == 0;
}

bool slc_identifying_check(slc_txn *txn, const slc_change *change, slc_error *err)
{
    const json_t *oidc = json_object_get(change->next, "oidc");
    const json_t *certificate = json_object_get(change->next, "certificate");
    if (oidc != NULL)
        return check_claim(txn, oidc, err);
    return certificate == NULL || check_property(txn, certificate, err);
}

/* ---- listeners ---- */

static bool takes(const json_t *tls, const char *property)
{
    const json_t *listed = json_object_get(tls, "client_identity");
    const char *asked = slc_get_text(tls, "client_auth");
    return asked != NULL && strcmp(asked, "none") != 0 &&
           (json_array_size(listed) == 0 || slc_has_text(listed, property));
}

/* Does a live credential name it? -1: the error. */
static int is_named(slc_txn *txn, const char *property, slc_error *err)
{
    char pattern[40];
    const char *kind = strcmp(property, "fingerprint") == 0 ? "sha256" : property;
    snprintf(pattern, sizeof(pattern), "cert:%s:", kind);
    sqlite3_stmt *stmt =
        slc_txn_query(txn, err,
                      "SELECT 1 FROM credentials WHERE revoked_at IS NULL AND lookup >= ?1 AND "
                      "lookup < substr(?1, 1, length(?1) - 1) || ';' LIMIT 1",
                      "s", pattern);
    int row = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    slc_txn_finish(txn, stmt);
    return row;
}

bool slc_identifying_kept(slc_txn *txn, const slc_change *listener, slc_error *err)
{
    static const char *const properties[] = {"fingerprint", "subject", "uri", "dns", "email", "ip"};
    const json_t *before = json_object_get(listener->before, "tls"),
                 *next = json_object_get(listener->next, "tls");
    for (size_t i = 0; next != NULL && i < sizeof(properties) / sizeof(*properties); i++) {
        const char *property = properties[i], *asked = slc_get_text(next, "client_auth");
        if (strcmp(asked, "none") == 0 || !takes(before, property) || takes(next, property))
            continue;
        int elsewhere = is_taken(txn, property, listener->id, err);
        int named = elsewhere == 0 ? is_named(txn, property, err) : 0;
        if (elsewhere < 0 || named < 0)
            return false;
        if (named == 1)
            return slc_fail(err, SLC_CONFLICT, "/tls/client_identity",
                            "live credentials match certificates by %s: list it too, or revoke them first",
                            property);
    }
    return true;
}
