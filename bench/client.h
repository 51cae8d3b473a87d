/* What the load generators share: a socket, an answer's head, and a histogram of times. Errors end the program:
 * it measures, and what went wrong makes its figures worthless. */
#ifndef SLC_BENCH_CLIENT_H
#define SLC_BENCH_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Prints to standard error and ends with status 1. */
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

int64_t now_us(void);
/* A non-blocking connection to 127.0.0.1, connected. `receive_bytes` 0: the kernel's default. */
int connect_local(int port, int receive_bytes);
/* Raises the limit of open files to `wanted` or as far as it goes; returns what it is. */
size_t raise_file_limit(size_t wanted);

/* The lines of a file, which stay for ever: requests that each bring another key take them from here. */
const char *const *read_lines(const char *file, size_t *count);
/* One of them, by a generator of its own, so that two runs ask for the same ones. */
const char *next_line(const char *const *lines, size_t count);

/* The head of an answer that begins at `text`: true when it is whole. `body` is where the body begins, `length`
 * its Content-Length (-1: none told). */
typedef struct answer_head {
    int status;
    size_t body;
    int64_t length;
} answer_head;
bool read_head(const char *text, size_t len, answer_head *out);

/* Times from 1 us to some minutes, within 1.6 %. */
typedef struct histogram {
    uint64_t counts[2048];
    uint64_t total;
    int64_t max_us;
} histogram;
void histogram_add(histogram *h, int64_t us);
double histogram_ms(const histogram *h, double quantile);

#endif
