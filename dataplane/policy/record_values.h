/* Records as values of expressions: JSON is looked into where the expression does, nothing else is read.
 * Private to policy/. */
#ifndef SLC_DATAPLANE_POLICY_RECORD_VALUES_H
#define SLC_DATAPLANE_POLICY_RECORD_VALUES_H

#include "common/cel/record_attributes.h"
#include "dataplane/mediation/json_scan.h"
#include "dataplane/policy/records.h"

#define SLC_RECORD_OBJECTS  256  /* that one evaluation may look into */
#define SLC_RECORD_ELEMENTS 1000 /* of a list that is looked at */

/* Of one evaluation. */
typedef struct slc_record_values {
    const slc_policy_record *record;
    slc_record_scratch *scratch;
    struct slc_record_object {
        struct slc_record_values *values;
        slc_json_slice slice;
    } * objects;
    size_t object_count;
} slc_record_values;

void slc_record_values_init(slc_record_values *values, const slc_policy_record *record,
                            slc_record_scratch *scratch);
/* An attribute before SLC_RECORD_ATTRIBUTES_OF_RECORD; false: it has no value. */
bool slc_record_values_resolve(slc_record_values *values, size_t variable, slc_cel_value *value);

#endif
