/* The cache on disk: what is stored comes back, and damage is as if it were not there. */
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "dataplane/config/cache.h"
#include "folder.h"

static struct folder folder;
static const uint8_t key[SLC_SEAL_KEY_BYTES] = "0123456789abcdef0123456789abcde";
static const uint8_t other_key[SLC_SEAL_KEY_BYTES] = "another key, as long as the one";
static const uint8_t manifest[] = "a manifest";

static void setup(void)
{
    folder_make(&folder);
}

static void teardown(void)
{
    folder_remove(&folder);
}

static slc_cache *open_cache(const uint8_t *with)
{
    slc_error err;
    slc_cache *cache = slc_cache_open(folder.path, with, &err);

    ck_assert_msg(cache != NULL, "%s", err.message);
    return cache;
}

static slc_cache_chunk chunk_of(const char *text)
{
    slc_cache_chunk chunk = {.content = (const uint8_t *)text, .len = strlen(text)};

    slc_sha256(text, chunk.len, chunk.sha256);
    return chunk;
}

static void store(slc_cache *cache, const char *const *texts, size_t count)
{
    slc_cache_chunk *chunks = slc_calloc(count, sizeof *chunks);
    uint8_t *live = slc_malloc(count * SLC_SHA256_BYTES);
    slc_error err;

    for (size_t i = 0; i < count; i++) {
        chunks[i] = chunk_of(texts[i]);
        memcpy(live + SLC_SHA256_BYTES * i, chunks[i].sha256, SLC_SHA256_BYTES);
    }
    ck_assert_msg(slc_cache_store(cache, manifest, sizeof manifest, chunks, count, live, count, &err), "%s",
                  err.message);
    free(live);
    free(chunks);
}

static bool holds(slc_cache *cache, const char *text)
{
    slc_cache_chunk chunk = chunk_of(text);
    size_t len = 0;
    uint8_t *content;
    bool same;

    if (!slc_cache_has(cache, chunk.sha256))
        return false;
    content = slc_cache_get(cache, chunk.sha256, &len);
    same = content != NULL && len == chunk.len && memcmp(content, text, len) == 0;
    free(content);
    return same;
}

static bool has_manifest(slc_cache *cache, enum slc_code *code)
{
    size_t len = 0;
    slc_error err;
    uint8_t *found = slc_cache_manifest(cache, &len, &err);
    bool same = found != NULL && len == sizeof manifest && memcmp(found, manifest, len) == 0;

    *code = found == NULL ? err.code : SLC_OK;
    free(found);
    return same;
}

static const char *const two[] = {"first chunk", "second chunk"};

START_TEST(what_is_stored_comes_back)
{
    slc_cache *cache = open_cache(key);
    enum slc_code code;

    ck_assert(!has_manifest(cache, &code));
    ck_assert_int_eq(code, SLC_NOT_FOUND);
    ck_assert_int_eq(slc_cache_contact_ms(cache), 0);
    store(cache, two, 2);
    ck_assert(holds(cache, "first chunk"));
    slc_cache_free(cache);
    cache = open_cache(key);
    ck_assert(has_manifest(cache, &code));
    ck_assert(holds(cache, "first chunk"));
    ck_assert(holds(cache, "second chunk"));
    ck_assert(!holds(cache, "third chunk"));
    ck_assert_int_ge(slc_cache_contact_ms(cache), slc_wall_ms() - 60000);
    slc_cache_free(cache);
}
END_TEST

START_TEST(nothing_readable_is_on_disk)
{
    slc_cache *cache = open_cache(key);
    char command[160];

    store(cache, two, 2);
    slc_cache_free(cache);
    snprintf(command, sizeof command, "grep -rqa -e 'chunk' -e 'a manifest' %s/cache", folder.path);
    ck_assert_int_ne(system(command), 0);
    snprintf(command, sizeof command, "test -z \"$(find %s/cache -type f -perm /077)\"", folder.path);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(another_key_opens_nothing)
{
    slc_cache *cache = open_cache(key);
    enum slc_code code;

    store(cache, two, 2);
    slc_cache_free(cache);
    cache = open_cache(other_key);
    ck_assert(!has_manifest(cache, &code));
    ck_assert_int_eq(code, SLC_CORRUPT);
    ck_assert(!holds(cache, "first chunk"));
    slc_cache_free(cache);
}
END_TEST

/* Flips a bit of a file of the cache. */
static void damage(const char *name, off_t at)
{
    char path[128];
    uint8_t byte;
    int fd;

    snprintf(path, sizeof path, "%s/cache/%s", folder.path, name);
    fd = open(path, O_RDWR);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

START_TEST(damaged_chunk_is_forgotten_and_can_be_stored_again)
{
    slc_cache *cache = open_cache(key);
    slc_cache_chunk first = chunk_of(two[0]);

    store(cache, two, 2);
    slc_cache_free(cache);
    damage("chunks", 36 + 12 + 2); /* in the first ciphertext */
    cache = open_cache(key);
    ck_assert(slc_cache_has(cache, first.sha256));
    ck_assert(!holds(cache, "first chunk"));
    ck_assert(!slc_cache_has(cache, first.sha256));
    ck_assert(holds(cache, "second chunk"));
    store(cache, two, 2);
    ck_assert(holds(cache, "first chunk"));
    slc_cache_free(cache);
    cache = open_cache(key);
    ck_assert(holds(cache, "first chunk"));
    slc_cache_free(cache);
}
END_TEST

START_TEST(swapped_records_are_refused)
{
    slc_cache *cache = open_cache(key);
    static const char *const equal[] = {"chunk A", "chunk B"};
    char path[128];
    uint8_t a[32], b[32];
    off_t second = 36 + 7 + 28;
    int fd;

    store(cache, equal, 2);
    slc_cache_free(cache);
    snprintf(path, sizeof path, "%s/cache/chunks", folder.path);
    fd = open(path, O_RDWR);
    ck_assert_int_eq(pread(fd, a, 32, 4), 32);
    ck_assert_int_eq(pread(fd, b, 32, second + 4), 32);
    ck_assert_int_eq(pwrite(fd, b, 32, 4), 32);
    ck_assert_int_eq(pwrite(fd, a, 32, second + 4), 32);
    close(fd);
    cache = open_cache(key);
    ck_assert(!holds(cache, "chunk A"));
    ck_assert(!holds(cache, "chunk B"));
    slc_cache_free(cache);
}
END_TEST

START_TEST(damaged_manifest_is_refused)
{
    slc_cache *cache = open_cache(key);
    enum slc_code code;

    store(cache, two, 2);
    damage("manifest", 14);
    ck_assert(!has_manifest(cache, &code));
    ck_assert_int_eq(code, SLC_CORRUPT);
    slc_cache_free(cache);
}
END_TEST

START_TEST(torn_tail_is_left_out_and_overwritten)
{
    slc_cache *cache = open_cache(key);
    char path[128];
    struct stat file;

    store(cache, two, 2);
    slc_cache_free(cache);
    snprintf(path, sizeof path, "%s/cache/chunks", folder.path);
    ck_assert_int_eq(stat(path, &file), 0);
    for (off_t cut = 1; cut < file.st_size; cut++) {
        static const char *const third[] = {"third"};

        ck_assert_int_eq(truncate(path, file.st_size - cut), 0);
        cache = open_cache(key);
        ck_assert(!holds(cache, "second chunk"));
        store(cache, third, 1);
        slc_cache_free(cache);
        cache = open_cache(key);
        ck_assert(holds(cache, "third"));
        store(cache, two, 2);
        ck_assert(holds(cache, "first chunk"));
        ck_assert(holds(cache, "second chunk"));
        slc_cache_free(cache);
        ck_assert_int_eq(unlink(path), 0);
        cache = open_cache(key);
        store(cache, two, 2);
        slc_cache_free(cache);
    }
}
END_TEST

/* Otherwise what a crash left would be read as records once something shorter was written over its start. */
START_TEST(nothing_of_a_torn_tail_stays_in_the_log)
{
    static const char *const small[] = {"small"};
    char *large = slc_malloc(5001), path[128];
    const char *const texts[] = {two[0], large};
    slc_cache *cache = open_cache(key);
    struct stat file;
    off_t record = 36 + 28;

    memset(large, 'x', 5000);
    large[5000] = '\0';
    store(cache, texts, 2);
    slc_cache_free(cache);
    snprintf(path, sizeof path, "%s/cache/chunks", folder.path);
    ck_assert_int_eq(stat(path, &file), 0);
    ck_assert_int_eq(truncate(path, file.st_size - 1), 0);
    cache = open_cache(key);
    store(cache, small, 1);
    slc_cache_free(cache);
    ck_assert_int_eq(stat(path, &file), 0);
    ck_assert_int_eq(file.st_size, 2 * record + (off_t)(strlen(two[0]) + strlen(small[0])));
    free(large);
}
END_TEST

START_TEST(log_is_compacted_when_most_of_it_is_dead)
{
    slc_cache *cache = open_cache(key);
    char *text = slc_malloc(100001), path[128];
    const char *texts[] = {text};
    struct stat file;

    for (unsigned i = 0; i < 40; i++) { /* 4 MB, of which the last 100 KB live */
        memset(text, 'a' + (int)(i % 26), 100000);
        text[100000] = '\0';
        snprintf(text, 8, "%07u", i);
        store(cache, texts, 1);
        ck_assert(holds(cache, text));
    }
    snprintf(path, sizeof path, "%s/cache/chunks", folder.path);
    ck_assert_int_eq(stat(path, &file), 0);
    ck_assert_int_lt(file.st_size, 2 * 1024 * 1024);
    ck_assert(holds(cache, text));
    slc_cache_free(cache);
    cache = open_cache(key);
    ck_assert(holds(cache, text));
    slc_cache_free(cache);
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache");
    TCase *tcase = tcase_create("cache");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, what_is_stored_comes_back);
    tcase_add_test(tcase, nothing_readable_is_on_disk);
    tcase_add_test(tcase, another_key_opens_nothing);
    tcase_add_test(tcase, damaged_chunk_is_forgotten_and_can_be_stored_again);
    tcase_add_test(tcase, swapped_records_are_refused);
    tcase_add_test(tcase, damaged_manifest_is_refused);
    tcase_add_test(tcase, torn_tail_is_left_out_and_overwritten);
    tcase_add_test(tcase, nothing_of_a_torn_tail_stays_in_the_log);
    tcase_add_test(tcase, log_is_compacted_when_most_of_it_is_dead);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
