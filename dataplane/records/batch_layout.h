/* Where the fields of a batch's header stand. */
#ifndef SLC_DATAPLANE_RECORDS_BATCH_LAYOUT_H
#define SLC_DATAPLANE_RECORDS_BATCH_LAYOUT_H

enum {
    AT_BASE_OFFSET = 0,
    AT_LENGTH = 8, /* of what follows it */
    AT_LEADER_EPOCH = 12,
    AT_MAGIC = 16,
    AT_CRC = 17, /* of what follows it */
    AT_ATTRIBUTES = 21,
    AT_LAST_OFFSET_DELTA = 23,
    AT_BASE_TIMESTAMP = 27,
    AT_MAX_TIMESTAMP = 35,
    AT_PRODUCER_ID = 43,
    AT_PRODUCER_EPOCH = 51,
    AT_BASE_SEQUENCE = 53,
    AT_COUNT = 57,
};

#endif
