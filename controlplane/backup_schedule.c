#include "controlplane/backup_schedule.h"

#include <event2/event.h>
#include <stdlib.h>

#include "catalog/backup.h"
#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"

#define SCHEDULE_MAGIC  0x51c0bac0u
#define LONGEST_WAIT_MS (24 * 3600 * 1000LL) /* the wall clock may be set meanwhile */

struct slc_backup_schedule {
    unsigned magic;
    slc_loop *loop;
    slc_catalog *catalog;
    int64_t interval_ms;
    int64_t failed_ms; /* when the last attempt failed; 0: it did not */
    struct event *timer;
};

static const slc_metric metrics[] = {
    {"sluice_backup_failures_total", SLC_COUNTER, "Scheduled backups that failed.", {NULL}, 0, NULL},
    {NULL, SLC_COUNTER, NULL, {NULL}, 0, NULL},
};

void slc_backup_schedule_register_metrics(void)
{
    slc_metrics_register(metrics);
}

static int64_t due_in_ms(const slc_backup_schedule *schedule)
{
    slc_catalog_status status;
    slc_catalog_get_status(schedule->catalog, &status);
    int64_t due_ms = status.last_backup_ms + schedule->interval_ms;
    int64_t retry_ms = schedule->failed_ms > 0 ? schedule->failed_ms + schedule->interval_ms / 10 : 0;
    return (due_ms > retry_ms ? due_ms : retry_ms) - slc_wall_ms();
}

static void arm(slc_backup_schedule *schedule)
{
    int64_t wait_ms = due_in_ms(schedule);
    wait_ms = wait_ms < 1 ? 1 : wait_ms > LONGEST_WAIT_MS ? LONGEST_WAIT_MS : wait_ms;
    struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = (wait_ms % 1000) * 1000};
    event_add(schedule->timer, &wait);
}

static bool make(slc_catalog *catalog, void *arg, slc_error *err)
{
    static const slc_actor actor = {.kind = "system", .id = "system", .name = "backup schedule"};
    (void)arg;
    json_t *made = slc_backup_make(catalog, &actor, err);
    json_decref(made);
    return made != NULL;
}

static void on_made(void *arg, bool ok, const slc_error *err)
{
    slc_backup_schedule *schedule = arg;
    SLC_CHECK_MAGIC(schedule, SCHEDULE_MAGIC);
    schedule->failed_ms = ok ? 0 : slc_wall_ms();
    if (!ok) {
        slc_log_error(SLC_LOG_ERROR, "the scheduled backup failed; it is tried again", err);
        slc_series_add(slc_metrics_series("sluice_backup_failures_total", NULL), 1);
    }
    arm(schedule);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    slc_backup_schedule *schedule = arg;
    (void)fd, (void)what;
    SLC_CHECK_MAGIC(schedule, SCHEDULE_MAGIC);
    if (due_in_ms(schedule) > 0)
        arm(schedule); /* one was made by hand meanwhile */
    else
        slc_catalog_task(schedule->catalog, schedule->loop, make, on_made, schedule);
}

slc_backup_schedule *slc_backup_schedule_new(slc_loop *loop, slc_catalog *catalog, int64_t interval_ms)
{
    if (interval_ms == 0)
        return NULL;
    slc_backup_schedule *schedule = slc_calloc(1, sizeof *schedule);
    schedule->magic = SCHEDULE_MAGIC;
    schedule->loop = loop;
    schedule->catalog = catalog;
    schedule->interval_ms = interval_ms;
    schedule->timer = evtimer_new(slc_loop_base(loop), on_timer, schedule);
    SLC_BUG_ON(schedule->timer == NULL);
    arm(schedule);
    return schedule;
}

void slc_backup_schedule_free(slc_backup_schedule *schedule)
{
    if (schedule == NULL)
        return;
    event_free(schedule->timer);
    schedule->magic = 0;
    free(schedule);
}
