/* Fields of JSON values: found by pointers in which * stands for any member or element, and replaced by a text
 * that holds an envelope. The rest of the value stays as it was written, byte by byte. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "dataplane/mediation/json_scan.h"
#include "dataplane/policy/encryption.h"

#define NAME_MAX_BYTES 1000 /* of a member that is looked at: a longer one is named by no pointer */
#define POINTER_BYTES  600

struct match {
    slc_json_slice value;
    size_t pointer_at; /* in `pointers` */
    size_t pointer_len;
};

struct walk {
    slc_buf *matches, *pointers;
    char pointer[POINTER_BYTES];
    size_t len;
    const char *wrong; /* why the value is refused; NULL: it is not */
};

/* ---- pointers ---- */

/* The first token of a pattern, unescaped; NULL: too long. `*rest` is what follows it. */
static const char *token_of(const char *pattern, char *token, size_t size, size_t *len, const char **rest)
{
    const char *end = strchr(pattern + 1, '/');
    *rest = end != NULL ? end : pattern + strlen(pattern);
    *len = 0;
    for (const char *at = pattern + 1; at < *rest; at++) {
        if (*len == size)
            return NULL;
        token[*len] = *at == '~' && at[1] == '1' ? '/' : *at;
        at += *at == '~';
        ++*len;
    }
    return token;
}

/* Adds a token to the place where the walk is; false: too long. */
static bool enter(struct walk *walk, const char *token, size_t len)
{
    if (walk->len + 1 + 2 * len >= sizeof walk->pointer)
        return false;
    walk->pointer[walk->len++] = '/';
    for (size_t i = 0; i < len; i++) {
        bool escaped = token[i] == '~' || token[i] == '/';
        if (escaped)
            walk->pointer[walk->len++] = '~';
        walk->pointer[walk->len++] = !escaped ? token[i] : token[i] == '~' ? '0' : '1';
    }
    return true;
}

/* ---- finding ---- */

static bool refuse(struct walk *walk, const char *why)
{
    walk->wrong = why;
    return false;
}

static bool note(struct walk *walk, const slc_json_slice *value)
{
    const struct match match = {*value, walk->pointers->len, walk->len};
    if (walk->matches->len / sizeof match >= SLC_ENCRYPT_MATCHES_MAX ||
        !slc_buf_add(walk->matches, &match, sizeof match) ||
        !slc_buf_add(walk->pointers, walk->pointer, walk->len))
        return refuse(walk, "it has too many fields to be encrypted");
    return true;
}

static bool descend(struct walk *walk, const slc_json_slice *value, const char *pattern);

static bool into_members(struct walk *walk, const slc_json_slice *object, const char *token, size_t token_len,
                         bool any, const char *rest)
{
    const char *at = NULL;
    slc_json_slice name, value;
    unsigned found = 0;
    while (slc_json_next_member(object, &at, &name, &value)) {
        char text[NAME_MAX_BYTES];
        if (name.len > sizeof text) {
            if (any)
                return refuse(walk, "it has a member with too long a name");
            continue;
        }
        size_t len = slc_json_unescape(&name, text), before = walk->len;
        if (!any && (len != token_len || memcmp(text, token, len) != 0))
            continue;
        /* Readers take the one or the other: one of them would stay as it is. */
        if (!any && found++ > 0)
            return refuse(walk, "it has a member twice that is to be encrypted");
        if (!enter(walk, text, len))
            return refuse(walk, "it has a field at too long a place");
        if (!descend(walk, &value, rest))
            return false;
        walk->len = before;
    }
    return true;
}

static bool into_elements(struct walk *walk, const slc_json_slice *array, const char *token, size_t token_len,
                          bool any, const char *rest)
{
    const char *at = NULL;
    slc_json_slice value;
    for (size_t i = 0; slc_json_next_element(array, &at, &value); i++) {
        char number[24];
        size_t len = (size_t)snprintf(number, sizeof number, "%zu", i), before = walk->len;
        if (!any && (len != token_len || memcmp(number, token, len) != 0))
            continue;
        if (!enter(walk, number, len))
            return refuse(walk, "it has a field at too long a place");
        if (!descend(walk, &value, rest))
            return false;
        walk->len = before;
    }
    return true;
}

/* Nesting is bounded by the pattern's tokens. */
static bool descend(struct walk *walk, const slc_json_slice *value, const char *pattern)
{
    char token[SLC_FIELD_PATTERN_MAX];
    const char *rest;
    size_t len;
    if (pattern[0] == '\0')
        return note(walk, value);
    if (token_of(pattern, token, sizeof token, &len, &rest) == NULL)
        return true;
    bool any = len == 1 && token[0] == '*';
    if (value->text[0] == '{')
        return into_members(walk, value, token, len, any, rest);
    if (value->text[0] == '[')
        return into_elements(walk, value, token, len, any, rest);
    return true;
}

static int in_order(const void *a, const void *b)
{
    const struct match *left = a, *right = b;
    if (left->value.text != right->value.text)
        return left->value.text < right->value.text ? -1 : 1;
    return left->value.len > right->value.len ? -1 : left->value.len < right->value.len;
}

/* All fields of the value, in order, none in another or twice. False: it is refused, `walk->wrong` says why. */
static bool find(const slc_encrypt *policy, slc_record_turn *turn, const slc_policy_record *record,
                 struct walk *walk, size_t *count)
{
    slc_json_info info;
    const char *text = (const char *)record->value;
    slc_json_slice root;
    *walk = (struct walk){.matches = slc_record_scratch_buf(turn->scratch),
                          .pointers = slc_record_scratch_buf(turn->scratch)};
    *count = 0;
    if (!slc_json_scan(text, record->value_len, &info))
        return refuse(walk, "it is not JSON, so it has no fields to be encrypted");
    if (!slc_json_find(text, record->value_len, "", &root))
        return refuse(walk, "it is not JSON, so it has no fields to be encrypted");
    for (size_t i = 0; i < policy->field_count; i++) {
        walk->len = 0;
        if (!descend(walk, &root, policy->fields[i]))
            return false;
    }
    struct match *matches = (struct match *)(void *)walk->matches->data;
    size_t all = walk->matches->len / sizeof *matches;
    if (all > 1)
        qsort(matches, all, sizeof *matches, in_order);
    for (size_t i = 0; i < all; i++) {
        const struct match *last = *count > 0 ? &matches[*count - 1] : NULL;
        if (last == NULL || matches[i].value.text >= last->value.text + last->value.len)
            matches[(*count)++] = matches[i];
    }
    return true;
}

static slc_crypt_place place_of(const slc_encryption *encryption, const slc_policy_record *record,
                                const struct walk *walk, const struct match *match)
{
    slc_crypt_place place = slc_encrypt_place(encryption, record);
    place.field = (const char *)walk->pointers->data + match->pointer_at;
    place.field_len = match->pointer_len;
    return place;
}

static bool add(slc_buf *out, const void *from, const void *to)
{
    size_t len = (size_t)((const uint8_t *)to - (const uint8_t *)from);
    return len == 0 || slc_buf_add(out, from, len);
}

static enum slc_record_verdict too_large(slc_record_problem *problem)
{
    const slc_error err = {.code = SLC_TOO_LARGE, .message = "the value grows too large when it is encrypted"};
    return slc_encrypt_reject(problem, &err);
}

/* ---- sealing ---- */

static bool add_sealed(slc_buf *out, const slc_buf *sealed)
{
    size_t most = (sealed->len + 2) / 3 * 4 + 1;
    if (!slc_buf_adds(out, "\"" SLC_FIELD_PREFIX))
        return false;
    size_t before = out->len;
    char *room = (char *)slc_buf_extend(out, most);
    if (room == NULL)
        return false;
    out->len = before + slc_base64url_encode(sealed->data, sealed->len, room);
    return slc_buf_addc(out, '"');
}

enum slc_record_verdict slc_encrypt_seal_fields(slc_encryption *encryption, slc_record_turn *turn,
                                                const slc_policy_record *record, slc_data_key *key,
                                                slc_buf **out, slc_record_problem *problem)
{
    struct walk walk;
    size_t count;
    slc_error err = {0};
    if (!find(encryption->policy, turn, record, &walk, &count))
        return slc_record_reject(problem, SLC_INVALID, "The value cannot be encrypted: %s.", walk.wrong);
    if (count == 0)
        return SLC_RECORD_KEEP;
    const struct match *matches = (const struct match *)(const void *)walk.matches->data;
    const uint8_t *at = record->value;
    slc_buf *sealed = slc_record_scratch_buf(turn->scratch);
    *out = slc_record_scratch_buf(turn->scratch);
    for (size_t i = 0; i < count; i++) {
        const slc_json_slice *value = &matches[i].value;
        const slc_crypt_place place = place_of(encryption, record, &walk, &matches[i]);
        slc_buf_clear(sealed);
        if (!slc_crypt_seal(slc_encrypt_ciphers(), key, SLC_PART_FIELD, &place, (const uint8_t *)value->text,
                            value->len, sealed, &err))
            return slc_encrypt_reject(problem, &err);
        if (!add(*out, at, value->text) || !add_sealed(*out, sealed))
            return too_large(problem);
        at = (const uint8_t *)value->text + value->len;
    }
    return add(*out, at, record->value + record->value_len) ? SLC_RECORD_CHANGE : too_large(problem);
}

/* ---- opening ---- */

/* Is it a text that holds an envelope? */
static bool is_sealed(const slc_json_slice *value)
{
    static const char start[] = "\"" SLC_FIELD_PREFIX;
    return value->len > sizeof start && memcmp(value->text, start, sizeof start - 1) == 0;
}

static enum slc_record_verdict open_field(slc_encryption *encryption, slc_record_turn *turn,
                                          const slc_json_slice *value, const slc_crypt_place *place,
                                          slc_buf *sealed, slc_buf *out, slc_record_problem *problem)
{
    static const slc_error damaged = {.code = SLC_CORRUPT, .message = "an encrypted field is damaged"};
    const char *text = value->text + 1 + strlen(SLC_FIELD_PREFIX);
    size_t len = value->len - 2 - strlen(SLC_FIELD_PREFIX);
    slc_json_info info;
    slc_buf_clear(sealed);
    uint8_t *bytes = slc_buf_extend(sealed, len);
    if (bytes == NULL)
        return too_large(problem);
    long decoded = slc_base64url_decode(text, len, bytes, len);
    if (decoded < 0)
        return slc_encrypt_reject(problem, &damaged);
    size_t before = out->len;
    enum slc_record_verdict verdict =
        slc_encrypt_open_one(encryption, turn, bytes, (size_t)decoded, SLC_PART_FIELD, place, out, problem);
    if (verdict == SLC_RECORD_CHANGE &&
        !slc_json_scan((const char *)out->data + before, out->len - before, &info))
        return slc_encrypt_reject(problem, &damaged);
    return verdict;
}

enum slc_record_verdict slc_encrypt_open_fields(slc_encryption *encryption, slc_record_turn *turn,
                                                const slc_policy_record *record, slc_buf **out, bool *plain,
                                                slc_record_problem *problem)
{
    struct walk walk;
    size_t count;
    bool changed = false;
    *plain = false;
    if (!find(encryption->policy, turn, record, &walk, &count))
        return slc_record_reject(problem, SLC_CORRUPT, "The value cannot be decrypted: %s.", walk.wrong);
    const struct match *matches = (const struct match *)(const void *)walk.matches->data;
    const uint8_t *at = record->value;
    slc_buf *sealed = slc_record_scratch_buf(turn->scratch);
    *out = slc_record_scratch_buf(turn->scratch);
    for (size_t i = 0; i < count; i++) {
        const slc_json_slice *value = &matches[i].value;
        const slc_crypt_place place = place_of(encryption, record, &walk, &matches[i]);
        if (!is_sealed(value)) {
            *plain = true;
            continue;
        }
        if (!add(*out, at, value->text))
            return too_large(problem);
        enum slc_record_verdict verdict = open_field(encryption, turn, value, &place, sealed, *out, problem);
        if (verdict != SLC_RECORD_CHANGE)
            return verdict;
        at = (const uint8_t *)value->text + value->len;
        changed = true;
    }
    if (!changed)
        return SLC_RECORD_KEEP;
    return add(*out, at, record->value + record->value_len) ? SLC_RECORD_CHANGE : too_large(problem);
}
