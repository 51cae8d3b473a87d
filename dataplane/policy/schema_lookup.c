/* Which schema a record is of. A bound policy remembers the last ones for a moment, so that not every record
 * takes the registries' lock. */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "dataplane/policy/schema_private.h"

static enum slc_record_verdict failed(const slc_schema_want *want, const slc_error *err,
                                      struct slc_finding *finding)
{
    char which[SLC_SUBJECT_MAX + 40];
    if (want->by == SLC_WANT_LATEST)
        snprintf(which, sizeof which, "the latest schema of %s", want->subject);
    else if (want->by == SLC_WANT_ID)
        snprintf(which, sizeof which, "its schema %d", want->id);
    else
        snprintf(which, sizeof which, "the schema that its header names");
    slc_finding_fail(finding, err->code == SLC_UNAVAILABLE ? SLC_UNAVAILABLE : SLC_INVALID, "%.100s: %.200s",
                     which, err->message);
    /* Where the registry is, and what it says, is nobody's business outside. */
    const char *why = err->code == SLC_UNAVAILABLE ? "cannot be looked up just now"
                      : err->code == SLC_NOT_FOUND ? "does not exist, or not for this topic"
                                                   : "is of no use here";
    if (want->by == SLC_WANT_LATEST)
        snprintf(finding->detail, sizeof finding->detail, "The schema of this topic %s.", why);
    else if (want->by == SLC_WANT_ID)
        snprintf(finding->detail, sizeof finding->detail, "The schema %d, which the value names, %s.", want->id,
                 why);
    else
        snprintf(finding->detail, sizeof finding->detail, "The schema that the event's header names %s.", why);
    return SLC_RECORD_REJECT;
}

static bool same(const slc_schema_want *a, const slc_schema_want *b)
{
    return a->by == b->by && a->id == b->id && memcmp(a->guid, b->guid, sizeof a->guid) == 0;
}

static enum slc_record_verdict look_up(slc_check *check, slc_record_turn *turn, struct slc_known_schema *place,
                                       const slc_schema_want *want, slc_schema **schema,
                                       struct slc_finding *finding)
{
    int64_t now_ms = slc_monotonic_ms();
    slc_error err = {0};
    if (place->schema != NULL && same(&place->want, want) && now_ms < place->until_ms) {
        *schema = place->schema;
        return SLC_RECORD_KEEP;
    }
    switch (slc_registry_ask(check->registry, want, turn->waiter, schema, &err)) {
    case SLC_SCHEMA_LATER:
        return SLC_RECORD_LATER;
    case SLC_SCHEMA_FAILED:
        return failed(want, &err, finding);
    default:
        slc_schema_unref(place->schema);
        *place = (struct slc_known_schema){*want, *schema, now_ms + SLC_CHECK_KEEP_MS};
        return SLC_RECORD_KEEP;
    }
}

/* Is it of the language that the policy wants? */
static enum slc_record_verdict judge(const slc_check *check, enum slc_record_verdict verdict,
                                     slc_schema **schema, struct slc_finding *finding)
{
    const slc_schema_policy *policy = check->policy;
    if (verdict != SLC_RECORD_KEEP || policy->any_format || (*schema)->format == policy->format)
        return verdict;
    slc_finding_fail(finding, SLC_INVALID,
                     "The schema is not in the language that this topic wants, which is %s.",
                     policy->format == SLC_SCHEMA_AVRO ? "Avro" : "JSON Schema");
    return SLC_RECORD_REJECT;
}

enum slc_record_verdict slc_check_latest(slc_check *check, slc_record_turn *turn, slc_schema **schema,
                                         struct slc_finding *finding)
{
    const slc_schema_want want = {.by = SLC_WANT_LATEST, .subject = check->subject};
    enum slc_record_verdict verdict = SLC_RECORD_KEEP;
    *schema = check->own;
    if (check->own == NULL)
        verdict = look_up(check, turn, &check->latest, &want, schema, finding);
    return judge(check, verdict, schema, finding);
}

enum slc_record_verdict slc_check_marked(slc_check *check, slc_record_turn *turn, const slc_schema_mark *mark,
                                         bool of_subject, slc_schema **schema, struct slc_finding *finding)
{
    slc_schema_want want = {.by = mark->by_guid ? SLC_WANT_GUID : SLC_WANT_ID, .id = mark->id};
    struct slc_known_schema *place = NULL;
    memcpy(want.guid, mark->guid, sizeof want.guid);
    if (mark->by_guid && of_subject) {
        slc_finding_fail(
            finding, SLC_INVALID,
            "The schema is named by a GUID, of which it cannot be told whether it is this topic's.");
        return SLC_RECORD_REJECT;
    }
    want.subject = of_subject ? check->subject : NULL;
    for (size_t i = 0; i < SLC_CHECK_RECENT && place == NULL; i++)
        if (check->recent[i].schema != NULL && same(&check->recent[i].want, &want))
            place = &check->recent[i];
    if (place == NULL)
        place = &check->recent[check->recent_at++ % SLC_CHECK_RECENT];
    return judge(check, look_up(check, turn, place, &want, schema, finding), schema, finding);
}

void slc_check_forget(slc_check *check)
{
    slc_schema_unref(check->latest.schema);
    for (size_t i = 0; i < SLC_CHECK_RECENT; i++)
        slc_schema_unref(check->recent[i].schema);
}
