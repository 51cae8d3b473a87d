/* What requests to event APIs count as usage: at their end, and streams as they go. */
#include "dataplane/observe/usage.h"
#include "dataplane/http/front_private.h"

static enum slc_usage_operation operation_of(const slc_exchange *exchange)
{
    switch (exchange->operation) {
    case SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_PUBLISH:
        return SLC_USAGE_PUBLISH;
    case SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_READ:
        return exchange->streamed ? SLC_USAGE_STREAM : SLC_USAGE_READ;
    default:
        return SLC_USAGE_NOTHING; /* the API was described, or something that it does not offer was asked for */
    }
}

/* What has been added since it was counted last. */
static void add(slc_exchange *exchange, slc_usage_sum sum)
{
    enum slc_usage_operation operation = operation_of(exchange);
    uint64_t bytes = operation == SLC_USAGE_PUBLISH ? exchange->bytes_in : exchange->bytes_out;
    slc_usage_key key;
    if (operation == SLC_USAGE_NOTHING)
        return;
    sum.events = (uint32_t)(exchange->events - exchange->counted_events);
    sum.bytes = sum.errors + sum.throttled == 0 ? bytes - exchange->counted_bytes : 0;
    exchange->counted_events = exchange->events;
    exchange->counted_bytes = bytes;
    slc_usage_key_make(&key, operation, exchange->principal.application_id, exchange->api->msg->id, "");
    slc_usage_add(&exchange->worker->usage, &key, &sum);
}

/* A client that went away has made no error. */
void slc_usage_exchange_over(slc_exchange *exchange, int status)
{
    if (exchange->api == NULL)
        return;
    add(exchange, (slc_usage_sum){.requests = 1,
                                  .errors = status >= 400 && status != 429 && status != 499,
                                  .throttled = status == 429});
}

void slc_http_front_count_usage(slc_http_front *front)
{
    struct slc_exchange_private *self;
    TAILQ_FOREACH (self, &front->exchanges, entry) {
        slc_exchange *exchange = &self->base;
        if (self->streaming && exchange->api != NULL && exchange->events != exchange->counted_events)
            add(exchange, (slc_usage_sum){.requests = 0});
    }
}
