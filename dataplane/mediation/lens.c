#include "dataplane/mediation/lens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "dataplane/mediation/event_json.h"
#include "dataplane/mediation/mediation_private.h"
#include "dataplane/mediation/problem.h"
#include "dataplane/mediation/rejections.h"

#define SLOTS      1024 /* of records that several readers may look at: what is rendered for them is kept */
#define FEW_SLOTS  1    /* of a lens that nobody shares */
#define LEAST_KEPT (64u * 1024)

/* ---- life ---- */

static void describe(const slc_exchange *exchange, enum slc_record_audience audience, char who[96])
{
    const slc_principal *principal = &exchange->principal;
    who[0] = '\0';
    if (audience == SLC_AUDIENCE_APPLICATION)
        snprintf(who, 96, "%s %s %s", principal->application_id, principal->plan_id,
                 principal->subscription_id);
}

static slc_lens *find(slc_api *api, const slc_exchange *exchange, enum slc_record_audience audience,
                      const slc_snapshot *snapshot)
{
    char who[96];
    slc_lens *lens;
    describe(exchange, audience, who);
    TAILQ_FOREACH (lens, &api->lenses, entry)
        if (lens->audience != SLC_AUDIENCE_ONE && strcmp(lens->who, who) == 0 &&
            slc_record_policies_same(&lens->policies, &exchange->records) &&
            slc_record_chain_holds(lens->chain, snapshot))
            return lens;
    return NULL;
}

slc_lens *slc_lens_get(slc_api *api, slc_exchange *exchange, const slc_snapshot *snapshot)
{
    enum slc_record_audience audience = slc_record_policies_audience(&exchange->records);
    if (exchange->records.count == 0)
        return NULL;
    slc_lens *lens = audience != SLC_AUDIENCE_ONE ? find(api, exchange, audience, snapshot) : NULL;
    if (lens != NULL)
        return slc_lens_ref(lens);
    slc_record_chain *chain = slc_exchange_record_chain(exchange, snapshot, api->api);
    if (chain == NULL)
        return NULL;
    lens = slc_calloc(1, sizeof *lens);
    lens->refs = 1;
    lens->api = api;
    lens->chain = chain;
    lens->audience = audience;
    describe(exchange, audience, lens->who);
    for (size_t i = 0; i < exchange->records.count; i++)
        slc_record_policies_add(&lens->policies, exchange->records.items[i]);
    lens->slot_count = audience != SLC_AUDIENCE_ONE ? SLOTS : FEW_SLOTS;
    lens->slots = slc_calloc(lens->slot_count, sizeof *lens->slots);
    TAILQ_INSERT_HEAD(&api->lenses, lens, entry);
    api->lens_count++;
    return lens;
}

slc_lens *slc_lens_ref(slc_lens *lens)
{
    lens->refs++;
    return lens;
}

static void empty(slc_lens *lens, slc_lens_slot *slot)
{
    if (slot->frame != NULL) {
        lens->bytes -= slot->frame->len;
        slc_frame_unref(slot->frame);
    }
    *slot = (slc_lens_slot){0};
}

static void destroy(slc_lens *lens)
{
    for (size_t i = 0; i < lens->slot_count; i++)
        empty(lens, &lens->slots[i]);
    TAILQ_REMOVE(&lens->api->lenses, lens, entry);
    lens->api->lens_count--;
    slc_record_chain_free(lens->chain);
    slc_record_policies_release(&lens->policies);
    free(lens->slots);
    free(lens);
}

void slc_lens_unref(slc_lens *lens)
{
    if (lens == NULL || --lens->refs > 0)
        return;
    lens->unused_since_ms = slc_monotonic_ms();
    if (lens->audience == SLC_AUDIENCE_ONE)
        destroy(lens);
}

bool slc_lens_is_current(const slc_lens *lens, const slc_exchange *exchange, const slc_snapshot *snapshot)
{
    if (lens == NULL)
        return exchange->records.count == 0;
    return slc_record_policies_same(&lens->policies, &exchange->records) &&
           slc_record_chain_holds(lens->chain, snapshot);
}

void slc_lenses_expire(slc_api *api, int64_t now_ms, int64_t idle_ms)
{
    slc_lens *next, *lens = TAILQ_FIRST(&api->lenses);
    for (; lens != NULL; lens = next) {
        next = TAILQ_NEXT(lens, entry);
        if (lens->refs == 0 && now_ms - lens->unused_since_ms >= idle_ms)
            destroy(lens);
    }
}

void slc_lenses_clear(slc_api *api)
{
    slc_lens *lens;
    TAILQ_FOREACH (lens, &api->lenses, entry)
        for (size_t i = 0; i < lens->slot_count; i++)
            empty(lens, &lens->slots[i]);
}

/* ---- looking ---- */

static slc_lens_slot *slot_of(const slc_lens *lens, const slc_record *record)
{
    uint64_t hash = (uint64_t)record->offset * UINT64_C(0x9e3779b97f4a7c15) + (uint32_t)record->partition;
    return &lens->slots[(hash >> 40) & (lens->slot_count - 1)];
}

static bool holds(const slc_lens_slot *slot, const slc_record *record)
{
    return (slot->hidden || slot->frame != NULL) && slot->offset == record->offset &&
           slot->partition == record->partition;
}

/* As clients see it, or why they do not: `problem` NULL is the former. */
static slc_frame *render(slc_lens *lens, const slc_record *record, const slc_record_problem *problem)
{
    slc_buf *buf = &lens->api->worker->scratch;
    slc_buf_clear(buf);
    slc_buf_adds(buf, "data: ");
    if (problem == NULL) {
        slc_event_json(buf, record);
    } else {
        json_t *json = slc_problem_json(problem->code == SLC_DENIED ? SLC_PROBLEM_RECORD_DENIED
                                                                    : SLC_PROBLEM_RECORD_UNREADABLE,
                                        problem->detail[0] != '\0' ? problem->detail : NULL);
        char *text = json_dumps(json, JSON_COMPACT);
        slc_event_json_error(buf, record, text);
        free(text);
        json_decref(json);
    }
    slc_buf_adds(buf, "\n\n");
    SLC_BUG_ON(buf->overflow); /* its limit is that of what the largest record can become */
    slc_frame *frame = slc_malloc(sizeof *frame + buf->len);
    *frame = (slc_frame){.refs = 1, .len = (uint32_t)buf->len};
    memcpy(frame->text, buf->data, buf->len);
    return frame;
}

/* The API's lenses share what its ring may keep of frames. */
static size_t most_bytes(const slc_lens *lens)
{
    size_t most = (size_t)lens->api->worker->limits->feed_ring_bytes / 4 / lens->api->lens_count;
    return most > LEAST_KEPT ? most : LEAST_KEPT;
}

/* Takes the reference of the frame; NULL: hidden. */
static void keep(slc_lens *lens, const slc_record *record, slc_frame *frame)
{
    slc_lens_slot *slot = slot_of(lens, record);
    empty(lens, slot);
    for (size_t i = 0; lens->bytes > most_bytes(lens) && i < lens->slot_count; i++)
        empty(lens, &lens->slots[lens->hand++ & (lens->slot_count - 1)]);
    *slot = (slc_lens_slot){
        .partition = record->partition, .offset = record->offset, .hidden = frame == NULL, .frame = frame};
    lens->bytes += frame != NULL ? frame->len : 0;
}

static enum slc_sight ask(slc_lens *lens, const slc_record *record, slc_record_waiter *waiter,
                          slc_frame **frame)
{
    slc_mediation_worker *worker = lens->api->worker;
    slc_record_turn turn = {.scratch = &worker->records, .waiter = waiter};
    slc_record_problem problem;
    slc_policy_record at_hand = {.partition = record->partition,
                                 .offset = record->offset,
                                 .timestamp_ms = record->timestamp_ms,
                                 .key = record->key,
                                 .key_len = record->key_len,
                                 .value = record->value,
                                 .value_len = record->value_len,
                                 .headers = record->headers,
                                 .header_count = record->header_count};
    switch (slc_record_chain_run(lens->chain, &turn, worker->letters, &at_hand, &problem)) {
    case SLC_RECORD_DROP:
        return SLC_HIDDEN;
    case SLC_RECORD_LATER:
        return SLC_NOT_YET;
    case SLC_RECORD_REJECT:
        if (problem.code == SLC_UNAVAILABLE || problem.code == SLC_TIMEOUT)
            return SLC_UNREACHABLE;
        slc_rejection_tell_read(lens->api, record, &problem);
        *frame = render(lens, record, &problem);
        return SLC_SEEN;
    case SLC_RECORD_CHANGE:
        *frame = render(lens,
                        &(slc_record){.partition = record->partition,
                                      .offset = record->offset,
                                      .timestamp_ms = record->timestamp_ms,
                                      .leader_epoch = record->leader_epoch,
                                      .key = at_hand.key,
                                      .key_len = (uint32_t)at_hand.key_len,
                                      .value = at_hand.value,
                                      .value_len = (uint32_t)at_hand.value_len,
                                      .headers = at_hand.headers,
                                      .header_count = at_hand.header_count},
                        NULL);
        return SLC_SEEN;
    case SLC_RECORD_KEEP:
        break;
    }
    *frame = render(lens, record, NULL);
    return SLC_SEEN;
}

enum slc_sight slc_lens_look(slc_lens *lens, const slc_record *record, slc_record_waiter *waiter,
                             slc_frame **frame)
{
    const slc_lens_slot *slot = slot_of(lens, record);
    if (holds(slot, record)) {
        *frame = slot->frame != NULL ? slc_frame_ref(slot->frame) : NULL;
        return slot->hidden ? SLC_HIDDEN : SLC_SEEN;
    }
    *frame = record->unreadable ? render(lens, record, NULL) : NULL; /* policies have nothing to look at */
    enum slc_sight sight = record->unreadable ? SLC_SEEN : ask(lens, record, waiter, frame);
    if (sight == SLC_SEEN)
        keep(lens, record, slc_frame_ref(*frame));
    else if (sight == SLC_HIDDEN)
        keep(lens, record, NULL);
    return sight;
}

slc_frame_id *slc_lens_id(slc_lens *lens, slc_ring *ring, uint64_t seq)
{
    slc_lens_slot *slot = slot_of(lens, slc_ring_record(ring, seq));
    bool kept = holds(slot, slc_ring_record(ring, seq)) && slot->frame != NULL;
    if (kept && slot->frame->id != NULL && slot->ring == ring && slot->seq == seq)
        return slc_frame_id_ref(slot->frame->id);
    slc_frame_id *id = slc_ring_id_at(ring, seq + 1);
    if (kept && slot->frame->id == NULL) {
        slot->frame->id = slc_frame_id_ref(id);
        slot->ring = ring;
        slot->seq = seq;
    }
    return id;
}
