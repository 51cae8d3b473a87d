/* What the files of the schema policy share. */
#ifndef SLC_DATAPLANE_POLICY_SCHEMA_PRIVATE_H
#define SLC_DATAPLANE_POLICY_SCHEMA_PRIVATE_H

#include "dataplane/policy/records.h"
#include "dataplane/policy/schema.h"
#include "dataplane/policy/types.h"
#include "dataplane/schema/registry.h"

#define SLC_CHECK_RECENT  8    /* schemas that a bound policy remembers */
#define SLC_CHECK_KEEP_MS 1000 /* before it asks for one again */

enum slc_misfit { SLC_MISFIT_REJECT, SLC_MISFIT_SKIP, SLC_MISFIT_MARK, SLC_MISFIT_PASS };

/* The configuration, compiled. */
typedef struct slc_schema_policy {
    bool from_registry; /* else the event API's own */
    char *registry, *subject, *mark_header, *dead_letter_topic;
    bool any_format;
    enum slc_schema_format format;
    bool check_subject, convert, id_in_header, tagged;
    enum slc_misfit publish, read;
} slc_schema_policy;

struct slc_known_schema {
    slc_schema_want want;
    slc_schema *schema; /* own reference; NULL: none */
    int64_t until_ms;
};

/* One policy, bound. */
typedef struct slc_check {
    const slc_schema_policy *policy; /* the chain's */
    bool http;
    slc_registry *registry; /* own reference; NULL: `own` is the schema */
    slc_schema *own;        /* own reference */
    char api_id[64];        /* whose; "": no event API's */
    char subject[SLC_SUBJECT_MAX + 1];
    struct slc_known_schema latest, recent[SLC_CHECK_RECENT];
    unsigned recent_at;
} slc_check;

/* What came of looking at a value. */
struct slc_finding {
    enum slc_code code; /* SLC_OK; SLC_UNAVAILABLE: it could not be looked at now */
    bool changed;       /* record->value is another one now */
    char message[320];  /* for the log */
    char detail[200];   /* for the client: nothing of the inside */
    char pointer[128];
};

/* schema_lookup.c: KEEP with `*schema` (borrowed until the next call), LATER, or REJECT with `finding`. */
enum slc_record_verdict slc_check_latest(slc_check *check, slc_record_turn *turn, slc_schema **schema,
                                         struct slc_finding *finding);
enum slc_record_verdict slc_check_marked(slc_check *check, slc_record_turn *turn, const slc_schema_mark *mark,
                                         bool of_subject, slc_schema **schema, struct slc_finding *finding);
void slc_check_forget(slc_check *check);

/* schema_value.c: by the calling thread's memory. False with `finding`. */
/* Is the payload as the schema says? */
bool slc_value_check(const slc_schema *schema, const uint8_t *data, size_t len, struct slc_finding *finding);
/* JSON, as it was published, into what is stored, behind whatever is in `out`. */
bool slc_value_store(const slc_schema *schema, const uint8_t *data, size_t len, slc_buf *out,
                     struct slc_finding *finding);
/* Avro into JSON. */
bool slc_value_show(const slc_schema *schema, bool tagged, const uint8_t *data, size_t len, slc_buf *out,
                    struct slc_finding *finding);
bool slc_finding_fail(struct slc_finding *finding, enum slc_code code, const char *fmt, ...) SLC_PRINTF(3, 4);

#endif
