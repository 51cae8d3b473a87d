/* Time. Wall clock for what people see, monotonic for waits. Thread safe. */
#ifndef SLC_COMMON_CLOCK_H
#define SLC_COMMON_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t slc_wall_ms(void);      /* milliseconds since 1970-01-01T00:00:00Z */
int64_t slc_monotonic_ms(void); /* CLOCK_MONOTONIC */
int64_t slc_monotonic_us(void);
int64_t slc_monotonic_about_ms(void); /* up to 10 ms behind, for a fifth of the cost: where each record asks */
/* For what-if questions: the wall clock of the calling thread says this from now on; 0: the time again. */
void slc_wall_pretend(int64_t wall_ms);

#define SLC_RFC3339_CHARS 25 /* "2026-11-24T20:18:39.123Z" and NUL */
void slc_rfc3339_format(int64_t wall_ms, char out[SLC_RFC3339_CHARS]);
/* RFC 3339 section 5.6 with any offset, T, t or a space between; fractions beyond milliseconds are cut; a leap
 * second is the last millisecond of its day. False on anything else. */
bool slc_rfc3339_parse(const char *text, size_t len, int64_t *wall_ms);

/* `base_ms` spread evenly over ± percent: for retries and renewals that must not arrive together. */
int64_t slc_jitter_ms(int64_t base_ms, unsigned percent);

#endif
