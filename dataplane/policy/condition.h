/* Whether a policy takes part in a request: its condition, evaluated over the request. Private to policy/. */
#ifndef SLC_DATAPLANE_POLICY_CONDITION_H
#define SLC_DATAPLANE_POLICY_CONDITION_H

#include "common/cel/attributes.h"
#include "dataplane/policy/policy.h"

enum slc_condition_answer { SLC_CONDITION_FALSE, SLC_CONDITION_TRUE, SLC_CONDITION_UNKNOWN };

/* `why` gets the reason of SLC_CONDITION_UNKNOWN: what went wrong, and at which character. */
enum slc_condition_answer slc_condition_ask(const slc_cel *condition, slc_policy_request *request, char *why,
                                            size_t cap);

/* The value of an attribute; false: it has none. Borrowed of the request. */
bool slc_condition_resolve(slc_policy_request *request, enum slc_attribute attribute, slc_cel_value *value);

#endif
