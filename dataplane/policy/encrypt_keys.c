/* The keys that a bound encrypt policy has at hand, and the contexts of its thread. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/assert.h"
#include "common/clock.h"
#include "dataplane/policy/encryption.h"

#define ASK_AGAIN_MS 100  /* whether another data key encrypts */
#define TRIM_MS      5000 /* keys that are dead leave the thread's contexts */

static pthread_key_t of_thread;
static _Thread_local slc_ciphers *ciphers;
static _Thread_local int64_t trimmed_ms;

static void free_ciphers(void *arg)
{
    slc_ciphers_free(arg);
}

static void make_key(void)
{
    SLC_BUG_ON(pthread_key_create(&of_thread, free_ciphers) != 0);
}

slc_ciphers *slc_encrypt_ciphers(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (ciphers == NULL) {
        SLC_BUG_ON(pthread_once(&once, make_key) != 0);
        ciphers = slc_ciphers_new();
        SLC_BUG_ON(pthread_setspecific(of_thread, ciphers) != 0);
    }
    return ciphers;
}

static void trim(int64_t now_ms)
{
    if (now_ms - trimmed_ms < TRIM_MS)
        return;
    trimmed_ms = now_ms;
    slc_ciphers_tell(slc_encrypt_ciphers());
    slc_ciphers_trim(slc_encrypt_ciphers());
}

/* What is out of reach may come back; a key that is missing, or bytes that are not what they say, do not. The
 * client is told no names. */
enum slc_record_verdict slc_encrypt_reject(slc_record_problem *problem, const slc_error *err)
{
    enum slc_code code = err->code;
    (void)slc_record_reject(problem, code, "%.199s", err->message);
    snprintf(problem->detail, sizeof problem->detail, "%s",
             code == SLC_UNAVAILABLE ? "The key of the record is not to be had now."
             : code == SLC_NOT_FOUND ? "The key of the record is not there, or was destroyed."
             : code == SLC_TOO_LARGE ? "The record is too large when it is encrypted."
                                     : "What is encrypted in the record does not open.");
    return SLC_RECORD_REJECT;
}

static enum slc_record_verdict ask(slc_encryption *encryption, const slc_key_want *want, slc_record_turn *turn,
                                   slc_data_key **key, slc_record_problem *problem)
{
    slc_error err = {0};
    switch (slc_key_ring_ask(encryption->ring, want, turn->waiter, key, &err)) {
    case SLC_KEY_READY:
        return SLC_RECORD_KEEP;
    case SLC_KEY_LATER:
        return SLC_RECORD_LATER;
    case SLC_KEY_FAILED:
    default:
        return slc_encrypt_reject(problem, &err);
    }
}

enum slc_record_verdict slc_encrypt_current(slc_encryption *encryption, slc_record_turn *turn,
                                            slc_data_key **key, slc_record_problem *problem)
{
    int64_t now_ms = slc_monotonic_about_ms();
    trim(now_ms);
    if (encryption->current == NULL || now_ms - encryption->current_ms >= ASK_AGAIN_MS ||
        !slc_data_key_holds(encryption->current, now_ms)) {
        const slc_key_want want = {
            .kind = SLC_KEY_TO_ENCRYPT, .kek = encryption->kek, .kek_len = encryption->kek_len};
        slc_data_key *fresh = NULL;
        enum slc_record_verdict verdict = ask(encryption, &want, turn, &fresh, problem);
        if (verdict != SLC_RECORD_KEEP)
            return verdict;
        slc_data_key_unref(encryption->current);
        encryption->current = fresh;
        encryption->current_ms = now_ms;
    }
    *key = encryption->current;
    return SLC_RECORD_KEEP;
}

enum slc_record_verdict slc_encrypt_fixed(slc_encryption *encryption, const char *kek, size_t kek_len,
                                          slc_record_turn *turn, slc_data_key **key,
                                          slc_record_problem *problem)
{
    slc_data_key *have = encryption->fixed;
    if (have == NULL || have->kek_len != kek_len || memcmp(have->kek, kek, kek_len) != 0 ||
        !slc_data_key_holds(have, slc_monotonic_about_ms())) {
        const slc_key_want want = {.kind = SLC_KEY_FIXED, .kek = kek, .kek_len = kek_len};
        slc_data_key *fresh = NULL;
        enum slc_record_verdict verdict = ask(encryption, &want, turn, &fresh, problem);
        if (verdict != SLC_RECORD_KEEP)
            return verdict;
        slc_data_key_unref(have);
        encryption->fixed = fresh;
    }
    *key = encryption->fixed;
    return SLC_RECORD_KEEP;
}

static bool is_of(const slc_data_key *key, const slc_envelope *envelope)
{
    return key->kek_len == envelope->kek_len && key->edek_len == envelope->edek_len &&
           memcmp(key->edek, envelope->edek, envelope->edek_len) == 0 &&
           memcmp(key->kek, envelope->kek, envelope->kek_len) == 0;
}

static slc_data_key *recall(slc_encryption *encryption, const slc_envelope *envelope)
{
    for (size_t i = 0; i < SLC_ENCRYPT_RECENT; i++) {
        slc_data_key *key = encryption->recent[i];
        if (key == NULL || !is_of(key, envelope))
            continue;
        if (slc_data_key_holds(key, slc_monotonic_about_ms()))
            return key;
        slc_data_key_unref(key);
        encryption->recent[i] = NULL;
    }
    return NULL;
}

/* A policy reads what is encrypted under its own KEK and those that it lists: else whoever writes to the topic
 * could have it ask for any key there is. */
static bool may_read(const slc_encryption *encryption, const char *kek, size_t kek_len)
{
    if (kek_len == encryption->kek_len && memcmp(kek, encryption->kek, kek_len) == 0)
        return true;
    for (size_t i = 0; i < encryption->policy->read_count; i++) {
        char filled[SLC_KEK_NAME_MAX + 1];
        if (slc_key_template_fill(encryption->policy->read_keys[i], encryption->topic, encryption->vcluster,
                                  filled, sizeof filled) &&
            strlen(filled) == kek_len && memcmp(filled, kek, kek_len) == 0)
            return true;
    }
    return false;
}

enum slc_record_verdict slc_encrypt_opening(slc_encryption *encryption, const slc_envelope *envelope,
                                            slc_record_turn *turn, slc_data_key **key,
                                            slc_record_problem *problem)
{
    bool fixed = envelope->part == SLC_PART_KEY;
    if (!fixed && (*key = recall(encryption, envelope)) != NULL)
        return SLC_RECORD_KEEP;
    if (!may_read(encryption, envelope->kek, envelope->kek_len)) {
        slc_error err = {0};
        slc_fail(&err, SLC_DENIED, NULL, "it is encrypted under \"%.*s\", which the policy does not read",
                 (int)(envelope->kek_len < 100 ? envelope->kek_len : 100), envelope->kek);
        return slc_encrypt_reject(problem, &err);
    }
    if (fixed)
        return slc_encrypt_fixed(encryption, envelope->kek, envelope->kek_len, turn, key, problem);
    const slc_key_want want = {.kind = SLC_KEY_TO_DECRYPT,
                               .kek = envelope->kek,
                               .kek_len = envelope->kek_len,
                               .edek = envelope->edek,
                               .edek_len = envelope->edek_len};
    trim(slc_monotonic_about_ms());
    enum slc_record_verdict verdict = ask(encryption, &want, turn, key, problem);
    if (verdict == SLC_RECORD_KEEP) {
        unsigned at = encryption->recent_at++ % SLC_ENCRYPT_RECENT;
        slc_data_key_unref(encryption->recent[at]);
        encryption->recent[at] = *key;
    }
    return verdict;
}

void slc_encrypt_forget(slc_encryption *encryption)
{
    slc_data_key_unref(encryption->current);
    slc_data_key_unref(encryption->fixed);
    for (size_t i = 0; i < SLC_ENCRYPT_RECENT; i++)
        slc_data_key_unref(encryption->recent[i]);
}

slc_crypt_place slc_encrypt_place(const slc_encryption *encryption, const slc_policy_record *record)
{
    return (slc_crypt_place){.context = encryption->context,
                             .context_len = encryption->context_len,
                             .binds_key = encryption->policy->bind_key,
                             .record_key = record->key,
                             .record_key_len = record->key_len};
}

enum slc_record_verdict slc_encrypt_open_one(slc_encryption *encryption, slc_record_turn *turn,
                                             const uint8_t *data, size_t len, enum slc_envelope_part part,
                                             const slc_crypt_place *place, slc_buf *out,
                                             slc_record_problem *problem)
{
    slc_envelope envelope;
    slc_data_key *key;
    slc_error err = {0};
    if (!slc_envelope_parse(data, len, &envelope, &err))
        return slc_encrypt_reject(problem, &err);
    if (envelope.part != part) {
        slc_fail(&err, SLC_CORRUPT, NULL, "what is encrypted is another part of a record");
        return slc_encrypt_reject(problem, &err);
    }
    enum slc_record_verdict verdict = slc_encrypt_opening(encryption, &envelope, turn, &key, problem);
    if (verdict != SLC_RECORD_KEEP)
        return verdict;
    if (!slc_crypt_open(slc_encrypt_ciphers(), key, &envelope, place, out, &err))
        return slc_encrypt_reject(problem, &err);
    return SLC_RECORD_CHANGE;
}
