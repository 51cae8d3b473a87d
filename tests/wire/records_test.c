/* The record codec's side of the record tests, see run-records.
 *
 *   records_test describe FILE      says what is in the batches, in the words of RecordOracle
 *   records_test rewrite IN OUT     changes records by their offset, as run-records does it to the descriptions
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "dataplane/records/rewrite.h"

#define LIMIT (64 << 20)

struct entry {
    char kind;
    uint8_t *bytes;
    size_t len;
};

_Noreturn static void fail(const char *what, const slc_error *err)
{
    fprintf(stderr, "records_test: %s%s%s\n", what, err != NULL ? ": " : "", err != NULL ? err->message : "");
    exit(1);
}

static bool next_entry(FILE *in, struct entry *entry)
{
    uint32_t len;
    if (fread(&entry->kind, 1, 1, in) != 1)
        return false;
    if (fread(&len, 4, 1, in) != 1)
        fail("the file ends early", NULL);
    entry->len = ntohl(len);
    entry->bytes = slc_malloc(entry->len + 1);
    if (fread(entry->bytes, 1, entry->len, in) != entry->len)
        fail("the file ends early", NULL);
    return true;
}

/* --- describe --- */

static void print_hex(char before, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    putchar(before);
    if (data == NULL) {
        fputs("null", stdout);
        return;
    }
    putchar('x');
    for (size_t i = 0; i < len; i++)
        printf("%02x", bytes[i]);
}

static enum slc_record_verdict print_record(const slc_batch_record *record)
{
    slc_batch_headers headers;
    slc_record_header header;
    printf("record %" PRId64 " %" PRId64, record->offset, record->timestamp);
    print_hex(' ', record->key, record->key_len);
    print_hex(' ', record->value, record->value_len);
    slc_batch_headers_init(&headers, record);
    while (slc_batch_headers_next(&headers, &header)) {
        print_hex(' ', header.name, header.name_len);
        print_hex('=', header.value, header.value_len);
    }
    putchar('\n');
    return SLC_RECORD_KEEP;
}

static void print_records(slc_compression *compression, const slc_batch *batch)
{
    const uint8_t *data = batch->records;
    size_t len = batch->records_len;
    slc_batch_cursor cursor;
    slc_batch_record record;
    enum slc_batch_cursor_step step;
    slc_error err = {0};
    if (slc_batch_codec(batch) != SLC_CODEC_NONE &&
        !slc_inflate(compression, slc_batch_codec(batch), batch->records, batch->records_len, &data, &len,
                     &err))
        fail("inflate", &err);
    slc_batch_cursor_init(&cursor, batch, data, len);
    while ((step = slc_batch_cursor_next(&cursor, &record, &err)) == SLC_RECORD)
        print_record(&record);
    if (step != SLC_RECORD_DONE)
        fail("read", &err);
}

static void print_batch(slc_compression *compression, const slc_batch *batch)
{
    if (!slc_batch_crc_holds(batch))
        fail("a checksum is wrong", NULL);
    printf("batch %" PRId64 " %" PRId64 " %d %s %s %d %d %d %" PRId64 " %d %" PRId64 "\n", batch->base_offset,
           slc_batch_last_offset(batch), batch->count, slc_codec_name(slc_batch_codec(batch)),
           (batch->attributes & SLC_BATCH_LOG_APPEND_TIME) != 0 ? "append" : "create",
           (batch->attributes & SLC_BATCH_TRANSACTIONAL) != 0, (batch->attributes & SLC_BATCH_CONTROL) != 0,
           batch->leader_epoch, batch->producer_id, batch->base_sequence, batch->max_timestamp);
    print_records(compression, batch);
}

static void describe(FILE *in)
{
    slc_compression *compression = slc_compression_new(&SLC_COMPRESSION_DEFAULTS);
    struct entry entry;
    while (next_entry(in, &entry)) {
        slc_batch batch;
        slc_error err = {0};
        size_t at = 0;
        enum slc_batch_step step;
        printf("entry %c\n", entry.kind);
        while ((step = slc_batch_next(entry.bytes, entry.len, &at, &batch, &err)) == SLC_BATCH)
            print_batch(compression, &batch);
        if (step == SLC_BATCH_FAILED)
            fail("batch", &err);
        free(entry.bytes);
    }
    slc_compression_free(compression);
}

/* --- rewrite --- */

struct change {
    bool consume;
    slc_buf text;
};

static void add_header(slc_buf *buf, const char *name, const char *value)
{
    const slc_record_header header = {.name = name,
                                      .name_len = (uint32_t)strlen(name),
                                      .value = (const uint8_t *)value,
                                      .value_len = value != NULL ? (uint32_t)strlen(value) : 0};
    SLC_BUG_ON(!slc_batch_headers_add(buf, &header));
}

/* The same as `changed` in run-records. */
static enum slc_record_verdict change(void *ctx, const slc_batch *batch, const slc_batch_record *record,
                                      slc_batch_record *changed, slc_error *err)
{
    struct change *c = ctx;
    (void)batch;
    *changed = *record;
    (void)err;
    slc_buf_clear(&c->text);
    switch (record->offset % 5) {
    case 0:
        return SLC_RECORD_KEEP;
    case 1:
        SLC_BUG_ON(!slc_buf_adds(&c->text, "<") || !slc_buf_add(&c->text, record->value, record->value_len) ||
                   !slc_buf_adds(&c->text, ">"));
        changed->value = c->text.data;
        changed->value_len = c->text.len;
        return SLC_RECORD_CHANGE;
    case 2:
        return c->consume ? SLC_RECORD_DROP : SLC_RECORD_KEEP;
    case 3:
        add_header(&c->text, "first", "1");
        SLC_BUG_ON(!slc_buf_add(&c->text, record->headers, record->headers_len));
        add_header(&c->text, "last", NULL);
        changed->key = NULL;
        changed->key_len = 0;
        changed->headers = c->text.data;
        changed->headers_len = c->text.len;
        changed->n_headers = record->n_headers + 2;
        return SLC_RECORD_CHANGE;
    default:
        changed->value = NULL;
        changed->value_len = 0;
        return SLC_RECORD_CHANGE;
    }
}

static void write_entry(FILE *to, char kind, const void *bytes, size_t len)
{
    uint32_t size = htonl((uint32_t)len);
    if (fwrite(&kind, 1, 1, to) != 1 || fwrite(&size, 4, 1, to) != 1 || fwrite(bytes, 1, len, to) != len)
        fail("cannot write", NULL);
}

static void rewrite(FILE *in, FILE *to)
{
    slc_rewriter *rewriter = slc_rewriter_new(&SLC_COMPRESSION_DEFAULTS);
    struct change c = {0};
    struct entry entry;
    slc_buf out;
    slc_buf_init(&out, LIMIT);
    slc_buf_init(&c.text, LIMIT);
    while (next_entry(in, &entry)) {
        slc_rewrite_rules rules = {.record = change, .ctx = &c, .consume = entry.kind == 'C'};
        slc_rewrite_report report;
        slc_error err = {0};
        c.consume = rules.consume;
        slc_buf_clear(&out);
        enum slc_rewritten done =
            slc_records_rewrite(rewriter, entry.bytes, entry.len, &rules, &out, &report, &err);
        if (done == SLC_REWRITTEN_FAILED || report.stopped)
            fail("rewrite", &err);
        if (done == SLC_REWRITTEN_SAME)
            write_entry(to, entry.kind, entry.bytes, report.used_bytes);
        else
            write_entry(to, entry.kind, out.data, out.len);
        free(entry.bytes);
    }
    slc_buf_release(&out);
    slc_buf_release(&c.text);
    slc_rewriter_free(rewriter);
}

int main(int argc, char **argv)
{
    bool describes = argc == 3 && strcmp(argv[1], "describe") == 0;
    if (!describes && !(argc == 4 && strcmp(argv[1], "rewrite") == 0)) {
        fprintf(stderr, "usage: records_test describe FILE | rewrite IN OUT\n");
        return 2;
    }
    FILE *in = fopen(argv[2], "rb");
    FILE *to = describes ? NULL : fopen(argv[3], "wb");
    if (in == NULL || (!describes && to == NULL))
        fail("cannot open the files", NULL);
    if (describes)
        describe(in);
    else
        rewrite(in, to);
    fclose(in);
    if (to != NULL && fclose(to) != 0)
        fail("cannot write", NULL);
    return 0;
}
