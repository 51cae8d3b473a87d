#include "common/header_rule.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/alloc.h"
#include "common/buf.h"

#define EXPANDED_MAX (16 * 1024)

const char *const slc_header_place_names[] = {"request", "response", "publish", "read", NULL};
const char *const slc_header_action_names[] = {"set", "add", "remove", "rename", NULL};

static const char *const variables[] = {
    "application.id", "application.name", "application.team", "credential.id",
    "plan.name",      "client.address",   "request.id",       NULL};

static bool is_http(enum slc_header_place place)
{
    return place == SLC_HEADERS_REQUEST || place == SLC_HEADERS_RESPONSE;
}

/* They frame the message (RFC 9110, section 7; RFC 9112), have been looked at before, are the gateway's own to
 * say, or carry a secret that must not get a name under which it is written down. */
static bool is_fixed(const char *name)
{
    static const char *const fixed[] = {"Accept",       "Authorization",
                                        "Connection",   "Content-Length",
                                        "Content-Type", "Date",
                                        "Expect",       "Host",
                                        "Keep-Alive",   "TE",
                                        "Trailer",      "Transfer-Encoding",
                                        "Upgrade",      "X-Request-Id"};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (strcasecmp(fixed[i], name) == 0)
            return true;
    return false;
}

/* RFC 9110, section 5.1: a token. */
static bool is_token(const char *text)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (const char *at = text; *at != '\0'; at++) {
        bool plain = (*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z');
        if (!plain && strchr(others, *at) == NULL)
            return false;
    }
    return text[0] != '\0';
}

/* Visible ASCII, with spaces and tabs between: what every HTTP field may hold. */
static bool is_field_text(const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++)
        if (text[i] != '\t' && (text[i] < 0x20 || text[i] > 0x7e))
            return false;
    return len > 0 && strchr(" \t", text[0]) == NULL && strchr(" \t", text[len - 1]) == NULL;
}

static bool has_controls(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

static const char *check_name(enum slc_header_place place, const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > SLC_HEADER_NAME_MAX)
        return "must have 1 to 249 bytes";
    if (!is_http(place))
        return has_controls(name) ? "must have no control characters" : NULL;
    if (!is_token(name))
        return "must be the name of an HTTP field";
    return is_fixed(name) ? "is a field that the gateway keeps as it is" : NULL;
}

/* The end of a name that is put in, which `at` begins; NULL: it is none. */
static const char *end_of_variable(const char *at)
{
    const char *end = strchr(at, '}');
    size_t len = end != NULL ? (size_t)(end - at) - 2 : 0;
    for (const char *const *name = variables; end != NULL && *name != NULL; name++)
        if (strlen(*name) == len && memcmp(*name, at + 2, len) == 0)
            return end;
    return NULL;
}

static const char *check_value(enum slc_header_place place, const char *value)
{
    size_t len = strlen(value);
    if (len == 0 || len > SLC_HEADER_VALUE_MAX)
        return "must have 1 to 1000 bytes";
    if (is_http(place) ? !is_field_text(value) : has_controls(value))
        return is_http(place) ? "must be visible ASCII" : "must have no control characters";
    for (const char *at = strstr(value, "${"); at != NULL; at = strstr(at + 1, "${")) {
        if (place == SLC_HEADERS_READ)
            return "is for all readers: nothing can be put into it";
        if (end_of_variable(at) == NULL)
            return "may have application.id, application.name, application.team, credential.id, plan.name, "
                   "client.address and request.id put in";
    }
    return NULL;
}

const char *slc_header_rule_check(const slc_header_rule *rule, const char **member)
{
    bool valued = rule->action == SLC_HEADER_SET || rule->action == SLC_HEADER_ADD;
    const char *wrong;
    *member = "name";
    if (rule->name == NULL)
        return "must be set";
    wrong = check_name(rule->place, rule->name);
    if (wrong != NULL)
        return wrong;
    *member = "value";
    if ((rule->value != NULL) != valued)
        return valued ? "must be set" : "is of the actions set and add alone";
    wrong = valued ? check_value(rule->place, rule->value) : NULL;
    if (wrong != NULL)
        return wrong;
    *member = "to";
    if ((rule->to != NULL) != (rule->action == SLC_HEADER_RENAME))
        return rule->to == NULL ? "must be set" : "is of the action rename alone";
    return rule->to != NULL ? check_name(rule->place, rule->to) : NULL;
}

bool slc_header_value_is_open(const char *value)
{
    return value != NULL && strstr(value, "${") != NULL;
}

char *slc_header_value_expand(const char *value, slc_header_value_fn *fn, void *ctx)
{
    slc_buf out;
    bool whole = true;
    slc_buf_init(&out, EXPANDED_MAX);
    for (const char *at = value; whole && *at != '\0'; at++) {
        const char *end = at[0] == '$' && at[1] == '{' ? end_of_variable(at) : NULL;
        if (end == NULL) {
            slc_buf_addc(&out, *at);
            continue;
        }
        const char *text = fn(ctx, at + 2, (size_t)(end - at) - 2);
        whole = text != NULL && is_field_text(text);
        if (whole)
            slc_buf_adds(&out, text);
        at = end;
    }
    char *expanded = whole && !out.overflow ? slc_strndup((const char *)out.data, out.len) : NULL;
    slc_buf_release(&out);
    return expanded;
}
