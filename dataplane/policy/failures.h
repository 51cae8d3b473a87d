/* Failed authentications, counted so that guessing is slow: for each address, for each credential, and for each
 * credential from each address.
 *
 * Once `allowed` attempts failed within `window_ms`, whoever goes on is refused unheard and may try one more
 * each window / allowed. By address, so that one attacker guesses no faster with many credentials; by
 * credential, so that many addresses do not add up: then an address that has failed lately is refused too.
 * Nobody else is: a good credential from a clean address always gets in, and so does one from an address where
 * it was let in before, whatever others do there (they may share it, behind a balancer or a NAT).
 *
 * A table of fixed size of its own (limits.h): what does not fit is not counted. Of one gateway. Any thread.
 */
#ifndef SLC_DATAPLANE_POLICY_FAILURES_H
#define SLC_DATAPLANE_POLICY_FAILURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct slc_failures slc_failures;

typedef struct slc_failures_options {
    int64_t allowed; /* within the window; 0: nothing is counted and nobody refused */
    int64_t window_ms;
    int64_t keys; /* addresses and credentials that are remembered at once */
} slc_failures_options;

/* Registers the metrics of this module; once, before threads start. */
void slc_failures_register_metrics(void);

slc_failures *slc_failures_new(const slc_failures_options *options);
void slc_failures_free(slc_failures *failures); /* NULL is fine */

/* How long to wait before an attempt is heard; 0: none. `credential` NULL: what is presented names none.
 * `failures` NULL: never. */
int64_t slc_failures_wait_ms(slc_failures *failures, const char *address, const char *credential);
/* It failed; whether there is such a credential makes no difference, and so cannot be found out. */
void slc_failures_failed(slc_failures *failures, const char *address, const char *credential);
/* It was good. */
void slc_failures_passed(slc_failures *failures, const char *address, const char *credential);
/* An attempt was refused unheard: for the metric. */
void slc_failures_count(const char *protocol);

#endif
