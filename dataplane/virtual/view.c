/* A view's life, and which messages concern it. */
#include "dataplane/virtual/view.h"

#include <openssl/rand.h>
#include <stdlib.h>

#include "common/assert.h"
#include "dataplane/kafka/consumer_protocol.h"
#include "dataplane/kafka/decode.h"
#include "dataplane/virtual/view_private.h"

#define MAX_VERSIONS      24
#define MAX_SCRATCH_BYTES (64u * 1024 * 1024)
#define MAX_BLOB_EDITS    1000000

#define MAPPED                                                                                                 \
    (WANT(TOPIC) | WANT(TOPIC_ID) | WANT(GROUP) | WANT(TXN_ID) | WANT(CONFIG_RESOURCE) | WANT(RESOURCE) |      \
     WANT(COORDINATOR_KEY) | WANT(PATTERN) | WANT(SUBSCRIPTION) | WANT(ASSIGNMENT) | WANT(ERROR_TEXT))

void slc_view_init(slc_view *view, const slc_names *names, slc_topic_ids *ids)
{
    *view = (slc_view){.names = names, .ids = ids};
    SLC_BUG_ON(RAND_bytes(view->secret, sizeof view->secret) != 1);
    slc_buf_init(&view->scratch, MAX_SCRATCH_BYTES);
    slc_kafka_edits_init(&view->inner, MAX_BLOB_EDITS, MAX_SCRATCH_BYTES);
}

void slc_view_will_rename(slc_view *view, const slc_names *next)
{
    view->next = next;
}

void slc_view_rename(slc_view *view)
{
    view->names = view->next;
    view->next = NULL;
    view->fetch_session = 0;
}

void slc_view_release(slc_view *view)
{
    free(view->foreign);
    free(view->missing);
    free(view->over);
    free(view->batches);
    free(view->configs);
    free(view->spans);
    free(view->offsets);
    slc_view_forget_own(view);
    slc_buf_release(&view->scratch);
    slc_kafka_edits_release(&view->inner);
}

bool slc_view_serves(const slc_names *names, int key)
{
    static const uint8_t refused[] = {
        34, 43, 45, /* replicas: which broker holds what is the platform's */
        55,         /* the quorum's topic is no one's */
    };
    if (names == NULL)
        return true;
    for (size_t i = 0; i < sizeof refused; i++)
        if (refused[i] == key)
            return false;
    return key != KEY_DESCRIBE_TOPIC_PARTITIONS || !slc_names_has_extras(names);
}

int slc_view_min_version(const slc_names *names, int key)
{
    if (names == NULL || key != KEY_METADATA)
        return 0;
    const slc_names_limits limits = slc_names_limits_of(names);
    return limits.topics > 0 || limits.partitions > 0 || slc_names_has_extras(names) ? SLC_VIEW_METADATA_MIN
                                                                                     : 0;
}

bool slc_view_concerns(const slc_kafka_message *message, int version)
{
    /* 0: not looked at yet; 1: no; 2: yes. Each thread may find it out for itself; the answer is the same. */
    static uint8_t known[2][SLC_KAFKA_KEYS][MAX_VERSIONS];
    if (version >= MAX_VERSIONS)
        return true;
    uint8_t *slot = &known[message->kind == SLC_KAFKA_REQUEST][message->key][version];
    uint8_t is = __atomic_load_n(slot, __ATOMIC_RELAXED);
    if (is == 0) {
        is = (slc_kafka_message_roles(message, version) & MAPPED) != 0 ? 2 : 1;
        __atomic_store_n(slot, is, __ATOMIC_RELAXED);
    }
    return is == 2;
}

enum slc_kafka_verdict slc_view_blob(slc_view *view, const slc_kafka_event *event, slc_kafka_map_fn *map,
                                     void *ctx, slc_kafka_value *out, slc_error *err)
{
    const slc_kafka_rewrite_ops ops = {.roles = WANT(TOPIC), .map = map};
    slc_error why = {0};
    if (event->data == NULL || event->len != event->total)
        return SLC_KAFKA_KEEP;
    slc_buf blob;
    slc_buf_init(&blob, MAX_SCRATCH_BYTES);
    bool read = slc_kafka_consumer_protocol_rewrite(event->field->role, event->data, event->len, &ops, ctx,
                                                    &view->inner, &blob, &why);
    slc_buf_clear(&view->scratch);
    read = read && (blob.len == 0 || slc_buf_add(&view->scratch, blob.data, blob.len));
    slc_buf_release(&blob);
    if (!read && why.code == SLC_INVALID) /* by no broker either */
        return SLC_KAFKA_KEEP;
    if (!read) {
        *err = why;
        return SLC_KAFKA_REFUSE;
    }
    out->body = (slc_kafka_span){view->scratch.data, view->scratch.len};
    return SLC_KAFKA_REPLACE;
}

/* ---- topic ids ---- */

const slc_view_id *slc_view_id_back(const slc_view *view, const uint8_t sent[SLC_TOPIC_ID_BYTES])
{
    for (size_t i = 0; i < view->foreign_count; i++)
        if (memcmp(view->foreign[i].sent, sent, SLC_TOPIC_ID_BYTES) == 0)
            return &view->foreign[i];
    return NULL;
}

struct learning {
    slc_view *view;
    const uint8_t *name;
    size_t len;
};

static bool learn(void *ctx, const slc_kafka_event *event, slc_error *err)
{
    struct learning *learning = ctx;
    (void)err;
    if (event->kind != SLC_KAFKA_EV_VALUE)
        return true;
    if (event->field->role == SLC_KAFKA_ROLE_TOPIC) {
        learning->name = event->data;
        learning->len = event->len;
    } else if (event->field->role == SLC_KAFKA_ROLE_TOPIC_ID && learning->name != NULL) {
        slc_topic_ids_learn(learning->view->ids, event->data, learning->name, learning->len);
        learning->name = NULL;
    }
    return true;
}

bool slc_view_learn(slc_view *view, int version, const uint8_t *body, size_t len, slc_error *err)
{
    struct learning learning = {.view = view};
    if (view->counting)
        return slc_view_count(view, version, body, len, err);
    return slc_kafka_body_decode(slc_kafka_apis[KEY_METADATA].response, version, body, len, learn, &learning,
                                 err);
}
