/* What dial.c (the socket) and dial_talk.c (the conversation) share. */
#ifndef SLC_DATAPLANE_PROXY_DIAL_PRIVATE_H
#define SLC_DATAPLANE_PROXY_DIAL_PRIVATE_H

#include <event2/util.h>

#include "common/buf.h"
#include "dataplane/broker/kafka_token.h"
#include "dataplane/kafka/scram_client.h"
#include "dataplane/proxy/dial.h"

#define SLC_DIAL_CLIENT    "sluice"
#define SLC_DIAL_MAX_FRAME (256u * 1024)

/* Where the conversation is: what the next answer belongs to. */
enum slc_dial_talk {
    SLC_TALK_VERSIONS,
    SLC_TALK_HANDSHAKE,
    SLC_TALK_PLAIN,
    SLC_TALK_SCRAM_FIRST,
    SLC_TALK_SCRAM_FINAL,
    SLC_TALK_TOKEN, /* nothing is asked: an access token is being fetched */
    SLC_TALK_BEARER,
    SLC_TALK_READY,
};

struct slc_dial {
    unsigned magic;
    struct event_base *base;
    struct evdns_base *dns;
    slc_backend *backend;
    SSL_CTX *tls;
    char host[256];
    uint16_t port;
    bool authenticate;
    slc_dial_fn *fn;
    void *ctx;

    struct evdns_getaddrinfo_request *lookup;
    bool looking; /* a lookup's callback will still come */
    struct evutil_addrinfo *addresses, *address;
    int fd;
    SSL *ssl;
    struct event *io, *timer, *finish;
    bool connected, secured;
    slc_error err;

    enum slc_dial_talk talk;
    int32_t correlation;
    slc_buf out, in;
    size_t sent;
    int asked_version;
    slc_kafka_api_versions versions;
    slc_buf features;
    slc_scram_client scram;
    bool scram_open;
    slc_kafka_tokens *tokens; /* of a backend that wants access tokens; NULL: not asked for yet */
    slc_kafka_token_wait token;
    int64_t deadline_ms; /* monotonic */
};

/* Puts the first request into `out`. */
bool slc_dial_talk_begin(slc_dial *dial, slc_error *err) SLC_CHECKED;
/* Reads a whole answer (without its length) and puts the next request into `out`, or becomes SLC_TALK_READY. */
bool slc_dial_talk_answer(slc_dial *dial, const uint8_t *frame, size_t len, slc_error *err) SLC_CHECKED;
/* The access token that was waited for is there, or will not be: puts the next request into `out`. */
bool slc_dial_talk_token(slc_dial *dial, slc_error *err) SLC_CHECKED;

#endif
