/* What the files of mediation share: the process's part, a worker's part, and an event API as a worker uses it.
 */
#ifndef SLC_DATAPLANE_MEDIATION_PRIVATE_H
#define SLC_DATAPLANE_MEDIATION_PRIVATE_H

#include <event2/buffer.h>
#include <event2/event.h>
#include <sys/queue.h>

#include "common/metrics.h"
#include "dataplane/mediation/catchup.h"
#include "dataplane/mediation/dead_letters.h"
#include "dataplane/mediation/feed.h"
#include "dataplane/mediation/lens.h"
#include "dataplane/mediation/mediation.h"
#include "dataplane/mediation/ring.h"
#include "dataplane/observe/repeats.h"
#include "dataplane/policy/record_chain.h"

#define SLC_MEDIATION_MAGIC        0x4d454449U
#define SLC_MEDIATION_WORKER_MAGIC 0x4d574f52U
#define SLC_API_MAGIC              0x41504953U
#define SLC_TICK_MS                250
#define SLC_API_BUCKETS            256

/* What other threads will still post to a worker: it waits for that before its mailbox may go. Lives as long as
 * the mediation, since it is touched after the post. */
typedef struct slc_tally {
    pthread_mutex_t lock;
    pthread_cond_t zero;
    unsigned count;
    struct slc_tally *next;
} slc_tally;

void slc_tally_begin(slc_tally *tally); /* before asking */
void slc_tally_end(void *tally);        /* any thread, after the last post */

struct slc_mediation {
    unsigned magic;
    pthread_mutex_t tallies_lock;
    slc_tally *tallies;
    const slc_gateway_limits *limits;
    slc_links links;
    slc_feeds *feeds;
    slc_catchup_pool catchup;
    slc_letter_box letters;
};

/* An event API as one worker uses it: its backend, its view of the feed, its scans and everybody who reads. */
typedef struct slc_api {
    unsigned magic;
    struct slc_mediation_worker *worker;
    slc_event_api *api; /* own reference; a newer version of it takes its place when a snapshot brings one */
    slc_link *link;
    slc_cursor_codec codec;
    slc_subscription *subscription; /* NULL: nobody has read lately */
    bool live;                      /* the view has begun */
    slc_ring ring;
    struct event *wake; /* those that wait at its end: something has come */
    bool caught_up;     /* the end of `ring` was the last stable offset everywhere */
    bool failing;       /* the backend or the topic is out of reach */
    slc_error err;
    uint64_t next_first; /* where the numbering goes on when the view starts anew */
    int64_t unused_since_ms;
    TAILQ_HEAD(, slc_reader) readers;      /* all of them */
    TAILQ_HEAD(slc_tail, slc_reader) tail; /* those that wait at the end of `ring` */
    struct slc_tail outside;               /* those that wait until catch-up takes more */
    TAILQ_HEAD(, slc_lens) lenses;         /* what readers see */
    size_t lens_count;
    unsigned unreachable; /* readers that wait for what policies need, and are told by nobody */
    bool going_on;        /* readers at a tail have not looked at everything yet */
    unsigned wakes;       /* counts, so that nobody is woken twice in one go */
    TAILQ_HEAD(, slc_scan) scans;
    unsigned references;  /* publishes, questions and stopping scans under way */
    bool retired;         /* not in the table any more */
    slc_topic_info topic; /* of those who publish: what its records must keep to; zero: unknown */
    int64_t topic_due_ms; /* when it is asked for again; monotonic */
    bool topic_asked;
    slc_series *published[SLC_PUBLISH_OUTCOMES];
    size_t page_bytes; /* of the last page */
    slc_series *streams, *delivered;
    TAILQ_ENTRY(slc_api) entry;
} slc_api;

struct slc_mediation_worker {
    unsigned magic;
    slc_mediation *mediation;
    slc_worker *worker;
    const slc_gateway_limits *limits;
    slc_tally *tally;
    struct event *tick;
    slc_buf scratch;            /* for rendering */
    slc_record_scratch records; /* for policies on them */
    slc_dead_letters *letters;  /* the process's */
    slc_repeats rejections;     /* of events, lately */
    bool draining;
    bool detached;
    unsigned publishes; /* exchanges that wait for an acknowledgement */
    unsigned streams, pages;
    TAILQ_HEAD(, slc_api) apis[SLC_API_BUCKETS];
    TAILQ_HEAD(, slc_api) retired;
    TAILQ_HEAD(, slc_stream) streams_by_heartbeat; /* the next to be due first */
    TAILQ_HEAD(slc_judgement, slc_stream) judged;  /* of all streams: those that may go on, in this round */
    struct slc_judgement unjudged;                 /* and those of which that is to be found out */
    uint64_t round;
    unsigned applied;    /* snapshots */
    struct event *judge; /* goes on with it; NULL: never begun */
    TAILQ_HEAD(, slc_page) all_pages;
    TAILQ_HEAD(, slc_publish) publishes_by_deadline;
    TAILQ_HEAD(, slc_publish) publishes_waiting; /* with events that wait for what policies need */
    struct evbuffer *out;                        /* what is being written: empty between writes */
    int64_t recheck_ms;                          /* when credentials are looked at next */
    slc_link **kept; /* worker 0: the snapshot's backends, in touch whether used or not */
    size_t kept_count;
};

typedef struct slc_mediation_worker slc_mediation_worker;

/* For tests: as slc_mediation_new, over another broker and other limits (borrowed). */
slc_mediation *slc_mediation_new_over(const slc_gateway_limits *limits, const slc_broker_ops *ops,
                                      slc_error *err) SLC_CHECKED;

/* The worker's state of the exchange's event API; borrowed. NULL: the exchange was answered. */
slc_api *slc_api_of(slc_exchange *exchange);
/* Subscribes unless it does already. */
void slc_api_follow(slc_api *api);
/* Asks for the topic's limits unless they are known and recent. The answer comes later. */
void slc_api_learn_topic(slc_api *api);
/* What is known of the topic turned out to be wrong. */
void slc_api_topic_changed(slc_api *api);
/* Frees a retired one that nobody uses any more. */
void slc_api_settle(slc_api *api);
/* Ends its readers and takes it out of the table. */
void slc_api_retire(slc_api *api);
/* A new snapshot: goes on with the API as it is now, or retires. */
void slc_api_apply(slc_api *api, const slc_snapshot *snapshot);
void slc_api_tick(slc_api *api, int64_t now_ms);
void slc_mediation_worker_settle(slc_mediation_worker *worker);

/* read.c: everybody who reads the API is told that it is gone. */
void slc_readers_end(slc_api *api);

/* stream.c */
void slc_stream_handle(slc_exchange *exchange);
void slc_streams_tick(slc_mediation_worker *worker, int64_t now_ms);
void slc_streams_init(slc_mediation_worker *worker);
/* Those whose access has ended end: some now and all soon; none of them gets another event. */
void slc_streams_judge(slc_mediation_worker *worker);
void slc_streams_drain(slc_mediation_worker *worker);
unsigned slc_streams_cut_off(slc_mediation_worker *worker); /* how many there were */

/* page.c */
void slc_page_handle(slc_exchange *exchange);
void slc_pages_recheck(slc_api *api); /* those whose access ended, end */
void slc_pages_drain(slc_mediation_worker *worker);
unsigned slc_pages_cut_off(slc_mediation_worker *worker); /* how many there were */

/* publish.c */
void slc_publishes_tick(slc_mediation_worker *worker, int64_t now_ms);
/* What waits for policies waits no more: it is rejected. */
void slc_publishes_stop(slc_mediation_worker *worker);

/* observe.c */
extern const slc_metric slc_mediation_metrics[];
void slc_api_metrics_init(slc_api *api);
/* Counts reads ("stream", "page") that ended because the configuration was too old. */
void slc_reads_cut_off(const char *kind, unsigned count);

#endif
