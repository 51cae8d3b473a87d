/* One instruction takes eight bytes, and its result is ready three cycles later: so three runs of bytes are
 * computed side by side and put together afterwards. Putting together needs the checksum "moved" over as many
 * zero bytes as the next run is long, which is linear over GF(2) and therefore a sum of four table entries.
 * Bytes that just came from a socket are in no near cache, and three runs at once are more than processors
 * expect: those of the next three are asked for ahead of time, which takes a quarter off. */
#include "dataplane/records/crc32c.h"

#include <pthread.h>
#include <string.h>

#include "dataplane/records/crc32c_private.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#define HAVE_INSTRUCTION  1
#define WITH_INSTRUCTION  __attribute__((target("sse4.2")))
#define CRC_64(crc, word) ((uint32_t)_mm_crc32_u64((crc), (word)))
#define CRC_8(crc, byte)  _mm_crc32_u8((crc), (byte))
#elif defined(__aarch64__) && defined(__linux__)
#include <arm_acle.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>
#define HAVE_INSTRUCTION  1
#define WITH_INSTRUCTION  __attribute__((target("+crc")))
#define CRC_64(crc, word) __crc32cd((crc), (word))
#define CRC_8(crc, byte)  __crc32cb((crc), (byte))
#else
#define HAVE_INSTRUCTION 0
#endif

#define POLYNOMIAL UINT32_C(0x82F63B78) /* 0x1EDC6F41 with its bits reversed */
#define RUN_BYTES  1024                 /* of each of the three */
#define LINE_BYTES 64

static pthread_once_t prepared = PTHREAD_ONCE_INIT;
static slc_crc32c_fn *chosen;
static uint32_t slices[8][256];   /* [k][b]: of the byte b and k zero bytes behind it */
static uint32_t over_run[4][256]; /* [k][b]: the checksum with b as its byte k, moved over RUN_BYTES zeros */

static uint64_t little_endian(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static uint32_t software(uint32_t crc, const uint8_t *data, size_t len)
{
    crc = ~crc;
    for (; len >= 8; data += 8, len -= 8) {
        uint64_t word = little_endian(data) ^ crc;
        crc = slices[7][word & 0xff] ^ slices[6][word >> 8 & 0xff] ^ slices[5][word >> 16 & 0xff] ^
              slices[4][word >> 24 & 0xff] ^ slices[3][word >> 32 & 0xff] ^ slices[2][word >> 40 & 0xff] ^
              slices[1][word >> 48 & 0xff] ^ slices[0][word >> 56];
    }
    for (; len > 0; data++, len--)
        crc = crc >> 8 ^ slices[0][(crc ^ *data) & 0xff];
    return ~crc;
}

#if HAVE_INSTRUCTION
static uint32_t moved_over_run(uint32_t crc)
{
    return over_run[0][crc & 0xff] ^ over_run[1][crc >> 8 & 0xff] ^ over_run[2][crc >> 16 & 0xff] ^
           over_run[3][crc >> 24];
}

WITH_INSTRUCTION static uint32_t by_instruction(uint32_t crc, const uint8_t *data, size_t len)
{
    crc = ~crc;
    for (; len >= 3 * RUN_BYTES; data += 3 * RUN_BYTES, len -= 3 * RUN_BYTES) {
        uint32_t second = 0, third = 0;
        for (size_t line = 0; line < RUN_BYTES; line += LINE_BYTES) {
            for (size_t run = 0; run < 3; run++)
                __builtin_prefetch(data + (3 + run) * RUN_BYTES + line);
            for (size_t i = line; i < line + LINE_BYTES; i += 8) {
                crc = CRC_64(crc, little_endian(data + i));
                second = CRC_64(second, little_endian(data + RUN_BYTES + i));
                third = CRC_64(third, little_endian(data + 2 * RUN_BYTES + i));
            }
        }
        crc = moved_over_run(moved_over_run(crc) ^ second) ^ third;
    }
    for (; len >= 8; data += 8, len -= 8)
        crc = CRC_64(crc, little_endian(data));
    for (; len > 0; data++, len--)
        crc = CRC_8(crc, *data);
    return ~crc;
}

static int processor_has_it(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("sse4.2");
#else
    return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
#endif
}
#endif

static void fill_tables(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? POLYNOMIAL : 0);
        slices[0][byte] = crc;
    }
    for (size_t k = 1; k < 8; k++) {
        for (size_t byte = 0; byte < 256; byte++)
            slices[k][byte] = slices[k - 1][byte] >> 8 ^ slices[0][slices[k - 1][byte] & 0xff];
    }
    for (uint32_t k = 0; k < 4; k++) {
        for (uint32_t byte = 0; byte < 256; byte++) {
            uint32_t crc = byte << 8 * k;
            for (size_t i = 0; i < RUN_BYTES; i++)
                crc = crc >> 8 ^ slices[0][crc & 0xff];
            over_run[k][byte] = crc;
        }
    }
}

static void prepare(void)
{
    fill_tables();
    chosen = software;
#if HAVE_INSTRUCTION
    if (processor_has_it())
        chosen = by_instruction;
#endif
}

slc_crc32c_fn *slc_crc32c_by_software(void)
{
    pthread_once(&prepared, prepare);
    return software;
}

slc_crc32c_fn *slc_crc32c_by_instruction(void)
{
    pthread_once(&prepared, prepare);
    return chosen != software ? chosen : NULL;
}

uint32_t slc_crc32c(uint32_t crc, const void *data, size_t len)
{
    pthread_once(&prepared, prepare);
    return chosen(crc, data, len);
}
