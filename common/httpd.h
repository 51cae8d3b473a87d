/* What both programs' HTTP servers share, over libevent's evhttp: listeners, TLS, limits, problem documents,
 * request ids. Everything here runs on the thread of the event_base, unless it says otherwise.
 *
 * The httpd owns two slots that evhttp has only once per request and connection: use slc_httpd_on_end instead
 * of evhttp_request_set_on_complete_cb and evhttp_connection_set_closecb, and leave the bufferevent's callbacks
 * and timeouts alone (to read from the bufferevent, and to ask how much output waits, is fine).
 *
 * Requests that never reach the handler: what evhttp refuses itself (431 over the header limit, 413 over the
 * body limit, 503 over that of all bodies, 501 for an unknown method, 417, 400 for what is not HTTP) and what
 * could be read in two ways by two servers in a row (400: both Content-Length and Transfer-Encoding, a repeated
 * or malformed Content-Length, another Transfer-Encoding than chunked, a body with HEAD or TRACE, header names
 * that are not tokens, control characters, a request target that is not visible ASCII, trailer fields that
 * evhttp would mix with the header's, a missing or repeated Host in HTTP/1.1). All are answered with a problem
 * document; then the connection is closed, in such a way that a client that is still sending gets to read the
 * answer.
 *
 * Header values and bodies may hold any bytes from 0x80 on: they are not always UTF-8.
 */
#ifndef SLC_COMMON_HTTPD_H
#define SLC_COMMON_HTTPD_H

#include <event2/http.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/error.h"
#include "common/network.h"
#include "common/tls.h"

typedef struct slc_httpd_limits {
    int64_t header_bytes; /* request line and headers, without line ends: 431 over it */
    int64_t body_bytes;   /* 413 over it */
    int64_t bodies_bytes; /* of all requests under way, beyond the first 64 KiB of each: a body that grows over
                           * it is 503 with Retry-After, unless it is the only one; 0: no limit */
    int64_t request_timeout_ms; /* to receive a whole request (with the TLS handshake), and idle keep-alive: the
                                 * connection is closed. Also how long a client may take no byte of an answer.
                                 * There is no limit on how long a handler takes to answer. */
    unsigned connections;       /* of this httpd; at it accepting pauses */
} slc_httpd_limits;

typedef struct slc_httpd slc_httpd;

/* `handler` gets every request, of any method that evhttp knows. It answers now or later, exactly once. When
 * the client has gone in between, the answer is dropped, but it must still be given, because it is what frees
 * the request; slc_httpd_on_end tells. */
slc_httpd *slc_httpd_new(struct event_base *base, const slc_httpd_limits *limits,
                         void (*handler)(struct evhttp_request *req, void *arg), void *arg);
/* Closes every listener and connection at once. Not from inside the handler. Requests that wait for their
 * answer end as if the client had gone. libevent releases the sockets' memory when the loop runs next or the
 * base is freed. */
void slc_httpd_free(slc_httpd *httpd);

/* Opens a listening socket: SO_REUSEADDR, and SO_REUSEPORT when asked for (one socket per worker). Returns the
 * fd, or -1. Any thread. `address` as SLC_SET_ADDRESS; port 0 takes a free one. */
int slc_listen(const char *address, bool reuse_port, slc_error *err) SLC_CHECKED;
/* The port a socket is bound to. */
uint16_t slc_listen_port(int fd);
/* The bytes that a TCP connection received and that its peer acknowledged, as the kernel counts them anyway. On
 * an error they stay what they were. */
void slc_socket_bytes(int fd, uint64_t *in, uint64_t *out);

typedef struct slc_httpd_listener slc_httpd_listener;

/* Serves an open socket; `tls` NULL means plain (else a reference is taken); the fd is stolen. `tag` comes back
 * from slc_httpd_tag and must live until the listener has ended. Returns a handle for slc_httpd_close_listener.
 */
slc_httpd_listener *slc_httpd_serve(slc_httpd *httpd, int fd, slc_tls *tls, void *tag);
/* Connections from these networks (copied), new ones from now on, begin with a PROXY protocol header of version
 * 2, before TLS, in the time that a request has; one without a good header is closed. From elsewhere a header
 * is no HTTP. */
void slc_httpd_set_balancers(slc_httpd_listener *listener, const slc_network *networks, size_t count);
/* The client that such a header named; NULL: the connection's peer speaks for itself, or has gone. */
const struct sockaddr_storage *slc_httpd_source(struct evhttp_request *req);
/* Closes the socket; connections that are open stay. The handle is void afterwards. `ended` (may be NULL) is
 * called with the tag, from the loop and never before this returns, when the last connection has gone, or by
 * slc_httpd_free. */
void slc_httpd_close_listener(slc_httpd_listener *listener, void (*ended)(void *tag));

/* Closes the idle connections that came in by this listener; the others close after the answer that they wait
 * for. The socket stays open. */
void slc_httpd_drain_listener(slc_httpd_listener *listener);

/* Closes the listening sockets, for good; what is open goes on. */
void slc_httpd_stop_accepting(slc_httpd *httpd);
/* Closes the listening sockets and the idle connections; the others close after the answer that they wait for
 * (`Connection: close`). Idempotent. */
void slc_httpd_drain(slc_httpd *httpd);
unsigned slc_httpd_connections(const slc_httpd *httpd);
/* Bytes under way that count against bodies_bytes. */
size_t slc_httpd_held(const slc_httpd *httpd);

/* The tag of the listener that a request's connection came in by; NULL once the client has gone. */
void *slc_httpd_tag(struct evhttp_request *req);
/* Has `fn` called exactly once when the request ends. `completed`: the answer was handed to the kernel in full;
 * req is freed after `fn` returns. Otherwise the client went away (or the httpd was freed): if the answer was
 * not complete yet, finish it now or later (evhttp_send_reply, evhttp_send_reply_end, slc_http_...: goes
 * nowhere, frees req), else don't touch req. Once per request, before the answer is finished. */
void slc_httpd_on_end(struct evhttp_request *req,
                      void (*fn)(struct evhttp_request *req, bool completed, void *arg), void *arg);

/* A place for a word about the connection that a request came in by, kept from request to request: NULL at
 * first, then malloc'd memory that goes with the connection. NULL once the client has gone. */
void **slc_httpd_note(struct evhttp_request *req);
/* Has `fn` called with each note that is there when its connection goes, instead of free(). Before the first
 * connection. */
void slc_httpd_set_note_free(slc_httpd *httpd, void (*fn)(void *note));

typedef struct slc_httpd_open {
    void *tag; /* the listener's */
    bool tls;
    int fd;
    const struct sockaddr_storage *source; /* as slc_httpd_source */
    int64_t opened_ms;                     /* wall clock */
    const void *note;
    void *end_arg; /* what slc_httpd_on_end was given for the request under way; NULL: none is */
} slc_httpd_open;

/* Every open connection, the newest first, until `fn` returns false. `fn` must not touch them. */
void slc_httpd_each(slc_httpd *httpd, bool (*fn)(const slc_httpd_open *open, void *arg), void *arg);

/* The method's name ("GET"), also for those that evhttp gives only a bit. */
const char *slc_http_method(struct evhttp_request *req);

/* Answers with `len` bytes; `content_type` NULL when there is nothing to describe. Headers that were added to
 * the answer before stay. HEAD gets the length without the bytes. */
void slc_http_send(struct evhttp_request *req, int status, const char *content_type, const void *data,
                   size_t len);

/* Answers with an RFC 9457 problem document: type, title, status, detail, and instance "urn:request:<id>" when
 * slc_http_request_id was called for the request. `type` is the last part of https://sluice.dev/problems/<type>
 * (stable; docs/problems.md lists them); `title` NULL: the status's reason; `detail` may be NULL; `extra` (may
 * be NULL, stolen) is merged in. */
void slc_http_problem(struct evhttp_request *req, int status, const char *type, const char *title,
                      const char *detail, json_t *extra);
/* The same for an slc_error: status and type from its code, `errors: [{pointer, detail}]` from its field. The
 * message of what is our own fault (500) goes to the log instead of to the client. */
void slc_http_problem_error(struct evhttp_request *req, const slc_error *err);
int slc_code_http_status(enum slc_code code);

/* Answers with JSON (stolen). */
void slc_http_json(struct evhttp_request *req, int status, json_t *body);
const char *slc_http_reason(int status);

/* The request's id: a valid incoming X-Request-Id (at most 64 of [A-Za-z0-9._-]), else a new one; it is also
 * set on the answer. The same for every call on a request. `out` holds 65. */
void slc_http_request_id(struct evhttp_request *req, char out[65]);

#endif
