/* What connected nodes say of topics that two names meet in, gathered over all of them. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/utf8.h"
#include "controlplane/grpc/stream_private.h"

#define ASKER_MAGIC 0x51cc0f11u

struct asker {
    unsigned magic;
    slc_control_grpc *grpc;
    char vcluster[64];
    slc_loop *loop;
    slc_conflicts_done done;
    void *arg;
    json_t *found;
};

/* A node may say anything. */
static json_t *text_of(char *text)
{
    slc_utf8_clean(text);
    return json_string(text);
}

static json_t *conflict_json(const Sluice__Config__V1__NameConflict *conflict)
{
    char seen[SLC_RFC3339_CHARS];
    slc_rfc3339_format(conflict->seen_at_ms, seen);
    return json_pack("{s:o, s:o, s:o, s:s, s:s}", "virtual_cluster", text_of(conflict->virtual_cluster_id),
                     "name", text_of(conflict->name), "topic", text_of(conflict->topic), "winner",
                     conflict->alias ? "alias" : "extra-topic", "last_seen_at", seen);
}

void slc_conflicts_said(slc_config_stream *stream, const Sluice__Config__V1__Status *status)
{
    json_decref(stream->conflicts);
    stream->conflicts = NULL;
    if (status->n_conflicts == 0)
        return;
    stream->conflicts = json_array();
    for (size_t i = 0; i < status->n_conflicts && i < SLC_NODE_CONFLICTS_MAX; i++)
        json_array_append_new(stream->conflicts, conflict_json(status->conflicts[i]));
}

static const char *text(const json_t *item, const char *name)
{
    return json_string_value(json_object_get(item, name));
}

static json_t *find(const json_t *found, const json_t *conflict)
{
    size_t i;
    json_t *item;
    json_array_foreach (found, i, item) {
        if (strcmp(text(item, "topic"), text(conflict, "topic")) == 0 &&
            strcmp(text(item, "name"), text(conflict, "name")) == 0)
            return item;
    }
    return NULL;
}

/* One that several nodes have seen is one. */
static void add(json_t *found, const json_t *conflict, const char *node)
{
    json_t *item = find(found, conflict);
    if (item == NULL && json_array_size(found) >= SLC_CONFLICTS_TOLD_MAX)
        return;
    if (item == NULL) {
        item = json_pack("{s:s, s:s, s:s, s:s, s:[]}", "name", text(conflict, "name"), "topic",
                         text(conflict, "topic"), "winner", text(conflict, "winner"), "last_seen_at",
                         text(conflict, "last_seen_at"), "nodes");
        json_array_append_new(found, item);
    }
    if (strcmp(text(item, "last_seen_at"), text(conflict, "last_seen_at")) < 0)
        json_object_set_new(item, "last_seen_at", json_string(text(conflict, "last_seen_at")));
    json_array_append_new(json_object_get(item, "nodes"), json_string(node));
}

static void hand_over(void *arg)
{
    struct asker *asker = arg;
    SLC_CHECK_MAGIC(asker, ASKER_MAGIC);
    asker->done(asker->arg, asker->found);
    json_decref(asker->found);
    asker->magic = 0;
    free(asker);
}

static void gather(void *arg)
{
    struct asker *asker = arg;
    slc_config_stream *stream;
    SLC_CHECK_MAGIC(asker, ASKER_MAGIC);
    asker->found = json_array();
    TAILQ_FOREACH (stream, &asker->grpc->streams, entry) {
        size_t i;
        json_t *conflict;
        json_array_foreach (stream->conflicts, i, conflict) {
            if (strcmp(text(conflict, "virtual_cluster"), asker->vcluster) == 0)
                add(asker->found, conflict, stream->node_id);
        }
    }
    slc_loop_call(asker->loop, hand_over, asker);
}

void slc_control_grpc_conflicts(slc_control_grpc *grpc, const char *vcluster_id, slc_loop *loop,
                                slc_conflicts_done done, void *arg)
{
    struct asker *asker = slc_calloc(1, sizeof *asker);
    *asker = (struct asker){.magic = ASKER_MAGIC, .grpc = grpc, .loop = loop, .done = done, .arg = arg};
    snprintf(asker->vcluster, sizeof asker->vcluster, "%s", vcluster_id);
    slc_loop_call(grpc->loop, gather, asker);
}
