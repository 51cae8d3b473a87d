#include "dataplane/observe/repeats.h"

#include <stdlib.h>

#include "common/alloc.h"

#define FNV_PRIME UINT64_C(0x100000001b3)

void slc_repeats_init(slc_repeats *repeats)
{
    *repeats = (slc_repeats){0};
    TAILQ_INIT(&repeats->list);
}

static void drop(slc_repeats *repeats, slc_repeat *repeat, void (*gone)(void *about))
{
    TAILQ_REMOVE(&repeats->list, repeat, entry);
    repeats->size--;
    gone(repeat->about);
    free(repeat);
}

void slc_repeats_release(slc_repeats *repeats, void (*gone)(void *about))
{
    while (!TAILQ_EMPTY(&repeats->list))
        drop(repeats, TAILQ_FIRST(&repeats->list), gone);
}

bool slc_repeats_first(slc_repeats *repeats, uint64_t key, int64_t now_ms, slc_repeat **repeat)
{
    slc_repeat *known;
    *repeat = NULL;
    TAILQ_FOREACH (known, &repeats->list, entry) {
        if (known->key == key) {
            known->count++;
            return false;
        }
    }
    if (repeats->size == SLC_REPEATS_MAX) {
        if (repeats->others++ == 0)
            repeats->others_since_ms = now_ms;
        return false;
    }
    known = slc_calloc(1, sizeof *known);
    known->key = key;
    known->since_ms = now_ms;
    TAILQ_INSERT_TAIL(&repeats->list, known, entry);
    repeats->size++;
    *repeat = known;
    return true;
}

uint64_t slc_repeats_expire(slc_repeats *repeats, int64_t now_ms, int64_t interval_ms,
                            void (*told)(const slc_repeat *repeat), void (*gone)(void *about))
{
    for (unsigned left = repeats->size; left > 0; left--) {
        slc_repeat *repeat = TAILQ_FIRST(&repeats->list);
        if (now_ms - repeat->since_ms < interval_ms)
            break;
        if (repeat->count == 0) {
            drop(repeats, repeat, gone);
            continue;
        }
        told(repeat);
        repeat->count = 0;
        repeat->since_ms = now_ms;
        TAILQ_REMOVE(&repeats->list, repeat, entry);
        TAILQ_INSERT_TAIL(&repeats->list, repeat, entry);
    }
    uint64_t others = now_ms - repeats->others_since_ms >= interval_ms ? repeats->others : 0;
    repeats->others -= others;
    return others;
}

uint64_t slc_repeats_key(uint64_t key, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    do {
        key = (key ^ *at) * FNV_PRIME;
    } while (*at++ != '\0'); /* the end counts too: "ab", "c" is not "a", "bc" */
    return key;
}
