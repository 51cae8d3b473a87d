/* Notifications: what is told to whom, written in the transaction of what it tells, and what became of it.
 * Sending is controlplane/webhooks/. docs/notifications.md. */
#ifndef SLC_CATALOG_NOTIFY_H
#define SLC_CATALOG_NOTIFY_H

#include "catalog/catalog.h"

#define SLC_DELIVERY_ID_CHARS 28 /* "msg_" and 24 */
#define SLC_WEBHOOK_SECRETS   2  /* that sign at once */

extern const char *const slc_notify_events[]; /* ends with NULL */

/* ---- inside slc_catalog_write ---- */
/* An entity was written, in stored form (`before` NULL: made): tells those whom it concerns. Called for every
 * change. */
bool slc_notify_change(slc_txn *txn, const slc_kind *kind, const json_t *before, const json_t *next,
                       slc_error *err) SLC_CHECKED;

typedef struct slc_notify_look {
    int64_t credential_before_ms; /* how long before its end a credential is told of */
    bool nodes;                   /* look at nodes too: they had time to come back after the start */
} slc_notify_look;

/* Looks for what no change says: nodes that are lost or back, credentials that end soon. */
bool slc_notify_look_around(slc_txn *txn, const slc_notify_look *look, slc_error *err) SLC_CHECKED;

/* What an attempt came to. */
typedef struct slc_delivery_result {
    const char *id, *webhook_id;
    bool good;
    bool gone;                /* the receiver wants nothing any more (410) */
    int status;               /* 0: there was no answer */
    const char *error;        /* NULL when good */
    int64_t retry_at_ms;      /* 0: it was the last attempt */
    int64_t disable_after_ms; /* of nothing but failures */
} slc_delivery_result;
bool slc_delivery_done(slc_txn *txn, const slc_delivery_result *result, slc_error *err) SLC_CHECKED;
/* Removes what is over and older, at most a thousand of them. */
bool slc_deliveries_prune(slc_txn *txn, int64_t before_ms, slc_error *err) SLC_CHECKED;

/* ---- inside any transaction of the catalog ---- */
typedef struct slc_delivery {
    char id[SLC_DELIVERY_ID_CHARS + 1], webhook_id[17];
    char *url, *body; /* own */
    int64_t attempts;
    int64_t created_ms;
    struct {
        uint8_t *bytes; /* own; NULL: none */
        size_t len;
    } secrets[SLC_WEBHOOK_SECRETS];
} slc_delivery;
void slc_delivery_release(slc_delivery *delivery);

/* What is due, the oldest first: at most `max` into `out`; -1 on error. At most `each` of one webhook. `busy`
 * are ids that are under way (array of strings) and left out, and counted with those of their webhooks in
 * `busy_webhooks`. */
int slc_deliveries_due(slc_txn *txn, const json_t *busy, const json_t *busy_webhooks, int each,
                       slc_delivery *out, int max, slc_error *err) SLC_CHECKED;
/* {items: [{id, event, state, ...}], next}: newest first; `state` NULL: any. */
json_t *slc_deliveries_list(slc_txn *txn, const char *webhook_id, const char *state, int limit,
                            const char *cursor, slc_error *err) SLC_CHECKED;

#endif
