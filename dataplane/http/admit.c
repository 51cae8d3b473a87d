#include "dataplane/http/admit.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/http/front_private.h"

/* On the heap while the request may have to wait. */
struct slc_admission {
    slc_exchange *exchange;
    slc_limit_pause pause;
    slc_charges charges;
    const char *method;
    slc_counted counted[3]; /* the request's, while it waits */
    bool stream, can_wait;
    slc_admitted_fn *next;
};

typedef enum slc_verdict run_fn(const slc_chain *chain, slc_policy_request *request, slc_denial *denial);

static void on_abort(slc_exchange *exchange, void *ctx);

static struct slc_exchange_private *private_of(slc_exchange *exchange)
{
    return (struct slc_exchange_private *)exchange;
}

static void settle(struct slc_admission *admission, enum slc_verdict verdict, const slc_denial *denial)
{
    slc_exchange *exchange = admission->exchange;
    slc_admitted_fn *next = admission->next;
    if (denial->unevaluated != NULL)
        slc_metrics_unevaluated(denial->unevaluated);
    if (verdict == SLC_ALLOW && admission->charges.count > 0) {
        exchange->charges = slc_memdup(&admission->charges, sizeof admission->charges);
        slc_exchange_pay(exchange);
    } else {
        slc_charges_release(&admission->charges);
    }
    if (admission->can_wait)
        free(admission);
    if (verdict == SLC_ALLOW)
        slc_exchange_rewrite_request(exchange);
    if (verdict != SLC_ALLOW || exchange->principal.token == NULL) { /* what it lets in is looked at again */
        exchange->principal.token = NULL;
        slc_token_unref(exchange->token);
        exchange->token = NULL;
    }
    if (verdict != SLC_ANSWER)
        slc_trail_decided(exchange, verdict == SLC_ALLOW ? NULL : denial);
    next(exchange, verdict, denial);
}

static void go_on(struct slc_admission *admission, run_fn *run)
{
    slc_exchange *exchange = admission->exchange;
    slc_policy_request request = slc_exchange_policy_request(exchange, admission->method);
    slc_denial denial = {0};
    request.stream = admission->stream;
    request.charges = &admission->charges;
    request.shared = exchange->worker->shared;
    request.pause = &admission->pause;
    memcpy(request.counted, admission->counted, sizeof request.counted);
    enum slc_verdict verdict = run(exchange->api->chain, &request, &denial);
    memcpy(admission->counted, request.counted, sizeof request.counted);
    if (verdict != SLC_WAIT) {
        settle(admission, verdict, &denial);
        return;
    }
    private_of(exchange)->admission = admission;
    exchange->on_abort = on_abort;
}

static void on_ready(slc_shared_waiter *waiter)
{
    struct slc_admission *admission =
        (struct slc_admission *)((char *)waiter - offsetof(struct slc_admission, pause.waiter));
    private_of(admission->exchange)->admission = NULL;
    admission->exchange->on_abort = NULL;
    go_on(admission, slc_chain_resume);
}

static void on_abort(slc_exchange *exchange, void *ctx)
{
    struct slc_admission *admission = private_of(exchange)->admission;
    (void)ctx;
    private_of(exchange)->admission = NULL;
    slc_limit_pause_release(&admission->pause);
    slc_charges_release(&admission->charges);
    free(admission);
    slc_exchange_abandon(exchange);
}

void slc_admit_then(slc_exchange *exchange, const char *method, bool stream, slc_admitted_fn *next)
{
    struct slc_admission admission = {.exchange = exchange,
                                      .pause.waiter.ready = on_ready,
                                      .charges.limits = exchange->worker->limits,
                                      .method = method,
                                      .stream = stream,
                                      .can_wait = exchange->worker->shared != NULL,
                                      .next = next};
    go_on(admission.can_wait ? slc_memdup(&admission, sizeof admission) : &admission, slc_chain_run);
}
