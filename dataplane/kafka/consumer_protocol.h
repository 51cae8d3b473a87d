/* The consumer protocol inside JoinGroup, SyncGroup and DescribeGroups: bytes that brokers mostly pass on, but
 * do read for offset expiry, OffsetDelete and the conversion of classic groups to KIP-848. They are
 * subscriptions and assignments only when the group's protocol type is "consumer"; with another (Kafka
 * Connect's) they are something else: do not call this. */
#ifndef SLC_DATAPLANE_KAFKA_CONSUMER_PROTOCOL_H
#define SLC_DATAPLANE_KAFKA_CONSUMER_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "dataplane/kafka/rewrite.h"

/* Rewrites the content of a bytes field with the role SUBSCRIPTION or ASSIGNMENT by `ops` (its roles: TOPIC)
 * and adds it to `out`, unchanged where there is nothing to change; user data stays. `edits` is scratch: it
 * must be empty and is left empty. An empty content is an empty assignment and stays so. What a broker can read
 * is read: a version later than the table's as the table's last one, what is not of the version that it names
 * as the first one, any negative length as null; bytes after the last field are kept. False with `err`:
 * SLC_INVALID for what no broker can read; SLC_LIMIT, SLC_TOO_LARGE. */
bool slc_kafka_consumer_protocol_rewrite(enum slc_kafka_role role, const uint8_t *in, size_t len,
                                         const slc_kafka_rewrite_ops *ops, void *ctx, slc_kafka_edits *edits,
                                         slc_buf *out, slc_error *err) SLC_CHECKED;

#endif
