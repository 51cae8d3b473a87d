/* A control plane for the tests of the config client: real gRPC and TLS on 127.0.0.1, scripted behaviour. It
 * runs on a thread of its own; what tests read is behind its lock (fake_wait). */
#ifndef SLC_TEST_CONFIG_FAKE_CONTROL_H
#define SLC_TEST_CONFIG_FAKE_CONTROL_H

#include <openssl/x509.h>
#include <pthread.h>
#include <stdbool.h>

#include "common/clock.h"
#include "common/rpc/rpc.h"
#include "maker.h"

#define FAKE_TOKEN "slc_0123456789abcdef_0123456789abcdef0123456789abcdef"

struct fake_seen {
    unsigned hellos, acks, nacks, statuses, chunk_requests, chunks_sent, enrols, renewals, bad_renewals, ends;
    uint64_t acked_version, nacked_version, held_version;
    uint8_t held_sha256[32];
    bool held;
    unsigned retries, parts;
    uint64_t retried_version, connections, total;
    bool retry_worked, last_part;
    char entity[160], message[400];
};

struct fake {
    slc_loop *loop;
    slc_rpc *rpc;
    EVP_PKEY *ca_key, *server_key;
    X509 *ca, *server;
    slc_rpc_server *config, *enrolment;
    slc_rpc_method config_methods[2], enrolment_methods[3];
    uint16_t config_port, enrolment_port;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct fake_seen seen;
    struct maker *maker; /* what is pushed; NULL: nothing */
    int64_t leaf_ms;     /* life of node certificates */
    enum slc_rpc_status enrol_status;
    bool lie_about_chunks, send_unasked_chunk, welcome_twice, push_garbage, push_before_welcome, mute;

    /* the loop's */
    slc_rpc_call *stream;
    struct fake_queue *queue, **tail;
    unsigned nonce;
    unsigned stopping;
};

void fake_start(struct fake *fake);
void fake_stop(struct fake *fake);
/* The two ports go away and come back, on the same numbers. */
void fake_close_ports(struct fake *fake);
void fake_open_ports(struct fake *fake);
/* Pushes what `maker` (borrowed until the next push) says, to the open stream and to those that come. */
void fake_push(struct fake *fake, struct maker *maker);
/* The same manifest again, as the test has bent it. */
void fake_push_as_it_is(struct fake *fake);
/* Asks the open stream who is connected. */
void fake_ask(struct fake *fake);
/* A join string for it; new. `wrong_pin` spoils the pin. */
char *fake_join(struct fake *fake, bool wrong_pin);
/* Waits until the condition holds, at most FAKE_WAIT_MS in all: heartbeats wake it, and must not prolong it.
 * The lock is held while the condition is looked at. */
#define FAKE_WAIT_MS 45000
#define fake_wait(fake, condition)                                                                             \
    do {                                                                                                       \
        int64_t since_ = slc_monotonic_ms();                                                                   \
        pthread_mutex_lock(&(fake)->lock);                                                                     \
        while (!(condition))                                                                                   \
            ck_assert_msg(fake_turn(fake, since_), "waited in vain for %s", #condition);                       \
        pthread_mutex_unlock(&(fake)->lock);                                                                   \
    } while (0)
/* Waits for a change, or until the time since `since_ms` is up: then false. */
bool fake_turn(struct fake *fake, int64_t since_ms);

#endif
