/* What is kept of registries. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/schema/registry_private.h"

#define MISSING_SHARE 4 /* of the schemas that may be kept so many as one in four more may be missing */

static size_t write_key(const slc_schema_want *want, char key[SLC_SCHEMA_KEY_MAX])
{
    static const char letters[] = {[SLC_WANT_ID] = 'i', [SLC_WANT_GUID] = 'g', [SLC_WANT_LATEST] = 'l'};
    size_t len = (size_t)snprintf(key, SLC_SCHEMA_KEY_MAX, "%c:%d:", letters[want->by],
                                  want->by == SLC_WANT_ID ? want->id : 0);
    for (size_t i = 0; want->by == SLC_WANT_GUID && i < SLC_SCHEMA_GUID; i++, len += 2)
        snprintf(key + len, 3, "%02x", want->guid[i]);
    if (want->subject != NULL)
        len += (size_t)snprintf(key + len, SLC_SCHEMA_KEY_MAX - len, "%.*s", SLC_SUBJECT_MAX, want->subject);
    return len;
}

static uint64_t hash_of(const slc_registry *registry, const char *key, size_t len)
{
    uint64_t hash = 0xcbf29ce484222325ULL ^ (uintptr_t)registry;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)key[i]) * 0x100000001b3ULL;
    return hash ^ hash >> 29;
}

static slc_schema_entry **bucket_of(slc_schemas *schemas, uint64_t hash)
{
    return &schemas->buckets[hash % SLC_SCHEMA_BUCKETS];
}

/* Out of the list that it is in, if it is in one. */
static void unlist(slc_schema_entry *entry)
{
    slc_registry *registry = entry->registry;
    if (entry->schema != NULL) {
        TAILQ_REMOVE(&registry->there, entry, lru);
        registry->count--;
        registry->schemas->bytes -= entry->bytes;
        slc_schema_unref(entry->schema);
        entry->schema = NULL;
    } else if (entry->missing) {
        TAILQ_REMOVE(&registry->missing, entry, lru);
        registry->missing_count--;
        entry->missing = false;
    }
}

static void drop(slc_schema_entry *entry)
{
    slc_schemas *schemas = entry->registry->schemas;
    slc_schema_entry **link = bucket_of(schemas, entry->hash);
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    unlist(entry);
    slc_record_waiters_tell(&entry->waiters);
    free(entry);
}

/* The oldest that nobody fetches just now. */
static bool drop_oldest(struct slc_schema_list *list, const slc_schema_entry *keep)
{
    slc_schema_entry *entry;
    TAILQ_FOREACH_REVERSE(entry, list, slc_schema_list, lru)
    {
        if (entry->busy || entry == keep)
            continue;
        drop(entry);
        return true;
    }
    return false;
}

slc_schema_entry *slc_schema_entry_get(slc_registry *registry, const slc_schema_want *want)
{
    slc_schemas *schemas = registry->schemas;
    char key[SLC_SCHEMA_KEY_MAX];
    size_t len = write_key(want, key);
    uint64_t hash = hash_of(registry, key, len);
    slc_schema_entry *entry = *bucket_of(schemas, hash);
    while (entry != NULL && (entry->hash != hash || entry->registry != registry || entry->key_len != len ||
                             memcmp(entry->key, key, len) != 0))
        entry = entry->next;
    if (entry != NULL || schemas->queued >= (size_t)schemas->options.queue)
        return entry;
    entry = slc_calloc(1, sizeof *entry + len + 1);
    entry->registry = registry;
    entry->hash = hash;
    entry->key_len = len;
    memcpy(entry->key, key, len);
    entry->want = *want;
    if (want->subject != NULL)
        entry->want.subject = strchr(strchr(entry->key, ':') + 1, ':') + 1;
    entry->next = *bucket_of(schemas, hash);
    *bucket_of(schemas, hash) = entry;
    return entry;
}

void slc_schema_entry_touch(slc_schema_entry *entry)
{
    struct slc_schema_list *list = &entry->registry->there;
    if (TAILQ_FIRST(list) == entry)
        return;
    TAILQ_REMOVE(list, entry, lru);
    TAILQ_INSERT_HEAD(list, entry, lru);
}

static void make_room(slc_registry *registry, const slc_schema_entry *keep)
{
    slc_schemas *schemas = registry->schemas;
    slc_registry *other;
    while (registry->count > (size_t)registry->options.cache_schemas && drop_oldest(&registry->there, keep))
        ;
    while (registry->missing_count > (size_t)registry->options.cache_schemas / MISSING_SHARE + 1 &&
           drop_oldest(&registry->missing, keep))
        ;
    while (schemas->bytes > (size_t)schemas->options.cache_bytes) {
        bool dropped = false;
        TAILQ_FOREACH (other, &schemas->registries, entry)
            dropped = drop_oldest(&other->there, keep) || dropped;
        if (!dropped)
            break;
    }
}

void slc_schema_entry_set(slc_schema_entry *entry, slc_schema *schema)
{
    slc_registry *registry = entry->registry;
    unlist(entry);
    entry->schema = schema;
    entry->missing = schema == NULL;
    if (schema != NULL) {
        entry->bytes = slc_schema_bytes(schema) + sizeof *entry + entry->key_len;
        registry->schemas->bytes += entry->bytes;
        registry->count++;
        TAILQ_INSERT_HEAD(&registry->there, entry, lru);
    } else {
        registry->missing_count++;
        TAILQ_INSERT_HEAD(&registry->missing, entry, lru);
    }
    make_room(registry, entry);
}

void slc_registry_drop_entries(slc_registry *registry)
{
    slc_schemas *schemas = registry->schemas;
    for (size_t i = 0; i < SLC_SCHEMA_BUCKETS; i++) {
        for (slc_schema_entry *entry = schemas->buckets[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            if (entry->registry == registry)
                drop(entry);
        }
    }
}
