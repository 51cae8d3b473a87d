/* A hash table from byte strings to pointers, to which entries are only ever added. Keys and values are
 * borrowed. */
#ifndef SLC_DATAPLANE_CONFIG_STRMAP_H
#define SLC_DATAPLANE_CONFIG_STRMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slc_strmap_slot {
    const char *key; /* NULL: free */
    uint32_t key_len;
    uint32_t hash;
    void *value;
};

typedef struct slc_strmap {
    struct slc_strmap_slot *slots;
    size_t mask; /* slots - 1; 0 with slots NULL: empty */
    size_t count;
} slc_strmap;

/* Room for `capacity` entries. */
void slc_strmap_init(slc_strmap *map, size_t capacity);
void slc_strmap_release(slc_strmap *map);
/* False when the key is there already: the first stays. Grows as needed. */
bool slc_strmap_add(slc_strmap *map, const char *key, size_t key_len, void *value);
void *slc_strmap_find(const slc_strmap *map, const char *key, size_t key_len); /* NULL when absent */

#endif
