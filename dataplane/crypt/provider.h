/* Who holds key-encryption keys. One operations table for each kind; calls block and come from the threads of
 * the key rings (keys.h), for one provider from several at once. */
#ifndef SLC_DATAPLANE_CRYPT_PROVIDER_H
#define SLC_DATAPLANE_CRYPT_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/crypt/data_key.h"
#include "dataplane/crypt/envelope.h"
#include "dataplane/crypt/http_call.h"
#include "dataplane/crypt/options.h"

typedef struct slc_edek {
    uint8_t bytes[SLC_EDEK_MAX];
    size_t len;
} slc_edek;

/* What a call may use. */
typedef struct slc_key_call {
    slc_http_client *http; /* the thread's */
    int64_t timeout_ms;
} slc_key_call;

/* Errors of all calls: SLC_NOT_FOUND: there is no such KEK, or it is destroyed or disabled; SLC_CORRUPT: the
 * EDEK is not of that KEK; SLC_UNAVAILABLE: anything that may pass, refused credentials too. */
typedef struct slc_key_provider_ops {
    const char *name;
    /* Nothing is reached yet; `options` outlive it. */
    void *(*open)(const slc_key_ring_options *options);
    void (*close)(void *provider);
    /* A new data key. */
    bool (*generate)(void *provider, const slc_key_call *call, const char *kek,
                     uint8_t secret[SLC_DATA_KEY_BYTES], slc_edek *edek, slc_error *err);
    bool (*unwrap)(void *provider, const slc_key_call *call, const char *kek, const uint8_t *edek,
                   size_t edek_len, uint8_t secret[SLC_DATA_KEY_BYTES], slc_error *err);
    /* The secret of a KEK that is always the same, for keys of records. */
    bool (*fixed)(void *provider, const slc_key_call *call, const char *kek,
                  uint8_t secret[SLC_FIXED_KEY_BYTES], slc_error *err);
    /* Looks whether KEKs have gone since the last time; NULL: cannot know. True: some may have: all keys are
     * asked for anew. */
    bool (*changed)(void *provider);
} slc_key_provider_ops;

extern const slc_key_provider_ops slc_provider_local, slc_provider_vault, slc_provider_aws;
/* NULL when there is none. */
const slc_key_provider_ops *slc_key_provider_find(const char *name);

/* For providers: a secret that is base64 text in an object. False when it is not there or has another length.
 */
bool slc_provider_secret(const json_t *object, const char *member, uint8_t *out, size_t len);

#endif
