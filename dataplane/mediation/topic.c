/* What publishing needs to know of a topic, as each worker remembers it. Asked for at the first publish and
 * again after a while; until the answer is there records go out as if there were no limit, and the broker
 * decides. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "dataplane/mediation/mediation_private.h"

#define AGAIN_MS 1000 /* after a failure */

struct topic_question {
    slc_message msg;
    slc_api *api;
    slc_tally *tally;
    slc_loop *loop;
    slc_topic_info info;
    bool failed;
};

static void take_answer(slc_message *msg, void *owner)
{
    (void)owner;
    struct topic_question *question = (struct topic_question *)msg;
    slc_api *api = question->api;
    int64_t wait_ms = question->failed ? AGAIN_MS : api->worker->limits->metadata_refresh_ms;
    if (!question->failed) /* else what was known holds */
        api->topic = question->info;
    api->topic_due_ms = slc_monotonic_ms() + slc_jitter_ms(wait_ms, 20);
    api->topic_asked = false;
    api->references--;
    free(question);
    slc_api_settle(api);
}

static void on_info(void *ctx, const slc_topic_info *info, const slc_error *err)
{
    struct topic_question *question = ctx;
    slc_tally *tally = question->tally;
    question->failed = err != NULL;
    if (err == NULL)
        question->info = *info;
    question->msg.run = take_answer;
    slc_mailbox_post(slc_loop_mailbox(question->loop), &question->msg);
    slc_tally_end(tally);
}

void slc_api_learn_topic(slc_api *api)
{
    const slc_gateway_limits *limits = api->worker->limits;
    bool changed = api->topic_due_ms < 0;
    if (api->topic_asked || slc_monotonic_ms() < api->topic_due_ms)
        return;
    struct topic_question *question = slc_calloc(1, sizeof *question);
    question->api = api;
    question->tally = api->worker->tally;
    question->loop = api->worker->worker->loop;
    api->topic_asked = true;
    api->references++;
    slc_tally_begin(question->tally);
    api->link->ops->topic_info(api->link->broker, api->api->backend_topic,
                               changed ? 0 : limits->metadata_refresh_ms / 2, (int)limits->metadata_timeout_ms,
                               on_info, question);
}

void slc_api_topic_changed(slc_api *api)
{
    if (!api->topic_asked)
        api->topic_due_ms = -1;
}
