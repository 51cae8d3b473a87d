/* A server on a loop of its own and a blocking client for it. */
#ifndef SLC_TESTS_UNIT_COMMON_HTTPD_CASE_H
#define SLC_TESTS_UNIT_COMMON_HTTPD_CASE_H

#include <stdatomic.h>

#include "common/httpd.h"
#include "common/loop.h"

struct httpd_case {
    slc_loop *loop;
    slc_httpd *httpd;
    slc_httpd_listener *listener;
    uint16_t port;
    slc_httpd_limits limits;
    slc_tls *tls;
    char tag[32]; /* of the listener */
    const char *balancer;

    /* By the handler. */
    atomic_int handled;
    atomic_int completed; /* by slc_httpd_on_end */
    atomic_int gone;
    atomic_int ended;            /* listeners */
    struct evhttp_request *held; /* of /later and /stream; the loop's */
    char last_tag[32];
};

/* 4 KiB of headers, 64 KiB of body, 10 s, 100 connections. */
extern const slc_httpd_limits httpd_case_limits;

/* /echo answers {"method","uri","body","tag","client"}, the last as a balancer told it; /later and /stream hold
 * the request, the latter after a first chunk; /error and /internal answer with errors; /empty answers 204. */
void httpd_case_start(struct httpd_case *c, const slc_httpd_limits *limits, slc_tls *tls);
void httpd_case_stop(struct httpd_case *c);
/* Answers the held request ("held"), or ends its stream. */
void httpd_case_release_held(struct httpd_case *c);
void httpd_case_close_listener(struct httpd_case *c);
void httpd_case_stop_accepting(struct httpd_case *c);
void httpd_case_drain(struct httpd_case *c);
/* From this network connections begin with a PROXY protocol header. */
void httpd_case_trust(struct httpd_case *c, const char *balancer);
unsigned httpd_case_connections(struct httpd_case *c);
/* Bytes of bodies that count against bodies_bytes. */
size_t httpd_case_held(struct httpd_case *c);

/* Until the condition holds, or the test fails after 20 s. */
#define WAIT_UNTIL(condition)                                                                                  \
    do {                                                                                                       \
        for (int wait_i_ = 0; !(condition); wait_i_++) {                                                       \
            ck_assert_msg(wait_i_ < 10000, "waited in vain for " #condition);                                  \
            usleep(2000);                                                                                      \
        }                                                                                                      \
    } while (0)

struct client {
    int fd;
    SSL *ssl; /* or NULL */
    char *input;
    size_t input_len;
    bool closed; /* the server has closed its side */
};

struct answer {
    int status; /* 0: the connection ended without an answer */
    char *head; /* status line and headers */
    char *body;
    size_t body_len;
};

void client_connect(struct client *client, const struct httpd_case *c); /* without TLS yet */
void client_start_tls(struct client *client);
void client_open(struct client *client, const struct httpd_case *c);
void client_close(struct client *client);
/* Everything, or false when the server has closed. */
bool client_send(struct client *client, const char *data, size_t len);
void client_say(struct client *client, const char *text);
/* The next answer (not 100); to a HEAD request if so. */
void client_read(struct client *client, struct answer *answer, bool head);
void answer_release(struct answer *answer);
/* The value of a header, NULL when it is not there; the caller frees. */
char *answer_header(const struct answer *answer, const char *name);
/* Waits for the server to close; whether nothing came before that. */
bool client_at_end(struct client *client);
/* One request on one connection; says `text`, reads one answer, and leaves the connection open. */
void client_ask(struct client *client, const char *text, struct answer *answer);

#endif
