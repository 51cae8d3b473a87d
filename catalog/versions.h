/* Kept versions: what was compiled, how long it is remembered, what differs between two of them, and the way
 * back (docs/decisions/0004-versions-and-rollback.md). All run inside a transaction.
 */
#ifndef SLC_CATALOG_VERSIONS_H
#define SLC_CATALOG_VERSIONS_H

#include "catalog/catalog.h"
#include "catalog/compile.h"

/* A version is kept while it is among the newest `kept` of its group or younger than `age_ms`, but never more
 * than `limit`; the newest always. 0: 100, 30 days, 10,000. */
typedef struct slc_version_limits {
    int64_t kept;
    int64_t age_ms;
    int64_t limit;
} slc_version_limits;

/* Keeps the version (config_versions) if it is new, and forgets what the limits (NULL: the defaults) do not
 * keep, together with the history that only forgotten versions saw. `actor_json` and `reason` NULL: those of
 * the last audited change up to it. In a write transaction of the control plane itself. */
bool slc_version_remember(slc_txn *txn, const slc_compiled *compiled, const char *actor_json,
                          const char *reason, const slc_version_limits *limits, slc_error *err) SLC_CHECKED;

/* Why a version cannot be used, beyond the error's code. */
enum slc_version_refusal {
    SLC_VERSION_OK,
    SLC_VERSION_TOO_OLD,  /* older than the history of this catalog */
    SLC_VERSION_REFERRED, /* what should vanish is referred to by what never rolls back */
    SLC_VERSION_SECRETS,  /* secrets must be supplied; the transaction's problems name them */
};

/* What differs between the configurations of two versions, or of one and "current": new {"from", "to":
 * {"id", "group", "version"}, "changes": [{action, kind, key, changes}]}, as seen on the way from the first to
 * the second. SLC_NOT_FOUND when there is no such version. `*refusal` may be NULL. */
json_t *slc_version_diff(slc_txn *txn, const char *from_id, const char *to_id,
                         enum slc_version_refusal *refusal, slc_error *err) SLC_CHECKED;

typedef struct slc_rollback_options {
    bool dry_run;
    const char *reason;    /* for the audit trail; NULL: none */
    const json_t *secrets; /* {"kind/key": {field: value or object}}; NULL: none */
} slc_rollback_options;

typedef struct slc_rollback_refusal {
    enum slc_version_refusal why;
    json_t *referrers; /* new array of {kind, id, key, field, refers_to}, or NULL */
} slc_rollback_refusal;

/* Makes the configuration what it was at the version, as a new revision: new {"revision", "dry_run", "to":
 * version, "changes", "skipped": [{kind, key, reason}]}. `refusal` may not be NULL; its referrers are the
 * caller's. */
json_t *slc_version_rollback(slc_txn *txn, const char *id, const slc_rollback_options *options,
                             slc_rollback_refusal *refusal, slc_error *err) SLC_CHECKED;

#endif
