/* What is in a keystore, for those who read and write its file. */
#ifndef SLC_DATAPLANE_CRYPT_KEYSTORE_PRIVATE_H
#define SLC_DATAPLANE_CRYPT_KEYSTORE_PRIVATE_H

#include "dataplane/crypt/keystore.h"

struct slc_kek_version {
    uint32_t number; /* from 1 */
    int64_t created_ms;
    uint8_t key[SLC_DATA_KEY_BYTES];
};

struct slc_kek {
    char *name;
    int64_t created_ms, destroyed_ms;
    uint8_t fixed[SLC_FIXED_KEY_BYTES];
    struct slc_kek_version *versions; /* the newest is last; none once it was destroyed */
    size_t count;
};

struct slc_keystore {
    struct slc_kek *keks; /* sorted by name */
    size_t count, cap;
};

/* The place for a KEK of that name, which is not there yet; zeroed but for its own copy of the name. */
struct slc_kek *slc_keystore_insert(slc_keystore *store, const char *name);
/* NULL when there is none. */
struct slc_kek *slc_keystore_find(const slc_keystore *store, const char *name);
struct slc_kek_version *slc_kek_add_version(struct slc_kek *kek);
bool slc_kek_name_holds(const char *name);

#endif
