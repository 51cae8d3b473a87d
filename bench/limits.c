/* What a check of a limit costs: as a request makes it, from the texts of limit and subject to the answer, with
 * all four kinds limited, and what it costs later.
 *
 *   bench-limits THREADS SUBJECTS CHECKS
 *
 * The threads take their subjects at random from the same ones. Prints one JSON object: nanoseconds of CPU. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/alloc.h"
#include "dataplane/policy/limits.h"

#define KEYS          65536
#define SUBJECT_CHARS 24
#define MAX_THREADS   64

static slc_limits *limits;
static char (*subjects)[SUBJECT_CHARS];
static uint64_t subject_count, checks;

struct thread {
    pthread_t id;
    uint64_t random, refused;
    double check_ns, all_ns;
};

static double cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* xorshift64 (Marsaglia, 2003). */
static const char *any_subject(struct thread *thread)
{
    thread->random ^= thread->random << 13;
    thread->random ^= thread->random >> 7;
    thread->random ^= thread->random << 17;
    return subjects[thread->random % subject_count];
}

static void check(struct thread *thread, slc_charges *charges)
{
    static const slc_rates rates = {
        .per_second = {1000000, 1000000, 1000000000}, .streams = 1000, .burst_s = 1};
    slc_limit_answer answer;
    uint64_t hash = slc_limits_hash(limits, "rl0123456789abcd", any_subject(thread));
    int64_t now_ns = slc_limits_now_ns();
    slc_limit_place *place = slc_limits_place(limits, hash, now_ns);
    slc_limits_settle(place, hash, &rates, now_ns);
    thread->refused += !slc_charges_take(charges, place, &rates, true, now_ns, &answer);
}

static void *run(void *arg)
{
    struct thread *thread = arg;
    double begun = cpu_ns();
    for (uint64_t i = 0; i < checks; i++) {
        slc_charges charges = {.limits = limits};
        check(thread, &charges);
        slc_charges_release(&charges);
    }
    thread->check_ns = (cpu_ns() - begun) / (double)checks;
    begun = cpu_ns();
    for (uint64_t i = 0; i < checks; i++) {
        slc_charges charges = {.limits = limits};
        check(thread, &charges);
        slc_charges_add(&charges, 1, 200, slc_limits_now_ns());
        slc_charges_release(&charges);
    }
    thread->all_ns = (cpu_ns() - begun) / (double)checks;
    return NULL;
}

int main(int argc, char **argv)
{
    struct thread threads[MAX_THREADS] = {0};
    double check_ns = 0, all_ns = 0;
    uint64_t refused = 0;
    size_t count = argc == 4 ? strtoul(argv[1], NULL, 10) : 0;
    if (count == 0 || count > MAX_THREADS || (subject_count = strtoull(argv[2], NULL, 10)) == 0 ||
        (checks = strtoull(argv[3], NULL, 10)) == 0) {
        fprintf(stderr, "usage: bench-limits THREADS SUBJECTS CHECKS\n");
        return 2;
    }
    limits = slc_limits_new(KEYS);
    subjects = slc_calloc(subject_count, sizeof *subjects);
    for (uint64_t i = 0; i < subject_count; i++)
        snprintf(subjects[i], sizeof subjects[i], "app-%012u", (unsigned)i);
    for (size_t i = 0; i < count; i++) {
        threads[i].random = 88172645463325252 + i;
        pthread_create(&threads[i].id, NULL, run, &threads[i]);
    }
    for (size_t i = 0; i < count; i++) {
        pthread_join(threads[i].id, NULL);
        check_ns += threads[i].check_ns / (double)count;
        all_ns += threads[i].all_ns / (double)count;
        refused += threads[i].refused;
    }
    printf("{\"check_ns\":%.1f,\"check_and_pay_ns\":%.1f,\"refused\":%" PRIu64 "}\n", check_ns, all_ns,
           refused);
    free(subjects);
    slc_limits_free(limits);
    return 0;
}
