/* How much of a request says all that is to be mapped. A Produce is records for the most part, and once its one
 * topic was said nothing behind it can name another: its length is known, and the rest may pass as it comes. */
#include "dataplane/virtual/view_private.h"

/* The transactional id comes before the topics. A refusal is an answer to the whole request, so it is found out
 * here without a word to the guard, who counts what he denies. */
static bool is_refused(const slc_view *view, const slc_kafka_event *event)
{
    const slc_guard_rule *rule = slc_guard_rule_of(KEY_PRODUCE);
    slc_name name;
    if (event->data == NULL)
        return false;
    slc_names_map(view->names, SLC_NAME_TXN_ID, event->data, event->len, &name);
    return !name.visible ||
           !slc_guard_look(view->guard, rule->txn_id, SLC_RESOURCE_TXN_ID, event->data, event->len);
}

size_t slc_view_head(const slc_view *view, const slc_kafka_request_header *header, const uint8_t *body,
                     size_t there, size_t len)
{
    const slc_kafka_walk_options options = {
        .wants = SLC_KAFKA_WANT_SHAPE | WANT(TXN_ID) | WANT(TOPIC) | WANT(TOPIC_ID), .trailing_ok = true};
    slc_kafka_walk walk;
    slc_kafka_event event;
    enum slc_kafka_step step;
    slc_error err = {0};
    if (header->key != KEY_PRODUCE || there >= len || slc_view_judges(view, header->key) ||
        slc_view_changes_records(view, KEY_PRODUCE) ||
        !slc_kafka_walk_init(&walk, header->message, header->version, len, &options, &err))
        return len;
    slc_kafka_walk_feed(&walk, body, there);
    while ((step = slc_kafka_walk_next(&walk, &event, &err)) == SLC_KAFKA_EVENT) {
        bool value = event.kind == SLC_KAFKA_EV_VALUE;
        if (value && event.field->role == SLC_KAFKA_ROLE_TXN_ID && is_refused(view, &event))
            return len;
        if (event.kind == SLC_KAFKA_EV_ARRAY && event.number != 1)
            return len;
        if (value &&
            (event.field->role == SLC_KAFKA_ROLE_TOPIC || event.field->role == SLC_KAFKA_ROLE_TOPIC_ID))
            return slc_kafka_walk_offset(&walk);
    }
    if (step == SLC_KAFKA_FAILED)
        return there; /* what there is suffices to say why */
    return step == SLC_KAFKA_MORE ? 0 : len;
}
