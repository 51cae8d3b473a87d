/* encrypt: records are encrypted on their way to the broker, and decrypted on their way back. */
#include "dataplane/policy/encrypt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/json.h"
#include "dataplane/policy/condition.h"
#include "dataplane/policy/encryption.h"

/* ---- the configuration ---- */

static void free_texts(char **texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(texts[i]);
    free(texts);
}

static void release(void *compiled)
{
    slc_encrypt *policy = compiled;
    free(policy->ring);
    free(policy->key);
    free(policy->context);
    free_texts(policy->read_keys, policy->read_count);
    free_texts(policy->fields, policy->field_count);
    slc_cel_free(policy->decrypt_if);
    free(policy);
}

static bool is_template(const char *text, size_t len)
{
    return strlen(text) == len && slc_key_template_check(text) == NULL;
}

static bool is_pointer(const char *text, size_t len)
{
    return strlen(text) == len && slc_field_pattern_check(text) == NULL;
}

static bool is_part(const char *text, size_t len)
{
    (void)len;
    return strcmp(text, "value") == 0 || strcmp(text, "key") == 0 || strcmp(text, "fields") == 0;
}

static char **copy_texts(const json_t *list, size_t *count)
{
    char **copy = slc_calloc(json_array_size(list) + 1, sizeof *copy);
    for (*count = 0; *count < json_array_size(list); ++*count)
        copy[*count] = slc_strdup(json_string_value(json_array_get(list, *count)));
    return copy;
}

static bool compile_template(const json_t *config, const char *member, const char *fallback, char **out,
                             slc_error *err)
{
    char pointer[64];
    snprintf(pointer, sizeof pointer, "/config/%s", member);
    const char *text = slc_policy_config_string(config, member, fallback, SLC_KEY_TEMPLATE_MAX, err);
    if (text == NULL)
        return json_object_get(config, member) == NULL;
    const char *wrong = slc_key_template_check(text);
    if (wrong != NULL)
        return slc_fail(err, SLC_INVALID, pointer, "%s %s", member, wrong);
    *out = slc_strdup(text);
    return true;
}

static bool is_name(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    size_t len = strlen(text);
    return strspn(text, letters) == len && text[0] != '-' && text[len - 1] != '-';
}

static bool compile_keys(const json_t *config, slc_encrypt *policy, slc_error *err)
{
    static const slc_policy_list templates = {1, SLC_ENCRYPT_READ_KEYS, SLC_KEY_TEMPLATE_MAX, is_template};
    const json_t *list;
    const char *ring = slc_policy_config_string(config, "key_ring", NULL, SLC_ENCRYPT_RING_MAX, err);
    if (ring == NULL && json_object_get(config, "key_ring") == NULL)
        return slc_fail(err, SLC_INVALID, "/config/key_ring", "key_ring is missing");
    if (ring == NULL || !compile_template(config, "key", NULL, &policy->key, err) ||
        !slc_policy_config_strings(config, "read_keys", &templates, &list, err))
        return false;
    if (!is_name(ring))
        return slc_fail(err, SLC_INVALID, "/config/key_ring",
                        "key_ring must be a name of lower-case letters, digits and dashes");
    policy->ring = slc_strdup(ring);
    policy->read_keys = copy_texts(list, &policy->read_count);
    return compile_template(config, "context", "{topic}", &policy->context, err) &&
           slc_policy_config_bool(config, "bind_key", false, &policy->bind_key, err);
}

static bool compile_what(const json_t *config, slc_encrypt *policy, slc_error *err)
{
    static const slc_policy_list parts = {1, 3, 6, is_part},
                                 pointers = {1, SLC_ENCRYPT_FIELDS_MAX, SLC_FIELD_PATTERN_MAX, is_pointer};
    const json_t *what, *fields;
    size_t i;
    json_t *part;
    if (!slc_policy_config_strings(config, "what", &parts, &what, err) ||
        !slc_policy_config_strings(config, "fields", &pointers, &fields, err))
        return false;
    json_array_foreach ((json_t *)what, i, part) {
        const char *name = json_string_value(part);
        policy->what |= strcmp(name, "value") == 0 ? SLC_ENCRYPT_VALUE
                        : strcmp(name, "key") == 0 ? SLC_ENCRYPT_KEY
                                                   : SLC_ENCRYPT_FIELDS;
    }
    if (what == NULL)
        policy->what = SLC_ENCRYPT_VALUE;
    policy->fields = copy_texts(fields, &policy->field_count);
    if ((policy->what & SLC_ENCRYPT_VALUE) != 0 && (policy->what & SLC_ENCRYPT_FIELDS) != 0)
        return slc_fail(err, SLC_INVALID, "/config/what", "what has either value or fields");
    if (((policy->what & SLC_ENCRYPT_FIELDS) != 0) != (policy->field_count > 0))
        return slc_fail(err, SLC_INVALID, "/config/fields", "fields go with what: fields, and only there");
    return true;
}

static bool compile_choice(const json_t *config, const char *member, const char *first, const char *second,
                           bool *is_second, slc_error *err)
{
    char pointer[64];
    snprintf(pointer, sizeof pointer, "/config/%s", member);
    const char *text = slc_policy_config_string(config, member, first, 20, err);
    if (text == NULL)
        return false;
    *is_second = strcmp(text, second) == 0;
    return *is_second || strcmp(text, first) == 0 ||
           slc_fail(err, SLC_INVALID, pointer, "%s must be %s or %s", member, first, second);
}

static bool compile_reading(const json_t *config, slc_encrypt *policy, slc_error *err)
{
    slc_error cause = {0};
    bool ciphertext;
    const char *condition = slc_policy_config_string(config, "decrypt_if", "", 1000, err);
    const char *until = slc_policy_config_string(config, "plaintext_until", "", 40, err);
    if (condition == NULL || until == NULL ||
        !compile_choice(config, "others", "refuse", "ciphertext", &ciphertext, err) ||
        !compile_choice(config, "plaintext", "refuse", "pass", &policy->pass_plaintext, err))
        return false;
    policy->refuse_others = !ciphertext;
    if (condition[0] != '\0' && (policy->decrypt_if = slc_condition_compile(condition, &cause)) == NULL)
        return slc_fail(err, SLC_INVALID, "/config/decrypt_if", "decrypt_if: %.200s", cause.message);
    if (until[0] != '\0' && !slc_rfc3339_parse(until, strlen(until), &policy->until_ms))
        return slc_fail(err, SLC_INVALID, "/config/plaintext_until",
                        "plaintext_until must be a time as in RFC 3339");
    return true;
}

static bool compile(const json_t *config, void **compiled, slc_error *err)
{
    static const char *const known[] = {"key_ring", "key",       "read_keys",       "what",
                                        "fields",   "context",   "bind_key",        "decrypt_if",
                                        "others",   "plaintext", "plaintext_until", NULL};
    if (!slc_policy_config_known(config, known, err))
        return false;
    slc_encrypt *policy = slc_calloc(1, sizeof *policy);
    if (compile_keys(config, policy, err) && compile_what(config, policy, err) &&
        compile_reading(config, policy, err)) {
        *compiled = policy;
        return true;
    }
    release(policy);
    return false;
}

bool slc_encrypt_names(const char *config_json, char name[SLC_ENCRYPT_RING_MAX + 1], bool *has_key)
{
    json_t *config = slc_json_parse(config_json, strlen(config_json), SIZE_MAX, NULL);
    const char *ring = json_string_value(json_object_get(config, "key_ring"));
    bool ok = ring != NULL && strlen(ring) <= SLC_ENCRYPT_RING_MAX;
    if (ok)
        snprintf(name, SLC_ENCRYPT_RING_MAX + 1, "%s", ring);
    *has_key = json_object_get(config, "key") != NULL;
    json_decref(config);
    return ok;
}

/* ---- binding ---- */

static enum slc_record_audience audience(const void *compiled)
{
    const slc_encrypt *policy = compiled;
    return policy->decrypt_if != NULL ? SLC_AUDIENCE_ONE : SLC_AUDIENCE_ALL;
}

slc_encryption *slc_encryption_new(const slc_encrypt *policy, slc_key_ring *ring, const char *ring_key,
                                   const char *topic, const char *vcluster, slc_error *err)
{
    const char *key = policy->key != NULL ? policy->key : ring_key;
    slc_encryption *encryption = slc_calloc(1, sizeof *encryption);
    encryption->policy = policy;
    encryption->reader = SLC_DECRYPTS;
    snprintf(encryption->topic, sizeof encryption->topic, "%s", topic);
    snprintf(encryption->vcluster, sizeof encryption->vcluster, "%s", vcluster);
    bool ok =
        (slc_key_template_fill(key, topic, vcluster, encryption->kek, sizeof encryption->kek) ||
         slc_fail(err, SLC_INVALID, NULL, "the name of its key is empty, or gets too long for the topic")) &&
        (slc_key_template_fill(policy->context, topic, vcluster, encryption->context,
                               sizeof encryption->context) ||
         slc_fail(err, SLC_INVALID, NULL, "its context gets too long for the topic"));
    if (!ok) {
        free(encryption);
        return NULL;
    }
    encryption->kek_len = strlen(encryption->kek);
    encryption->context_len = strlen(encryption->context);
    encryption->ring = slc_key_ring_ref(ring);
    return encryption;
}

void slc_encryption_free(slc_encryption *encryption)
{
    if (encryption == NULL)
        return;
    slc_encrypt_forget(encryption);
    slc_key_ring_unref(encryption->ring);
    free(encryption);
}

/* May the reader have plaintext? Who cannot be judged may not. */
static bool may_decrypt(const slc_encrypt *policy, const slc_record_subject *subject)
{
    char why[200];
    return policy->decrypt_if == NULL ||
           slc_condition_ask(policy->decrypt_if, subject->request, why, sizeof why) == SLC_CONDITION_TRUE;
}

static bool bind_policy(const void *compiled, const slc_record_subject *subject, void **bound, slc_error *err)
{
    const slc_encrypt *policy = compiled;
    const slc_key_ring_entity *entity = slc_snapshot_key_ring(subject->snapshot, policy->ring);
    bool reads = subject->direction == SLC_RECORDS_CONSUME;
    bool decrypts = !reads || may_decrypt(policy, subject);
    *bound = NULL;
    if (!decrypts && !policy->refuse_others)
        return true; /* the ciphertext passes */
    if (entity == NULL || entity->ring == NULL)
        return slc_fail(err, SLC_UNAVAILABLE, NULL, "the key ring %s is not there", policy->ring);
    slc_encryption *encryption = slc_encryption_new(policy, entity->ring, entity->msg->key,
                                                    subject->backend_topic, subject->vcluster->msg->name, err);
    if (encryption != NULL && !decrypts)
        encryption->reader = SLC_REFUSES;
    *bound = encryption;
    return encryption != NULL;
}

static void unbind(void *bound)
{
    slc_encryption_free(bound);
}

static bool holds(const void *bound, const slc_snapshot *snapshot)
{
    const slc_encryption *encryption = bound;
    if (encryption == NULL)
        return true;
    const slc_key_ring_entity *entity = slc_snapshot_key_ring(snapshot, encryption->policy->ring);
    return entity != NULL && entity->ring == encryption->ring;
}

/* ---- the header ---- */

static bool is_ours(const slc_record_header *header)
{
    return header->name_len == sizeof SLC_ENCRYPT_HEADER - 1 &&
           memcmp(header->name, SLC_ENCRYPT_HEADER, header->name_len) == 0;
}

static const char *header_value(unsigned what)
{
    static const char *const values[] = {"1",        "1 value",        "1 key",        "1 key value",
                                         "1 fields", "1 value fields", "1 key fields", "1 key value fields"};
    return values[what & 7];
}

/* Whatever a record has of that name goes; a new one comes when `what` is not 0. */
static bool set_header(slc_record_turn *turn, slc_policy_record *record, unsigned what)
{
    slc_record_header *after = slc_record_scratch_headers(turn->scratch, record->header_count + 1);
    uint32_t count = 0;
    if (after == NULL)
        return false;
    for (uint32_t i = 0; i < record->header_count; i++)
        if (!is_ours(&record->headers[i]))
            after[count++] = record->headers[i];
    if (what != 0) {
        const char *value = header_value(what);
        after[count++] = (slc_record_header){.name = SLC_ENCRYPT_HEADER,
                                             .name_len = sizeof SLC_ENCRYPT_HEADER - 1,
                                             .value = (const uint8_t *)value,
                                             .value_len = (uint32_t)strlen(value)};
    }
    record->headers = after;
    record->header_count = count;
    return true;
}

/* What the header says was encrypted; 0: there is none. False: of a version that is not known here. */
static bool read_header(const slc_policy_record *record, unsigned *what)
{
    *what = 0;
    for (uint32_t i = 0; i < record->header_count; i++) {
        const slc_record_header *header = &record->headers[i];
        unsigned known = 1;
        if (!is_ours(header))
            continue;
        while (known < 8 && (header->value == NULL || header->value_len != strlen(header_value(known)) ||
                             memcmp(header->value, header_value(known), header->value_len) != 0))
            known++;
        if (known == 8)
            return false;
        *what |= known;
    }
    return true;
}

static enum slc_record_verdict no_room(slc_record_problem *problem)
{
    return slc_record_reject(problem, SLC_TOO_LARGE, "The headers of a record are too large.");
}

/* ---- encrypting ---- */

static enum slc_record_verdict seal(slc_record_turn *turn, slc_data_key *key, enum slc_envelope_part part,
                                    const slc_crypt_place *place, const uint8_t **data, size_t *len,
                                    slc_record_problem *problem)
{
    slc_error err = {0};
    slc_buf *out = slc_record_scratch_buf(turn->scratch);
    if (!slc_crypt_seal(slc_encrypt_ciphers(), key, part, place, *data, *len, out, &err))
        return slc_encrypt_reject(problem, &err);
    *data = out->data;
    *len = out->len;
    return SLC_RECORD_CHANGE;
}

static enum slc_record_verdict encrypt_value(slc_encryption *encryption, slc_record_turn *turn,
                                             slc_policy_record *record, slc_record_problem *problem)
{
    slc_data_key *key;
    enum slc_record_verdict verdict = slc_encrypt_current(encryption, turn, &key, problem);
    if (verdict != SLC_RECORD_KEEP)
        return verdict;
    if ((encryption->policy->what & SLC_ENCRYPT_VALUE) != 0) {
        const slc_crypt_place place = slc_encrypt_place(encryption, record);
        return seal(turn, key, SLC_PART_VALUE, &place, &record->value, &record->value_len, problem);
    }
    slc_buf *out = NULL;
    verdict = slc_encrypt_seal_fields(encryption, turn, record, key, &out, problem);
    if (verdict == SLC_RECORD_CHANGE) {
        record->value = out->data;
        record->value_len = out->len;
    }
    return verdict == SLC_RECORD_KEEP ? SLC_RECORD_CHANGE : verdict;
}

/* The key first: the value may be bound to it as it is stored. */
enum slc_record_verdict slc_encrypt_record(void *bound, slc_record_turn *turn, slc_policy_record *record,
                                           slc_record_problem *problem)
{
    slc_encryption *encryption = bound;
    unsigned what = encryption->policy->what;
    enum slc_record_verdict verdict = SLC_RECORD_CHANGE;
    if ((what & SLC_ENCRYPT_KEY) != 0 && record->key != NULL) {
        slc_crypt_place place = slc_encrypt_place(encryption, record);
        slc_data_key *key;
        place.binds_key = false;
        verdict = slc_encrypt_fixed(encryption, encryption->kek, encryption->kek_len, turn, &key, problem);
        if (verdict == SLC_RECORD_KEEP)
            verdict = seal(turn, key, SLC_PART_KEY, &place, &record->key, &record->key_len, problem);
    }
    if (verdict == SLC_RECORD_CHANGE && (what & (SLC_ENCRYPT_VALUE | SLC_ENCRYPT_FIELDS)) != 0 &&
        record->value != NULL)
        verdict = encrypt_value(encryption, turn, record, problem);
    if (verdict != SLC_RECORD_CHANGE)
        return verdict;
    return set_header(turn, record, what) ? SLC_RECORD_CHANGE : no_room(problem);
}

/* ---- decrypting ---- */

/* Is there anything in the record that should have been encrypted? */
static bool has_plain(unsigned what, const slc_policy_record *record)
{
    return ((what & SLC_ENCRYPT_KEY) != 0 && record->key != NULL) ||
           ((what & (SLC_ENCRYPT_VALUE | SLC_ENCRYPT_FIELDS)) != 0 && record->value != NULL);
}

static bool may_be_plain(const slc_encrypt *policy)
{
    return policy->pass_plaintext && (policy->until_ms == 0 || slc_wall_ms() < policy->until_ms);
}

static enum slc_record_verdict refuse_plain(slc_record_problem *problem)
{
    return slc_record_reject(problem, SLC_DENIED, "The record is not encrypted, and should be.");
}

static enum slc_record_verdict open_into(slc_encryption *encryption, slc_record_turn *turn,
                                         enum slc_envelope_part part, const slc_crypt_place *place,
                                         const uint8_t **data, size_t *len, slc_record_problem *problem)
{
    slc_buf *out = slc_record_scratch_buf(turn->scratch);
    slc_buf_reserve(out, *len); /* what is empty is not null */
    enum slc_record_verdict verdict =
        slc_encrypt_open_one(encryption, turn, *data, *len, part, place, out, problem);
    if (verdict == SLC_RECORD_CHANGE) {
        *data = out->data;
        *len = out->len;
    }
    return verdict;
}

static enum slc_record_verdict decrypt_fields(slc_encryption *encryption, slc_record_turn *turn,
                                              slc_policy_record *record, slc_record_problem *problem)
{
    slc_buf *out = NULL;
    bool plain;
    enum slc_record_verdict verdict = slc_encrypt_open_fields(encryption, turn, record, &out, &plain, problem);
    if (plain && (verdict == SLC_RECORD_CHANGE || verdict == SLC_RECORD_KEEP) &&
        !may_be_plain(encryption->policy))
        return refuse_plain(problem);
    if (verdict == SLC_RECORD_CHANGE) {
        record->value = out->data;
        record->value_len = out->len;
    }
    return verdict;
}

static enum slc_record_verdict decrypt_parts(slc_encryption *encryption, slc_record_turn *turn, unsigned what,
                                             slc_policy_record *record, slc_record_problem *problem)
{
    slc_crypt_place place = slc_encrypt_place(encryption, record);
    enum slc_record_verdict verdict = SLC_RECORD_CHANGE;
    if ((what & SLC_ENCRYPT_VALUE) != 0 && record->value != NULL)
        verdict =
            open_into(encryption, turn, SLC_PART_VALUE, &place, &record->value, &record->value_len, problem);
    if ((what & SLC_ENCRYPT_FIELDS) != 0 && record->value != NULL)
        verdict = decrypt_fields(encryption, turn, record, problem);
    if (verdict != SLC_RECORD_CHANGE && verdict != SLC_RECORD_KEEP)
        return verdict;
    if ((what & SLC_ENCRYPT_KEY) == 0 || record->key == NULL)
        return SLC_RECORD_CHANGE;
    place.binds_key = false;
    return open_into(encryption, turn, SLC_PART_KEY, &place, &record->key, &record->key_len, problem);
}

enum slc_record_verdict slc_decrypt_record(void *bound, slc_record_turn *turn, slc_policy_record *record,
                                           slc_record_problem *problem)
{
    slc_encryption *encryption = bound;
    const slc_encrypt *policy = encryption->policy;
    unsigned what;
    if (encryption->reader == SLC_REFUSES)
        return slc_record_reject(problem, SLC_DENIED, "Who reads may not have what is encrypted.");
    if (!read_header(record, &what))
        return slc_record_reject(problem, SLC_UNSUPPORTED, "It is encrypted in a way that is not known here.");
    if (has_plain(policy->what & ~what, record) && !may_be_plain(policy))
        return refuse_plain(problem);
    if (what == 0)
        return SLC_RECORD_KEEP;
    enum slc_record_verdict verdict = decrypt_parts(encryption, turn, what, record, problem);
    if (verdict != SLC_RECORD_CHANGE)
        return verdict;
    return set_header(turn, record, 0) ? SLC_RECORD_CHANGE : no_room(problem);
}

static const slc_record_ops on_records = {
    .rank = SLC_RANK_ENCRYPT,
    .headers = true,
    .audience = audience,
    .bind = bind_policy,
    .unbind = unbind,
    .holds = holds,
    .on_produce_record = slc_encrypt_record,
    .on_consume_record = slc_decrypt_record,
};

const slc_policy_type slc_policy_encrypt = {
    .name = "encrypt",
    .summary = "Encrypts records on their way to the broker and decrypts them on their way back, the same for "
               "REST, SSE and "
               "native Kafka:\n[encryption.md](encryption.md). What is published is encrypted as a whole "
               "(`value`), by its key "
               "(`key`) or by fields of JSON\n(`fields`). A tombstone stays one. A record that should be "
               "encrypted and is not "
               "is refused to readers, unless `plaintext` is `pass`.\nWho the policy does not concern, by its "
               "scope or "
               "condition, publishes plaintext and reads ciphertext.",
    .config_schema =
        "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"key_ring\"],\"properties\":{"
        "\"key_ring\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":63,\"description\":\"Name of the key "
        "ring.\"},"
        "\"key\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":255,\"description\":\"Name of the "
        "key-encryption key; "
        "`{topic}` stands for the backend's name of the topic, `{virtual_cluster}` for that name. Absent: the "
        "key "
        "ring's.\"},"
        "\"read_keys\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":20,\"items\":{\"type\":\"string\","
        "\"minLength\":1,"
        "\"maxLength\":255},\"description\":\"Other key-encryption keys that records may be encrypted under: "
        "earlier "
        "ones.\"},"
        "\"what\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":3,\"items\":{\"type\":\"string\",\"enum\":["
        "\"value\","
        "\"key\",\"fields\"]},\"default\":[\"value\"],\"description\":\"What is encrypted; either `value` or "
        "`fields`.\"},"
        "\"fields\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":50,\"items\":{\"type\":\"string\","
        "\"minLength\":1,"
        "\"maxLength\":200},\"description\":\"JSON pointers to the fields; `*` stands for any member or "
        "element.\"},"
        "\"context\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":255,\"default\":\"{topic}\","
        "\"description\":\"What a ciphertext is bound to: it opens nowhere else.\"},"
        "\"bind_key\":{\"type\":\"boolean\",\"default\":false,\"description\":\"Bind values to the record's "
        "key as well.\"},"
        "\"decrypt_if\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":1000,\"description\":\"Condition: "
        "who reads "
        "plaintext. Absent: everybody whom the policy concerns.\"},"
        "\"others\":{\"type\":\"string\",\"enum\":[\"refuse\",\"ciphertext\"],\"default\":\"refuse\","
        "\"description\":\"What "
        "the others get.\"},"
        "\"plaintext\":{\"type\":\"string\",\"enum\":[\"refuse\",\"pass\"],\"default\":\"refuse\","
        "\"description\":\"What "
        "becomes of records that are not encrypted, when they are read: `pass` is the migration window.\"},"
        "\"plaintext_until\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":40,\"description\":\"When the "
        "window closes, as "
        "in RFC 3339; absent: it stays open.\"}}}",
    .compile = compile,
    .release = release,
    .records = &on_records,
    .access = slc_record_access,
};
