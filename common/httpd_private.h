/* What the files of the httpd share. Not for anybody else. */
#ifndef SLC_COMMON_HTTPD_PRIVATE_H
#define SLC_COMMON_HTTPD_PRIVATE_H

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/http.h>
/* Needs http.h before it. */
#include <event2/http_struct.h>
#include <sys/queue.h>

#include "common/httpd.h"

#define SLC_HTTPD_MAGIC          0x68747470U
#define SLC_HTTPD_LISTENER_MAGIC 0x6c73746eU
#define SLC_HTTPD_CONN_MAGIC     0x636f6e6eU

/* ---- the header block as it goes over the wire (httpd_head.c) ----
 * evhttp parses it too, but does not say where it ended, how many fields it had or how large it was. */
struct slc_http_head {
    size_t bytes;      /* of its lines so far, without line ends: what evhttp counts */
    unsigned fields;   /* header fields, without continuation lines */
    size_t line_bytes; /* of the current line */
    unsigned lines;    /* complete ones */
    bool after_cr;
    bool complete;
    bool bad_bytes; /* a NUL or a bare CR */
};

/* Takes the next bytes; those after the block's end are ignored. */
void slc_http_head_scan(struct slc_http_head *head, const uint8_t *data, size_t len);
/* NULL, or what is wrong with a request that evhttp took (a sentence for the client). */
const char *slc_http_head_check(const struct slc_http_head *head, struct evhttp_request *req);

struct slc_httpd_intake;

/* ---- connections (httpd_conn.c) ---- */
struct slc_httpd_conn {
    unsigned magic;
    slc_httpd *httpd;
    struct slc_httpd_listener *listener;
    TAILQ_ENTRY(slc_httpd_conn) entry; /* httpd->conns */
    TAILQ_ENTRY(slc_httpd_conn) todo;  /* httpd->todo */
    bool queued;                       /* is in httpd->todo */

    struct bufferevent *bev;         /* evhttp's, except that a reference is ours until it is adopted */
    struct evhttp_connection *evcon; /* NULL until adopted */
    int fd;
    int64_t opened_ms;               /* wall clock */
    void *note;                      /* the owner's, malloc'd */
    struct slc_httpd_intake *intake; /* a PROXY protocol header is awaited: the bufferevent has no socket */
    bool told;                       /* it named the client: */
    struct sockaddr_storage source;
    struct event deadline;
    struct event stalled; /* while there is output: the client has taken nothing for the time of a request */
    struct slc_http_head head;
    size_t
        held; /* bytes that came since the last answer was out: of the request under way and what follows it */
    bool crowded; /* its body is too much, with all others */

    struct evhttp_request *req; /* that the handler has and has not finished */
    void (*on_end)(struct evhttp_request *req, bool completed, void *arg);
    void *on_end_arg;

    bool last;         /* closes after the next answer */
    bool refused;      /* the answer closes the connection while the client may still be sending */
    bool page_pending; /* evhttp has just written an error page of its own */
    int page_status;
    int linger_fd; /* -1, or the socket after evhttp has let go of it */
    struct event linger;
};

/* An evhttp each, because a request leads to its evhttp's callback argument and to nothing else of ours. */
struct slc_httpd_listener {
    unsigned magic;
    slc_httpd *httpd;
    TAILQ_ENTRY(slc_httpd_listener) entry;
    struct evhttp *evhttp;
    struct evhttp_bound_socket *bound; /* NULL: no longer accepts */
    slc_tls *tls;
    void *tag;
    slc_network *balancers; /* whose connections begin with a PROXY protocol header */
    size_t balancer_count;
    unsigned connections;
    bool closed;
    void (*ended)(void *tag);
};

struct slc_httpd {
    unsigned magic;
    struct event_base *base;
    slc_httpd_limits limits;
    void (*handler)(struct evhttp_request *req, void *arg);
    void *arg;
    TAILQ_HEAD(, slc_httpd_listener) listeners;
    TAILQ_HEAD(slc_httpd_conns, slc_httpd_conn) conns; /* the oldest first */
    TAILQ_HEAD(, slc_httpd_conn) todo;
    void (*note_free)(void *note); /* NULL: free() */
    unsigned connections;          /* length of conns */
    size_t held;                   /* of all connections, beyond what each is given */
    int64_t crowded_ms;            /* monotonic: when it was last said that this is too much; 0: never */
    int64_t header_told_ms;        /* monotonic: when a bad PROXY protocol header was last told of; 0: never */
    struct slc_httpd_conn **by_fd;
    size_t by_fd_size;
    bool draining;
    bool paused;          /* listeners are disabled */
    struct event *tidy;   /* what must not happen inside evhttp's callbacks, in the same turn of the loop */
    struct event *resume; /* after accept() failed */
    struct timeval request_time;
    const struct timeval *deadline; /* the same, as a common timeout */
};

/* evhttp's hook for a new connection's bufferevent; arg is the listener. */
struct bufferevent *slc_httpd_conn_new(struct event_base *base, void *arg);
/* evhttp's callback for a request; arg is the listener. */
void slc_httpd_conn_request(struct evhttp_request *req, void *arg);
/* The loop's turn to adopt new connections and to replace evhttp's error pages. */
void slc_httpd_conn_tidy(struct slc_httpd_conn *conn);
/* Ends it as if the peer had gone; conn is freed (or lingers). */
void slc_httpd_conn_abort(struct slc_httpd_conn *conn);
void slc_httpd_conn_free(struct slc_httpd_conn *conn);
bool slc_httpd_conn_idle(const struct slc_httpd_conn *conn);

/* ---- the header of a load balancer (httpd_intake.c) ---- */
/* A connection that has just been adopted, before anything is read of it. */
void slc_httpd_intake_start(struct slc_httpd_conn *conn);
/* Gives the socket to the bufferevent, if that has not happened; always before the connection ends. */
void slc_httpd_intake_stop(struct slc_httpd_conn *conn);

/* Asks for the loop's turn; conn may be NULL. */
void slc_httpd_later(slc_httpd *httpd, struct slc_httpd_conn *conn);
/* Stops or goes on accepting according to the number of connections. */
void slc_httpd_update_accepting(slc_httpd *httpd);

/* The whole text of a problem document (new). */
char *slc_http_problem_text(int status, const char *type, const char *title, const char *detail,
                            const char *request_id, json_t *extra, size_t *len);

#endif
