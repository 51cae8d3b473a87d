#include "dataplane/kafka/oauth_message.h"

#include <string.h>
#include <strings.h>

#define SEPARATOR '\001'
#define BEARER    "Bearer "

static bool malformed(slc_error *err, const char *what)
{
    return slc_fail(err, SLC_INVALID, NULL, "a malformed OAUTHBEARER message: %s", what);
}

/* "n,," or "n,a=name,". Returns what follows; NULL: it does not begin so. */
static const char *read_header(const char *text, const char *end, slc_oauth_message *message)
{
    if (end - text < 4 || (text[0] != 'n' && text[0] != 'y') || text[1] != ',')
        return NULL;
    const char *at = text + 2, *comma = memchr(at, ',', (size_t)(end - at));
    if (comma == NULL)
        return NULL;
    if (comma == at)
        return comma + 1;
    size_t len = (size_t)(comma - at);
    if (len < 3 || memcmp(at, "a=", 2) != 0 || len - 2 > SLC_OAUTH_MAX_IDENTITY ||
        memchr(at, '\0', len) != NULL || memchr(at + 2, '=', len - 2) != NULL)
        return NULL;
    memcpy(message->identity, at + 2, len - 2);
    message->identity[len - 2] = '\0';
    return comma + 1;
}

static bool is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return len > 0;
}

/* One "key=value", between separators. */
static bool read_pair(const char *pair, size_t len, slc_oauth_message *message, slc_error *err)
{
    const char *equals = memchr(pair, '=', len);
    if (equals == NULL || equals == pair)
        return malformed(err, "a pair without a key");
    if ((size_t)(equals - pair) != 4 || memcmp(pair, "auth", 4) != 0)
        return true;
    const char *value = equals + 1;
    size_t value_len = len - 5, scheme = strlen(BEARER);
    if (message->token != NULL)
        return malformed(err, "two tokens");
    if (value_len <= scheme || strncasecmp(value, BEARER, scheme) != 0 ||
        !is_token(value + scheme, value_len - scheme))
        return malformed(err, "what it brings is no bearer token");
    message->token = value + scheme;
    message->token_len = value_len - scheme;
    return true;
}

bool slc_oauth_message_read(const uint8_t *data, size_t len, slc_oauth_message *message, slc_error *err)
{
    const char *text = (const char *)data, *end = text + len;
    memset(message, 0, sizeof *message);
    const char *at = read_header(text, end, message);
    if (at == NULL || at == end || *at++ != SEPARATOR)
        return malformed(err, "its header");
    while (at < end && *at != SEPARATOR) {
        const char *stop = memchr(at, SEPARATOR, (size_t)(end - at));
        if (stop == NULL)
            return malformed(err, "a pair without an end");
        if (!read_pair(at, (size_t)(stop - at), message, err))
            return false;
        at = stop + 1;
    }
    if (at + 1 != end)
        return malformed(err, "its end");
    return message->token != NULL || malformed(err, "it brings no token");
}
