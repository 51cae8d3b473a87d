#include "dataplane/policy/failures.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/metrics.h"
#include "common/network.h"
#include "dataplane/policy/limits.h"

#define KNOWN_WINDOWS 60 /* for so many windows an address is known to be good for a credential */
#define KEY_CHARS     128

struct slc_failures {
    slc_limits *limits;
    slc_limits
        *known; /* which addresses are good for which credentials: whoever fills it pushes no failure out */
    int64_t window_ns, cost_ns;
};

static const slc_metric metrics[] = {
    {"sluice_authentication_refused_total",
     SLC_COUNTER,
     "Attempts to authenticate that were refused unheard, because too many failed before.",
     {"protocol"},
     0,
     NULL},
    {NULL, SLC_COUNTER, NULL, {NULL}, 0, NULL},
};

void slc_failures_register_metrics(void)
{
    slc_metrics_register(metrics);
}

void slc_failures_count(const char *protocol)
{
    slc_series_add(slc_metrics_series("sluice_authentication_refused_total", &protocol), 1);
}

slc_failures *slc_failures_new(const slc_failures_options *options)
{
    if (options->allowed == 0)
        return NULL;
    slc_failures *failures = slc_calloc(1, sizeof *failures);
    failures->limits = slc_limits_new((size_t)options->keys);
    failures->known = slc_limits_new((size_t)options->keys);
    failures->window_ns = options->window_ms * 1000000;
    failures->cost_ns = failures->window_ns / options->allowed;
    return failures;
}

void slc_failures_free(slc_failures *failures)
{
    if (failures == NULL)
        return;
    slc_limits_free(failures->limits);
    slc_limits_free(failures->known);
    free(failures);
}

/* The credential as one address presents it. */
static void name_pair(const char *host, const char *credential, char out[KEY_CHARS])
{
    snprintf(out, KEY_CHARS, "%s %.64s", host, credential);
}

static int64_t owed_ns(const slc_failures *failures, const char *what, const char *who, int64_t now_ns)
{
    return slc_limits_owed_ns(failures->limits, slc_limits_hash(failures->limits, what, who), now_ns);
}

/* Beyond what may fail. */
static int64_t over_ns(const slc_failures *failures, const char *what, const char *who, int64_t now_ns)
{
    int64_t over = owed_ns(failures, what, who, now_ns) - (failures->window_ns - failures->cost_ns);
    return over > 0 ? over : 0;
}

static bool is_known(const slc_failures *failures, const char *pair, int64_t now_ns)
{
    return slc_limits_owed_ns(failures->known, slc_limits_hash(failures->known, "good", pair), now_ns) > 0;
}

static int64_t longer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t slc_failures_wait_ms(slc_failures *failures, const char *address, const char *credential)
{
    char host[SLC_NETWORK_SUBJECT], pair[KEY_CHARS];
    if (failures == NULL || slc_limits_is_quiet(failures->limits))
        return 0;
    int64_t now_ns = slc_limits_now_ns(), wait = 0;
    bool known = false;
    slc_network_subject(address, host);
    if (credential != NULL) {
        name_pair(host, credential, pair);
        known = is_known(failures, pair, now_ns);
        wait = over_ns(failures, "pair", pair, now_ns);
    }
    if (!known)
        wait = longer(wait, over_ns(failures, "address", host, now_ns));
    if (!known && credential != NULL && owed_ns(failures, "address", host, now_ns) > 0)
        wait = longer(wait, over_ns(failures, "credential", credential, now_ns));
    return wait > 0 ? wait / 1000000 + 1 : 0;
}

static void owe(slc_failures *failures, const char *what, const char *who)
{
    slc_limits_owe(failures->limits, slc_limits_hash(failures->limits, what, who), failures->cost_ns,
                   failures->window_ns, slc_limits_now_ns());
}

void slc_failures_failed(slc_failures *failures, const char *address, const char *credential)
{
    char host[SLC_NETWORK_SUBJECT], pair[KEY_CHARS];
    if (failures == NULL)
        return;
    slc_network_subject(address, host);
    owe(failures, "address", host);
    if (credential == NULL)
        return;
    name_pair(host, credential, pair);
    owe(failures, "pair", pair);
    owe(failures, "credential", credential);
}

void slc_failures_passed(slc_failures *failures, const char *address, const char *credential)
{
    char host[SLC_NETWORK_SUBJECT], pair[KEY_CHARS];
    if (failures == NULL)
        return;
    int64_t long_ns = KNOWN_WINDOWS * failures->window_ns;
    slc_network_subject(address, host);
    name_pair(host, credential, pair);
    slc_limits_owe(failures->known, slc_limits_hash(failures->known, "good", pair), long_ns, long_ns,
                   slc_limits_now_ns());
}
