/* Decoding what a peer sent. */
#ifndef SLC_PROTO_BOUNDED_H
#define SLC_PROTO_BOUNDED_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

/* Unpacks with a bound on memory that grows with `len`, so that small hostile bytes cannot ask for much. NULL
 * when the bytes are not such a message. Free with protobuf_c_message_free_unpacked(msg, NULL). */
ProtobufCMessage *slc_unpack_bounded(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data,
                                     size_t len);

#endif
