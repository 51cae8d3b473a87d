#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "tests/unit/common/unit.h"

static int real_stderr;
static FILE *captured;

static void capture(void)
{
    real_stderr = dup(STDERR_FILENO);
    captured = tmpfile();
    dup2(fileno(captured), STDERR_FILENO);
    fcntl(STDERR_FILENO, F_SETFL, O_APPEND);
}

/* The lines since capture(); the caller frees. */
static char *finish(void)
{
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    fseek(captured, 0, SEEK_END);
    long len = ftell(captured);
    rewind(captured);
    char *text = slc_calloc(1, (size_t)len + 1);
    ck_assert_uint_eq(fread(text, 1, (size_t)len, captured), (size_t)len);
    fclose(captured);
    return text;
}

START_TEST(a_line_is_a_json_object)
{
    capture();
    slc_log_init("gateway", SLC_LOG_INFO, true);
    slc_log(SLC_LOG_WARN, "listener opened", LS("address", "a\"b\n"), LI("port", 8000), LD("ratio", 0.25),
            LD("nan", NAN), LB("tls", true), LS("nothing", NULL));
    char *text = finish();
    ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
    json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(line);
    ck_assert_str_eq(json_string_value(json_object_get(line, "level")), "warn");
    ck_assert_str_eq(json_string_value(json_object_get(line, "component")), "gateway");
    ck_assert_str_eq(json_string_value(json_object_get(line, "message")), "listener opened");
    ck_assert_str_eq(json_string_value(json_object_get(line, "address")), "a\"b\n");
    ck_assert_int_eq(json_integer_value(json_object_get(line, "port")), 8000);
    ck_assert_double_eq(json_real_value(json_object_get(line, "ratio")), 0.25);
    ck_assert(json_is_true(json_object_get(line, "tls")));
    ck_assert(json_is_null(json_object_get(line, "nothing")));
    ck_assert(json_is_null(json_object_get(line, "nan")));
    ck_assert_uint_eq(strlen(json_string_value(json_object_get(line, "time"))), 24);
    json_decref(line);
    free(text);
}
END_TEST

static int evaluations;

static int64_t evaluate(void)
{
    return ++evaluations;
}

START_TEST(a_level_that_is_off_costs_nothing)
{
    capture();
    slc_log_init("gateway", SLC_LOG_WARN, true);
    slc_log(SLC_LOG_INFO, "no", LI("n", evaluate()));
    slc_log(SLC_LOG_DEBUG, "no");
    slc_log_set_level(SLC_LOG_DEBUG);
    slc_log(SLC_LOG_DEBUG, "yes", LI("n", evaluate()));
    char *text = finish();
    ck_assert_int_eq(evaluations, 1);
    ck_assert_ptr_null(strstr(text, "no\""));
    ck_assert_ptr_nonnull(strstr(text, "\"message\":\"yes\""));
    free(text);
}
END_TEST

START_TEST(a_long_value_is_cut_and_marked)
{
    char *value = slc_malloc(5001);
    for (size_t i = 0; i < 5000; i += 2)
        memcpy(value + i, "\xC3\xA9", 2);
    value[5000] = '\0';
    capture();
    slc_log_init("gateway", SLC_LOG_INFO, true);
    slc_log(SLC_LOG_INFO, "long", LS("value", value), LS("shifted", value + 1));
    char *text = finish();
    json_t *line = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(line);
    const char *logged = json_string_value(json_object_get(line, "value"));
    ck_assert_uint_eq(strlen(logged), 2048 + strlen("...[cut]"));
    ck_assert_str_eq(logged + 2048, "...[cut]");
    json_decref(line);
    free(text);
    free(value);
}
END_TEST

START_TEST(the_text_format_is_for_people)
{
    slc_error err;
    capture();
    slc_log_init("control", SLC_LOG_INFO, false);
    slc_log(SLC_LOG_INFO, "started", LI("workers", 2));
    slc_fail(&err, SLC_CONFLICT, "/name", "taken");
    errno = EAGAIN;
    slc_log_error(SLC_LOG_ERROR, "create failed", &err);
    ck_assert_int_eq(errno, EAGAIN);
    char *text = finish();
    ck_assert_ptr_nonnull(strstr(text, " info  control: started workers=2\n"));
    ck_assert_ptr_nonnull(
        strstr(text, " error control: create failed code=\"conflict\" error=\"taken\" field=\"/name\"\n"));
    free(text);
}
END_TEST

static void *log_much(void *arg)
{
    (void)arg;
    for (int i = 0; i < 500; i++)
        slc_log(SLC_LOG_INFO, "line", LI("i", i),
                LS("pad", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
    return NULL;
}

START_TEST(lines_of_threads_do_not_mix)
{
    pthread_t threads[4];
    capture();
    slc_log_init("gateway", SLC_LOG_INFO, true);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, log_much, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    char *text = finish();
    int lines = 0;
    for (char *save, *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save), lines++) {
        json_t *value = json_loads(line, 0, NULL);
        ck_assert_ptr_nonnull(value);
        json_decref(value);
    }
    ck_assert_int_eq(lines, 2000);
    free(text);
}
END_TEST

START_TEST(levels_are_parsed)
{
    enum slc_log_level level;
    ck_assert(slc_log_parse_level("debug", &level) && level == SLC_LOG_DEBUG);
    ck_assert(slc_log_parse_level("error", &level) && level == SLC_LOG_ERROR);
    ck_assert(!slc_log_parse_level("INFO", &level));
    ck_assert(!slc_log_parse_level("", &level));
}
END_TEST

START_TEST(a_signal_turns_debug_on_and_off_again)
{
    capture();
    slc_log_init("gateway", SLC_LOG_ERROR, true);
    slc_log_toggle_debug();
    ck_assert(slc_log_enabled(SLC_LOG_DEBUG));
    slc_log_toggle_debug();
    ck_assert(!slc_log_enabled(SLC_LOG_WARN));
    char *text = finish();
    const char *on = strstr(text, "\"from\":\"error\",\"to\":\"debug\"");
    ck_assert_ptr_nonnull(on);
    ck_assert_ptr_nonnull(strstr(on, "\"from\":\"debug\",\"to\":\"error\""));
    free(text);
}
END_TEST

UNIT_MAIN("log", a_line_is_a_json_object, a_level_that_is_off_costs_nothing, a_long_value_is_cut_and_marked,
          the_text_format_is_for_people, lines_of_threads_do_not_mix, levels_are_parsed,
          a_signal_turns_debug_on_and_off_again)
