/* What control planes and gateways of a version said to each other, or kept: one file for each kind of message
 * and choice of its oneof, tests/unit/proto/recorded/VERSION/KIND-CHOICE.bin. */
#ifndef SLC_TEST_PROTO_RECORDED_H
#define SLC_TEST_PROTO_RECORDED_H

#include <protobuf-c/protobuf-c.h>

struct recorded_kind {
    const char *name;
    const ProtobufCMessageDescriptor *descriptor;
};

extern const struct recorded_kind recorded_kinds[]; /* ends with a NULL name */

#endif
