#include "controlplane/admin/work.h"

#include <string.h>

#include "common/assert.h"
#include "common/log.h"
#include "controlplane/admin/admin.h"
#include "controlplane/admin/idempotency.h"

/* ---- on catalog threads ---- */

static bool run(slc_catalog *catalog, void *arg, slc_error *err)
{
    slc_call *call = arg;
    (void)catalog;
    SLC_CHECK_MAGIC(call, SLC_CALL_MAGIC);
    return call->route->run(NULL, call, err);
}

static bool look_up(slc_txn *txn, void *arg, slc_error *err)
{
    slc_call *call = arg;
    SLC_CHECK_MAGIC(call, SLC_CALL_MAGIC);
    return slc_call_replay(txn, call, &call->replayed, err);
}

static bool keep(slc_txn *txn, void *arg, slc_error *err)
{
    slc_call *call = arg;
    SLC_CHECK_MAGIC(call, SLC_CALL_MAGIC);
    return slc_call_remember(txn, call, err);
}

/* ---- on the loop ---- */

static void end(slc_call *call, bool ok, const slc_error *err)
{
    TAILQ_REMOVE(call->works, call, work);
    call->work_done(call, ok, err);
}

/* It is done all the same. */
static void on_kept(void *arg, bool ok, const slc_error *err)
{
    if (!ok)
        slc_log_error(SLC_LOG_WARN,
                      "the answer to an Idempotency-Key was not kept: a retry does the work again", err);
    end(arg, true, NULL);
}

static void on_run(void *arg, bool ok, const slc_error *err)
{
    slc_call *call = arg;
    slc_actor actor = slc_call_actor(call);
    if (ok && call->idempotency_key[0] != '\0')
        slc_catalog_write(slc_admin_catalog(call->admin), slc_admin_loop(call->admin), &actor, keep, on_kept,
                          call);
    else
        end(call, ok, err);
}

static void on_looked_up(void *arg, bool ok, const slc_error *err)
{
    slc_call *call = arg;
    if (!ok || call->replayed)
        end(call, ok, err);
    else
        slc_catalog_task(slc_admin_catalog(call->admin), slc_admin_loop(call->admin), run, on_run, call);
}

static bool is_under_way(const slc_works *works, const slc_call *call)
{
    const slc_call *other;
    TAILQ_FOREACH (other, works, work) {
        if (strcmp(other->identity.token_id, call->identity.token_id) == 0 &&
            strcmp(other->idempotency_key, call->idempotency_key) == 0)
            return true;
    }
    return false;
}

void slc_work_start(slc_works *works, slc_call *call, slc_txn_done done)
{
    slc_actor actor = slc_call_actor(call);
    slc_error err;
    bool keyed = call->idempotency_key[0] != '\0';
    if (keyed && is_under_way(works, call)) {
        slc_fail(&err, SLC_CONFLICT, NULL, "a request with this Idempotency-Key is under way: ask again later");
        done(call, false, &err);
        return;
    }
    call->works = works;
    call->work_done = done;
    TAILQ_INSERT_TAIL(works, call, work);
    if (keyed)
        slc_catalog_write(slc_admin_catalog(call->admin), slc_admin_loop(call->admin), &actor, look_up,
                          on_looked_up, call);
    else
        on_looked_up(call, true, NULL);
}
