/* What the table of kinds cannot say: one set of functions per kind. Private to catalog/.
 *
 * All run inside the transaction of the change, on a catalog thread. Any of them may be NULL. They return false
 * with `err` filled (its field a JSON pointer) to refuse the change.
 */
#ifndef SLC_CATALOG_RULES_H
#define SLC_CATALOG_RULES_H

#include "catalog/read.h"

/* A change under way. The JSON values are in stored form (kind.h) unless said otherwise. */
typedef struct slc_change {
    const slc_kind *kind;
    const char *id;
    const json_t *before; /* NULL at creation */
    json_t *next;         /* what will be written: rules may set read-only fields; NULL at deletion */
    json_t *once; /* at creation and actions: what only this answer shows, in JSON form; may be added to */
    const json_t *args; /* at creation: the write-only fields, with their defaults */
} slc_change;

struct slc_kind_rules {
    /* Before the row is written, when every single field is valid. */
    bool (*check)(slc_txn *txn, slc_change *change, slc_error *err);
    /* After it was, so that queries see the new state. */
    bool (*written)(slc_txn *txn, slc_change *change, slc_error *err);
    /* What must hold between entities, when all that changes together is written: `change` has kind, id and
     * next only. Alone this is right after `written`; in a declarative document or a rollback it is at the end.
     */
    bool (*settled)(slc_txn *txn, const slc_change *change, slc_error *err);
    /* Appends who depends on it although no reference says so ({kind, id, key, field}, as slc_referrers): they
     * stand in the way of a deletion. */
    bool (*dependents)(slc_txn *txn, const json_t *stored, json_t *list, slc_error *err);
    /* Before a deletion, when nothing refers to it. */
    bool (*removing)(slc_txn *txn, slc_change *change, slc_error *err);
    /* An action: changes `next`. `body` (JSON form, checked against the action's fields) may be NULL. */
    bool (*act)(slc_txn *txn, slc_change *change, const slc_action *action, const json_t *body, slc_error *err);
    /* Adds the computed fields to the JSON form. */
    bool (*show)(slc_txn *txn, const json_t *stored, json_t *out, slc_error *err);
};

extern const struct slc_kind_rules slc_rules_role, slc_rules_user, slc_rules_api_token, slc_rules_invitation,
    slc_rules_sign_in_provider, slc_rules_sign_in_rule, slc_rules_team, slc_rules_grant, slc_rules_gateway_node,
    slc_rules_enrolment_token, slc_rules_backend_cluster, slc_rules_virtual_cluster, slc_rules_listener,
    slc_rules_schema_registry, slc_rules_key_ring, slc_rules_event_api, slc_rules_deployment, slc_rules_product,
    slc_rules_plan, slc_rules_credential, slc_rules_subscription, slc_rules_policy, slc_rules_issuer,
    slc_rules_webhook, slc_rules_scorecard_rule, slc_rules_rest_api;

/* A lifecycle only moves forward; and when did it come to deprecated? */
bool slc_lifecycle_check(slc_txn *txn, const slc_change *change, slc_error *err);
void slc_lifecycle_note(slc_txn *txn, slc_change *change);
/* When it was written: is it published by this change? And when all is: may it be, by the scorecard rules? */
void slc_publication_note(slc_txn *txn, const slc_change *change);
bool slc_publication_check(slc_txn *txn, const slc_change *change, slc_error *err);

/* account_reset.c: the action of users. */
bool slc_account_act(slc_txn *txn, slc_change *change, const slc_action *action, const json_t *body,
                     slc_error *err);

/* Live subscriptions of an application in one environment: a gateway holds them all in one message. */
#define SLC_LIVE_SUBSCRIPTIONS_MAX 1024
/* Different claims of the credentials of an issuer: a gateway looks each of them up for each of its tokens. */
#define SLC_ISSUER_CLAIMS_MAX 16

/* Appends these claims, in order. */
bool slc_issuer_claims(slc_txn *txn, const char *issuer_id, json_t *claims, slc_error *err);
/* Do all tokens of an issuer have it, or each another one, so that it tells nobody apart? */
bool slc_claim_is_common(const char *claim);

/* The certificate of a credential (stored form, one member): the property that it names ("dns", "subject", ...;
 * see client_identity of listeners) and, when `lookup` is not NULL, what gateways find it by. NULL with
 * `*wrong`, which says what it must be. */
const char *slc_certificate_property(const json_t *certificate, char *lookup, size_t size, const char **wrong);
/* May a credential name the claim, or the property of certificates? What the issuer's owner lists, and the
 * listeners that ask for certificates. */
bool slc_identifying_check(slc_txn *txn, const slc_change *change, slc_error *err);
/* Of an update: does the list leave out what live credentials name? */
bool slc_identifying_kept(slc_txn *txn, const slc_change *listener, slc_error *err);

/* Shorthands over a stored or JSON form: borrowed text (NULL when absent), integer (0 when absent). */
const char *slc_get_text(const json_t *object, const char *field);
int64_t slc_get_int(const json_t *object, const char *field);
bool slc_has_text(const json_t *array, const char *text); /* array of strings; NULL has none */
bool slc_has_all(const json_t *array, const json_t *wanted);

/* The key of an entity by its id, "?" when it is gone; into `out`. */
void slc_key_of(slc_txn *txn, const char *kind, const char *id, char out[SLC_KEY_CHARS]);

#endif
