/* What the log says of events that policies on records do not let through: which policy and why, the first
 * time, and once in an interval (kafka.log-interval) how often that was. A worker's. */
#ifndef SLC_DATAPLANE_MEDIATION_REJECTIONS_H
#define SLC_DATAPLANE_MEDIATION_REJECTIONS_H

#include "dataplane/mediation/mediation_private.h"

/* Of an event that is published. `exchange` is whose request it was; NULL: it has gone. */
void slc_rejection_tell(const slc_api *api, const slc_exchange *exchange, const slc_record_problem *problem);
/* Of one that is read: for whom is not said, since several readers share one look. */
void slc_rejection_tell_read(const slc_api *api, const slc_record *record, const slc_record_problem *problem);

/* Tells of those that were counted and whose interval is over, or of all. */
void slc_rejections_tick(slc_mediation_worker *worker, int64_t now_ms, bool all);
void slc_rejections_release(slc_mediation_worker *worker);

#endif
