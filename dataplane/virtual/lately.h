/* Topics that clients were let make, grow or delete a moment ago. A broker's own list of topics comes a little
 * behind what its controller has done, so whoever counts in it also counts these. Of the whole process; thread
 * safe. Times are monotonic milliseconds, names the backend's. */
#ifndef SLC_DATAPLANE_VIRTUAL_LATELY_H
#define SLC_DATAPLANE_VIRTUAL_LATELY_H

#include <stddef.h>
#include <stdint.h>

#define SLC_LATELY_LONGEST 249 /* bytes of a topic's name */
#define SLC_LATELY_MAX     256 /* in memory; a newer one takes the place of the oldest */

#define SLC_LATELY_WAITS_MS 60000 /* how much longer it counts while the broker has not answered */

/* It is on its way to a broker that has not answered, with so many partitions; 0: it was deleted. What no topic
 * can be called is not remembered. */
void slc_lately_note(const char *backend, const uint8_t *name, size_t len, int64_t partitions, int64_t now_ms);
/* The broker has answered, or it is not known what it did: its list shows it some time after `now_ms`. */
void slc_lately_answered(const char *backend, const uint8_t *name, size_t len, int64_t now_ms);
/* The broker said no: it is as it was before the last note. */
void slc_lately_undo(const char *backend, const uint8_t *name, size_t len);

/* Between them nobody else decides: what is looked at and what is noted then are one. */
void slc_lately_begin(void);
void slc_lately_end(void);

/* Calls for each that was answered after `since_ms`, or not answered yet. `call` must not come back here. */
typedef void slc_lately_fn(void *ctx, const uint8_t *name, size_t len, int64_t partitions);
void slc_lately_each(const char *backend, int64_t since_ms, slc_lately_fn *call, void *ctx);

#endif
