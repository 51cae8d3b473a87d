/* Join strings. */
#include "common/join.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/settings.h"

static bool is_token(const char *token)
{
    const char *separator;

    if (strncmp(token, "slc_", 4) != 0)
        return false;
    separator = strchr(token + 4, '_');
    if (separator == NULL || separator == token + 4 || separator[1] == '\0')
        return false;
    for (const char *c = token; *c != '\0'; c++)
        if (!isalnum((unsigned char)*c) && *c != '_')
            return false;
    return true;
}

static bool is_endpoint(const char *endpoint)
{
    char host[256];
    uint16_t port;

    return slc_address_split(endpoint, host, sizeof(host), &port, NULL) && host[0] != '\0' && port != 0;
}

static bool check(const slc_join *join, slc_error *err)
{
    if (!is_endpoint(join->endpoint))
        return slc_fail(err, SLC_INVALID, "/endpoint", "the join string's endpoint is not HOST:PORT");
    if (!is_endpoint(join->config))
        return slc_fail(err, SLC_INVALID, "/config",
                        "the join string's configuration endpoint is not HOST:PORT");
    if (!is_token(join->token))
        return slc_fail(err, SLC_INVALID, "/token", "the join string's token is not slc_<id>_<secret>");
    return true;
}

char *slc_join_compose(const slc_join *join, slc_error *err)
{
    char ca[2 * SLC_SHA256_BYTES + 1];
    size_t json_len;
    char *json, *text;
    json_t *object;

    if (!check(join, err))
        return NULL;
    slc_hex_encode(join->ca_sha256, sizeof(join->ca_sha256), ca);
    object = json_pack("{s:s, s:s, s:s, s:s}", "endpoint", join->endpoint, "config", join->config, "token",
                       join->token, "ca", ca);
    json = slc_json_print(object, &json_len);
    json_decref(object);
    text = slc_malloc(sizeof(SLC_JOIN_PREFIX) + 4 * ((json_len + 2) / 3) + 1);
    memcpy(text, SLC_JOIN_PREFIX, sizeof(SLC_JOIN_PREFIX));
    slc_base64url_encode(json, json_len, text + strlen(SLC_JOIN_PREFIX));
    slc_free_secret(json, json_len);
    if (strlen(text) > SLC_JOIN_MAX_CHARS) {
        slc_fail(err, SLC_TOO_LARGE, NULL, "the join string would be longer than %d characters",
                 SLC_JOIN_MAX_CHARS);
        slc_free_secret(text, strlen(text));
        return NULL;
    }
    return text;
}

/* Copies a member that must be a string; jansson has no NUL inside strings here (slc_json_parse refuses them).
 */
static bool take(const json_t *object, const char *name, char *out, size_t size, slc_error *err)
{
    const char *value = json_string_value(json_object_get(object, name));
    char field[32];

    snprintf(field, sizeof(field), "/%s", name);
    if (value == NULL)
        return slc_fail(err, SLC_INVALID, field, "the join string has no \"%s\"", name);
    if (strlen(value) >= size)
        return slc_fail(err, SLC_TOO_LARGE, field, "\"%s\" in the join string is too long", name);
    memcpy(out, value, strlen(value) + 1);
    return true;
}

static bool parse_object(const json_t *object, slc_join *join, slc_error *err)
{
    char ca[2 * SLC_SHA256_BYTES + 1];

    if (!json_is_object(object))
        return slc_fail(err, SLC_INVALID, NULL, "the join string does not hold a JSON object");
    if (!take(object, "endpoint", join->endpoint, sizeof(join->endpoint), err) ||
        !take(object, "config", join->config, sizeof(join->config), err) ||
        !take(object, "token", join->token, sizeof(join->token), err) ||
        !take(object, "ca", ca, sizeof(ca), err))
        return false;
    if (!slc_hex_decode(ca, strlen(ca), join->ca_sha256, sizeof(join->ca_sha256)))
        return slc_fail(err, SLC_INVALID, "/ca", "the join string's CA pin is not a hexadecimal SHA-256");
    return check(join, err);
}

bool slc_join_parse(const char *text, size_t len, slc_join *join, slc_error *err)
{
    const size_t prefix_len = strlen(SLC_JOIN_PREFIX);
    uint8_t decoded[SLC_JOIN_MAX_CHARS];
    slc_error cause;
    json_t *object;
    long decoded_len;
    bool ok;

    memset(join, 0, sizeof(*join));
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    if (len > SLC_JOIN_MAX_CHARS)
        return slc_fail(err, SLC_TOO_LARGE, NULL, "a join string has at most %d characters",
                        SLC_JOIN_MAX_CHARS);
    if (len < prefix_len || memcmp(text, SLC_JOIN_PREFIX, prefix_len) != 0)
        return slc_fail(err, SLC_INVALID, NULL, "a join string starts with \"%s\"", SLC_JOIN_PREFIX);
    decoded_len = slc_base64url_decode(text + prefix_len, len - prefix_len, decoded, sizeof(decoded));
    if (decoded_len < 0)
        return slc_fail(err, SLC_INVALID, NULL,
                        "the join string is not base64url after its prefix: was it cut?");
    object = slc_json_parse((const char *)decoded, (size_t)decoded_len, sizeof(decoded), &cause);
    /* The parser's message might quote the text, which holds the token. */
    ok = object != NULL
             ? parse_object(object, join, err)
             : slc_fail(err, SLC_INVALID, NULL, "the join string does not hold valid JSON: was it cut?");
    json_decref(object);
    if (!ok)
        memset(join, 0, sizeof(*join));
    return ok;
}
