/* The inside of a reader, shared by its files. */
#ifndef SLC_DATAPLANE_MEDIATION_READER_PRIVATE_H
#define SLC_DATAPLANE_MEDIATION_READER_PRIVATE_H

#include "dataplane/mediation/reader.h"

/* ---- reader.c ---- */
/* Leaves the list of those that wait, if it is in one. */
void slc_reader_stop_waiting(slc_reader *reader);
/* Leaves its ring, and forgets what it saw of the record at hand. */
void slc_reader_detach(slc_reader *reader);
/* `own` becomes a copy of `positions`; NULL: has room for `count`, and keeps what it held. */
void slc_reader_set_own(slc_reader *reader, const slc_position *positions, int32_t count);
/* Makes the position the reader's own, whatever becomes of the ring. False when it is not known any more. */
bool slc_reader_take_own(slc_reader *reader);
/* It has a position now, in the topic that the API's ring is of. */
void slc_reader_set_placed(slc_reader *reader);

/* ---- reader_place.c ---- */
/* An answer of the broker that is on its way will be dropped. */
void slc_reader_forget_lookup(slc_reader *reader);
/* Tells the owner, who ends the reader. Returns false. */
bool slc_reader_refuse(slc_reader *reader, const char *text);
/* The view may have begun anew with another topic since the reader was placed. True when the reader lives. */
bool slc_reader_check_topic(slc_reader *reader);
/* True when the reader lives; `placed` tells whether there is something to go on with. */
bool slc_reader_place(slc_reader *reader);
/* From its own position into a ring, if there is one to go to now. True when the reader lives. */
bool slc_reader_locate(slc_reader *reader);
/* From a scan into the ring, once nothing lies between. */
bool slc_reader_join_ring(slc_reader *reader);
/* The scan's partition is out of range where this reader stands, or behind it. False: the reader ended. */
bool slc_reader_leave_broken(slc_reader *reader);

#endif
