/* The inside of the config client, shared by its files. Everything here belongs to the config thread. */
#ifndef SLC_DATAPLANE_CONFIG_CLIENT_PRIVATE_H
#define SLC_DATAPLANE_CONFIG_CLIENT_PRIVATE_H

#include <event2/event.h>
#include <stdatomic.h>

#include "common/join.h"
#include "common/loop.h"
#include "common/metrics.h"
#include "common/rpc/rpc.h"
#include "dataplane/config/build.h"
#include "dataplane/config/cache.h"
#include "dataplane/config/client.h"
#include "dataplane/config/identity.h"
#include "dataplane/config/strmap.h"
#include "dataplane/observe/usage_book.h"
#include "sluice/config.pb-c.h"

#define SLC_CLIENT_MAGIC 0x63666763u

/* A manifest that came over the stream and is being fetched, or waits for its turn. */
typedef struct slc_push {
    char *nonce;
    Sluice__Snapshot__V1__Manifest *manifest;
} slc_push;

/* Chunks that came over the stream, until they are on disk. */
typedef struct slc_fetched {
    uint8_t sha256[SLC_SHA256_BYTES];
    uint8_t *content; /* NULL: not come yet */
    bool asked;       /* on this stream */
    size_t len;
} slc_fetched;

struct slc_outgoing; /* stream.c */

struct slc_config_client {
    unsigned magic;
    slc_config_gateway gateway;
    char *state_dir, *node_name, *build;
    slc_join join; /* how to enrol; an empty endpoint: not at all; an empty token: by the service account's */
    char *token_file;
    int64_t reconnect_min_ms, reconnect_max_ms, retry_enrol_ms;
    int64_t retry_apply_min_ms, retry_apply_max_ms;
    char boot_id[17];

    slc_loop *loop;
    slc_rpc *rpc;
    slc_identity *identity; /* NULL: not enrolled yet */
    slc_cache *cache;       /* NULL: not enrolled yet */
    bool stopping;
    atomic_bool connected; /* the control plane said Welcome on this stream */
    atomic_uint_least64_t applied_version;

    /* apply.c: what runs, and what is being swapped in */
    slc_snapshot *current;
    slc_snapshot *pending;
    char *pending_nonce;  /* NULL: nobody waits for an answer: from the cache, or its stream has ended */
    bool pending_fetched; /* it came over a stream, and is to be kept on disk */
    /* What this node's surroundings did not allow, to be tried again: they may change by themselves. */
    slc_snapshot *refused;                            /* by the gateway, or */
    Sluice__Snapshot__V1__Manifest *refused_manifest; /* what could not be built */
    bool refused_fetched;
    slc_error refused_why;
    struct event *retry_timer;
    int64_t retry_ms; /* the next pause */
    bool retrying;    /* `pending` is what had been refused, and nobody asked for it */

    /* fetch.c */
    slc_push *push;     /* being fetched */
    slc_push *deferred; /* came while another was being swapped in; the latest */
    slc_fetched **fetched;
    size_t fetched_count, fetched_capacity;
    slc_strmap fetched_index;
    size_t fetched_bytes;
    size_t outstanding; /* asked for and not come yet */

    /* stream.c */
    slc_rpc_channel *channel;
    slc_rpc_call *call;
    struct slc_outgoing *outgoing, **outgoing_tail;
    size_t outgoing_count;
    char question[SLC_CONFIG_QUESTION_CHARS + 1]; /* that the control plane waits for; empty: none */
    int64_t heartbeat_ms;
    int64_t backoff_ms;
    int64_t progress_ms; /* monotonic: when the fetch last moved */
    struct event *reconnect_timer;
    struct event *tick; /* each second: staleness, stalls */
    struct event *heartbeat_timer;

    /* enrol.c */
    struct slc_enrolment *enrolment; /* under way */
    struct event *enrol_timer;       /* enrol or renew next */
    int64_t enrol_backoff_ms;
    int64_t renew_at_ms; /* wall clock */
    bool enrol_anew;     /* although there is an identity: it cannot be renewed any more */
    bool turned_away;    /* the control plane did not take the identity; not dealt with yet */

    /* trust.c */
    bool told_authority;
    uint8_t authority[SLC_SHA256_BYTES]; /* pin of the one that signs certificates now */
    int64_t renew_within_ms;

    /* client_usage.c */
    slc_usage_book usage;
    int64_t usage_retry_ms;
    int64_t usage_told_ms; /* monotonic: when the part under way was sent */
    struct event *usage_pace, *usage_flush_timer;
    struct slc_usage_flush *usage_flush; /* somebody waits; NULL: nobody */

    /* staleness */
    int64_t contact_ms; /* wall clock; 0: never */
    bool stale;
    int64_t warned_ms; /* monotonic */

    slc_series *m_cache_failures;
    slc_series *m_connected, *m_applied, *m_nacks, *m_attempts, *m_chunk_bytes, *m_contact, *m_stale, *m_expiry,
        *m_clock, *m_usage;
};

/* client.c */
/* Arms a timer of the client for `delay_ms` from now. */
void slc_client_arm(struct event *timer, int64_t delay_ms);
/* A new identity (stolen) takes the place of the old one; the cache is opened if it was not. False: keep
 * trying. */
bool slc_client_take_identity(slc_config_client *client, slc_identity *identity, slc_error *err) SLC_CHECKED;
void slc_client_contact(slc_config_client *client);

/* client_apply.c */
/* Is the snapshot of the group that this node was enrolled for? */
bool slc_client_check_group(const slc_config_client *client, const slc_snapshot *snapshot,
                            slc_error *err) SLC_CHECKED;
void slc_client_load_cache(slc_config_client *client);
/* Hands the snapshot (stolen) to the gateway. `nonce` (stolen, NULL: from the cache). */
void slc_client_apply(slc_config_client *client, slc_snapshot *snapshot, char *nonce);
void slc_client_swapped(slc_config_client *client, uint64_t version);

/* True when the snapshot's failure was not told before (then log it loudly). Tells the control plane: by a NACK
 * if a push waits for one, else, after a retry, if the reason is another one. */
void slc_client_refusal(slc_config_client *client, const char *nonce,
                        const Sluice__Snapshot__V1__Manifest *manifest, const slc_error *why);

/* client_retry.c: what this node's surroundings did not allow is tried again */
/* Keeps the snapshot or, when it could not even be built, the manifest (stolen; the other NULL). */
void slc_client_retry_later(slc_config_client *client, slc_snapshot *snapshot,
                            Sluice__Snapshot__V1__Manifest *manifest, const slc_error *why);
/* The timer's turn. */
void slc_client_retry(slc_config_client *client);
/* A push came: if it is what was refused last, and could be built, hands the snapshot out (the reference is the
 * caller's). Anything else is forgotten: NULL. */
slc_snapshot *slc_client_retry_take(slc_config_client *client, const Sluice__Snapshot__V1__Manifest *pushed);
void slc_client_retry_release(slc_config_client *client);
/* Tells the control plane how a retry went. */
void slc_client_retried(slc_config_client *client, const Sluice__Snapshot__V1__Manifest *manifest,
                        const slc_error *why);

/* client_fetch.c */
void slc_client_pushed(slc_config_client *client, const Sluice__Config__V1__ManifestPush *push);
/* False when the peer broke the protocol: the stream is cut. */
bool slc_client_chunk(slc_config_client *client, const Sluice__Config__V1__Chunk *chunk);
void slc_client_next_push(slc_config_client *client);
void slc_client_forget_fetch(slc_config_client *client); /* the push, the deferred one, what is outstanding */
void slc_client_drop_chunks(slc_config_client *client);
slc_chunk_source slc_client_source(slc_config_client *client);

/* client_ask.c */
/* False when the peer broke the protocol: one question at a time. */
bool slc_client_asked(slc_config_client *client, const Sluice__Config__V1__ConnectionsRequest *request);

/* client_stream.c */
void slc_client_connect(slc_config_client *client);
void slc_client_disconnect(slc_config_client *client, const char *why); /* and reconnect later */
void slc_client_send(slc_config_client *client, Sluice__Config__V1__FromNode *message);
void slc_client_send_bytes(slc_config_client *client, slc_rpc_bytes *bytes); /* takes the reference */
void slc_client_ack(slc_config_client *client, const char *nonce, uint64_t version);
void slc_client_nack(slc_config_client *client, const char *nonce, uint64_t version, const slc_error *why);
void slc_client_heartbeat(slc_config_client *client);
void slc_client_stream_release(slc_config_client *client);

/* client_enrol.c */
/* The join string, or what stands in for it. */
bool slc_client_read_means(slc_config_client *client, const slc_config_client_options *options,
                           slc_error *err) SLC_CHECKED;
/* At the start: enrols if there is no identity, else sees to its renewal. */
void slc_client_enrol_start(slc_config_client *client);
/* The timer's: enrols if there is no identity or it is of no use, renews if it is time to, or waits on. */
void slc_client_enrol(slc_config_client *client);
void slc_client_enrol_release(slc_config_client *client);
/* Renews at a random moment within that time, unless it would sooner anyway. */
void slc_client_renew_within(slc_config_client *client, int64_t within_ms);
/* The control plane refused this node's stream: renews at once if that may help, which may lead to enrolment.
 */
void slc_client_refused(slc_config_client *client, enum slc_rpc_status status);

/* client_usage.c */
void slc_client_usage_start(slc_config_client *client);
void slc_client_usage_release(slc_config_client *client);
void slc_client_usage_acknowledged(slc_config_client *client, const Sluice__Config__V1__UsageAck *ack);
/* The stream is over. */
void slc_client_usage_cut(slc_config_client *client);

/* client_trust.c */
/* What the control plane says that is to be trusted. NULL is fine: an older one says nothing. */
void slc_client_trust(slc_config_client *client, const Sluice__Config__V1__TrustBundle *message);
/* Renews soon when the certificate is of another authority than the active one. */
void slc_client_follow_authority(slc_config_client *client);
/* Compares the clocks: a difference is logged and shown. `now_ms` 0: not told. */
void slc_client_compare_clock(slc_config_client *client, int64_t now_ms);

#endif
