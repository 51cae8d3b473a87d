/* Who may do what, and why: a gateway's own decision, without a gateway. The snapshot is built and the policies
 * are asked by the code that serves requests; what is presented is taken as proved, and nothing is charged,
 * logged or kept. docs/decisions/0016-explain.md.
 *
 * The only part of the data plane that the control plane includes: what goes in and out is bytes and JSON.
 */
#ifndef SLC_DATAPLANE_EXPLAIN_EXPLAIN_H
#define SLC_DATAPLANE_EXPLAIN_EXPLAIN_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "common/crypto.h"
#include "common/error.h"

#define SLC_EXPLAIN_CREDENTIALS 20 /* of an application, that are tried */

/* A compiled configuration, as a gateway of its group would run it. Immutable; one thread at a time may ask. */
typedef struct slc_explainer slc_explainer;

/* Where the chunks of a manifest are: content (borrowed for the call) or NULL. */
typedef struct slc_explain_chunks {
    const uint8_t *(*get)(void *arg, const uint8_t sha256[SLC_SHA256_BYTES], size_t *len);
    void *arg;
} slc_explain_chunks;

/* `previous` (may be NULL): what did not change is shared with it. Files and variables that secrets refer to
 * are not looked at. */
slc_explainer *slc_explainer_new(const uint8_t *manifest, size_t manifest_len, const slc_explain_chunks *chunks,
                                 const slc_explainer *previous, slc_error *err) SLC_CHECKED;
void slc_explainer_free(slc_explainer *explainer); /* NULL is fine */

/* The question (borrowed), in which everything is said by id:
 *   event_api                or virtual_cluster
 *   protocol                 rest, sse, kafka
 *   operation                publish or read; of a virtual cluster Kafka's ("describe-configs")
 *   resource {type, name}    of a virtual cluster: topic, group, transactional-id, cluster
 *   listener                 absent: the one that serves it
 *   address, time_ms         where from, and when
 *   request {method, path, headers, query, body_bytes}: of HTTP, for conditions
 *   credentials [{id, type, issuer}]: the first that is let in answers; at most SLC_EXPLAIN_CREDENTIALS
 *   claims, issuer           instead: those of a token of this issuer, signature apart
 * The answer (new) has allowed, reason, trail and so on (docs/admin-api.md). NULL with a pointer in err when
 * the question makes no sense here. */
json_t *slc_explain(const slc_explainer *explainer, const json_t *question, slc_error *err) SLC_CHECKED;

#endif
