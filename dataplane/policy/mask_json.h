/* Hiding parts of JSON values: fields by path, and all but some fields. Private to policy/. */
#ifndef SLC_DATAPLANE_POLICY_MASK_JSON_H
#define SLC_DATAPLANE_POLICY_MASK_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/json_path.h"
#include "common/mask_rule.h"

#define SLC_MASK_PATHS SLC_MASK_RULES /* bits of 32 tell them apart */

enum slc_mask_action {
    SLC_MASK_REDACT,    /* the replacement in its place */
    SLC_MASK_KEEP_LAST, /* of its text, the last characters */
    SLC_MASK_HASH,      /* HMAC-SHA-256 of its text, in hexadecimal */
    SLC_MASK_REMOVE,
};

typedef struct slc_mask_field {
    slc_json_path path;
    enum slc_mask_action action;
    unsigned keep;     /* KEEP_LAST: characters */
    char *replacement; /* REDACT: a JSON string, quotes and all */
} slc_mask_field;

typedef struct slc_mask {
    size_t field_count, keep_count;
    slc_mask_field fields[SLC_MASK_PATHS]; /* of several for one place the first counts */
    slc_json_path keep[SLC_MASK_PATHS];    /* what is kept at all; none: everything */
} slc_mask;

/* Adds what the value (JSON that slc_json_scan took) becomes to `out`; `key` is for HASH. False: it does not
 * fit.
 * `*changed`: it is not as it was. `text` is a buffer for what lies between. */
bool slc_mask_json(const slc_mask *mask, const uint8_t *key, size_t key_len, const char *value, size_t len,
                   slc_buf *text, slc_buf *out, bool *changed) SLC_CHECKED;

#endif
