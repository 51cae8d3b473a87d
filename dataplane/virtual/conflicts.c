#include "dataplane/virtual/conflicts.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct {
    pthread_mutex_t lock;
    slc_conflict items[SLC_CONFLICTS_MAX];
    size_t count;
} conflicts = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void copy(char *to, size_t size, const uint8_t *data, size_t len)
{
    snprintf(to, size, "%.*s", (int)(len < size ? len : size - 1), len > 0 ? (const char *)data : "");
}

static bool same(const slc_conflict *a, const slc_conflict *b)
{
    return strcmp(a->topic, b->topic) == 0 && strcmp(a->vcluster, b->vcluster) == 0 &&
           strcmp(a->name, b->name) == 0;
}

/* Its own place, a free one, or the oldest's. */
static slc_conflict *place_of(const slc_conflict *conflict)
{
    slc_conflict *oldest = &conflicts.items[0];
    for (size_t i = 0; i < conflicts.count; i++) {
        slc_conflict *item = &conflicts.items[i];
        if (same(item, conflict))
            return item;
        if (item->seen_ms < oldest->seen_ms)
            oldest = item;
    }
    return conflicts.count < SLC_CONFLICTS_MAX ? &conflicts.items[conflicts.count++] : oldest;
}

void slc_conflicts_note(const slc_conflict_found *found, int64_t now_ms)
{
    slc_conflict conflict = {.alias = found->alias, .seen_ms = now_ms};
    snprintf(conflict.vcluster, sizeof conflict.vcluster, "%s", found->vcluster);
    copy(conflict.name, sizeof conflict.name, found->name, found->name_len);
    copy(conflict.topic, sizeof conflict.topic, found->topic, found->topic_len);
    pthread_mutex_lock(&conflicts.lock);
    *place_of(&conflict) = conflict;
    pthread_mutex_unlock(&conflicts.lock);
}

size_t slc_conflicts_list(slc_conflict *out, int64_t since_ms)
{
    size_t count = 0;
    pthread_mutex_lock(&conflicts.lock);
    for (size_t i = 0; i < conflicts.count; i++)
        if (conflicts.items[i].seen_ms >= since_ms)
            out[count++] = conflicts.items[i];
    pthread_mutex_unlock(&conflicts.lock);
    return count;
}
