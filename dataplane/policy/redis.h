/* A connection to one Redis server that runs one script, asynchronously, on a worker's loop.
 *
 * hiredis writes and reads the protocol (RESP); the connection is libevent's, because Debian's hiredis (0.14)
 * has no TLS. It is made at once, and again after every failure. What was asked and not answered is failed,
 * never sent twice.
 */
#ifndef SLC_DATAPLANE_POLICY_REDIS_H
#define SLC_DATAPLANE_POLICY_REDIS_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct event_base;
typedef struct slc_redis slc_redis;

typedef struct slc_redis_options {
    char *address;       /* HOST:PORT; NULL: there is none */
    char *username;      /* NULL: the server's default user */
    char *password_file; /* read at each connection; NULL: no password */
    int64_t database;
    bool tls;
    char *ca_file;       /* PEM; NULL: the system's authorities */
    int64_t timeout_ms;  /* for a connection to be ready, and for an answer; then it is made anew */
    int64_t retry_ms;    /* from a failure to the next attempt, jittered */
    int64_t pending_max; /* questions that wait for their answer */
} slc_redis_options;

/* Options (borrowed, must outlive it) are checked; `script` is Lua. NULL on error. */
slc_redis *slc_redis_new(struct event_base *base, const slc_redis_options *options, const char *script,
                         slc_error *err) SLC_CHECKED;
/* Questions that wait are failed. NULL is fine. */
void slc_redis_free(slc_redis *redis);

bool slc_redis_ready(const slc_redis *redis);
/* Runs the script with one key. `done` is called once, later: with the reply (borrowed), or NULL when there
 * will be none. False: not now, and `done` is not called. */
bool slc_redis_run(slc_redis *redis, const char *key, unsigned count, const char *const *arguments,
                   void (*done)(const redisReply *reply, void *arg), void *arg);

#endif
