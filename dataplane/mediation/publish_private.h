/* A publish, for the files that make one of a request. */
#ifndef SLC_DATAPLANE_MEDIATION_PUBLISH_PRIVATE_H
#define SLC_DATAPLANE_MEDIATION_PUBLISH_PRIVATE_H

#include <stdatomic.h>

#include "dataplane/mediation/publish.h"
#include "dataplane/policy/record_chain.h"

#define SLC_PUBLISH_MAGIC 0x5055424cU

typedef struct publish_item {
    slc_message msg;
    struct slc_publish *publish;
    bool done;
    bool rejected; /* never went out */
    enum slc_problem_kind problem;
    char *detail;
    char *pointer; /* into the event; NULL: none */
    enum slc_publish_outcome outcome;
    int32_t partition;
    int64_t offset;
} publish_item;

struct slc_publish {
    unsigned magic;
    slc_exchange *exchange; /* NULL: answered, or the client has gone */
    slc_api *api;
    bool batch, asynchronous, listed;
    bool denied; /* the audit trail has it */
    const char *idempotency_key;
    const struct slc_span *span;     /* the exchange's, until the last item is there; NULL: none */
    slc_record_chain *records;       /* of policies; NULL: none */
    slc_record_waiter waiter;        /* for what they need */
    TAILQ_HEAD(, slc_put_by) put_by; /* events that wait for it, in order */
    atomic_size_t to_post;           /* acknowledgements that the broker owes, and one for the caller */
    size_t left;                     /* those that were not handled here */
    size_t count, max_items;
    int64_t deadline_ms; /* a tick early: the tick keeps it. The broker decides sooner, unless it is stuck */
    TAILQ_ENTRY(slc_publish) entry, waiting_entry;
    publish_item items[];
};

/* publish.c */
publish_item *slc_publish_next_item(slc_publish *publish);
/* `detail` and `pointer` may be NULL. */
void slc_publish_reject_item(publish_item *item, enum slc_problem_kind kind, const char *detail,
                             const char *pointer);
/* As policies have made it. */
void slc_publish_send_item(publish_item *item, slc_outgoing *record);
/* Before and after records are sent: the worker waits for their acknowledgements. */
void slc_publish_owe(slc_publish *publish);
void slc_publish_owe_less(slc_publish *publish);
/* An item that was owed is decided without the broker. May free the publish. */
void slc_publish_decided(slc_publish *publish);

/* publish_records.c: through the policies to the broker, at once or later. */
void slc_publish_through(publish_item *item, slc_outgoing *record);
/* What waits is rejected: too late, or nobody wants it any more. Does not call slc_publish_decided. */
void slc_publish_give_up(slc_publish *publish);

#endif
