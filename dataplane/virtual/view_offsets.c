/* From where a connection fetches. A Fetch tells it of all its partitions, or within a session (KIP-227) of
 * those for which it has changed; what is remembered is a hash of topic and partition, and the offset. */
#include <stdlib.h>

#include "common/alloc.h"
#include "dataplane/kafka/wire.h"
#include "dataplane/virtual/view_private.h"

#define MAX_OFFSETS                                                                                            \
    100000 /* of more partitions it is not known; a power of two of places is at most 3/4 full */

struct slc_view_offset {
    uint64_t hash; /* 0: free */
    int64_t from;
};

static uint64_t hash_of(slc_kafka_span topic, int32_t partition)
{
    const uint8_t *data = topic.data;
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ (uint32_t)partition;
    for (size_t i = 0; i < topic.len; i++)
        hash = (hash ^ data[i]) * UINT64_C(0x100000001b3);
    hash ^= hash >> 29;
    return hash != 0 ? hash : 1;
}

/* The place of it, or a free one. */
static struct slc_view_offset *place_of(const slc_view *view, uint64_t hash)
{
    size_t at = (size_t)(hash * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (view->offset_cap - 1);
    while (view->offsets[at].hash != 0 && view->offsets[at].hash != hash)
        at = (at + 1) & (view->offset_cap - 1);
    return &view->offsets[at];
}

static void grow(slc_view *view)
{
    slc_view bigger = {.offset_cap = view->offset_cap == 0 ? 16 : 2 * view->offset_cap};
    bigger.offsets = slc_calloc(bigger.offset_cap, sizeof *bigger.offsets);
    for (size_t i = 0; i < view->offset_cap; i++)
        if (view->offsets[i].hash != 0)
            *place_of(&bigger, view->offsets[i].hash) = view->offsets[i];
    free(view->offsets);
    view->offsets = bigger.offsets;
    view->offset_cap = bigger.offset_cap;
}

static void put(slc_view *view, uint64_t hash, int64_t from)
{
    if (4 * (view->offset_count + 1) > 3 * view->offset_cap)
        grow(view);
    struct slc_view_offset *place = place_of(view, hash);
    if (place->hash == 0 && view->offset_count == MAX_OFFSETS)
        return;
    view->offset_count += place->hash == 0;
    *place = (struct slc_view_offset){hash, from};
}

void slc_view_begin_offsets(slc_view *view, const slc_view_request *request)
{
    size_t at = request->header->version <= 14 ? 21 : 17; /* version 15 moved the replica id into a tag */
    bool changes = request->header->version >= FETCH_SESSIONS_SINCE && request->len >= at + 4 &&
                   (int32_t)slc_kafka_get32(request->body + at) > 0; /* the epoch of a session that goes on */
    if (changes || view->offset_count == 0)
        return;
    memset(view->offsets, 0, view->offset_cap * sizeof *view->offsets);
    view->offset_count = 0;
}

void slc_view_note_offset(slc_view *view, slc_view_partition *partition, slc_kafka_span topic,
                          const slc_kafka_event *event)
{
    if (event->field->role != SLC_KAFKA_ROLE_NONE)
        return;
    if (strcmp(event->field->name, "Partition") == 0)
        partition->index = event->number;
    else if (strcmp(event->field->name, "FetchOffset") == 0 && topic.data != NULL)
        put(view, hash_of(topic, (int32_t)partition->index), event->number);
}

int64_t slc_view_from_offset(const slc_view *view, slc_kafka_span topic, int32_t partition)
{
    const struct slc_view_offset *place =
        view->offset_count > 0 ? place_of(view, hash_of(topic, partition)) : NULL;
    return place != NULL && place->hash != 0 ? place->from : INT64_MIN;
}
