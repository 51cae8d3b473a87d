/* Bodies of the portal's own routes. */
#include <stdio.h>
#include <string.h>

#include "controlplane/portal/portal_private.h"

bool slc_portal_fields(const slc_call *call, const char *const *names, slc_error *err)
{
    const char *field;
    json_t *value;
    json_object_foreach (call->body, field, value) {
        const char *const *name = names;
        while (*name != NULL && strcmp(*name, field) != 0)
            name++;
        if (*name == NULL)
            return slc_fail(err, SLC_INVALID, NULL, "%.60s is not a field of this object", field);
    }
    return true;
}

static size_t count_characters(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

const char *slc_portal_text(slc_call *call, const char *field, size_t min, size_t max, slc_error *err)
{
    char pointer[80];
    const json_t *value = json_object_get(call->body, field);
    snprintf(pointer, sizeof pointer, "/%s", field);
    if (value == NULL || json_is_null(value)) {
        if (min == 0)
            return "";
        slc_fail(err, SLC_INVALID, pointer, "is required");
        return NULL;
    }
    const char *text = json_string_value(value);
    size_t count = text != NULL ? count_characters(text) : 0;
    if (text != NULL && count >= min && count <= max)
        return text;
    slc_fail(err, SLC_INVALID, pointer, "must be a text of %zu to %zu characters", min, max);
    return NULL;
}

bool slc_portal_new_password(slc_call *call, const char *field, const char *name,
                             char hash[SLC_PASSWORD_HASH_CHARS], slc_error *err)
{
    const slc_portal_options *options = &slc_portal_of(call)->options;
    char pointer[80];
    const char *password =
        slc_portal_text(call, field, (size_t)options->password_min, SLC_PASSWORD_MAX / 4, err);
    if (password == NULL)
        return false;
    snprintf(pointer, sizeof pointer, "/%s", field);
    if (strstr(password, name) != NULL && strlen(password) < 2 * strlen(name))
        return slc_fail(err, SLC_INVALID, pointer, "must not be little more than the name");
    return slc_password_hash(&options->password_cost, password, hash, err);
}

bool slc_portal_may_try(slc_call *call, slc_failures *failures, const char *account, slc_error *err)
{
    int64_t wait_ms = slc_failures_wait_ms(failures, call->browser.address, account);
    if (wait_ms == 0)
        return true;
    slc_failures_count("portal");
    call->retry_after_s = (wait_ms + 999) / 1000;
    call->problem_type = "too-many-failures";
    return slc_call_fail(call, 429, err, SLC_LIMIT, NULL, "too many attempts: wait %lld seconds and try again",
                         (long long)call->retry_after_s);
}
