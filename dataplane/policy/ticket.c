/* ticket: authenticates a stream by a signed text in its URL. Built in: every event API that offers streams has
 * it.
 *
 *   slt_ base64url( version(1) · key id(4) · expires, s(8) · proof expires, s(8) · length(1) lookup · length(1)
 * origin · MAC(32) )
 *
 * The MAC's key is derived from the event API's cursor key by a label, so that a cursor can never be taken for
 * a ticket. What is signed and not sent (API, application, operation, digest of the secret) must be the same
 * again.
 */
#include "dataplane/policy/ticket.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "dataplane/policy/credential.h"
#include "dataplane/policy/types.h"

#define VERSION    2
#define LABEL      "sluice ticket v1"
#define MAC_BYTES  SLC_SHA256_BYTES
#define HEAD_BYTES 21
#define MAX_BYTES  480 /* base64 keeps it below SLC_TICKET_MAX_CHARS */
#define READ       SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_READ

typedef Sluice__Snapshot__V1__Credential credential_msg;
typedef Sluice__Snapshot__V1__CursorKey key_msg;

struct ticket {
    uint32_t key_id;
    int64_t expires_s;
    int64_t proof_expires_s; /* of what proved who had it minted: its streams end then; 0: never */
    char lookup[256];
    char origin[256];
    size_t signed_len; /* bytes before the MAC */
};

static bool compile(const json_t *config, void **compiled, slc_error *err)
{
    static const char *const known[] = {NULL};
    *compiled = NULL;
    return slc_policy_config_known(config, known, err);
}

/* Signing
 * ------------------------------------------------------------------------------------------------------
 */

static void put(uint8_t *to, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        to[i] = (uint8_t)(value >> 8 * (size - 1 - i));
}

static uint64_t get(const uint8_t *from, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | from[i];
    return value;
}

/* Each part with its NUL, so that none can run into the next. */
static void make_mac(const key_msg *key, const slc_event_api *api, const credential_msg *credential,
                     const uint8_t *bytes, size_t len, uint8_t mac[MAC_BYTES])
{
    uint8_t derived[32];
    slc_buf all;
    slc_buf_init(&all, 64 * 1024);
    slc_buf_add(&all, bytes, len);
    slc_buf_add(&all, api->msg->id, strlen(api->msg->id) + 1);
    slc_buf_add(&all, credential->application_id, strlen(credential->application_id) + 1);
    slc_buf_add(&all, "read", sizeof "read");
    slc_buf_add(&all, credential->secret_sha256.data, credential->secret_sha256.len);
    slc_hkdf_sha256(key->key.data, key->key.len, "", 0, LABEL, derived, sizeof derived);
    slc_hmac_sha256(derived, sizeof derived, all.data, all.len, mac);
    explicit_bzero(derived, sizeof derived);
    slc_buf_release(&all);
}

static const credential_msg *find_credential(const slc_snapshot *snapshot, const char *lookup)
{
    return slc_snapshot_credential(snapshot, lookup, strlen(lookup));
}

bool slc_ticket_mint(const slc_snapshot *snapshot, const slc_event_api *api, const slc_principal *principal,
                     const char *origin, int64_t expires_ms, char *out)
{
    uint8_t bytes[MAX_BYTES];
    const credential_msg *credential = find_credential(snapshot, principal->credential_lookup);
    size_t lookup_len = strlen(principal->credential_lookup), origin_len = strlen(origin), len = HEAD_BYTES;
    if (credential == NULL || api->msg->n_cursor_keys == 0 || origin_len > SLC_TICKET_MAX_ORIGIN)
        return false;
    const key_msg *key = api->msg->cursor_keys[0];
    bytes[0] = VERSION;
    put(bytes + 1, key->id, 4);
    put(bytes + 5, (uint64_t)(expires_ms / 1000), 8);
    put(bytes + 13, (uint64_t)(principal->proof_expires_at_ms / 1000), 8);
    bytes[len++] = (uint8_t)lookup_len;
    memcpy(bytes + len, principal->credential_lookup, lookup_len);
    len += lookup_len;
    bytes[len++] = (uint8_t)origin_len;
    memcpy(bytes + len, origin, origin_len);
    len += origin_len;
    make_mac(key, api, credential, bytes, len, bytes + len);
    memcpy(out, SLC_TICKET_PREFIX, sizeof SLC_TICKET_PREFIX);
    slc_base64url_encode(bytes, len + MAC_BYTES, out + strlen(SLC_TICKET_PREFIX));
    return true;
}

/* Reading
 * ------------------------------------------------------------------------------------------------------
 */

static bool take_text(const uint8_t *bytes, size_t end, size_t *at, char out[256])
{
    if (*at >= end)
        return false;
    size_t len = bytes[*at];
    if (len > end - *at - 1)
        return false;
    memcpy(out, bytes + *at + 1, len);
    out[len] = '\0';
    *at += len + 1;
    return strlen(out) == len;
}

static bool take_apart(const uint8_t *bytes, size_t len, struct ticket *ticket)
{
    size_t at = HEAD_BYTES;
    if (len < HEAD_BYTES + MAC_BYTES || bytes[0] != VERSION)
        return false;
    size_t end = len - MAC_BYTES;
    ticket->key_id = (uint32_t)get(bytes + 1, 4);
    ticket->expires_s = (int64_t)get(bytes + 5, 8);
    ticket->proof_expires_s = (int64_t)get(bytes + 13, 8);
    ticket->signed_len = end;
    return take_text(bytes, end, &at, ticket->lookup) && take_text(bytes, end, &at, ticket->origin) &&
           at == end;
}

static const key_msg *find_key(const slc_event_api *api, uint32_t id)
{
    for (size_t i = 0; i < api->msg->n_cursor_keys; i++) {
        if (api->msg->cursor_keys[i]->id == id)
            return api->msg->cursor_keys[i];
    }
    return NULL;
}

/* NULL, and why, unless it was minted here for this API and a credential that is still what it was. */
static const credential_msg *verify(const slc_policy_request *request, const char *text, struct ticket *ticket,
                                    const char **why)
{
    uint8_t bytes[MAX_BYTES], mac[MAC_BYTES];
    size_t prefix = strlen(SLC_TICKET_PREFIX), chars = strlen(text);
    *why = "not a ticket";
    if (strncmp(text, SLC_TICKET_PREFIX, prefix) != 0 || chars > SLC_TICKET_MAX_CHARS)
        return NULL;
    long len = slc_base64url_decode(text + prefix, chars - prefix, bytes, sizeof bytes);
    if (len < 0 || !take_apart(bytes, (size_t)len, ticket))
        return NULL;
    const key_msg *key = find_key(request->api, ticket->key_id);
    const credential_msg *credential = find_credential(request->snapshot, ticket->lookup);
    *why = key == NULL ? "unknown key" : "the credential is gone";
    if (key == NULL || credential == NULL)
        return NULL;
    make_mac(key, request->api, credential, bytes, ticket->signed_len, mac);
    *why = "forged, or for another event API, application or secret";
    return slc_equal_secret(mac, bytes + ticket->signed_len, MAC_BYTES) ? credential : NULL;
}

bool slc_origin_parse(const char *text, char *out)
{
    size_t len = strlen(text);
    size_t scheme = strncasecmp(text, "https://", 8) == 0 ? 8 : strncasecmp(text, "http://", 7) == 0 ? 7 : 0;
    if (scheme == 0 || len == scheme || len > SLC_TICKET_MAX_ORIGIN)
        return false;
    for (size_t i = 0; i <= len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (i >= scheme && i < len && !isalnum(c) && strchr("-._~:[]", c) == NULL)
            return false;
        out[i] = (char)tolower(c);
    }
    const char *usual = scheme == 8 ? ":443" : ":80"; /* browsers leave it out */
    size_t usual_len = strlen(usual);
    if (len > scheme + usual_len && strcmp(out + len - usual_len, usual) == 0)
        out[len - usual_len] = '\0';
    return true;
}

/* Browsers send Origin with each request to another origin; to their own they send none with GET, and say so.
 */
static bool is_from(const slc_policy_request *request, const char *bound)
{
    char origin[SLC_TICKET_MAX_ORIGIN + 1];
    const char *sent = request->header(request->protocol, "Origin");
    if (sent != NULL)
        return bound[0] != '\0' && slc_origin_parse(sent, origin) && strcmp(origin, bound) == 0;
    if (bound[0] == '\0')
        return true;
    const char *site = request->header(request->protocol, "Sec-Fetch-Site");
    const char *host = request->header(request->protocol, "Host");
    return site != NULL && host != NULL && strcmp(site, "same-origin") == 0 &&
           strcasecmp(strstr(bound, "://") + 3, host) == 0;
}

static enum slc_verdict refuse(slc_policy_request *request, slc_denial *denial, const char *why)
{
    /* Not Basic: a browser would ask its user for a password. */
    request->add_header(request->protocol, "WWW-Authenticate", "Ticket realm=\"sluice\"");
    return slc_deny(denial, 401, "invalid-ticket", "The ticket is not valid",
                    "It has expired, or is for something or somebody else: get a new one.", "ticket: %s", why);
}

static enum slc_verdict authenticate(void *compiled, slc_policy_request *request, slc_denial *denial)
{
    struct ticket ticket;
    const char *why;
    (void)compiled;
    const char *text = request->query != NULL && request->stream && request->operation == READ
                           ? request->query(request->protocol, "ticket")
                           : NULL;
    if (text == NULL)
        return SLC_PASS;
    const credential_msg *credential = verify(request, text, &ticket, &why);
    if (credential == NULL)
        return refuse(request, denial, why);
    int64_t now_ms = slc_wall_ms();
    if (ticket.expires_s <= now_ms / 1000)
        return refuse(request, denial, "expired");
    if (!is_from(request, ticket.origin))
        return refuse(request, denial, "from another origin");
    const Sluice__Snapshot__V1__Application *application =
        slc_snapshot_application(request->snapshot, credential->application_id);
    if (application == NULL || (credential->expires_at_ms != 0 && credential->expires_at_ms <= now_ms))
        return refuse(request, denial, "the credential has expired, or its application has no subscription");
    slc_principal_fill(request->principal, credential, application);
    request->principal->proof_expires_at_ms = ticket.proof_expires_s * 1000;
    request->principal->expires_at_ms = slc_expiry_of(request->principal, credential);
    if (request->principal->expires_at_ms != 0 && request->principal->expires_at_ms <= now_ms)
        return refuse(request, denial, "what it was minted for has expired");
    return SLC_ALLOW;
}

static bool keeps(const void *compiled, const slc_principal *principal)
{
    (void)compiled;
    return strcmp(principal->by, slc_policy_ticket.name) == 0;
}

const slc_policy_type slc_policy_ticket = {
    .name = "ticket",
    .summary = "Authenticates a stream by a ticket in its URL.",
    .config_schema = "{\"type\":\"object\",\"additionalProperties\":false}",
    .compile = compile,
    .authenticate = authenticate,
    .keeps = keeps,
};
