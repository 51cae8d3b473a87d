/* Sends notifications (catalog/notify.h) as Standard Webhooks say: webhook-id, webhook-timestamp,
 * webhook-signature. On a thread of its own, with libcurl; several at a time, few of one receiver.
 * docs/notifications.md.
 *
 * What is to be sent is in the catalog, and what became of it is written there: after a crash what was under
 * way is sent again, with the same id.
 */
#ifndef SLC_CONTROLPLANE_WEBHOOKS_SENDER_H
#define SLC_CONTROLPLANE_WEBHOOKS_SENDER_H

#include "catalog/catalog.h"

typedef struct slc_webhook_sender slc_webhook_sender;

typedef struct slc_webhook_options {
    int64_t poll_ms;      /* how often the catalog is looked at */
    int64_t timeout_ms;   /* of an attempt */
    int64_t attempts;     /* then it is dead */
    int64_t retry_min_ms; /* before the second attempt; then doubled */
    int64_t retry_max_ms;
    int64_t disable_after_ms; /* of nothing but failures */
    int64_t keep_ms;          /* what is over */
    int64_t at_once;          /* attempts under way; of one webhook a quarter */
    int64_t credential_before_ms;
    int64_t settle_ms;  /* after the start, before nodes are looked at */
    bool allow_private; /* addresses of this machine and of private networks */
    bool allow_http;
} slc_webhook_options;

/* Registers the metrics of this module; once, before threads start. */
void slc_webhooks_register_metrics(void);

slc_webhook_sender *slc_webhook_sender_new(slc_catalog *catalog, const slc_webhook_options *options,
                                           slc_error *err) SLC_CHECKED;
/* Cuts what is under way; waits for the thread. Before the catalog is closed. NULL is fine. */
void slc_webhook_sender_free(slc_webhook_sender *sender);

/* The signature of a body: "v1,<base64>", SLC_SIGNATURE_CHARS. */
#define SLC_SIGNATURE_CHARS 48
void slc_webhook_sign(const void *secret, size_t secret_len, const char *id, int64_t timestamp_s,
                      const char *body, char out[SLC_SIGNATURE_CHARS]);
/* An address that only this machine or its networks know. */
struct sockaddr;
bool slc_webhook_is_private(const struct sockaddr *address);

#endif
