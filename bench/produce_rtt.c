/* How long an acknowledgement takes: one Produce request with one record at a time, at a fixed pace, over one
 * connection. What perf tools round to milliseconds is the whole figure here.
 *
 * usage: bench-produce-rtt PORT TOPIC ACKS PER_SECOND SECONDS RECORD_BYTES
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/client.h"

#define FRAME_MAX (64 * 1024)

typedef struct writer {
    uint8_t data[FRAME_MAX];
    size_t len;
} writer;

static void put(writer *w, uint64_t value, size_t bytes)
{
    for (size_t i = bytes; i > 0; i--)
        w->data[w->len++] = (uint8_t)(value >> (8 * (i - 1)));
}

static void put_bytes(writer *w, const void *data, size_t len)
{
    memcpy(w->data + w->len, data, len);
    w->len += len;
}

static void put_text(writer *w, const char *text)
{
    put(w, strlen(text), 2);
    put_bytes(w, text, strlen(text));
}

static void put_varint(writer *w, int64_t value)
{
    uint64_t zigzag = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    for (; zigzag >= 0x80; zigzag >>= 7)
        w->data[w->len++] = (uint8_t)(zigzag | 0x80);
    w->data[w->len++] = (uint8_t)zigzag;
}

static void patch(writer *w, size_t at, uint32_t value)
{
    uint32_t big = htonl(value);
    memcpy(w->data + at, &big, sizeof big);
}

static uint32_t crc32c(const uint8_t *data, size_t len)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
    }
    return ~crc;
}

/* A record batch (magic 2) with one record of `len` bytes. */
static void put_batch(writer *w, size_t len)
{
    size_t begin = w->len, crc_at = begin + 17;
    size_t value_len_bytes = len < 64 ? 1 : len < 8192 ? 2 : 3;
    put(w, 0, 8); /* base offset */
    put(w, 0, 4); /* length, see below */
    put(w, UINT32_MAX, 4);
    put(w, 2, 1);
    put(w, 0, 4); /* CRC, see below */
    put(w, 0, 2);
    put(w, 0, 4);
    put(w, (uint64_t)time(NULL) * 1000, 8);
    put(w, (uint64_t)time(NULL) * 1000, 8);
    put(w, UINT64_MAX, 8);
    put(w, UINT16_MAX, 2);
    put(w, UINT32_MAX, 4);
    put(w, 1, 4);
    put_varint(w, (int64_t)(5 + value_len_bytes + len));
    put(w, 0, 3); /* attributes, both deltas */
    put_varint(w, -1);
    put_varint(w, (int64_t)len);
    memset(w->data + w->len, 'x', len);
    w->len += len;
    put_varint(w, 0); /* headers */
    patch(w, begin + 8, (uint32_t)(w->len - begin - 12));
    patch(w, crc_at, crc32c(w->data + crc_at + 4, w->len - crc_at - 4));
}

/* Produce version 3 is the last word that every broker of today understands. */
static void make_frame(writer *w, const char *topic, int acks, size_t record_bytes)
{
    put(w, 0, 4);
    put(w, 0, 2);
    put(w, 3, 2);
    put(w, 0, 4); /* correlation id, at 8 */
    put_text(w, "bench-produce-rtt");
    put(w, UINT16_MAX, 2);
    put(w, (uint16_t)acks, 2);
    put(w, 10000, 4);
    put(w, 1, 4);
    put_text(w, topic);
    put(w, 1, 4);
    put(w, 0, 4);
    size_t size_at = w->len;
    put(w, 0, 4);
    put_batch(w, record_bytes);
    patch(w, size_at, (uint32_t)(w->len - size_at - 4));
    patch(w, 0, (uint32_t)(w->len - 4));
}

static void wait_for(int fd, short what)
{
    struct pollfd one = {.fd = fd, .events = what};
    if (poll(&one, 1, 10000) != 1)
        die("nothing came within 10 s");
}

static void read_all(int fd, uint8_t *data, size_t len)
{
    for (size_t have = 0; have < len;) {
        ssize_t got = read(fd, data + have, len - have);
        if (got > 0)
            have += (size_t)got;
        else if (got < 0 && errno == EAGAIN)
            wait_for(fd, POLLIN);
        else
            die("the connection was closed");
    }
}

static void send_all(int fd, const uint8_t *data, size_t len)
{
    for (size_t sent = 0; sent < len;) {
        ssize_t got = write(fd, data + sent, len - sent);
        if (got > 0)
            sent += (size_t)got;
        else if (got < 0 && errno == EAGAIN)
            wait_for(fd, POLLOUT);
        else
            die("cannot send: %s", strerror(errno));
    }
}

static void check_answer(const uint8_t *answer, size_t len, uint32_t correlation)
{
    uint32_t id;
    uint16_t name;
    memcpy(&id, answer, 4);
    if (len < 10 || ntohl(id) != correlation)
        die("not the answer to the request");
    memcpy(&name, answer + 8, 2);
    size_t at = 10u + ntohs(name) + 8u;
    if (at + 2 > len || answer[at] != 0 || answer[at + 1] != 0)
        die("the broker did not take the record");
}

static void round_trip(int fd, writer *frame, uint32_t number)
{
    static uint8_t answer[FRAME_MAX];
    uint32_t size;
    patch(frame, 8, number);
    send_all(fd, frame->data, frame->len);
    read_all(fd, answer, 4);
    memcpy(&size, answer, 4);
    size = ntohl(size);
    if (size > sizeof answer)
        die("an answer of %u bytes", size);
    read_all(fd, answer, size);
    check_answer(answer, size, number);
}

static void sleep_until(int64_t us)
{
    struct timespec until = {us / 1000000, us % 1000000 * 1000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

int main(int argc, char **argv)
{
    static writer frame;
    static histogram times;
    if (argc != 7 || strlen(argv[2]) > 255 || atoi(argv[6]) < 1 || atoi(argv[6]) > FRAME_MAX / 2)
        die("usage: bench-produce-rtt PORT TOPIC ACKS PER_SECOND SECONDS RECORD_BYTES");
    int per_second = atoi(argv[4]);
    uint32_t total = (uint32_t)(per_second * atoi(argv[5])), warm_up = total / 10;
    int fd = connect_local(atoi(argv[1]), 0);
    make_frame(&frame, argv[2], atoi(argv[3]), (size_t)atoi(argv[6]));
    int64_t begin = now_us();
    for (uint32_t i = 0; i < total + warm_up; i++) {
        int64_t due = begin + (int64_t)i * 1000000 / per_second, now = now_us();
        if (now < due)
            sleep_until(due);
        now = now_us();
        round_trip(fd, &frame, i);
        if (i >= warm_up)
            histogram_add(&times, now_us() - now);
    }
    printf("{\"requests\": %u, \"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %lld}\n", total,
           1000 * histogram_ms(&times, 0.5), 1000 * histogram_ms(&times, 0.99), (long long)times.max_us);
    close(fd);
    return 0;
}
