/* From commits to releases: debounce, compile every group in one read transaction, offer what changed. */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/versions.h"
#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "controlplane/grpc/grpc_private.h"

#define RETRY_MS      1000
#define MAX_EXPIRY_MS (24 * 3600 * 1000LL)

/* One pass over all groups, on a catalog thread. */
struct pass {
    slc_control_grpc *grpc;
    slc_compiled **previous; /* own references */
    size_t previous_count;
    slc_compiled **compiled; /* own references */
    size_t count;
    int64_t took_us;    /* to compile all of them */
    json_t *nodes;      /* with a stream, by id */
    json_t *gone;       /* those of them that may not stay: why, by id */
    int64_t expires_ms; /* when the next subscription ends, 0: none does */
    bool trust_changed;
};

static void on_debounce(evutil_socket_t fd, short what, void *arg);
static void on_expiry(evutil_socket_t fd, short what, void *arg);
static void on_compiled(void *arg, bool ok, const slc_error *err);

static void arm(struct event *timer, int64_t ms)
{
    struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
    event_add(timer, &wait);
}

void slc_publisher_init(slc_control_grpc *grpc)
{
    struct event_base *base = slc_loop_base(grpc->loop);
    TAILQ_INIT(&grpc->groups);
    grpc->debounce = evtimer_new(base, on_debounce, grpc);
    grpc->expiry = evtimer_new(base, on_expiry, grpc);
    SLC_BUG_ON(grpc->debounce == NULL || grpc->expiry == NULL);
}

static void free_group(slc_control_grpc *grpc, slc_group *group)
{
    TAILQ_REMOVE(&grpc->groups, group, entry);
    slc_release_unref(group->release);
    free(group);
}

void slc_publisher_release(slc_control_grpc *grpc)
{
    while (!TAILQ_EMPTY(&grpc->groups))
        free_group(grpc, TAILQ_FIRST(&grpc->groups));
    if (grpc->debounce != NULL)
        event_free(grpc->debounce);
    if (grpc->expiry != NULL)
        event_free(grpc->expiry);
}

slc_group *slc_publisher_group(slc_control_grpc *grpc, const char *group_id)
{
    slc_group *group;
    TAILQ_FOREACH (group, &grpc->groups, entry) {
        if (strcmp(group->id, group_id) == 0)
            return group;
    }
    group = slc_calloc(1, sizeof *group);
    snprintf(group->id, sizeof group->id, "%s", group_id);
    TAILQ_INSERT_TAIL(&grpc->groups, group, entry);
    return group;
}

void slc_publisher_schedule(slc_control_grpc *grpc)
{
    if (!grpc->stopping && !evtimer_pending(grpc->debounce, NULL))
        arm(grpc->debounce, grpc->options.debounce_ms);
}

/* ---- on a catalog thread ---- */

static slc_compiled *previous_of(const struct pass *pass, const char *group_id)
{
    for (size_t i = 0; i < pass->previous_count; i++)
        if (strcmp(slc_compiled_group_id(pass->previous[i]), group_id) == 0)
            return pass->previous[i];
    return NULL;
}

/* The status tells the node what may help: nothing, another enrolment, or a renewal, which will say more. */
static json_t *why_gone(const slc_node_info *info)
{
    if (info == NULL)
        return json_pack("{s:i, s:s}", "status", SLC_RPC_NOT_FOUND, "reason", "the node was deleted");
    if (info->revoked)
        return json_pack("{s:i, s:s}", "status", SLC_RPC_PERMISSION_DENIED, "reason", "the node was revoked");
    if (info->outdated)
        return json_pack("{s:i, s:s}", "status", SLC_RPC_UNAUTHENTICATED, "reason",
                         "the authority of the node's certificate was retired");
    return NULL;
}

static bool find_gone(slc_txn *txn, struct pass *pass, slc_error *err)
{
    size_t i;
    json_t *id;
    json_array_foreach (pass->nodes, i, id) {
        slc_node_info info;
        slc_error inner = {0};
        bool found = slc_node_find(txn, json_string_value(id), &info, &inner);
        if (!found && inner.code != SLC_NOT_FOUND) {
            *err = inner;
            return false;
        }
        json_t *why = why_gone(found ? &info : NULL);
        if (why != NULL)
            json_object_set_new(pass->gone, json_string_value(id), why);
    }
    return true;
}

static bool compile_all(slc_txn *txn, void *arg, slc_error *err)
{
    struct pass *pass = arg;
    size_t i;
    int64_t begin_us = slc_monotonic_us();
    json_t *id, *ids = slc_compile_groups(txn, err);
    bool ok = ids != NULL;
    pass->compiled = slc_calloc(json_array_size(ids) + 1, sizeof(slc_compiled *));
    json_array_foreach (ids, i, id) {
        slc_compiled *previous = previous_of(pass, json_string_value(id));
        slc_compiled *sibling = pass->count > 0 ? pass->compiled[pass->count - 1] : pass->previous[0];
        slc_compiled *compiled =
            ok ? slc_compile_group(txn, json_string_value(id), previous, sibling, err) : NULL;
        ok = compiled != NULL;
        if (ok)
            pass->compiled[pass->count++] = compiled;
    }
    json_decref(ids);
    pass->took_us = slc_monotonic_us() - begin_us;
    return ok && find_gone(txn, pass, err) && slc_catalog_next_expiry(txn, &pass->expires_ms, err) &&
           slc_ca_sync(pass->grpc->ca, txn, &pass->trust_changed, err);
}

/* ---- back on the loop ---- */

static struct pass *new_pass(slc_control_grpc *grpc)
{
    struct pass *pass = slc_calloc(1, sizeof *pass);
    slc_group *group;
    size_t count = 0;
    TAILQ_FOREACH (group, &grpc->groups, entry) {
        count++;
    }
    pass->grpc = grpc;
    pass->nodes = slc_config_streams_nodes(grpc);
    pass->gone = json_object();
    pass->previous = slc_calloc(count + 1, sizeof(slc_compiled *));
    TAILQ_FOREACH (group, &grpc->groups, entry) {
        if (group->release != NULL)
            pass->previous[pass->previous_count++] = slc_compiled_ref(group->release->compiled);
    }
    return pass;
}

static void free_pass(struct pass *pass)
{
    for (size_t i = 0; i < pass->previous_count; i++)
        slc_compiled_unref(pass->previous[i]);
    for (size_t i = 0; i < pass->count; i++)
        slc_compiled_unref(pass->compiled[i]);
    free(pass->previous);
    free(pass->compiled);
    json_decref(pass->nodes);
    json_decref(pass->gone);
    free(pass);
}

static void on_debounce(evutil_socket_t fd, short what, void *arg)
{
    slc_control_grpc *grpc = arg;
    (void)fd, (void)what;
    if (grpc->stopping)
        return;
    if (grpc->compiling) {
        grpc->dirty = true;
        return;
    }
    grpc->compiling = true;
    grpc->pending++;
    slc_catalog_read_own(grpc->catalog, grpc->loop, compile_all, on_compiled, new_pass(grpc));
}

static bool expire(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    return slc_catalog_expire(txn, NULL, err);
}

static void on_expired(void *arg, bool ok, const slc_error *err)
{
    slc_control_grpc *grpc = arg;
    grpc->pending--;
    if (!ok)
        slc_log_error(SLC_LOG_WARN, "subscriptions that have run out could not be marked", err);
    slc_publisher_schedule(grpc);
}

/* Something in a snapshot has run out: gateways know by themselves, but people should see it, and new snapshots
 * should not carry it. */
static void on_expiry(evutil_socket_t fd, short what, void *arg)
{
    slc_control_grpc *grpc = arg;
    slc_actor actor = {.kind = "system", .id = "system", .name = "expiry"};
    (void)fd, (void)what;
    if (grpc->stopping)
        return;
    grpc->pending++;
    slc_catalog_write(grpc->catalog, grpc->loop, &actor, expire, on_expired, grpc);
}

struct kept {
    slc_control_grpc *grpc;
    slc_compiled *compiled;
};

static bool remember(slc_txn *txn, void *arg, slc_error *err)
{
    struct kept *kept = arg;
    return slc_version_remember(txn, kept->compiled, NULL, NULL, &kept->grpc->options.versions, err);
}

static void on_remembered(void *arg, bool ok, const slc_error *err)
{
    struct kept *kept = arg;
    if (!ok)
        slc_log_error(SLC_LOG_WARN, "a configuration version was not recorded", err);
    kept->grpc->pending--;
    slc_compiled_unref(kept->compiled);
    free(kept);
}

static void keep_version(slc_control_grpc *grpc, slc_compiled *compiled)
{
    slc_actor actor = {.kind = "system", .id = "system", .name = "compiler"};
    struct kept *kept = slc_calloc(1, sizeof *kept);
    kept->grpc = grpc;
    kept->compiled = slc_compiled_ref(compiled);
    grpc->pending++;
    slc_catalog_write(grpc->catalog, grpc->loop, &actor, remember, on_remembered, kept);
}

static void take_over(slc_control_grpc *grpc, slc_compiled *compiled, int64_t took_us)
{
    slc_group *group = slc_publisher_group(grpc, slc_compiled_group_id(compiled));
    group->seen = true;
    if (group->release != NULL && group->release->compiled == compiled)
        return;
    slc_release_unref(group->release);
    group->release = slc_release_new(slc_compiled_ref(compiled));
    slc_log(SLC_LOG_INFO, "configuration compiled", LS("group", group->id),
            LI("version", (int64_t)slc_compiled_version(compiled)),
            LI("chunks", (int64_t)slc_compiled_chunk_count(compiled)),
            LI("rows_read", (int64_t)slc_compiled_rows(compiled)), LI("pass_us", took_us));
    keep_version(grpc, compiled);
    slc_config_streams_offer(grpc, group);
}

static void forget_unseen(slc_control_grpc *grpc)
{
    slc_group *group = TAILQ_FIRST(&grpc->groups);
    while (group != NULL) {
        slc_group *next = TAILQ_NEXT(group, entry);
        bool seen = group->seen;
        group->seen = false;
        if (!seen && group->release != NULL) {
            slc_release_unref(group->release);
            group->release = NULL;
        }
        group = next;
    }
}

/* What is in snapshots, and what is not but ends as well: subscriptions that wait for a decision or are
 * suspended. */
static void watch_expiry(slc_control_grpc *grpc, int64_t first)
{
    slc_group *group;
    TAILQ_FOREACH (group, &grpc->groups, entry) {
        int64_t expires = group->release != NULL ? slc_compiled_expires_ms(group->release->compiled) : 0;
        if (expires > 0 && (first == 0 || expires < first))
            first = expires;
    }
    event_del(grpc->expiry);
    if (first == 0)
        return;
    int64_t wait = first - slc_wall_ms() + 1;
    arm(grpc->expiry, wait < 1 ? 1 : wait > MAX_EXPIRY_MS ? MAX_EXPIRY_MS : wait);
}

static void on_compiled(void *arg, bool ok, const slc_error *err)
{
    struct pass *pass = arg;
    slc_control_grpc *grpc = pass->grpc;
    SLC_CHECK_MAGIC(grpc, SLC_CONTROL_GRPC_MAGIC);
    grpc->compiling = false;
    grpc->pending--;
    if (ok && !grpc->stopping) {
        for (size_t i = 0; i < pass->count; i++)
            take_over(grpc, pass->compiled[i], pass->took_us);
        forget_unseen(grpc);
        slc_config_streams_cut(grpc, pass->gone);
        if (pass->trust_changed)
            slc_config_streams_trust(grpc);
        watch_expiry(grpc, pass->expires_ms);
    } else if (!ok) {
        slc_log_error(SLC_LOG_ERROR, "the configuration cannot be compiled; gateways keep what they have", err);
    }
    free_pass(pass);
    if (!ok && !grpc->stopping)
        arm(grpc->debounce, RETRY_MS);
    else if (grpc->dirty)
        slc_publisher_schedule(grpc);
    grpc->dirty = false;
}
