/* What expressions over records may speak of: the record, and who reads it. One table for the control plane,
 * gateways and the documentation. */
#ifndef SLC_COMMON_CEL_RECORD_ATTRIBUTES_H
#define SLC_COMMON_CEL_RECORD_ATTRIBUTES_H

#include "common/cel/attributes.h"

/* In the order of slc_record_attributes. What comes first is the same for everybody who reads. */
enum slc_record_attribute {
    SLC_RECORD_KEY,
    SLC_RECORD_VALUE,
    SLC_RECORD_HEADERS,
    SLC_RECORD_TOMBSTONE,
    SLC_RECORD_PARTITION,
    SLC_RECORD_OFFSET,
    SLC_RECORD_TIME,
    SLC_RECORD_ATTRIBUTES_OF_RECORD, /* so many; those behind are slc_attributes' */
};

#define SLC_RECORD_ATTRIBUTES 27

extern const slc_cel_variable slc_record_attributes[SLC_RECORD_ATTRIBUTES + 1];
/* Which attribute the variable is, from SLC_RECORD_ATTRIBUTES_OF_RECORD on. */
enum slc_attribute slc_record_attribute_of(size_t variable);

/* Whom the result is the same for. */
enum slc_record_readers { SLC_READERS_ALL, SLC_READERS_APPLICATION, SLC_READERS_ONE };

/* An expression that gives a bool. NULL with err (no field). `*readers` may be NULL. */
slc_cel *slc_record_expression_compile(const char *text, enum slc_record_readers *readers,
                                       slc_error *err) SLC_CHECKED;

#endif
