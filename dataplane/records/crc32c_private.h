/* The ways to compute it, so that tests hold each against the others. */
#ifndef SLC_DATAPLANE_RECORDS_CRC32C_PRIVATE_H
#define SLC_DATAPLANE_RECORDS_CRC32C_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

typedef uint32_t slc_crc32c_fn(uint32_t crc, const uint8_t *data, size_t len);

slc_crc32c_fn *slc_crc32c_by_software(void);
/* NULL on a processor without the instruction. */
slc_crc32c_fn *slc_crc32c_by_instruction(void);

#endif
