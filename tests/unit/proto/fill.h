/* Messages with something in every field, made from their descriptors: the same at every run. */
#ifndef SLC_TEST_PROTO_FILL_H
#define SLC_TEST_PROTO_FILL_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

/* New; every field set, of each oneof the `choice`-th (modulo how many there are), lists with two items. Free
 * with fill_free. */
ProtobufCMessage *fill_message(const ProtobufCMessageDescriptor *descriptor, unsigned choice);
void fill_free(ProtobufCMessage *message);
/* How many choices the largest oneof of the message itself has; 1 without any. */
unsigned fill_choices(const ProtobufCMessageDescriptor *descriptor);
/* The field that is set of the message's first oneof; 0: none. */
uint32_t fill_chosen(const ProtobufCMessage *message);
/* Does every field that the message has hold what `expected` has there? Those that a later version of the
 * program has are absent in what an older one wrote. `*why`, NULL before, names the first that differs. */
bool fill_same(const ProtobufCMessage *message, const ProtobufCMessage *expected, const char **why);
/* Fields that the program does not know, in the message and in all below it. */
unsigned fill_unknown(const ProtobufCMessage *message);

#endif
