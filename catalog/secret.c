/* Secret fields: sealed under the master key, or references that only the gateway resolves. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/entity.h"
#include "catalog/sealed.h"
#include "catalog/store.h"
#include "common/alloc.h"

void slc_secret_context(char out[SLC_SECRET_CONTEXT_CHARS], const slc_kind *kind, const char *id,
                        const char *path)
{
    snprintf(out, SLC_SECRET_CONTEXT_CHARS, "%s/%s/%s", kind->name, id, path);
}

uint8_t *slc_txn_seal(slc_txn *txn, const char *context, const void *data, size_t len, size_t *sealed_len)
{
    pthread_rwlock_rdlock(&txn->catalog->key_lock);
    uint8_t *sealed = slc_master_seal(&txn->catalog->master, context, data, len, sealed_len);
    pthread_rwlock_unlock(&txn->catalog->key_lock);
    return sealed;
}

uint8_t *slc_txn_unseal(slc_txn *txn, const char *context, const void *sealed, size_t sealed_len, size_t *len,
                        slc_error *err)
{
    pthread_rwlock_rdlock(&txn->catalog->key_lock);
    uint8_t *data = slc_master_unseal(&txn->catalog->master, context, sealed, sealed_len, len, err);
    pthread_rwlock_unlock(&txn->catalog->key_lock);
    return data;
}

static json_t *seal(slc_txn *txn, const char *context, const char *text)
{
    size_t len;
    uint8_t *sealed = slc_txn_seal(txn, context, text, strlen(text), &len);
    char *base64 = slc_malloc(4 * ((len + 2) / 3) + 1);
    slc_base64_encode(sealed, len, base64);
    json_t *stored = json_pack("{s:s}", "sealed", base64);
    free(base64);
    free(sealed);
    return stored;
}

static char *unseal(slc_txn *txn, const char *context, const json_t *stored, size_t *len, slc_error *err)
{
    const json_t *base64 = json_object_get(stored, "sealed");
    size_t max = json_string_length(base64);
    uint8_t *sealed = slc_malloc(max + 1);
    long sealed_len = slc_base64_decode(json_string_value(base64), max, sealed, max);
    char *text = NULL;
    if (sealed_len < 0)
        slc_fail(err, SLC_CORRUPT, NULL, "a sealed value is not base64 (%s)", context);
    else
        text = (char *)slc_txn_unseal(txn, context, sealed, (size_t)sealed_len, len, err);
    free(sealed);
    return text;
}

static bool is_same(slc_txn *txn, const char *context, const char *text, const json_t *before)
{
    if (json_object_get(before, "sealed") == NULL || slc_secret_is_forgotten(before))
        return false;
    size_t len;
    char *old = unseal(txn, context, before, &len, NULL);
    if (old == NULL)
        return false;
    bool same = len == strlen(text) && slc_equal_secret(old, text, len);
    slc_free_secret(old, len);
    return same;
}

static bool is_variable_name(const char *name)
{
    if (!isalpha((unsigned char)*name) && *name != '_')
        return false;
    for (; *name != '\0'; name++)
        if (!isalnum((unsigned char)*name) && *name != '_')
            return false;
    return true;
}

static bool is_path(const char *path)
{
    for (const unsigned char *p = (const unsigned char *)path; *p != '\0'; p++)
        if (*p < 0x20 || *p == 0x7f)
            return false;
    return path[0] == '/';
}

static json_t *read_reference(slc_txn *txn, const json_t *value, const char *pointer, slc_error *err)
{
    const char *file = json_string_value(json_object_get(value, "file"));
    const char *env = json_string_value(json_object_get(value, "env"));
    if (json_object_size(value) == 1 && file != NULL && is_path(file) &&
        strlen(file) <= SLC_SECRET_REFERENCE_MAX)
        return json_pack("{s:s}", "file", file);
    if (json_object_size(value) == 1 && env != NULL && is_variable_name(env) &&
        strlen(env) <= SLC_SECRET_REFERENCE_MAX)
        return json_pack("{s:s}", "env", env);
    slc_txn_problem(
        txn, pointer, err,
        "must be a string, {\"file\": absolute path} or {\"env\": variable name}; {\"set\": true} keeps "
        "the value that there is");
    return NULL;
}

json_t *slc_secret_read(slc_txn *txn, const char *context, const slc_field *field, const json_t *value,
                        const json_t *before, const char *pointer, bool *ok, slc_error *err)
{
    *ok = true;
    const json_t *set =
        json_is_object(value) && json_object_size(value) == 1 ? json_object_get(value, "set") : NULL;
    bool keep = json_is_boolean(set); /* as it was read */
    if (value == NULL || keep) {
        if (keep && before == NULL)
            *ok = slc_txn_problem(txn, pointer, err, "has no value yet that could be kept");
        return before == NULL ? NULL : json_deep_copy(before);
    }
    if (json_is_null(value))
        return NULL;
    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        *ok = slc_text_check(txn, field, text, pointer, err);
        if (!*ok)
            return NULL;
        return is_same(txn, context, text, before) ? json_deep_copy(before) : seal(txn, context, text);
    }
    json_t *stored = read_reference(txn, value, pointer, err);
    *ok = stored != NULL;
    return stored;
}

bool slc_secret_is_forgotten(const json_t *stored)
{
    const json_t *sealed = json_object_get(stored, "sealed");
    return sealed != NULL && json_string_length(sealed) == 0;
}

json_t *slc_secret_show(const json_t *stored)
{
    if (slc_secret_is_forgotten(stored))
        return json_pack("{s:b}", "set", 0);
    if (json_object_get(stored, "sealed") != NULL)
        return json_pack("{s:b}", "set", 1);
    return json_deep_copy(stored);
}

bool slc_secret_open(slc_txn *txn, const slc_kind *kind, const char *id, const char *path, const json_t *stored,
                     enum slc_secret_source *source, char **text, size_t *len, slc_error *err)
{
    *text = NULL;
    *len = 0;
    *source = SLC_SECRET_NONE;
    if (!json_is_object(stored))
        return true;
    if (slc_secret_is_forgotten(stored))
        return slc_fail(err, SLC_CONFLICT, NULL, "%s was dropped with a lost master key: supply it again",
                        path);
    if (json_object_get(stored, "sealed") != NULL) {
        char context[SLC_SECRET_CONTEXT_CHARS];
        slc_secret_context(context, kind, id, path);
        *source = SLC_SECRET_VALUE;
        return (*text = unseal(txn, context, stored, len, err)) != NULL;
    }
    const char *file = json_string_value(json_object_get(stored, "file"));
    const char *reference = file != NULL ? file : json_string_value(json_object_get(stored, "env"));
    if (reference == NULL)
        return slc_fail(err, SLC_CORRUPT, NULL, "the secret %s of %s %s is not readable", path, kind->singular,
                        id);
    *source = file != NULL ? SLC_SECRET_FILE : SLC_SECRET_ENV;
    *text = slc_strdup(reference);
    *len = strlen(reference);
    return true;
}
