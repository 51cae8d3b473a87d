/* A record as clients see it:
 * {id, time, key | key_base64, headers: [{name, value | value_base64}], data | data_base64, tombstone}. */
#ifndef SLC_DATAPLANE_MEDIATION_EVENT_JSON_H
#define SLC_DATAPLANE_MEDIATION_EVENT_JSON_H

#include "common/buf.h"
#include "dataplane/broker/record.h"

/* What the text can come to at most. */
size_t slc_event_json_bound(const slc_record *record);

/* Appends the event as one line of JSON. A value that is JSON is embedded as it is, save that line breaks
 * between its tokens become spaces; any other is base64. Keys and header values that are not UTF-8 are base64.
 * A header without a value has `"value": null`; a tombstone has `"data": null, "tombstone": true`. */
void slc_event_json(slc_buf *out, const slc_record *record);

/* Appends an event that cannot be shown: {id, time, error}. `problem` is a JSON object. */
void slc_event_json_error(slc_buf *out, const slc_record *record, const char *problem);

/* "<partition>-<offset>": opaque to clients. `out` holds 40. */
void slc_event_id(int32_t partition, int64_t offset, char *out);

#endif
