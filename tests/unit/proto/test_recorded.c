/* One minor version either way: what an older version said is understood, and what a newer one may say besides
 * does no harm. */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/file.h"
#include "proto/bounded.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/proto/fill.h"
#include "tests/unit/proto/recorded.h"

#define FOLDER SLC_SOURCE_DIR "/tests/unit/proto/recorded"

typedef void check_fn(const char *name, const ProtobufCMessageDescriptor *descriptor, unsigned choice,
                      const uint8_t *bytes, size_t len);

static const ProtobufCMessageDescriptor *kind_of(const char *file, unsigned *choice)
{
    for (const struct recorded_kind *kind = recorded_kinds; kind->name != NULL; kind++) {
        size_t len = strlen(kind->name);
        if (strncmp(file, kind->name, len) == 0 && sscanf(file + len, "-%u.bin", choice) == 1)
            return kind->descriptor;
    }
    ck_abort_msg("%s is of no kind that there is: a kind that was said once stays", file);
}

static unsigned check_version(const char *version, check_fn *check)
{
    char folder[512], path[1024];
    unsigned files = 0, choice = 0;
    snprintf(folder, sizeof folder, FOLDER "/%s", version);
    DIR *dir = opendir(folder);
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        slc_error err = {0};
        size_t len = 0;
        if (strstr(entry->d_name, ".bin") == NULL)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        char *bytes = slc_file_read(path, 1 << 20, &len, &err);
        ck_assert_msg(bytes != NULL, "%s", err.message);
        const ProtobufCMessageDescriptor *kind = kind_of(entry->d_name, &choice);
        check(entry->d_name, kind, choice, (const uint8_t *)bytes, len);
        free(bytes);
        files++;
    }
    closedir(dir);
    return files;
}

static void check_all(check_fn *check)
{
    unsigned files = 0;
    DIR *dir = opendir(FOLDER);
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (entry->d_name[0] != '.')
            files += check_version(entry->d_name, check);
    closedir(dir);
    ck_assert_uint_gt(files, 20);
}

static void is_understood(const char *name, const ProtobufCMessageDescriptor *descriptor, unsigned choice,
                          const uint8_t *bytes, size_t len)
{
    const char *why = NULL;
    ProtobufCMessage *message = slc_unpack_bounded(descriptor, bytes, len);
    ck_assert_msg(message != NULL, "%s cannot be read any more: a field has another type", name);
    ck_assert_msg(fill_unknown(message) == 0, "%s has fields that are not known any more", name);
    ProtobufCMessage *expected = fill_message(descriptor, choice);
    ck_assert_msg(fill_chosen(message) == fill_chosen(expected), "%s is read as another message", name);
    ck_assert_msg(fill_same(message, expected, &why), "%s: %s is not what was written", name, why);
    fill_free(expected);
    protobuf_c_message_free_unpacked(message, NULL);
}

START_TEST(what_older_versions_said_is_understood)
{
    check_all(is_understood);
}
END_TEST

/* Field 9999, a text, and field 10000, a number. */
static const uint8_t later[] = {0xfa, 0xf0, 0x04, 5, 'l', 'a', 't', 'e', 'r', 0x80, 0xf1, 0x04, 42};

static void is_understood_with_more(const char *name, const ProtobufCMessageDescriptor *descriptor,
                                    unsigned choice, const uint8_t *bytes, size_t len)
{
    const char *why = NULL;
    uint8_t *more = slc_malloc(len + sizeof later);
    memcpy(more, bytes, len);
    memcpy(more + len, later, sizeof later);
    ProtobufCMessage *message = slc_unpack_bounded(descriptor, more, len + sizeof later);
    ck_assert_msg(message != NULL, "%s with fields of a later version is refused", name);
    ck_assert_uint_eq(fill_unknown(message), 2);
    ProtobufCMessage *expected = fill_message(descriptor, choice);
    ck_assert_msg(fill_same(message, expected, &why), "%s: %s", name, why);
    fill_free(expected);
    protobuf_c_message_free_unpacked(message, NULL);
    free(more);
}

START_TEST(what_later_versions_add_does_no_harm)
{
    check_all(is_understood_with_more);
}
END_TEST

/* The recordings have what today's programs say: every kind, and every choice of it, at least once. Which
 * fields are in them is for scripts/keep-messages, at a release. */
static uint64_t seen[32];

static void note_kind(const char *name, const ProtobufCMessageDescriptor *descriptor, unsigned choice,
                      const uint8_t *bytes, size_t len)
{
    (void)name, (void)bytes, (void)len;
    ck_assert_uint_lt(choice, 64);
    for (size_t i = 0; recorded_kinds[i].name != NULL; i++)
        if (recorded_kinds[i].descriptor == descriptor)
            seen[i] |= (uint64_t)1 << choice;
}

START_TEST(every_kind_is_recorded)
{
    check_all(note_kind);
    for (size_t i = 0; recorded_kinds[i].name != NULL; i++)
        for (unsigned choice = 0; choice < fill_choices(recorded_kinds[i].descriptor); choice++)
            ck_assert_msg((seen[i] >> choice & 1) != 0, "%s, choice %u, is not recorded: scripts/keep-messages",
                          recorded_kinds[i].name, choice);
}
END_TEST

START_TEST(the_test_sees_a_field_that_changed)
{
    const char *why = NULL;
    ProtobufCMessage *a = fill_message(recorded_kinds[6].descriptor, 0),
                     *b = fill_message(recorded_kinds[6].descriptor, 0);
    ck_assert(fill_same(a, b, &why));
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(a->descriptor, "version");
    ck_assert_ptr_nonnull(field);
    *(uint64_t *)((char *)a + field->offset) += 1;
    ck_assert(!fill_same(a, b, &why));
    ck_assert_str_eq(why, "version");
    fill_free(a);
    fill_free(b);
}
END_TEST

UNIT_MAIN("recorded", what_older_versions_said_is_understood, what_later_versions_add_does_no_harm,
          every_kind_is_recorded, the_test_sees_a_field_that_changed)
