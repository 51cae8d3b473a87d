/* Reading a policy's configuration, with errors that point to the place; and saying no. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/alloc.h"
#include "common/json.h"
#include "dataplane/policy/failures.h"
#include "dataplane/policy/types.h"

static bool fail_at(slc_error *err, const char *name, const char *what)
{
    char pointer[160] = "/config";
    slc_json_pointer_push(pointer, sizeof pointer, name);
    return slc_fail(err, SLC_INVALID, pointer, "%s %s", name, what);
}

bool slc_policy_config_known(const json_t *config, const char *const *known, slc_error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)config, name, value) {
        const char *const *match = known;
        while (*match != NULL && strcmp(*match, name) != 0)
            match++;
        if (*match == NULL)
            return fail_at(err, name, "is not a setting of this policy");
    }
    return true;
}

const char *slc_policy_config_string(const json_t *config, const char *name, const char *fallback, size_t max,
                                     slc_error *err)
{
    const json_t *value = json_object_get(config, name);
    if (value == NULL)
        return fallback;
    size_t len = json_is_string(value) ? json_string_length(value) : 0;
    if (len >= 1 && len <= max)
        return json_string_value(value);
    fail_at(err, name, "must be a string that is neither empty nor too long");
    return NULL;
}

bool slc_policy_config_bool(const json_t *config, const char *name, bool fallback, bool *value, slc_error *err)
{
    const json_t *member = json_object_get(config, name);
    *value = member == NULL ? fallback : json_is_true(member);
    return member == NULL || json_is_boolean(member) || fail_at(err, name, "must be true or false");
}

bool slc_policy_config_int(const json_t *config, const char *name, int64_t fallback, int64_t min, int64_t max,
                           int64_t *value, slc_error *err)
{
    const json_t *member = json_object_get(config, name);
    char what[96];
    *value = member == NULL ? fallback : json_integer_value(member);
    if (member == NULL || (json_is_integer(member) && *value >= min && *value <= max))
        return true;
    snprintf(what, sizeof what, "must be a whole number from %lld to %lld", (long long)min, (long long)max);
    return fail_at(err, name, what);
}

static bool is_in_before(const json_t *array, size_t end, const json_t *item)
{
    for (size_t i = 0; i < end; i++)
        if (json_equal(json_array_get(array, i), item))
            return true;
    return false;
}

bool slc_policy_config_strings(const json_t *config, const char *name, const slc_policy_list *list,
                               const json_t **value, slc_error *err)
{
    size_t i;
    json_t *item;
    *value = json_object_get(config, name);
    if (*value == NULL)
        return true;
    if (!json_is_array(*value) || json_array_size(*value) < list->min || json_array_size(*value) > list->max)
        return fail_at(err, name, "must be a list of not too few and not too many strings");
    json_array_foreach ((json_t *)*value, i, item) {
        size_t len = json_is_string(item) ? json_string_length(item) : 0;
        if (len == 0 || len > list->item_max || !list->check(json_string_value(item), len))
            return fail_at(err, name, "has an item that is none of what it lists");
        if (is_in_before(*value, i, item))
            return fail_at(err, name, "has an item twice");
    }
    return true;
}

enum slc_verdict slc_deny(slc_denial *denial, int status, const char *type, const char *title,
                          const char *detail, const char *reason, ...)
{
    va_list args;
    memset(denial, 0, sizeof *denial);
    denial->status = status;
    denial->type = type;
    denial->title = title;
    denial->detail = detail;
    va_start(args, reason);
    vsnprintf(denial->reason, sizeof denial->reason, reason, args);
    va_end(args);
    return SLC_DENY;
}

void slc_policy_why(const slc_policy_request *request, const char *fmt, ...)
{
    va_list args;
    if (request->trace == NULL)
        return;
    va_start(args, fmt);
    vsnprintf(request->trace->why, sizeof request->trace->why, fmt, args);
    va_end(args);
}

enum slc_verdict slc_policy_attempt(slc_policy_request *request, const char *credential, slc_denial *denial)
{
    int64_t wait_ms = slc_failures_wait_ms(request->failures, request->client_address, credential);
    if (wait_ms == 0)
        return SLC_PASS;
    slc_failures_count("http");
    slc_deny(denial, 429, "too-many-failures", "Too many failed attempts",
             "Too many attempts to authenticate have failed; wait as long as Retry-After says.",
             "too many attempts to authenticate have failed%s%s, from %s",
             credential != NULL ? ", credential " : "", credential != NULL ? credential : "",
             request->client_address);
    denial->retry_after_ms = wait_ms;
    return SLC_DENY;
}

void slc_policy_failed(slc_policy_request *request, const char *credential)
{
    slc_failures_failed(request->failures, request->client_address, credential);
}

/* As Kafka takes it. */
static bool is_topic(const char *text)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t len = strlen(text);
    return len > 0 && len <= 249 && strspn(text, good) == len && strcmp(text, ".") != 0 &&
           strcmp(text, "..") != 0;
}

bool slc_policy_config_topic(const json_t *config, const char *name, char **value, slc_error *err)
{
    const json_t *member = json_object_get(config, name);
    const char *text = json_string_value(member);
    *value = text != NULL && is_topic(text) ? slc_strdup(text) : NULL;
    return member == NULL || *value != NULL || fail_at(err, name, "must be the name of a topic");
}
