/* Time zones for C: what a clock shows somewhere. From the machine's zone files (IANA's, in TZDIR or
 * /usr/share/zoneinfo), each read once. Thread safe. */
#ifndef SLC_COMMON_TZ_TZ_FACE_H
#define SLC_COMMON_TZ_TZ_FACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* May it be one: a name like Europe/Berlin, or an offset like +02:00? */
bool slc_tz_is_name(const char *name, size_t len);
/* Does this machine know it? */
bool slc_tz_is_known(const char *name, size_t len);
/* Seconds that its clocks are ahead of UTC at a time since 1970. False: it is not known. */
bool slc_tz_offset(const char *name, size_t len, int64_t seconds, int32_t *offset);

#ifdef __cplusplus
}
#endif

#endif
