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

/* The same for a message that is kept: a list of small things is many pieces of memory, so they are cut from a
 * few blocks and go together, with slc_pieces_free(*memory) and nothing else. */
typedef struct slc_pieces slc_pieces;
ProtobufCMessage *slc_unpack_together(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data,
                                      size_t len, slc_pieces **memory);
void slc_pieces_free(slc_pieces *memory); /* NULL is fine */

#endif
