/* Cursors: where a reader is, as text that any gateway of the group accepts and nobody else can make.
 * docs/decisions/0002-feed-and-cursor.md has the bytes and the reasons.
 */
#ifndef SLC_DATAPLANE_MEDIATION_CURSOR_H
#define SLC_DATAPLANE_MEDIATION_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "dataplane/config/snapshot.h"

#define SLC_CURSOR_MAX_CHARS 6144
/* Their cursors fit, whatever is in them, up to offsets of 2^49. A topic with more cannot be read. */
#define SLC_CURSOR_MAX_PARTITIONS 640

typedef struct slc_position {
    int64_t next;  /* the offset that is read next */
    int32_t epoch; /* leader epoch of the record before it; -1: unknown */
} slc_position;

/* What cursors of one event API are made and checked with. Holds no reference: the API must outlive it. */
typedef struct slc_cursor_codec {
    const slc_event_api *api;
    uint8_t binding[8];
} slc_cursor_codec;

typedef struct slc_cursor {
    bool has_topic_id;
    uint8_t topic_id[16];
    int32_t partitions;
    slc_position *positions; /* the cursor's; slc_cursor_release */
} slc_cursor;

/* False (SLC_INVALID) when the API has no usable cursor key. */
bool slc_cursor_codec_init(slc_cursor_codec *codec, const slc_event_api *api, slc_error *err) SLC_CHECKED;

/* Writes the text and a NUL to `out` and returns its length; 0 when it would be longer than
 * SLC_CURSOR_MAX_CHARS (too many partitions). `topic_id` NULL or zero: unknown. `out` holds
 * SLC_CURSOR_MAX_CHARS + 1. */
size_t slc_cursor_encode(const slc_cursor_codec *codec, const uint8_t *topic_id, const slc_position *positions,
                         int32_t partitions, char *out);

/* SLC_INVALID for whatever is not a cursor of this API: it does not say what is wrong. */
bool slc_cursor_decode(const slc_cursor_codec *codec, const char *text, size_t len, slc_cursor *cursor,
                       slc_error *err) SLC_CHECKED;
void slc_cursor_release(slc_cursor *cursor);

#endif
