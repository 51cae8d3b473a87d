/* Tells each gateway how many of its group are at work: they share what limits allow.
 *
 * Looked at once a second, so that a thousand nodes that come back at once are not told a thousand times each.
 * After the control plane's own start nobody is told anything for a while: those that are still coming back
 * would not be counted, and the others would each allow too much. Until it is told, a gateway keeps to the last
 * number. */
#include <event2/event.h>

#include "common/assert.h"
#include "common/clock.h"
#include "controlplane/grpc/stream_private.h"

static bool counts(const slc_config_stream *stream, const slc_group *group)
{
    return stream->group == group && stream->call != NULL && !stream->cut && !stream->draining;
}

static uint32_t size_of(const slc_control_grpc *grpc, const slc_group *group)
{
    const slc_config_stream *stream;
    uint32_t size = 0;
    TAILQ_FOREACH (stream, &grpc->streams, entry) {
        size += counts(stream, group);
    }
    return size;
}

static void tell(slc_control_grpc *grpc, const slc_group *group, uint32_t size)
{
    Sluice__Config__V1__ToNode message = SLUICE__CONFIG__V1__TO_NODE__INIT;
    Sluice__Config__V1__GroupSize body = SLUICE__CONFIG__V1__GROUP_SIZE__INIT;
    slc_config_stream *stream;
    body.gateways = size;
    message.message_case = SLUICE__CONFIG__V1__TO_NODE__MESSAGE_GROUP_SIZE;
    message.group_size = &body;
    slc_rpc_bytes *bytes = slc_pack_bytes(&message.base);
    TAILQ_FOREACH (stream, &grpc->streams, entry) {
        if (!counts(stream, group) || stream->told_group_size == size)
            continue;
        stream->told_group_size = size;
        slc_config_stream_send(stream, bytes);
    }
    slc_rpc_bytes_unref(bytes);
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
    slc_control_grpc *grpc = arg;
    slc_group *group;
    (void)fd, (void)what;
    SLC_CHECK_MAGIC(grpc, SLC_CONTROL_GRPC_MAGIC);
    if (grpc->stopping || slc_monotonic_ms() - grpc->started_ms < grpc->options.count_settle_ms)
        return;
    TAILQ_FOREACH (group, &grpc->groups, entry) {
        tell(grpc, group, size_of(grpc, group));
        slc_inventory_choose(grpc, group);
    }
}

void slc_group_size_init(slc_control_grpc *grpc)
{
    static const struct timeval second = {.tv_sec = 1};
    grpc->group_size = event_new(slc_loop_base(grpc->loop), -1, EV_PERSIST, on_second, grpc);
    SLC_BUG_ON(grpc->group_size == NULL);
    event_add(grpc->group_size, &second);
}

void slc_group_size_release(slc_control_grpc *grpc)
{
    event_free(grpc->group_size);
}
