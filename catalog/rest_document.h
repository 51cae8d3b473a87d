/* What an OpenAPI document says of a REST API, as far as a catalog lists it. The document itself is kept as it
 * came: nothing in it is followed, so that $ref may point anywhere, also at itself.
 *
 * Any thread.
 */
#ifndef SLC_CATALOG_REST_DOCUMENT_H
#define SLC_CATALOG_REST_DOCUMENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

#define SLC_REST_TITLE_CHARS       200 /* longer ones are cut, as the next ones are */
#define SLC_REST_DESCRIPTION_CHARS 65536
#define SLC_REST_SUMMARY_CHARS     300
#define SLC_REST_VERSION_CHARS     100
#define SLC_REST_SERVERS_MAX       20 /* more are not listed */
#define SLC_REST_OPERATIONS_MAX    5000
#define SLC_REST_PATH_CHARS        2000

/* JSON, or YAML without anchors and aliases, of OpenAPI 3.0 or 3.1. New:
 *   {title, openapi, [version], [description], servers: [{url, [description]}],
 *    operations: [{method, path, [summary], [operation_id], [deprecated]}]}
 * in the order of the document; texts as they are in it, without control characters but (in `description`) tabs
 * and line ends. NULL with SLC_INVALID or SLC_TOO_LARGE, and a message that says where and what is wrong. */
json_t *slc_rest_document_read(const char *text, size_t len, size_t max_bytes, slc_error *err) SLC_CHECKED;
/* Is the text to be read as JSON, rather than YAML? */
bool slc_rest_document_is_json(const char *text);

#endif
