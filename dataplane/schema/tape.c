#include "dataplane/schema/tape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/json.h"
#include "dataplane/mediation/json_scan.h"
#include "dataplane/schema/number.h"

void slc_tape_init(slc_tape *tape)
{
    *tape = (slc_tape){0};
    slc_buf_init(&tape->scratch, UINT32_MAX);
}

void slc_tape_release(slc_tape *tape)
{
    free(tape->nodes);
    slc_buf_release(&tape->scratch);
    *tape = (slc_tape){0};
}

void slc_tape_trim(slc_tape *tape, size_t keep_bytes)
{
    if (tape->cap * sizeof *tape->nodes > keep_bytes) {
        free(tape->nodes);
        tape->nodes = NULL;
        tape->count = tape->cap = 0;
    }
    if (tape->scratch.cap > keep_bytes) {
        slc_buf_release(&tape->scratch);
        slc_buf_init(&tape->scratch, UINT32_MAX);
    }
}

/* ---- reading: the text was found to be JSON before, so that each token can be taken for granted ---- */

struct reader {
    slc_tape *tape;
    const char *text;
    uint32_t at, len;
    uint32_t parents[SLC_JSON_SCAN_DEPTH];
    unsigned depth;
    slc_tape_node name; /* of the member that is about to come */
};

static uint32_t skip_space(const struct reader *reader, uint32_t at)
{
    while (at < reader->len && (uint8_t)reader->text[at] <= ' ')
        at++;
    return at;
}

/* `at` is behind the opening quote; the place of the closing one. */
static uint32_t string_end(const struct reader *reader, uint32_t at, bool *escaped)
{
    const char *from = reader->text + at, *quote = from;
    *escaped = false;
    for (;;) {
        quote = memchr(quote, '"', reader->len - (size_t)(quote - reader->text));
        SLC_BUG_ON(quote == NULL);
        const char *before = quote;
        while (before > from && before[-1] == '\\')
            before--;
        if ((quote - before) % 2 == 0)
            break;
        quote++;
    }
    *escaped = memchr(from, '\\', (size_t)(quote - from)) != NULL;
    return (uint32_t)(quote - reader->text);
}

static slc_tape_node *append(slc_tape *tape)
{
    if (tape->count == tape->cap) {
        if (tape->cap == SLC_TAPE_MAX_NODES)
            return NULL;
        tape->cap = tape->cap == 0 ? 64 : tape->cap * 2;
        tape->nodes = slc_realloc(tape->nodes, tape->cap * sizeof *tape->nodes);
    }
    return &tape->nodes[tape->count++];
}

static void read_name(struct reader *reader)
{
    uint32_t end = string_end(reader, reader->at + 1, &reader->name.name_escaped);
    reader->name.name_at = reader->at + 1;
    reader->name.name_len = end - reader->at - 1;
    reader->at = skip_space(reader, end + 1);
    reader->at = skip_space(reader, reader->at + 1); /* the colon */
}

static uint32_t scalar_end(const struct reader *reader, uint32_t at)
{
    while (at < reader->len && strchr(",]} \t\r\n", reader->text[at]) == NULL)
        at++;
    return at;
}

static void close_value(struct reader *reader)
{
    slc_tape *tape = reader->tape;
    slc_tape_node *node = &tape->nodes[reader->parents[--reader->depth]];
    reader->at++;
    node->len = reader->at - node->at;
    node->next = tape->count;
}

/* One value, or the beginning of an object or array. */
static bool read_value(struct reader *reader)
{
    slc_tape_node *node = append(reader->tape);
    if (node == NULL)
        return false;
    char c = reader->text[reader->at];
    *node = reader->name;
    node->at = reader->at;
    node->type = c == '-' || (c >= '0' && c <= '9') ? '0' : c;
    reader->name = (slc_tape_node){0};
    if (reader->depth > 0)
        reader->tape->nodes[reader->parents[reader->depth - 1]].count++;
    if (c == '{' || c == '[') {
        reader->parents[reader->depth++] = reader->tape->count - 1;
        reader->at++;
        return true;
    }
    reader->at =
        c == '"' ? string_end(reader, reader->at + 1, &node->escaped) + 1 : scalar_end(reader, reader->at);
    node->len = reader->at - node->at;
    node->next = reader->tape->count;
    return true;
}

static bool read_all(struct reader *reader)
{
    do {
        reader->at = skip_space(reader, reader->at);
        char c = reader->text[reader->at];
        if (reader->depth > 0 && (c == '}' || c == ']')) {
            close_value(reader);
            continue;
        }
        if (reader->depth > 0 && c == ',')
            reader->at = skip_space(reader, reader->at + 1);
        if (reader->depth > 0 && reader->tape->nodes[reader->parents[reader->depth - 1]].type == '{')
            read_name(reader);
        if (!read_value(reader))
            return false;
    } while (reader->depth > 0);
    return true;
}

bool slc_tape_read(slc_tape *tape, const char *text, size_t len, slc_error *err)
{
    slc_json_info info;
    tape->count = 0;
    tape->text = text;
    if (len >= UINT32_MAX)
        return slc_fail(err, SLC_TOO_LARGE, NULL, "it is too large to be looked into");
    if (!slc_json_scan(text, len, &info))
        return slc_fail(err, SLC_INVALID, NULL, "it is not JSON: byte %zu: %s", info.error_at, info.error);
    struct reader reader = {.tape = tape, .text = text, .len = (uint32_t)len};
    return read_all(&reader) ||
           slc_fail(err, SLC_TOO_LARGE, NULL, "it has more than %u values in it", SLC_TAPE_MAX_NODES);
}

/* ---- looking ---- */

/* `at` and `len` are those between the quotes. */
static slc_text text_of(slc_tape *tape, uint32_t at, uint32_t len, bool escaped)
{
    if (!escaped)
        return (slc_text){tape->text + at, len};
    slc_buf_clear(&tape->scratch);
    slc_json_slice string = {tape->text + at - 1, (size_t)len + 2};
    char *out = (char *)slc_buf_extend(&tape->scratch, len);
    return (slc_text){out, slc_json_unescape(&string, out)};
}

slc_text slc_tape_string(slc_tape *tape, uint32_t node)
{
    const slc_tape_node *n = &tape->nodes[node];
    return text_of(tape, n->at + 1, n->len - 2, n->escaped);
}

slc_text slc_tape_name(slc_tape *tape, uint32_t node)
{
    const slc_tape_node *n = &tape->nodes[node];
    return text_of(tape, n->name_at, n->name_len, n->name_escaped);
}

bool slc_text_is(slc_text text, const char *other, size_t len)
{
    return text.len == len && memcmp(text.data, other, len) == 0;
}

/* The object or array that a node lies in; its place there in `*place`. */
static uint32_t parent_of(const slc_tape *tape, uint32_t node, uint32_t *place)
{
    uint32_t parent = 0;
    for (;;) {
        uint32_t child = parent + 1;
        for (*place = 0; tape->nodes[child].next <= node; child = tape->nodes[child].next)
            ++*place;
        if (child == node)
            return parent;
        parent = child;
    }
}

void slc_tape_pointer(slc_tape *tape, uint32_t node, char *out, size_t size)
{
    uint32_t path[SLC_JSON_SCAN_DEPTH], places[SLC_JSON_SCAN_DEPTH], count = 0;
    for (; node != 0 && count < SLC_JSON_SCAN_DEPTH; count++) {
        path[count] = node;
        node = parent_of(tape, node, &places[count]);
    }
    out[0] = '\0';
    while (count-- > 0) {
        uint32_t parent = path[count];
        const slc_tape_node *n = &tape->nodes[parent];
        if (n->name_at == 0) {
            slc_json_pointer_push_index(out, size, places[count]);
            continue;
        }
        slc_text name = slc_tape_name(tape, parent);
        char token[128];
        snprintf(token, sizeof token, "%.*s", (int)(name.len < sizeof token ? name.len : sizeof token - 1),
                 name.data);
        slc_json_pointer_push(out, size, token);
    }
}

/* ---- comparing ---- */

/* A text that outlives the scratch. New. */
static char *keep(slc_text text)
{
    return slc_memdup(text.len > 0 ? text.data : "", text.len > 0 ? text.len : 1);
}

/* The member of that name; 0: there is none. Of several the last. */
static uint32_t find_member(slc_tape *tape, uint32_t object, slc_text name)
{
    uint32_t found = 0;
    for (uint32_t child = object + 1; child < tape->nodes[object].next; child = tape->nodes[child].next)
        if (slc_text_is(slc_tape_name(tape, child), name.data, name.len))
            found = child;
    return found;
}

static bool equal_strings(slc_tape *tape, uint32_t a, uint32_t b)
{
    slc_text x = slc_tape_string(tape, a);
    char *kept = tape->nodes[a].escaped && tape->nodes[b].escaped ? keep(x) : NULL;
    bool same = slc_text_is(slc_tape_string(tape, b), kept != NULL ? kept : x.data, x.len);
    free(kept);
    return same;
}

static bool equal_objects(slc_tape *tape, uint32_t a, uint32_t b)
{
    for (uint32_t child = a + 1; child < tape->nodes[a].next; child = tape->nodes[child].next) {
        slc_text name = slc_tape_name(tape, child);
        char *kept = tape->nodes[child].name_escaped ? keep(name) : NULL;
        uint32_t other = find_member(tape, b, (slc_text){kept != NULL ? kept : name.data, name.len});
        free(kept);
        if (other == 0 || !slc_tape_equal(tape, child, other))
            return false;
    }
    return true;
}

static bool equal_arrays(slc_tape *tape, uint32_t a, uint32_t b)
{
    uint32_t y = b + 1;
    for (uint32_t x = a + 1; x < tape->nodes[a].next; x = tape->nodes[x].next, y = tape->nodes[y].next)
        if (!slc_tape_equal(tape, x, y))
            return false;
    return true;
}

bool slc_tape_equal(slc_tape *tape, uint32_t a, uint32_t b)
{
    const slc_tape_node *x = &tape->nodes[a], *y = &tape->nodes[b];
    if (x->type != y->type || x->count != y->count)
        return false;
    switch (x->type) {
    case '"':
        return equal_strings(tape, a, b);
    case '0': {
        slc_number m = slc_number_read(tape->text + x->at, x->len),
                   n = slc_number_read(tape->text + y->at, y->len);
        return slc_number_compare(&m, &n) == 0;
    }
    case '[':
        return equal_arrays(tape, a, b);
    case '{':
        return equal_objects(tape, a, b);
    default:
        return true;
    }
}

static uint64_t mix(uint64_t hash, const void *data, size_t len)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ p[i]) * 0x100000001b3ULL;
    return hash;
}

#define HASH_START 0xcbf29ce484222325ULL

uint64_t slc_tape_hash(slc_tape *tape, uint32_t node)
{
    const slc_tape_node *n = &tape->nodes[node];
    uint64_t hash = mix(HASH_START, &n->type, 1), sum = 0;
    if (n->type == '"') {
        slc_text text = slc_tape_string(tape, node);
        return mix(hash, text.data, text.len);
    }
    if (n->type == '0') {
        slc_number number = slc_number_read(tape->text + n->at, n->len);
        double value = number.real == 0 ? 0 : number.real; /* -0 equals 0 */
        return mix(hash, &value, sizeof value);
    }
    for (uint32_t child = node + 1; child < n->next; child = tape->nodes[child].next) {
        uint64_t inner = slc_tape_hash(tape, child);
        if (n->type == '[') {
            hash = mix(hash, &inner, sizeof inner);
            continue;
        }
        slc_text name = slc_tape_name(tape, child);
        sum += mix(inner, name.data, name.len); /* in any order */
    }
    return mix(hash, &sum, sizeof sum);
}
