/* CRC-32C (Castagnoli; RFC 3720, appendix B.4), which guards Kafka's record batches. */
#ifndef SLC_DATAPLANE_RECORDS_CRC32C_H
#define SLC_DATAPLANE_RECORDS_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of what came before, whose checksum is `crc` (0 for nothing), followed by these bytes. Uses the
 * processor's instruction when it has one. Any thread. */
uint32_t slc_crc32c(uint32_t crc, const void *data, size_t len);

#endif
