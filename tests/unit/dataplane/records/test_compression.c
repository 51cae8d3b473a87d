/* Every codec, what other writers do differently, and bytes that are not what they say. */
#include <check.h>
#include <lz4frame.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "bench/allocations.h"
#include "common/alloc.h"
#include "dataplane/records/compression.h"

#define TEXT_BYTES 200000
#define LIMIT      (1 << 20)
#define SMALL      300

struct fixture {
    slc_compression *compression;
    uint8_t *text; /* compresses about 3 : 1 */
    slc_buf packed;
    slc_error err;
    const uint8_t *data;
    size_t len;
};

static void fixture_init(struct fixture *f)
{
    slc_compression_options options = SLC_COMPRESSION_DEFAULTS;
    options.inflated_max_bytes = LIMIT;
    memset(f, 0, sizeof(*f));
    f->compression = slc_compression_new(&options);
    f->text = slc_malloc(TEXT_BYTES);
    uint32_t state = 99;
    for (size_t i = 0; i < TEXT_BYTES; i++) {
        state = state * 1664525 + 1013904223;
        f->text[i] = (state >> 28) < 12 && i > 500 ? f->text[i - 500] : (uint8_t)(state >> 24);
    }
    slc_buf_init(&f->packed, 100 * LIMIT);
}

static void fixture_release(struct fixture *f)
{
    slc_compression_free(f->compression);
    slc_buf_release(&f->packed);
    free(f->text);
}

static void pack(struct fixture *f, int codec, const uint8_t *data, size_t len)
{
    slc_buf_clear(&f->packed);
    ck_assert_msg(slc_deflate(f->compression, (enum slc_codec)codec, data, len, &f->packed, &f->err), "%s",
                  f->err.message);
}

/* Of a copy of exactly that size, so that a read past the end is seen. */
static bool unpack(struct fixture *f, int codec, const uint8_t *packed, size_t len)
{
    uint8_t *copy = slc_memdup(packed, len);
    bool ok = slc_inflate(f->compression, (enum slc_codec)codec, copy, len, &f->data, &f->len, &f->err);
    free(copy);
    return ok;
}

static void expect_text(struct fixture *f, int codec, size_t len)
{
    ck_assert_msg(unpack(f, codec, f->packed.data, f->packed.len), "%s", f->err.message);
    ck_assert_uint_eq(f->len, len);
    ck_assert_mem_eq(f->data, f->text, len);
}

START_TEST(test_round_trip)
{
    static const size_t sizes[] = {1, 2, 100, 65535, 65536, 65537, TEXT_BYTES};
    struct fixture f;
    fixture_init(&f);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        pack(&f, _i, f.text, sizes[i]);
        expect_text(&f, _i, sizes[i]);
    }
    ck_assert_uint_lt(f.packed.len, TEXT_BYTES);
    slc_compression_trim(f.compression);
    expect_text(&f, _i, TEXT_BYTES);
    fixture_release(&f);
}
END_TEST

START_TEST(test_every_truncation_and_surplus_is_refused)
{
    struct fixture f;
    fixture_init(&f);
    pack(&f, _i, f.text, SMALL);
    for (size_t len = 0; len < f.packed.len; len++) {
        /* The header of a framed snappy stream alone is a whole stream of nothing. */
        if (_i == SLC_CODEC_SNAPPY && len == 16)
            continue;
        ck_assert_msg(!unpack(&f, _i, f.packed.data, len), "%zu of %zu bytes were taken", len, f.packed.len);
        ck_assert_int_eq(f.err.code, SLC_CORRUPT);
    }
    ck_assert(slc_buf_addc(&f.packed, 'x'));
    ck_assert(!unpack(&f, _i, f.packed.data, f.packed.len));
    ck_assert_int_eq(f.err.code, SLC_CORRUPT);
    /* And it works after all these failures. */
    f.packed.len--;
    expect_text(&f, _i, SMALL);
    fixture_release(&f);
}
END_TEST

START_TEST(test_limit_is_exact)
{
    struct fixture f;
    fixture_init(&f);
    uint8_t *zeros = slc_calloc(1, LIMIT + 1);
    pack(&f, _i, zeros, LIMIT);
    ck_assert_msg(unpack(&f, _i, f.packed.data, f.packed.len), "%s", f.err.message);
    ck_assert_uint_eq(f.len, LIMIT);
    pack(&f, _i, zeros, LIMIT + 1);
    ck_assert(!unpack(&f, _i, f.packed.data, f.packed.len));
    ck_assert_int_eq(f.err.code, SLC_TOO_LARGE);
    free(zeros);
    fixture_release(&f);
}
END_TEST

START_TEST(test_a_bomb_is_refused_within_the_limit)
{
    struct fixture f;
    fixture_init(&f);
    uint8_t *zeros = slc_calloc(1, 40 * LIMIT);
    pack(&f, _i, zeros, 40 * LIMIT);
    free(zeros);
    ck_assert(!unpack(&f, _i, f.packed.data, f.packed.len));
    ck_assert_int_eq(f.err.code, SLC_TOO_LARGE);
    fixture_release(&f);
}
END_TEST

START_TEST(test_nothing_is_allocated_once_warm)
{
    struct fixture f;
    fixture_init(&f);
    pack(&f, _i, f.text, TEXT_BYTES);
    for (int round = 0; round < 3; round++) {
        uint64_t before = allocations_so_far();
        bool ok = slc_inflate(f.compression, (enum slc_codec)_i, f.packed.data, f.packed.len, &f.data, &f.len,
                              &f.err);
        slc_buf_clear(&f.packed);
        ok = ok && slc_deflate(f.compression, (enum slc_codec)_i, f.text, TEXT_BYTES, &f.packed, &f.err);
        uint64_t allocated = allocations_so_far() - before; /* before libcheck, which allocates */
        /* libsnappy takes its working memory for each block. */
        uint64_t blocks = _i == SLC_CODEC_SNAPPY ? (TEXT_BYTES + 65535) / 65536 : 0;
        ck_assert(ok);
        ck_assert(round == 0 ? allocated > 0 : allocated <= blocks);
    }
    fixture_release(&f);
}
END_TEST

START_TEST(test_output_over_its_limit)
{
    struct fixture f;
    fixture_init(&f);
    slc_buf small;
    slc_buf_init(&small, 1000);
    ck_assert(slc_buf_adds(&small, "before"));
    ck_assert(!slc_deflate(f.compression, (enum slc_codec)_i, f.text, TEXT_BYTES, &small, &f.err));
    ck_assert_int_eq(f.err.code, SLC_TOO_LARGE);
    ck_assert_uint_eq(small.len, 6);
    slc_buf_release(&small);
    fixture_release(&f);
}
END_TEST

START_TEST(test_raw_snappy_of_librdkafka)
{
    struct fixture f;
    fixture_init(&f);
    size_t len = snappy_max_compressed_length(TEXT_BYTES);
    uint8_t *room = slc_buf_extend(&f.packed, len);
    ck_assert_int_eq(snappy_compress((const char *)f.text, TEXT_BYTES, (char *)room, &len), SNAPPY_OK);
    f.packed.len = len;
    expect_text(&f, SLC_CODEC_SNAPPY, TEXT_BYTES);
    /* A length that lies is refused before anything is allocated for it. */
    ck_assert(!unpack(&f, SLC_CODEC_SNAPPY, (const uint8_t *)"\xff\xff\xff\xff\x0f", 5));
    ck_assert_int_eq(f.err.code, SLC_TOO_LARGE);
    fixture_release(&f);
}
END_TEST

/* Streams one behind the other, as Java's readers take them. */
START_TEST(test_streams_behind_each_other)
{
    struct fixture f;
    fixture_init(&f);
    pack(&f, _i, f.text, 1000);
    ck_assert(slc_deflate(f.compression, (enum slc_codec)_i, f.text + 1000, 5000, &f.packed, &f.err));
    if (_i == SLC_CODEC_LZ4) { /* these have one frame */
        ck_assert(!unpack(&f, _i, f.packed.data, f.packed.len));
        ck_assert_int_eq(f.err.code, SLC_CORRUPT);
    } else {
        expect_text(&f, _i, 6000);
    }
    fixture_release(&f);
}
END_TEST

START_TEST(test_lz4_frames_of_others)
{
    const LZ4F_preferences_t all[] = {
        {.frameInfo = {.blockSizeID = LZ4F_max4MB, .contentSize = TEXT_BYTES}},
        {.frameInfo = {.blockMode = LZ4F_blockLinked, .contentChecksumFlag = LZ4F_contentChecksumEnabled}},
        {.frameInfo = {.blockSizeID = LZ4F_max64KB,
                       .blockMode = LZ4F_blockIndependent,
                       .blockChecksumFlag = LZ4F_blockChecksumEnabled},
         .compressionLevel = 9},
    };
    struct fixture f;
    fixture_init(&f);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        slc_buf_clear(&f.packed);
        size_t most = LZ4F_compressFrameBound(TEXT_BYTES, &all[i]);
        uint8_t *room = slc_buf_extend(&f.packed, most);
        f.packed.len = LZ4F_compressFrame(room, most, f.text, TEXT_BYTES, &all[i]);
        ck_assert(!LZ4F_isError(f.packed.len));
        expect_text(&f, SLC_CODEC_LZ4, TEXT_BYTES);
    }
    /* The block's checksum is behind it, before the end mark. */
    f.packed.data[f.packed.len - 5] ^= 1;
    ck_assert(!unpack(&f, SLC_CODEC_LZ4, f.packed.data, f.packed.len));
    ck_assert_int_eq(f.err.code, SLC_CORRUPT);
    fixture_release(&f);
}
END_TEST

/* As Java writes it: a stream that does not say its size, with a window much larger than its content. */
START_TEST(test_zstd_stream_with_a_large_window)
{
    struct fixture f;
    fixture_init(&f);
    ZSTD_CCtx *stream = ZSTD_createCCtx();
    ck_assert(!ZSTD_isError(ZSTD_CCtx_setParameter(stream, ZSTD_c_windowLog, 27)));
    size_t most = ZSTD_compressBound(TEXT_BYTES) + 1000;
    ZSTD_outBuffer out = {slc_buf_extend(&f.packed, most), most, 0};
    ZSTD_inBuffer in = {f.text, TEXT_BYTES / 2, 0};
    ck_assert(!ZSTD_isError(ZSTD_compressStream2(stream, &out, &in, ZSTD_e_flush)));
    in.size = TEXT_BYTES;
    ck_assert_uint_eq(ZSTD_compressStream2(stream, &out, &in, ZSTD_e_end), 0);
    f.packed.len = out.pos;
    ck_assert_uint_eq(ZSTD_getFrameContentSize(f.packed.data, f.packed.len), ZSTD_CONTENTSIZE_UNKNOWN);
    expect_text(&f, SLC_CODEC_ZSTD, TEXT_BYTES);
    ZSTD_freeCCtx(stream);
    fixture_release(&f);
}
END_TEST

START_TEST(test_every_flipped_bit_is_read_without_harm)
{
    struct fixture f;
    fixture_init(&f);
    pack(&f, _i, f.text, SMALL);
    for (size_t bit = 0; bit < 8 * f.packed.len; bit++) {
        f.packed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (!unpack(&f, _i, f.packed.data, f.packed.len))
            ck_assert(f.err.code == SLC_CORRUPT || f.err.code == SLC_TOO_LARGE);
        f.packed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    expect_text(&f, _i, SMALL);
    fixture_release(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("compression");
    TCase *tcase = tcase_create("compression");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, test_round_trip, 1, SLC_CODECS);
    tcase_add_loop_test(tcase, test_every_truncation_and_surplus_is_refused, 1, SLC_CODECS);
    tcase_add_loop_test(tcase, test_limit_is_exact, 1, SLC_CODECS);
    tcase_add_loop_test(tcase, test_a_bomb_is_refused_within_the_limit, 1, SLC_CODECS);
    tcase_add_loop_test(tcase, test_nothing_is_allocated_once_warm, 1, SLC_CODECS);
    tcase_add_loop_test(tcase, test_output_over_its_limit, 1, SLC_CODECS);
    tcase_add_loop_test(tcase, test_streams_behind_each_other, 1, SLC_CODECS);
    tcase_add_loop_test(tcase, test_every_flipped_bit_is_read_without_harm, 1, SLC_CODECS);
    tcase_add_test(tcase, test_raw_snappy_of_librdkafka);
    tcase_add_test(tcase, test_lz4_frames_of_others);
    tcase_add_test(tcase, test_zstd_stream_with_a_large_window);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
