/* Backups that are made by the clock (backup.interval). On the loop that it was made with; the copying is a
 * task of the catalog's. */
#ifndef SLC_CONTROLPLANE_BACKUP_SCHEDULE_H
#define SLC_CONTROLPLANE_BACKUP_SCHEDULE_H

#include "catalog/catalog.h"
#include "common/loop.h"

typedef struct slc_backup_schedule slc_backup_schedule;

/* Registers the metrics of this module; once, before threads start. */
void slc_backup_schedule_register_metrics(void);
/* The first one is due an interval after the newest that there is, so that restarts do not put it off. One that
 * fails is logged, counted and tried again after a tenth of the interval. NULL when `interval_ms` is 0. */
slc_backup_schedule *slc_backup_schedule_new(slc_loop *loop, slc_catalog *catalog, int64_t interval_ms);
/* After the catalog has been closed. NULL is fine. */
void slc_backup_schedule_free(slc_backup_schedule *schedule);

#endif
