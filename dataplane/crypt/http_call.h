/* One request to a key management service. Blocking: for the threads that fetch keys. What is sent and what
 * comes is overwritten afterwards, and never logged. */
#ifndef SLC_DATAPLANE_CRYPT_HTTP_CALL_H
#define SLC_DATAPLANE_CRYPT_HTTP_CALL_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

/* A thread's connections. */
typedef struct slc_http_client slc_http_client;

/* A call ends early once `stopping` is true; it must outlive the client. NULL: it never is. */
slc_http_client *slc_http_client_new(const atomic_bool *stopping);
/* NULL is fine. */
void slc_http_client_free(slc_http_client *client);

typedef struct slc_http_call {
    const char *url;
    const char *const *headers; /* "name: value"; ends with NULL */
    const char *ca_pem;         /* NULL: the system's authorities */
    const json_t *body;         /* borrowed */
    int64_t timeout_ms;
    /* NULL: not signed. Else as AWS wants it: "aws:amz:REGION:SERVICE", and "ID:SECRET". */
    const char *sigv4, *credentials;
} slc_http_call;

/* POSTs the body. The answer's object and status; NULL with SLC_UNAVAILABLE when there is no answer, or none in
 * JSON. Overwrite it with slc_json_wipe() before it is given back, when it holds a secret. */
json_t *slc_http_post(slc_http_client *client, const slc_http_call *call, long *status,
                      slc_error *err) SLC_CHECKED;

/* Overwrites all strings in it. */
void slc_json_wipe(json_t *value);

#endif
