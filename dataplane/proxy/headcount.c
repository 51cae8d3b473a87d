#include "dataplane/proxy/headcount.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"

#define BUCKETS 4096u /* chains of a few for tens of thousands of addresses */

/* Compared and hashed as it lies: begin with one that is all zero. */
struct key {
    char listener[40];
    uint8_t address[SLC_HEAD_ADDRESS_BYTES];
    uint64_t with_address;
};

struct slc_head {
    struct key key;
    uint64_t count;
    slc_head *next;
    slc_head **bucket;
};

struct slc_headcount {
    pthread_mutex_t lock;
    slc_head *buckets[BUCKETS]; /* under the lock */
};

slc_headcount *slc_headcount_new(void)
{
    slc_headcount *headcount = slc_calloc(1, sizeof *headcount);
    pthread_mutex_init(&headcount->lock, NULL);
    return headcount;
}

void slc_headcount_free(slc_headcount *headcount)
{
    if (headcount == NULL)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        SLC_BUG_ON(headcount->buckets[i] != NULL);
    pthread_mutex_destroy(&headcount->lock);
    free(headcount);
}

bool slc_headcount_address(const struct sockaddr_storage *peer, uint8_t out[SLC_HEAD_ADDRESS_BYTES])
{
    memset(out, 0, SLC_HEAD_ADDRESS_BYTES);
    if (peer->ss_family == AF_INET) {
        memset(out + 10, 0xff, 2); /* as IPv6 wraps it */
        memcpy(out + 12, &((const struct sockaddr_in *)peer)->sin_addr, 4);
        return true;
    }
    if (peer->ss_family != AF_INET6)
        return false;
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)peer)->sin6_addr;
    memcpy(out, v6, IN6_IS_ADDR_V4MAPPED(v6) ? 16 : 8);
    return true;
}

/* FNV-1a. Who chooses addresses to meet in one chain makes it as long as his connections, which are limited. */
static slc_head **bucket_of(slc_headcount *headcount, const struct key *key)
{
    const uint8_t *bytes = (const uint8_t *)key;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < sizeof *key; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return &headcount->buckets[(hash ^ hash >> 32) % BUCKETS];
}

static slc_head *find(slc_head **bucket, const struct key *key)
{
    slc_head *head = *bucket;
    while (head != NULL && memcmp(&head->key, key, sizeof *key) != 0)
        head = head->next;
    return head;
}

static slc_head *add(slc_head **bucket, const struct key *key)
{
    slc_head *head = slc_calloc(1, sizeof *head);
    memcpy(&head->key, key, sizeof *key);
    head->bucket = bucket;
    head->next = *bucket;
    *bucket = head;
    return head;
}

slc_head *slc_headcount_take(slc_headcount *headcount, const char *listener_id, const uint8_t *address,
                             uint64_t limit)
{
    struct key key;
    memset(&key, 0, sizeof key);
    snprintf(key.listener, sizeof key.listener, "%s", listener_id);
    if (address != NULL) {
        memcpy(key.address, address, sizeof key.address);
        key.with_address = 1;
    }
    slc_head **bucket = bucket_of(headcount, &key);
    pthread_mutex_lock(&headcount->lock);
    slc_head *head = find(bucket, &key);
    if (head == NULL)
        head = add(bucket, &key);
    else if (limit > 0 && head->count >= limit)
        head = NULL;
    if (head != NULL)
        head->count++;
    pthread_mutex_unlock(&headcount->lock);
    return head;
}

void slc_headcount_give(slc_headcount *headcount, slc_head *head)
{
    if (head == NULL)
        return;
    pthread_mutex_lock(&headcount->lock);
    bool last = --head->count == 0;
    if (last) {
        slc_head **at = head->bucket;
        while (*at != head)
            at = &(*at)->next;
        *at = head->next;
    }
    pthread_mutex_unlock(&headcount->lock);
    if (last)
        free(head);
}
