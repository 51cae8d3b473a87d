#include "dataplane/mediation/link.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"

void slc_links_init(slc_links *links, const slc_broker_ops *ops, const slc_broker_settings *settings)
{
    *links = (slc_links){.ops = ops, .settings = *settings};
    pthread_mutex_init(&links->lock, NULL);
    pthread_cond_init(&links->closed, NULL);
    TAILQ_INIT(&links->list);
}

void slc_links_release(slc_links *links)
{
    pthread_mutex_lock(&links->lock);
    while (links->closing > 0)
        pthread_cond_wait(&links->closed, &links->lock);
    SLC_BUG_ON(!TAILQ_EMPTY(&links->list));
    pthread_mutex_unlock(&links->lock);
    pthread_mutex_destroy(&links->lock);
    pthread_cond_destroy(&links->closed);
}

static slc_link *find_locked(slc_links *links, const slc_backend *backend)
{
    slc_link *link;
    TAILQ_FOREACH (link, &links->list, entry) {
        if (memcmp(link->digest, backend->digest, sizeof link->digest) == 0)
            return link;
    }
    return NULL;
}

slc_link *slc_link_get(slc_links *links, const slc_backend *backend, slc_error *err)
{
    pthread_mutex_lock(&links->lock);
    slc_link *link = find_locked(links, backend);
    if (link != NULL) {
        link->refs++;
    } else {
        slc_broker *broker = links->ops->open(backend, &links->settings, err);
        if (broker != NULL) {
            link = slc_calloc(1, sizeof *link);
            *link = (slc_link){.refs = 1, .links = links, .ops = links->ops, .broker = broker};
            memcpy(link->digest, backend->digest, sizeof link->digest);
            link->name = slc_strdup(backend->msg->name);
            TAILQ_INIT(&link->troubles);
            TAILQ_INSERT_TAIL(&links->list, link, entry);
        }
    }
    pthread_mutex_unlock(&links->lock);
    return link;
}

slc_link *slc_link_ref(slc_link *link)
{
    pthread_mutex_lock(&link->links->lock);
    link->refs++;
    pthread_mutex_unlock(&link->links->lock);
    return link;
}

static void trouble_free(slc_link *link, slc_link_trouble *trouble)
{
    TAILQ_REMOVE(&link->troubles, trouble, entry);
    free(trouble->topic);
    free(trouble->text);
    free(trouble);
}

void slc_link_note(slc_link *link, const char *topic, const slc_error *err)
{
    slc_link_trouble *trouble;
    pthread_mutex_lock(&link->links->lock);
    TAILQ_FOREACH (trouble, &link->troubles, entry) {
        if (strcmp(trouble->topic, topic) == 0)
            break;
    }
    if (trouble != NULL)
        trouble_free(link, trouble);
    if (err != NULL) {
        trouble = slc_calloc(1, sizeof *trouble);
        trouble->topic = slc_strdup(topic);
        trouble->text = slc_strdup(err->message);
        TAILQ_INSERT_TAIL(&link->troubles, trouble, entry);
    }
    pthread_mutex_unlock(&link->links->lock);
}

static void *close_main(void *arg)
{
    slc_link *link = arg;
    slc_links *links = link->links;
    link->ops->close(link->broker);
    while (!TAILQ_EMPTY(&link->troubles))
        trouble_free(link, TAILQ_FIRST(&link->troubles));
    free(link->name);
    free(link);
    pthread_mutex_lock(&links->lock);
    links->closing--;
    pthread_cond_signal(&links->closed);
    pthread_mutex_unlock(&links->lock);
    return NULL;
}

void slc_link_unref(slc_link *link)
{
    if (link == NULL)
        return;
    slc_links *links = link->links;
    pthread_mutex_lock(&links->lock);
    bool last = --link->refs == 0;
    if (last) {
        TAILQ_REMOVE(&links->list, link, entry);
        links->closing++;
    }
    pthread_mutex_unlock(&links->lock);
    if (!last)
        return;
    pthread_t thread;
    SLC_BUG_ON(pthread_create(&thread, NULL, close_main, link) != 0);
    pthread_detach(thread);
}

static json_t *health_of_locked(slc_link *link)
{
    slc_link_trouble *trouble;
    json_t *topics = json_object();
    char text[384], since[SLC_RFC3339_CHARS];
    int64_t since_ms = 0;
    bool up = link->ops->health(link->broker, text, sizeof text, &since_ms);
    slc_rfc3339_format(since_ms, since);
    TAILQ_FOREACH (trouble, &link->troubles, entry)
        json_object_set_new(topics, trouble->topic, json_string(trouble->text));
    return json_pack("{s:b, s:s?, s:s, s:o}", "up", up, "last_error", up ? NULL : text, "since", since,
                     "topics", topics);
}

json_t *slc_links_health(slc_links *links)
{
    json_t *all = json_object();
    slc_link *link;
    pthread_mutex_lock(&links->lock);
    TAILQ_FOREACH (link, &links->list, entry)
        json_object_set_new(all, link->name, health_of_locked(link));
    pthread_mutex_unlock(&links->lock);
    return all;
}
