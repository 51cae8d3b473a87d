/* HTTP by libcurl: bounded in time, size and number of tries. One thread. */
#ifndef SLC_CONTROLPLANE_CTL_CLIENT_H
#define SLC_CONTROLPLANE_CTL_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

typedef struct slc_ctl_client slc_ctl_client;

typedef struct slc_ctl_client_options {
    const char *server; /* http(s)://host[:port][/path], no slash at the end */
    const char *token;  /* Bearer; NULL: none */
    const char *ca_file, *client_certificate_file, *client_key_file; /* NULL: none */
    int64_t connect_timeout_ms;
    int64_t timeout_ms; /* of one try, and of silence in a stream */
    unsigned retries;   /* tries after the first, when the server cannot be reached or says 502, 503 or 504 */
    void (*waiting)(void *arg, const char *why, int64_t ms); /* before another try; may be NULL */
    void *arg;
} slc_ctl_client_options;

/* Takes the answer of a success as it comes; false ends it. */
typedef bool (*slc_ctl_sink)(void *arg, const char *data, size_t len);

typedef struct slc_ctl_request {
    const char *method;
    const char *path; /* begins with a slash; with its query */
    const char *body; /* NULL: none */
    size_t body_len;
    const char *content_type;   /* of the body; NULL: application/json */
    const char *accept;         /* NULL: application/json */
    const char *const *headers; /* more of them, ends with NULL; NULL: none */
    bool repeatable; /* doing it twice is the same as once; a POST without gets an Idempotency-Key instead */
    bool
        unsafe; /* a POST that no Idempotency-Key makes safe to repeat: only tried again when it was not done */
    bool once;  /* never tried again */
    bool endless;       /* a stream, a file: no bound on the whole, only on silence */
    int64_t timeout_ms; /* of one try; 0: the client's */
    slc_ctl_sink sink;  /* NULL: into answer.body */
    void *sink_arg;
} slc_ctl_request;

#define SLC_ANSWER_MAX_BYTES (1u << 30)

typedef struct slc_ctl_answer {
    long status;
    slc_buf body;
    char content_type[128];
    char etag[64];
    char version[64]; /* of the server: Sluice-Version */
    char request_id[64];
    int64_t retry_after_ms; /* -1: not told */
} slc_ctl_answer;

slc_ctl_client *slc_client_new(const slc_ctl_client_options *options, slc_error *err) SLC_CHECKED; /* copied */
void slc_client_free(slc_ctl_client *client);
/* True with any status; false (SLC_UNAVAILABLE, SLC_TIMEOUT, SLC_TOO_LARGE, ...) when there was no answer.
 * Release the answer in both cases. */
bool slc_client_send(slc_ctl_client *client, const slc_ctl_request *request, slc_ctl_answer *answer,
                     slc_error *err) SLC_CHECKED;
void slc_answer_release(slc_ctl_answer *answer);

#endif
