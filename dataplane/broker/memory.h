/* A broker in memory, for unit tests: the same operations as Kafka, and the means to make it misbehave. */
#ifndef SLC_DATAPLANE_BROKER_MEMORY_H
#define SLC_DATAPLANE_BROKER_MEMORY_H

#include "dataplane/broker/broker.h"

/* All of these: any thread. */
void slc_memory_topic_create(slc_broker *broker, const char *topic, int32_t partitions);
/* The topic goes, with everything in it; made again it is another one, with another id. */
void slc_memory_topic_delete(slc_broker *broker, const char *topic);
/* As the topic's settings would say. */
void slc_memory_set_limit(slc_broker *broker, const char *topic, int64_t max_message_bytes, bool compacted);
/* Appends a copy; timestamp 0 becomes now. Returns the offset. */
int64_t slc_memory_append(slc_broker *broker, const char *topic, const slc_record *parts);
/* As retention does: records before `start` are gone. */
void slc_memory_expire(slc_broker *broker, const char *topic, int32_t partition, int64_t start);
/* As an unclean election does: records from `end` on are gone. */
void slc_memory_truncate(slc_broker *broker, const char *topic, int32_t partition, int64_t end);
/* Control records: offsets that no reader sees. */
void slc_memory_skip(slc_broker *broker, const char *topic, int32_t partition, int64_t count);
void slc_memory_add_partition(slc_broker *broker, const char *topic);
/* Down: consumers get errors, queries and publishes fail. */
void slc_memory_set_down(slc_broker *broker, bool down);
/* Held: fetches bring nothing; everything else works. */
void slc_memory_set_held(slc_broker *broker, bool held);
/* What the next publishes come to; SLC_PUBLISHED stores them. */
void slc_memory_set_outcome(slc_broker *broker, enum slc_publish_outcome outcome);
/* Records handed to consumers so far, and consumers that exist. */
uint64_t slc_memory_delivered(slc_broker *broker);
unsigned slc_memory_consumers(slc_broker *broker);
/* The record at an offset: new reference, or NULL. */
slc_record *slc_memory_record(slc_broker *broker, const char *topic, int32_t partition, int64_t offset);

#endif
