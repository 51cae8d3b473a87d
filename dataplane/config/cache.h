/* The last known good configuration on disk, encrypted.
 *
 * state_dir/cache/chunks is a log of sealed chunks, appended to and compacted when more than half of it is
 * dead; state_dir/cache/manifest is the sealed manifest of what was applied last, written atomically after the
 * chunks that it names. Whatever does not pass its check (cut, changed, another key) is as if it were not
 * there. The manifest's modification time is the last contact with the control plane.
 *
 * Private to dataplane/config; config thread.
 */
#ifndef SLC_DATAPLANE_CONFIG_CACHE_H
#define SLC_DATAPLANE_CONFIG_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/crypto.h"
#include "common/error.h"
#include "dataplane/config/tree.h"

typedef struct slc_cache slc_cache;

/* Opens or makes the cache. Damage is logged and left out; only an unusable directory is an error. */
slc_cache *slc_cache_open(const char *state_dir, const uint8_t key[SLC_SEAL_KEY_BYTES],
                          slc_error *err) SLC_CHECKED;
void slc_cache_free(slc_cache *cache); /* NULL is fine */

/* The packed manifest, new; NULL when there is none (SLC_NOT_FOUND) or it is not good (SLC_CORRUPT). */
uint8_t *slc_cache_manifest(slc_cache *cache, size_t *len, slc_error *err) SLC_CHECKED;

bool slc_cache_has(const slc_cache *cache, const uint8_t sha256[SLC_SHA256_BYTES]);
/* New memory, digest checked; NULL when it is not there or not good (then it is forgotten). */
uint8_t *slc_cache_get(slc_cache *cache, const uint8_t sha256[SLC_SHA256_BYTES], size_t *len);

/* Makes a manifest and its new chunks the last known good: appends, syncs, then replaces the manifest. `live`
 * lists every digest that the manifest needs, parts of indexes too. After an error the old one stands. */
typedef struct slc_cache_chunk {
    uint8_t sha256[SLC_SHA256_BYTES];
    const uint8_t *content;
    size_t len;
} slc_cache_chunk;
bool slc_cache_store(slc_cache *cache, const uint8_t *manifest, size_t manifest_len,
                     const slc_cache_chunk *chunks, size_t count, const uint8_t *live, size_t live_count,
                     slc_error *err) SLC_CHECKED;

/* When the control plane was heard of last, wall clock; 0: never. */
int64_t slc_cache_contact_ms(const slc_cache *cache);
void slc_cache_touch(slc_cache *cache);

#endif
