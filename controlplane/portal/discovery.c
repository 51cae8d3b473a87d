#include "controlplane/portal/discovery.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"

#define KEPT 64 /* more providers than these are asked each time */

struct known {
    char provider_id[SLC_TOKEN_ID_CHARS + 1]; /* empty: the place is free */
    char *issuer;
    json_t *document; /* NULL: it failed, as err says */
    slc_error err;
    int64_t at_ms; /* monotonic */
};

struct slc_discoveries {
    int64_t ttl_ms, retry_ms;
    pthread_mutex_t lock;
    struct known known[KEPT];
};

slc_discoveries *slc_discoveries_new(int64_t ttl_ms, int64_t retry_ms)
{
    slc_discoveries *discoveries = slc_calloc(1, sizeof *discoveries);
    discoveries->ttl_ms = ttl_ms;
    discoveries->retry_ms = retry_ms;
    pthread_mutex_init(&discoveries->lock, NULL);
    return discoveries;
}

static void forget(struct known *known)
{
    free(known->issuer);
    json_decref(known->document);
    memset(known, 0, sizeof *known);
}

void slc_discoveries_free(slc_discoveries *discoveries)
{
    if (discoveries == NULL)
        return;
    for (size_t i = 0; i < KEPT; i++)
        forget(&discoveries->known[i]);
    pthread_mutex_destroy(&discoveries->lock);
    free(discoveries);
}

static bool is_about(const struct known *known, const slc_provider *provider)
{
    return strcmp(known->provider_id, provider->id) == 0 && strcmp(known->issuer, provider->issuer) == 0;
}

/* What is known and fresh: 1 and a new copy (jansson's counts are not for two threads), -1 with a failure of a
 * moment ago, or 0. */
static int look_up(slc_discoveries *discoveries, const slc_provider *provider, json_t **document,
                   slc_error *err)
{
    int64_t now_ms = slc_monotonic_ms();
    int found = 0;
    pthread_mutex_lock(&discoveries->lock);
    for (size_t i = 0; i < KEPT && found == 0; i++) {
        const struct known *known = &discoveries->known[i];
        int64_t age_ms = now_ms - known->at_ms;
        if (known->provider_id[0] == '\0' || !is_about(known, provider))
            continue;
        if (known->document != NULL && age_ms < discoveries->ttl_ms) {
            *document = json_deep_copy(known->document);
            found = 1;
        } else if (known->document == NULL && age_ms < discoveries->retry_ms) {
            *err = known->err;
            found = -1;
        }
    }
    pthread_mutex_unlock(&discoveries->lock);
    return found;
}

/* In the place of what was known of the provider, or of the oldest. */
static void keep(slc_discoveries *discoveries, const slc_provider *provider, const json_t *document,
                 const slc_error *err)
{
    pthread_mutex_lock(&discoveries->lock);
    struct known *place = &discoveries->known[0];
    for (size_t i = 0; i < KEPT; i++) {
        struct known *known = &discoveries->known[i];
        if (strcmp(known->provider_id, provider->id) == 0) {
            place = known;
            break;
        }
        if (known->at_ms < place->at_ms)
            place = known;
    }
    forget(place);
    memcpy(place->provider_id, provider->id, sizeof place->provider_id);
    place->issuer = slc_strdup(provider->issuer);
    place->document = document != NULL ? json_deep_copy(document) : NULL;
    if (document == NULL)
        place->err = *err;
    place->at_ms = slc_monotonic_ms();
    pthread_mutex_unlock(&discoveries->lock);
}

json_t *slc_discoveries_get(slc_discoveries *discoveries, const slc_provider_client *client, slc_error *err)
{
    json_t *document = NULL;
    int found = look_up(discoveries, client->provider, &document, err);
    if (found != 0)
        return document;
    document = slc_provider_discover(client, err);
    keep(discoveries, client->provider, document, err);
    return document;
}
