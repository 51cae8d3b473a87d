/* The metrics of mediation. */
#include "dataplane/mediation/mediation_private.h"

#include <stdio.h>

const slc_metric slc_mediation_metrics[] = {
    {"sluice_published_total",
     SLC_COUNTER,
     "Events by what publishing them came to",
     {"event_api", "outcome"},
     5000,
     NULL},
    {"sluice_delivered_total", SLC_COUNTER, "Events written to streams and pages", {"event_api"}, 1000, NULL},
    {"sluice_streams", SLC_GAUGE, "Open event streams", {"event_api"}, 1000, NULL},
    {"sluice_reads_cut_off_total",
     SLC_COUNTER,
     "Streams and pages that were ended because the configuration was older than max_staleness",
     {"kind"},
     2,
     NULL},
    {"sluice_feed_ring_bytes", SLC_GAUGE, "Records held by a feed's ring", {"backend", "topic"}, 1000, NULL},
    {"sluice_feed_ring_records", SLC_GAUGE, "Records in a feed's ring", {"backend", "topic"}, 1000, NULL},
    {"sluice_feed_fetched_bytes_total",
     SLC_COUNTER,
     "What a feed has read from its backend",
     {"backend", "topic"},
     1000,
     NULL},
    {"sluice_feed_fetched_records_total",
     SLC_COUNTER,
     "Records that a feed has read",
     {"backend", "topic"},
     1000,
     NULL},
    {"sluice_feed_resets_total",
     SLC_COUNTER,
     "Times a feed had to start anew",
     {"backend", "topic"},
     1000,
     NULL},
    {"sluice_feed_failing", SLC_GAUGE, "1 while a topic cannot be read", {"backend", "topic"}, 1000, NULL},
    {"sluice_catchup_scans", SLC_GAUGE, "Consumers that read what is behind the rings", {NULL}, 1, NULL},
    {"sluice_catchup_waiting", SLC_GAUGE, "Reads that wait for such a consumer", {NULL}, 1, NULL},
    {"sluice_catchup_fetched_bytes_total",
     SLC_COUNTER,
     "What catch-up has read from the backends",
     {NULL},
     1,
     NULL},
    {0},
};

static const char *const outcome_names[SLC_PUBLISH_OUTCOMES] = {
    [SLC_PUBLISHED] = "published",          [SLC_NOT_PERSISTED] = "not-persisted",
    [SLC_RECORD_REFUSED] = "event-refused", [SLC_OUTCOME_UNKNOWN] = "outcome-unknown",
    [SLC_RECORD_TOO_LARGE] = "too-large",   [SLC_TOPIC_MISSING] = "topic-missing",
    [SLC_QUEUE_FULL] = "queue-full",        [SLC_NOT_AUTHORISED] = "not-authorised",
};

void slc_api_metrics_init(slc_api *api)
{
    char name[96];
    const Sluice__Snapshot__V1__EventApi *msg = api->api->msg;
    snprintf(name, sizeof name, "%s.v%u", msg->name, msg->major);
    const char *const one[] = {name};
    api->streams = slc_metrics_series("sluice_streams", one);
    api->delivered = slc_metrics_series("sluice_delivered_total", one);
    for (int i = 0; i < SLC_PUBLISH_OUTCOMES; i++) {
        const char *const two[] = {name, outcome_names[i]};
        api->published[i] = slc_metrics_series("sluice_published_total", two);
    }
}

void slc_reads_cut_off(const char *kind, unsigned count)
{
    const char *const labels[] = {kind};
    slc_series_add(slc_metrics_series("sluice_reads_cut_off_total", labels), count);
}
