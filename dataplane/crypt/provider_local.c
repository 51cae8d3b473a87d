/* local: a sealed keystore. It is read when it is first needed, and again when the file is another one. */
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/crypto.h"
#include "dataplane/crypt/keystore.h"
#include "dataplane/crypt/provider.h"

struct local {
    const slc_key_ring_options *options;
    pthread_mutex_t lock;
    slc_keystore *store; /* NULL: not read, or it could not be */
    struct stat seen;    /* the file that it is of */
};

static void *open_local(const slc_key_ring_options *options)
{
    struct local *local = slc_calloc(1, sizeof *local);
    local->options = options;
    SLC_BUG_ON(pthread_mutex_init(&local->lock, NULL) != 0);
    return local;
}

static void close_local(void *provider)
{
    struct local *local = provider;
    slc_keystore_free(local->store);
    pthread_mutex_destroy(&local->lock);
    free(local);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* With the lock. A file that cannot be read is not one without keys: what passes is told from what does not. */
static slc_keystore *store_of(struct local *local, slc_error *err)
{
    struct stat now = {0};
    size_t len;
    if (stat(local->options->path, &now) == 0 && local->store != NULL && same_file(&now, &local->seen))
        return local->store;
    slc_keystore_free(local->store);
    local->store = NULL;
    char *passphrase = slc_key_secret_read(&local->options->passphrase, "the passphrase", &len, err);
    if (passphrase != NULL)
        local->store = slc_keystore_load(local->options->path, passphrase, len, err);
    slc_free_secret(passphrase, len);
    if (local->store == NULL && err != NULL)
        err->code = SLC_UNAVAILABLE;
    local->seen = now;
    return local->store;
}

static bool generate(void *provider, const slc_key_call *call, const char *kek,
                     uint8_t secret[SLC_DATA_KEY_BYTES], slc_edek *edek, slc_error *err)
{
    struct local *local = provider;
    (void)call;
    pthread_mutex_lock(&local->lock);
    const slc_keystore *store = store_of(local, err);
    slc_random(secret, SLC_DATA_KEY_BYTES);
    edek->len = SLC_KEYSTORE_EDEK_BYTES;
    bool ok = store != NULL && slc_keystore_wrap(store, kek, secret, edek->bytes, err);
    pthread_mutex_unlock(&local->lock);
    return ok;
}

static bool unwrap(void *provider, const slc_key_call *call, const char *kek, const uint8_t *edek,
                   size_t edek_len, uint8_t secret[SLC_DATA_KEY_BYTES], slc_error *err)
{
    struct local *local = provider;
    (void)call;
    pthread_mutex_lock(&local->lock);
    const slc_keystore *store = store_of(local, err);
    bool ok = store != NULL && slc_keystore_unwrap(store, kek, edek, edek_len, secret, err);
    pthread_mutex_unlock(&local->lock);
    return ok;
}

static bool fixed(void *provider, const slc_key_call *call, const char *kek,
                  uint8_t secret[SLC_FIXED_KEY_BYTES], slc_error *err)
{
    struct local *local = provider;
    (void)call;
    pthread_mutex_lock(&local->lock);
    const slc_keystore *store = store_of(local, err);
    bool ok = store != NULL && slc_keystore_fixed(store, kek, secret, err);
    pthread_mutex_unlock(&local->lock);
    return ok;
}

/* A file that has gone is none that changed: keys that are known serve on for their time. */
static bool changed(void *provider)
{
    struct local *local = provider;
    struct stat now;
    if (pthread_mutex_trylock(&local->lock) != 0)
        return false; /* it is being read */
    bool is = local->store != NULL && stat(local->options->path, &now) == 0 && !same_file(&now, &local->seen);
    pthread_mutex_unlock(&local->lock);
    return is;
}

const slc_key_provider_ops slc_provider_local = {
    .name = "local",
    .open = open_local,
    .close = close_local,
    .generate = generate,
    .unwrap = unwrap,
    .fixed = fixed,
    .changed = changed,
};
