/* What both programs' HTTP servers share, over libevent's evhttp: listeners, TLS, limits, problem documents, request
 * ids. Everything here runs on the thread of the evhttp's event_base. */
#ifndef SLC_COMMON_HTTPD_H
#define SLC_COMMON_HTTPD_H

#include <event2/http.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/tls.h"

typedef struct slc_httpd_limits {
    int64_t header_bytes;       /* request line and headers: 431 over it */
    int64_t body_bytes;         /* 413 over it */
    int64_t request_timeout_ms; /* to receive a whole request, and idle keep-alive */
    unsigned connections;       /* of this httpd; over it accepting pauses */
} slc_httpd_limits;

typedef struct slc_httpd slc_httpd;

/* `handler` gets every request, of any method. */
slc_httpd *slc_httpd_new(struct event_base *base, const slc_httpd_limits *limits,
                         void (*handler)(struct evhttp_request *req, void *arg), void *arg);
void slc_httpd_free(slc_httpd *httpd);

/* Opens a listening socket: SO_REUSEADDR, and SO_REUSEPORT when asked for (one socket per worker). Returns the fd,
 * or -1. Any thread. `address` as SLC_SET_ADDRESS; port 0 takes a free one. */
int slc_listen(const char *address, bool reuse_port, slc_error *err) SLC_CHECKED;
/* The port a socket is bound to. */
uint16_t slc_listen_port(int fd);

/* Serves an open socket; `tls` NULL means plain; the fd is stolen. `tag` comes back from slc_httpd_tag. Returns a
 * handle for slc_httpd_close_listener; connections that are open stay. */
struct slc_httpd_listener *slc_httpd_serve(slc_httpd *httpd, int fd, slc_tls *tls, void *tag);
void slc_httpd_close_listener(struct slc_httpd_listener *listener);
/* Stops accepting everywhere and, as connections become idle, closes them: `Connection: close` on what is answered
 * from now on. */
void slc_httpd_drain(slc_httpd *httpd);
unsigned slc_httpd_connections(const slc_httpd *httpd);
/* The tag of the listener that a request's connection came in by. */
void *slc_httpd_tag(struct evhttp_request *req);

/* The method's name ("GET"), also for those that evhttp gives only a bit. */
const char *slc_http_method(struct evhttp_request *req);

/* Answers with an RFC 9457 problem document. `type` is the last part of
 * https://sluice.dev/problems/<type> (stable; docs/problems.md lists them); `detail` may be NULL; `extra` (may be NULL, stolen) is merged in. */
void slc_http_problem(struct evhttp_request *req, int status, const char *type, const char *title,
                      const char *detail, json_t *extra);
/* The same for an slc_error: status and type from its code, `errors: [{pointer, detail}]` from its field. */
void slc_http_problem_error(struct evhttp_request *req, const slc_error *err);
int slc_code_http_status(enum slc_code code);

/* Answers with JSON (stolen). */
void slc_http_json(struct evhttp_request *req, int status, json_t *body);
const char *slc_http_reason(int status);

/* The request's id: a valid incoming X-Request-Id (at most 64 of [A-Za-z0-9._-]), else a new one, which is also set on the answer. `out` holds 65. */
void slc_http_request_id(struct evhttp_request *req, char out[65]);

#endif
