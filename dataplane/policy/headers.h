/* The headers policy: what it does to HTTP fields and to the headers of records.
 *
 * A chain's `transform` phase notes which policies take part (slc_header_policies); whoever has the message at
 * hand makes the edits of one place from them, and applies them. Nothing of who reads is put into what is read:
 * it is rendered once for all readers for whom the same policies take part. */
#ifndef SLC_DATAPLANE_POLICY_HEADERS_H
#define SLC_DATAPLANE_POLICY_HEADERS_H

#include "common/header_rule.h"
#include "dataplane/broker/record.h"

/* A compiled policy. */
typedef struct slc_headers {
    size_t count;
    bool places[SLC_HEADER_PLACES]; /* that some rule concerns */
    slc_header_rule rules[];        /* with texts of their own */
} slc_headers;

/* Those that take part in one request, in order. Zeroed at first. What they point at lives as long as their
 * chains. */
typedef struct slc_header_policies {
    const slc_headers **items;
    size_t count;
    bool judged; /* the request was allowed: these are all */
} slc_header_policies;

void slc_header_policies_add(slc_header_policies *policies, const slc_headers *headers);
void slc_header_policies_release(slc_header_policies *policies);

typedef struct slc_header_edit {
    enum slc_header_action action;
    const char *name, *to; /* borrowed of the policy */
    const char *value; /* NULL with SET and ADD: nothing could be put in, so SET removes and ADD does nothing */
    char *owned;
} slc_header_edit;

typedef struct slc_header_edits {
    size_t count;
    slc_header_edit items[];
} slc_header_edits;

/* All edits of one place, with what is put in; NULL: there are none. */
slc_header_edits *slc_header_edits_new(const slc_header_policies *policies, enum slc_header_place place,
                                       slc_header_value_fn *fn, void *ctx);
void slc_header_edits_free(slc_header_edits *edits); /* NULL is fine */

/* A record's headers with the edits: `out` holds count + edits->count; returns how many there are. Order and
 * duplicates are kept. Names are compared byte by byte, as Kafka has it. Borrows from `in` and from `edits`. */
uint32_t slc_header_edits_record(const slc_header_edits *edits, const slc_record_header *in, uint32_t count,
                                 slc_record_header *out);

#endif
