/* Holds table, walker and rewriter against messages that kafka-clients wrote: see run for the whole exchange.
 *
 *   wire_test MESSAGES MAPPED CUT     reads MESSAGES; writes each with its names mapped, and with marked
 * elements left out
 *
 * For every message: the walk ends exactly at its end, whole and byte by byte; re-encoding every value gives
 * the same bytes; mapping and mapping back gives the same bytes, in one window and in small ones; every
 * truncation and every surplus byte is refused. Every key, version and direction of the table must have been
 * there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "dataplane/kafka/consumer_protocol.h"
#include "dataplane/kafka/edit.h"
#include "dataplane/kafka/rewrite.h"
#include "dataplane/kafka/table.h"
#include "dataplane/kafka/walk.h"
#include "dataplane/kafka/wire.h"

#define LIMIT          (64 * 1024 * 1024)
#define MAX_EDITS      (1024 * 1024)
#define SMALL_WINDOW   7
#define EVERY_CUT_SEED 2 /* messages of later seeds are long: truncated at both ends and at samples between */
#define EDGE_BYTES     96
#define STRIDE         61
#define CORRUPTIONS    8
#define MARK           "-cut"
#define NAME_PREFIX    "ns-"

struct entry {
    int key, version, kind, seed;
    char name[64];
    uint8_t *bytes;
    size_t len;
    const slc_kafka_message *message;
};

static int failures;
static unsigned seen_versions[SLC_KAFKA_KEYS][2]; /* bit masks */

static void fail(const struct entry *e, const char *what, const slc_error *err)
{
    fprintf(stderr, "FAIL %s v%d seed %d: %s%s%s\n", e->name, e->version, e->seed, what,
            err != NULL ? ": " : "", err != NULL ? err->message : "");
    if (++failures > 20)
        exit(1);
}

/* --- files --- */

static bool get(FILE *in, void *to, size_t len)
{
    return len == 0 || fread(to, len, 1, in) == 1;
}

static void must_get(FILE *in, void *to, size_t len)
{
    if (!get(in, to, len)) {
        fprintf(stderr, "wire_test: the file of messages ends early\n");
        exit(2);
    }
}

static const slc_kafka_message *embedded_or_header(const char *name)
{
    const slc_kafka_message *const others[] = {
        slc_kafka_request_header_message, slc_kafka_response_header_message,
        slc_kafka_consumer_protocol_subscription_message, slc_kafka_consumer_protocol_assignment_message};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (strcmp(others[i]->name, name) == 0)
            return others[i];
    }
    return NULL;
}

static bool read_entry(FILE *in, struct entry *e)
{
    uint8_t head[8], size[4];
    if (!get(in, head, sizeof(head)))
        return false;
    e->key = (int16_t)slc_kafka_get16(head);
    e->version = (int16_t)slc_kafka_get16(head + 2);
    e->kind = head[4];
    e->seed = head[5];
    size_t name_len = slc_kafka_get16(head + 6);
    if (name_len >= sizeof(e->name))
        exit(2);
    must_get(in, e->name, name_len);
    e->name[name_len] = '\0';
    must_get(in, size, sizeof(size));
    e->len = slc_kafka_get32(size);
    e->bytes = slc_malloc(e->len + 1);
    must_get(in, e->bytes, e->len);
    return true;
}

static void write_entry(FILE *out, const struct entry *e, const slc_buf *bytes)
{
    uint8_t head[8], size[4];
    slc_kafka_put(head, (uint64_t)e->key, 2);
    slc_kafka_put(head + 2, (uint64_t)e->version, 2);
    head[4] = (uint8_t)e->kind;
    head[5] = (uint8_t)e->seed;
    slc_kafka_put(head + 6, strlen(e->name), 2);
    slc_kafka_put(size, bytes->len, 4);
    fwrite(head, sizeof(head), 1, out);
    fwrite(e->name, strlen(e->name), 1, out);
    fwrite(size, sizeof(size), 1, out);
    if (bytes->len > 0)
        fwrite(bytes->data, bytes->len, 1, out);
}

/* --- walking --- */

static void mix(uint64_t *hash, uint64_t value)
{
    *hash = (*hash ^ value) * UINT64_C(1099511628211);
}

/* The same for a value in one piece and in many. */
static void mix_event(uint64_t *hash, const slc_kafka_event *ev)
{
    if (ev->piece_at == 0) {
        mix(hash, (uint64_t)ev->kind);
        mix(hash, (uint64_t)(uintptr_t)ev->field);
        mix(hash, ev->at);
        mix(hash, ev->prefix);
        mix(hash, ev->total);
        mix(hash, (uint64_t)ev->number);
        mix(hash, (uint64_t)ev->index);
        mix(hash, (uint64_t)ev->resource_type << 16 ^ (uint64_t)ev->pattern_type);
        mix(hash, ev->data == NULL);
    }
    for (size_t i = 0; i < ev->len; i++)
        mix(hash, ev->data[i]);
}

/* Walks `len` bytes as a message of `size`, feeding `window` bytes more each time. */
static enum slc_kafka_step walk(const struct entry *e, size_t len, size_t size, size_t window, uint64_t *hash,
                                slc_error *err)
{
    slc_kafka_walk w;
    slc_kafka_walk_options options = {.wants = SLC_KAFKA_WANT_FIELDS | SLC_KAFKA_WANT_SHAPE |
                                               SLC_KAFKA_WANT_UNKNOWN};
    if (!slc_kafka_walk_init(&w, e->message, e->version, size, &options, err))
        return SLC_KAFKA_FAILED;
    size_t fed = 0;
    for (;;) {
        slc_kafka_event ev;
        enum slc_kafka_step step = slc_kafka_walk_next(&w, &ev, err);
        if (step == SLC_KAFKA_EVENT)
            mix_event(hash, &ev);
        else if (step != SLC_KAFKA_MORE || fed == len)
            return step;
        else {
            fed = fed + window < len ? fed + window : len;
            size_t offset = slc_kafka_walk_offset(&w);
            slc_kafka_walk_feed(&w, e->bytes + offset, fed - offset);
        }
    }
}

static void test_walk(const struct entry *e)
{
    slc_error err = {0};
    uint64_t whole = 0, bytewise = 0;
    if (walk(e, e->len, e->len, e->len + 1, &whole, &err) != SLC_KAFKA_DONE)
        fail(e, "is not walked to its end", &err);
    if (walk(e, e->len, e->len, 1, &bytewise, &err) != SLC_KAFKA_DONE)
        fail(e, "is not walked byte by byte", &err);
    if (whole != bytewise)
        fail(e, "gives other events byte by byte", NULL);
    if (walk(e, e->len, e->len + 1, e->len + 1, &whole, &err) == SLC_KAFKA_DONE)
        fail(e, "is longer than its fields and accepted", NULL);
}

static void test_truncation(const struct entry *e)
{
    for (size_t len = 0; len < e->len;) {
        slc_error err = {0};
        uint64_t hash = 0;
        if (walk(e, len, len, len + 1, &hash, &err) != SLC_KAFKA_FAILED)
            fail(e, "is truncated and accepted", NULL);
        else if (err.code != SLC_INVALID || err.message[0] == '\0')
            fail(e, "is truncated and refused without a reason", &err);
        bool every = e->seed <= EVERY_CUT_SEED || len < EDGE_BYTES || e->len - len <= EDGE_BYTES + STRIDE;
        len += every ? 1 : STRIDE;
    }
    /* The other bound: the frame is as long as it says, and its end has not come yet. */
    for (size_t len = e->len > 64 ? e->len - 64 : 0; len < e->len; len++) {
        slc_error err = {0};
        uint64_t hash = 0;
        if (walk(e, len, e->len, len + 1, &hash, &err) != SLC_KAFKA_MORE)
            fail(e, "is complete before its last byte came", &err);
    }
}

/* --- mapping --- */

struct mapping {
    bool back;
    slc_buf scratch;
    slc_kafka_edits edits; /* of embedded messages */
    slc_kafka_rewrite_ops ops;
    int depth; /* elements around the cursor, for cutting */
};

static bool is_name(const slc_kafka_event *ev)
{
    int type = ev->resource_type;
    switch (ev->field->role) {
    case SLC_KAFKA_ROLE_TOPIC:
    case SLC_KAFKA_ROLE_GROUP:
    case SLC_KAFKA_ROLE_TXN_ID:
        return true;
    case SLC_KAFKA_ROLE_RESOURCE:
        return type == SLC_KAFKA_ACL_TOPIC || type == SLC_KAFKA_ACL_GROUP || type == SLC_KAFKA_ACL_TXN_ID;
    case SLC_KAFKA_ROLE_CONFIG_RESOURCE:
        return type == SLC_KAFKA_CONFIG_TOPIC || type == SLC_KAFKA_CONFIG_GROUP;
    case SLC_KAFKA_ROLE_COORDINATOR_KEY:
        return type == SLC_KAFKA_COORDINATOR_GROUP || type == SLC_KAFKA_COORDINATOR_TXN ||
               type == SLC_KAFKA_UNQUALIFIED;
    default:
        return false;
    }
}

static const char *prefix_of(const slc_kafka_event *ev)
{
    switch (ev->field->role) {
    case SLC_KAFKA_ROLE_HOST:
        return "h.";
    case SLC_KAFKA_ROLE_PATTERN:
        return "p:";
    case SLC_KAFKA_ROLE_ERROR_TEXT:
        return "e:";
    default:
        return is_name(ev) ? NAME_PREFIX : NULL;
    }
}

static enum slc_kafka_verdict map_text(const struct mapping *m, const slc_kafka_event *ev, slc_kafka_value *out,
                                       slc_error *err)
{
    const char *prefix = prefix_of(ev);
    if (prefix == NULL || ev->data == NULL)
        return SLC_KAFKA_KEEP;
    size_t n = strlen(prefix);
    if (!m->back) {
        out->head = (slc_kafka_span){prefix, n};
        out->body = (slc_kafka_span){ev->data, ev->len};
        return SLC_KAFKA_REPLACE;
    }
    if (ev->len < n || memcmp(ev->data, prefix, n) != 0) {
        slc_fail(err, SLC_INVALID, ev->field->name, "%s was not mapped.", ev->field->name);
        return SLC_KAFKA_REFUSE;
    }
    out->body = (slc_kafka_span){ev->data + n, ev->len - n};
    return SLC_KAFKA_REPLACE;
}

static enum slc_kafka_verdict map_embedded(struct mapping *m, const slc_kafka_event *ev, slc_kafka_value *out,
                                           slc_error *err)
{
    slc_buf_clear(&m->scratch);
    if (!slc_kafka_consumer_protocol_rewrite(ev->field->role, ev->data, ev->len, &m->ops, m, &m->edits,
                                             &m->scratch, err))
        return SLC_KAFKA_REFUSE;
    out->body = (slc_kafka_span){m->scratch.data, m->scratch.len};
    return SLC_KAFKA_REPLACE;
}

static enum slc_kafka_verdict map_value(void *ctx, const slc_kafka_event *ev, slc_kafka_value *out,
                                        slc_error *err)
{
    static uint8_t id[16];
    struct mapping *m = ctx;
    switch (ev->field->role) {
    case SLC_KAFKA_ROLE_PORT:
        out->number = ev->number ^ 0x1111;
        return SLC_KAFKA_REPLACE;
    case SLC_KAFKA_ROLE_TOPIC_ID:
        for (size_t i = 0; i < sizeof(id); i++)
            id[i] = ev->data[i] ^ 0x5a;
        out->body = (slc_kafka_span){id, sizeof(id)};
        return SLC_KAFKA_REPLACE;
    case SLC_KAFKA_ROLE_SUBSCRIPTION:
    case SLC_KAFKA_ROLE_ASSIGNMENT:
        return map_embedded(m, ev, out, err);
    default:
        return map_text(m, ev, out, err);
    }
}

/* Every value becomes itself, so that every length, count and integer is written anew. */
static enum slc_kafka_verdict map_same(void *ctx, const slc_kafka_event *ev, slc_kafka_value *out,
                                       slc_error *err)
{
    (void)ctx;
    (void)err;
    bool run = (ev->field->flags & SLC_KAFKA_FIELD_ARRAY) != 0 && ev->index < 0;
    bool integer = slc_kafka_type_size(ev->field->type) > 0 && ev->field->type != SLC_KAFKA_UUID &&
                   ev->field->type != SLC_KAFKA_FLOAT64;
    out->null = ev->data == NULL;
    if (integer && !run) {
        out->number = ev->number;
        return SLC_KAFKA_REPLACE;
    }
    size_t half = ev->field->type == SLC_KAFKA_UUID || ev->field->type == SLC_KAFKA_FLOAT64 ? 0 : ev->len / 2;
    out->head = (slc_kafka_span){ev->data, half};
    out->body = (slc_kafka_span){ev->data != NULL ? ev->data + half : NULL, ev->len - half};
    return SLC_KAFKA_REPLACE;
}

static enum slc_kafka_verdict map_cut(void *ctx, const slc_kafka_event *ev, slc_kafka_value *out,
                                      slc_error *err)
{
    struct mapping *m = ctx;
    (void)out;
    (void)err;
    if (ev->kind != SLC_KAFKA_EV_VALUE) {
        m->depth += ev->kind == SLC_KAFKA_EV_ELEMENT ? 1 : -1;
        return SLC_KAFKA_KEEP;
    }
    size_t n = strlen(MARK);
    if (!is_name(ev) || ev->len < n || memcmp(ev->data + ev->len - n, MARK, n) != 0)
        return SLC_KAFKA_KEEP;
    if (ev->index >= 0)
        return SLC_KAFKA_DROP;
    if (m->depth == 0)
        return SLC_KAFKA_KEEP;
    m->depth--;
    return SLC_KAFKA_DROP;
}

static const uint64_t NAMES = SLC_KAFKA_WANT(SLC_KAFKA_ROLE_TOPIC) | SLC_KAFKA_WANT(SLC_KAFKA_ROLE_GROUP) |
                              SLC_KAFKA_WANT(SLC_KAFKA_ROLE_TXN_ID) | SLC_KAFKA_WANT(SLC_KAFKA_ROLE_RESOURCE) |
                              SLC_KAFKA_WANT(SLC_KAFKA_ROLE_CONFIG_RESOURCE) |
                              SLC_KAFKA_WANT(SLC_KAFKA_ROLE_COORDINATOR_KEY);
static const uint64_t EMBEDDED =
    SLC_KAFKA_WANT(SLC_KAFKA_ROLE_SUBSCRIPTION) | SLC_KAFKA_WANT(SLC_KAFKA_ROLE_ASSIGNMENT);
static const uint64_t OTHERS = SLC_KAFKA_WANT(SLC_KAFKA_ROLE_HOST) | SLC_KAFKA_WANT(SLC_KAFKA_ROLE_PORT) |
                               SLC_KAFKA_WANT(SLC_KAFKA_ROLE_TOPIC_ID) |
                               SLC_KAFKA_WANT(SLC_KAFKA_ROLE_PATTERN) |
                               SLC_KAFKA_WANT(SLC_KAFKA_ROLE_ERROR_TEXT);

static bool rewrite(const struct entry *e, const uint8_t *in, size_t len, const slc_kafka_rewrite_ops *ops,
                    struct mapping *m, size_t window, slc_buf *out, slc_error *err)
{
    slc_kafka_edits edits;
    slc_kafka_rewriter rw;
    slc_kafka_edits_init(&edits, MAX_EDITS, LIMIT);
    m->depth = 0;
    enum slc_kafka_step step = SLC_KAFKA_FAILED;
    size_t fed = 0;
    if (slc_kafka_rewriter_init(&rw, e->message, e->version, len, ops, m, &edits, err)) {
        while ((step = slc_kafka_rewriter_run(&rw, err)) == SLC_KAFKA_MORE && fed < len) {
            fed = fed + window < len ? fed + window : len;
            size_t offset = slc_kafka_rewriter_offset(&rw);
            slc_kafka_rewriter_feed(&rw, in + offset, fed - offset);
        }
    }
    slc_buf_clear(out);
    bool done = step == SLC_KAFKA_DONE && slc_kafka_edits_apply(&edits, in, len, out, err);
    slc_kafka_edits_release(&edits);
    return done;
}

static bool same(const slc_buf *buf, const uint8_t *bytes, size_t len)
{
    return buf->len == len && (len == 0 || memcmp(buf->data, bytes, len) == 0);
}

static void test_same(const struct entry *e, struct mapping *m, slc_buf *out)
{
    slc_error err = {0};
    slc_kafka_rewrite_ops ops = {
        .roles = SLC_KAFKA_WANT_FIELDS, .whole = SLC_KAFKA_WANT_FIELDS, .map = map_same};
    if (!rewrite(e, e->bytes, e->len, &ops, m, e->len + 1, out, &err))
        fail(e, "cannot be re-encoded", &err);
    else if (!same(out, e->bytes, e->len))
        fail(e, "is not the same after re-encoding", NULL);
}

static void test_map(const struct entry *e, struct mapping *m, slc_buf *mapped, slc_buf *out)
{
    slc_error err = {0};
    m->back = false;
    if (!rewrite(e, e->bytes, e->len, &m->ops, m, SMALL_WINDOW, out, &err))
        fail(e, "cannot be mapped in small windows", &err);
    if (!rewrite(e, e->bytes, e->len, &m->ops, m, e->len + 1, mapped, &err))
        fail(e, "cannot be mapped", &err);
    if (!same(mapped, out->data, out->len))
        fail(e, "is mapped otherwise in small windows", NULL);
    m->back = true;
    if (!rewrite(e, mapped->data, mapped->len, &m->ops, m, mapped->len + 1, out, &err))
        fail(e, "cannot be mapped back", &err);
    else if (!same(out, e->bytes, e->len))
        fail(e, "is not the same after mapping and mapping back", NULL);
}

static void test_cut(const struct entry *e, struct mapping *m, slc_buf *out)
{
    slc_error err = {0};
    slc_kafka_rewrite_ops ops = {.roles = NAMES | SLC_KAFKA_WANT_SHAPE, .map = map_cut};
    if (!rewrite(e, e->bytes, e->len, &ops, m, e->len + 1, out, &err))
        fail(e, "cannot leave elements out", &err);
}

/* Damaged bytes end in an error or in another valid message, never in a crash (the sanitizers watch). */
static void test_corruption(const struct entry *e, struct mapping *m, slc_buf *out)
{
    uint64_t state = 88172645463325252u + e->len;
    m->back = false;
    for (int i = 0; i < CORRUPTIONS && e->len > 0; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint8_t *byte = &e->bytes[(state >> 33) % e->len];
        uint8_t before = *byte;
        slc_error err = {0};
        *byte = (uint8_t)(state >> 20);
        if (!rewrite(e, e->bytes, e->len, &m->ops, m, e->len + 1, out, &err) && err.code == SLC_OK)
            fail(e, "is damaged and refused without a reason", NULL);
        *byte = before;
    }
}

/* --- coverage --- */

static void note_coverage(const struct entry *e)
{
    if (e->key >= 0 && e->key < SLC_KAFKA_KEYS)
        seen_versions[e->key][e->kind == SLC_KAFKA_RESPONSE] |= 1u << e->version;
}

static int count_coverage(int *keys)
{
    int combinations = 0;
    for (int key = 0; key < SLC_KAFKA_KEYS; key++) {
        const slc_kafka_api *api = &slc_kafka_apis[key];
        *keys += api->request != NULL;
        for (int direction = 0; direction < 2 && api->request != NULL; direction++) {
            const slc_kafka_message *message = direction == 0 ? api->request : api->response;
            for (int v = message->in.since; v <= message->in.until; v++, combinations++) {
                if ((seen_versions[key][direction] & 1u << v) == 0) {
                    fprintf(stderr, "FAIL %s v%d was not among the messages\n", message->name, v);
                    failures++;
                }
            }
        }
    }
    return combinations;
}

static void test_entry(struct entry *e, struct mapping *m, slc_buf *a, slc_buf *b, FILE *mapped, FILE *cut)
{
    slc_error err = {0};
    e->message = e->kind <= SLC_KAFKA_RESPONSE ? slc_kafka_message_find(e->key, e->version, e->kind, &err)
                                               : embedded_or_header(e->name);
    if (e->message == NULL || strcmp(e->message->name, e->name) != 0) {
        fail(e, "is not in the table", &err);
        return;
    }
    note_coverage(e);
    test_walk(e);
    test_same(e, m, a);
    test_map(e, m, a, b);
    write_entry(mapped, e, a);
    test_cut(e, m, a);
    write_entry(cut, e, a);
    test_truncation(e);
    test_corruption(e, m, a);
}

static FILE *must_open(const char *path, const char *mode)
{
    FILE *file = fopen(path, mode);
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    return file;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: wire_test MESSAGES MAPPED CUT\n");
        return 2;
    }
    FILE *in = must_open(argv[1], "rb"), *mapped = must_open(argv[2], "wb"), *cut = must_open(argv[3], "wb");
    struct mapping m = {.ops = {.roles = NAMES | EMBEDDED | OTHERS, .whole = EMBEDDED, .map = map_value}};
    slc_buf a, b;
    slc_buf_init(&a, LIMIT);
    slc_buf_init(&b, LIMIT);
    slc_buf_init(&m.scratch, LIMIT);
    slc_kafka_edits_init(&m.edits, MAX_EDITS, LIMIT);
    int messages = 0, keys = 0;
    struct entry e;
    for (; read_entry(in, &e); messages++, free(e.bytes))
        test_entry(&e, &m, &a, &b, mapped, cut);
    int combinations = count_coverage(&keys);
    slc_kafka_edits_release(&m.edits);
    slc_buf_release(&m.scratch);
    slc_buf_release(&b);
    slc_buf_release(&a);
    fclose(in);
    if (fclose(mapped) != 0 || fclose(cut) != 0)
        failures++;
    printf("wire: %d messages, %d keys, %d combinations, %d failures\n", messages, keys, combinations,
           failures);
    return failures > 0;
}
