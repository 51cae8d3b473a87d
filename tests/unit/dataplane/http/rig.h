/* A worker's HTTP front on a thread of its own, the sample snapshot behind it, and a handler that does what the
 * test says instead of mediation. Clients are plain blocking sockets. */
#ifndef SLC_TEST_HTTP_RIG_H
#define SLC_TEST_HTTP_RIG_H

#include "dataplane/http/exchange.h"
#include "dataplane/http/front.h"
#include "tests/unit/dataplane/policy/asker.h"

#define RIG_KEY        "X-API-Key: " ASKER_KEY "\r\n"
#define RIG_GIVE_UP_MS 45000

/* What the handler does with an exchange; the test changes it between requests. */
enum rig_mode {
    RIG_REPLY,        /* 200 with a short JSON body; POST: the body's length */
    RIG_HOLD,         /* keeps it until rig_answer; lets go when the client goes */
    RIG_HOLD_BLINDLY, /* keeps it and has no on_abort: the front lets go for it */
    RIG_STREAM,       /* starts a stream with "first;" and keeps it */
    RIG_FLOOD,        /* a stream that always writes more */
};

struct rig {
    slc_gateway_limits limits; /* bend before rig_open */
    char access_log[64];       /* a temporary file */
    struct asker *asker;       /* its maker is the configuration; bend before rig_open, or rig_apply */
    slc_worker worker;
    slc_access_file *access_file;
    char port[8];
    int fd; /* of the listener, while it opens */

    /* The worker's thread; read elsewhere by rig_call or atomically. */
    enum rig_mode mode;
    slc_exchange *held;
    unsigned handled, aborted, written;
};

struct rig *rig_new(void);
void rig_open(struct rig *rig);
/* Ends everything; what is held is given up. The access log stays until rig_free. */
void rig_close(struct rig *rig);
void rig_free(struct rig *rig);

/* Runs on the worker's thread and waits. */
void rig_call(struct rig *rig, void (*fn)(struct rig *rig));
void rig_set_mode(struct rig *rig, enum rig_mode mode);
/* Rebuilds the snapshot and swaps it in. */
void rig_apply(struct rig *rig);
bool rig_idle(struct rig *rig); /* no exchange is open */
bool rig_holds(struct rig *rig);
unsigned rig_aborted(struct rig *rig);

#define RIG_WAIT(condition)                                                                                    \
    do {                                                                                                       \
        int64_t rig_give_up = slc_monotonic_ms() + RIG_GIVE_UP_MS;                                             \
        while (!(condition) && slc_monotonic_ms() < rig_give_up)                                               \
            usleep(2000);                                                                                      \
        ck_assert_msg(condition, "not reached: %s", #condition);                                               \
    } while (0)

/* A new connection; ck_aborts when it cannot be made. */
int rig_connect(struct rig *rig);
void rig_send(int fd, const char *text);
/* Reads until `marker` was seen (NULL: until the end) and returns everything read; the caller frees. Fails
 * after RIG_GIVE_UP_MS. */
char *rig_read(int fd, const char *marker);
/* Reads one answer: head and, by Content-Length, body. The caller frees. */
char *rig_answer_of(int fd, bool head_request);
/* One request on a connection of its own; the caller frees. */
char *rig_ask(struct rig *rig, const char *request_line, const char *headers, const char *body);
int rig_status(const char *answer);
/* Case-insensitive; the value of a header of the answer in a static buffer, or NULL. */
const char *rig_header(const char *answer, const char *name);
void rig_reset(int fd); /* closes with a RST */

#endif
