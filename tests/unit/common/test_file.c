#include "common/file.h"

#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "tests/unit/common/unit.h"

static char dir[] = "/tmp/slc-test-file-XXXXXX";

static char *in_dir(const char *name)
{
    return slc_asprintf("%s/%s", dir, name);
}

static void remove_dir(void)
{
    char *command = slc_asprintf("rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
    free(command);
}

START_TEST(what_is_written_is_read)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
    char *path = in_dir("file");
    slc_error err;
    size_t len;
    struct stat st;
    ck_assert(slc_file_write_atomic(path, "a\0b", 3, 0600, &err));
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    char *text = slc_file_read(path, 3, &len, &err);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_eq(len, 3);
    ck_assert(memcmp(text, "a\0b", 4) == 0);
    free(text);
    ck_assert(slc_file_write_atomic(path, "", 0, 0644, &err));
    text = slc_file_read(path, 0, &len, &err);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_eq(len, 0);
    free(text);
    free(path);
    remove_dir();
}
END_TEST

START_TEST(errors_name_the_file_and_have_a_class)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
    char *path = in_dir("absent");
    slc_error err;
    ck_assert_ptr_null(slc_file_read(path, 10, NULL, &err));
    ck_assert_int_eq(err.code, SLC_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, path));
    ck_assert(slc_file_write_atomic(path, "12345", 5, 0600, &err));
    ck_assert_ptr_null(slc_file_read(path, 4, NULL, &err));
    ck_assert_int_eq(err.code, SLC_TOO_LARGE);
    ck_assert_ptr_null(slc_file_read(dir, 4, NULL, &err));
    ck_assert_int_eq(err.code, SLC_IO);
    free(path);
    path = in_dir("no/such/folder");
    ck_assert(!slc_file_write_atomic(path, "1", 1, 0600, &err));
    ck_assert_int_eq(err.code, SLC_NOT_FOUND);
    free(path);
    remove_dir();
}
END_TEST

START_TEST(a_failed_write_leaves_the_old_file_and_no_other)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
    char *path = in_dir("folder");
    char *inner = in_dir("folder/inner");
    slc_error err;
    ck_assert(slc_dir_make(path, 0700, &err));
    ck_assert(slc_file_write_atomic(inner, "1", 1, 0600, &err));
    ck_assert(!slc_file_write_atomic(path, "1", 1, 0600, &err)); /* a directory cannot be replaced */
    char *command = slc_asprintf("test \"$(ls '%s')\" = folder", dir);
    ck_assert_int_eq(system(command), 0);
    free(command);
    free(path);
    free(inner);
    remove_dir();
}
END_TEST

START_TEST(directories_are_made_with_their_parents)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
    char *path = in_dir("a/b//c/");
    char *file = in_dir("a/f");
    char *below = in_dir("a/f/g");
    slc_error err;
    struct stat st;
    ck_assert(slc_dir_make(path, 0750, &err));
    ck_assert(slc_dir_make(path, 0750, &err));
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert(S_ISDIR(st.st_mode));
    ck_assert(slc_file_write_atomic(file, "", 0, 0600, &err));
    ck_assert(!slc_dir_make(file, 0700, &err));
    ck_assert(!slc_dir_make(below, 0700, &err));
    ck_assert(!slc_dir_make("", 0700, &err));
    free(path);
    free(file);
    free(below);
    remove_dir();
}
END_TEST

struct pipe_writer {
    int fd;
};

static void *write_slowly(void *arg)
{
    struct pipe_writer *writer = arg;
    char block[1000];
    memset(block, 'p', sizeof block);
    for (int i = 0; i < 200; i++)
        if (write(writer->fd, block, sizeof block) < 0)
            break;
    close(writer->fd);
    return NULL;
}

START_TEST(what_has_no_size_is_read_to_its_end)
{
    int fds[2];
    pthread_t thread;
    slc_error err;
    size_t len;
    ck_assert_int_eq(pipe(fds), 0);
    struct pipe_writer writer = {fds[1]};
    pthread_create(&thread, NULL, write_slowly, &writer);
    char *path = slc_asprintf("/dev/fd/%d", fds[0]);
    char *text = slc_file_read(path, 1000000, &len, &err);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_eq(len, 200000);
    pthread_join(thread, NULL);
    free(text);
    free(path);
    close(fds[0]);
}
END_TEST

UNIT_MAIN("file", what_is_written_is_read, errors_name_the_file_and_have_a_class,
          a_failed_write_leaves_the_old_file_and_no_other, directories_are_made_with_their_parents,
          what_has_no_size_is_read_to_its_end)
