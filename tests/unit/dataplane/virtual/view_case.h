/* A view of a namespace `a.`, for a test at a time: a message is written into `in`, goes one way or the other,
 * and is looked for in `out`. */
#ifndef SLC_TESTS_UNIT_DATAPLANE_VIRTUAL_VIEW_CASE_H
#define SLC_TESTS_UNIT_DATAPLANE_VIRTUAL_VIEW_CASE_H

#include "../kafka/message.h"
#include "dataplane/virtual/view.h"

#define HIDE    SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_HIDE
#define ENFORCE SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_ENFORCE

static Sluice__Snapshot__V1__VirtualCluster msg;
static slc_names *names;
static slc_topic_ids ids;
static slc_view view;
static slc_view_request request;
static int64_t now_ms;
static slc_kafka_request_header header;
static slc_kafka_edits edits;
static slc_buf in, out;
static slc_error err;

static inline void open_view(Sluice__Snapshot__V1__NamespaceMode mode)
{
    msg = (Sluice__Snapshot__V1__VirtualCluster){.mode = mode, .prefix = "a."};
    names = slc_names_new(&msg);
    slc_topic_ids_init(&ids, 100);
    slc_view_init(&view, names, &ids);
    slc_kafka_edits_init(&edits, 1000, MESSAGE_MAX);
    slc_buf_init(&in, MESSAGE_MAX);
    slc_buf_init(&out, MESSAGE_MAX);
}

/* After a change of what is indexed. */
static inline void renew_names(void)
{
    slc_names_free(names);
    names = slc_names_new(&msg);
    view.names = names;
}

static inline void close_view(void)
{
    slc_view_release(&view);
    slc_topic_ids_release(&ids);
    slc_names_free(names);
    slc_kafka_edits_release(&edits);
    slc_buf_release(&in);
    slc_buf_release(&out);
}

/* What becomes of the request in `in`; the changed one is in `out` when it is to be sent. */
static inline enum slc_view_outcome map(int key, int version, bool asked)
{
    header = (slc_kafka_request_header){.key = (int16_t)key, .version = (int16_t)version};
    header.message = message_of(key, version, SLC_KAFKA_REQUEST);
    request = (slc_view_request){.header = &header,
                                 .body = in.data,
                                 .there = in.len,
                                 .len = in.len,
                                 .asked = asked,
                                 .asked_ms = now_ms,
                                 .now_ms = now_ms};
    slc_kafka_edits_clear(&edits);
    slc_buf_clear(&out);
    enum slc_view_outcome outcome = slc_view_map(&view, &request, &edits, &err);
    if (outcome == SLC_VIEW_SEND)
        ck_assert(slc_kafka_edits_apply(&edits, in.data, in.len, &out, &err));
    return outcome;
}

static inline bool unmap(int key, int version, bool consumer)
{
    uint64_t more = 0;
    slc_view_answer answer = {.view = &view,
                              .key = (int16_t)key,
                              .version = (int16_t)version,
                              .consumer = consumer,
                              .body = in.data,
                              .len = in.len,
                              .denied = request.denied};
    slc_kafka_edits_clear(&edits);
    slc_buf_clear(&out);
    slc_error_clear(&err);
    ck_assert(slc_view_look_ahead(&answer, version, in.data, in.len, &more, &err));
    const slc_kafka_rewrite_ops ops = {.roles = slc_view_answer_roles(key) | more, .map = slc_view_unmap};
    return slc_kafka_rewrite(message_of(key, version, SLC_KAFKA_RESPONSE), version, in.data, in.len, &ops,
                             &answer, &edits, &err) &&
           slc_kafka_edits_apply(&edits, in.data, in.len, &out, &err);
}

static inline bool has(const slc_buf *buf, const void *bytes, size_t len)
{
    return buf->len > 0 && memmem(buf->data, buf->len, bytes, len) != NULL;
}

#endif
