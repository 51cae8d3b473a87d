#include "dataplane/http/proof.h"

#include <event2/bufferevent_ssl.h>
#include <string.h>
#include <strings.h>

#include "dataplane/http/front_private.h"

#define SCHEME "Bearer "

static struct slc_exchange_private *private_of(slc_exchange *exchange)
{
    return (struct slc_exchange_private *)exchange;
}

/* The token alone; NULL: the request has none. */
static const char *bearer_of(slc_exchange *exchange)
{
    const char *authorization = slc_exchange_header(exchange, "Authorization");
    if (authorization == NULL || strncasecmp(authorization, SCHEME, strlen(SCHEME)) != 0)
        return NULL;
    return authorization + strlen(SCHEME) + strspn(authorization + strlen(SCHEME), " ");
}

static void on_token(slc_token_waiter *waiter, slc_token *token)
{
    struct slc_exchange_private *self =
        (struct slc_exchange_private *)((char *)waiter - offsetof(struct slc_exchange_private, waiter));
    self->base.on_abort = NULL;
    self->base.token = token;
    self->next(&self->base);
}

static void on_abort(slc_exchange *exchange, void *ctx)
{
    (void)ctx;
    slc_token_unwait(&private_of(exchange)->waiter);
    slc_exchange_abandon(exchange);
}

void slc_proof_then(slc_exchange *exchange, void (*next)(slc_exchange *exchange))
{
    struct slc_exchange_private *self = private_of(exchange);
    const char *text = bearer_of(exchange);
    if (text != NULL) {
        self->next = next;
        self->waiter.ready = on_token;
        exchange->token = slc_tokens_get(exchange->worker->tokens, exchange->snapshot, text, &self->waiter);
    }
    if (text == NULL || exchange->token != NULL)
        next(exchange);
    else
        exchange->on_abort = on_abort;
}

const slc_certificate *slc_proof_certificate(const slc_exchange *exchange)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(exchange->req);
    struct bufferevent *bev = connection != NULL ? evhttp_connection_get_bufferevent(connection) : NULL;
    return bev != NULL ? slc_certificate_of(bufferevent_openssl_get_ssl(bev)) : NULL;
}
