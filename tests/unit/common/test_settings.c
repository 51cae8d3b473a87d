#include "common/settings.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/file.h"
#include "common/settings_private.h"
#include "tests/unit/common/unit.h"

struct target {
    char *address;
    char *name;
    char *token;
    int64_t workers;
    bool tls, colour;
    int64_t timeout_ms;
    int64_t body_bytes;
};

#define AT(member) offsetof(struct target, member)

static const slc_setting table[] = {
    {"admin.address", SLC_SET_ADDRESS, "127.0.0.1:8001", "where to listen", AT(address), 0, 0},
    {"admin.tls-on", SLC_SET_BOOL, "false", "use TLS", AT(tls), 0, 0},
    {"colour", SLC_SET_BOOL, "true", "show colours", AT(colour), 0, 0},
    {"name", SLC_SET_STRING, NULL, "a name", AT(name), 0, 0},
    {"token", SLC_SET_SECRET, NULL, "a secret", AT(token), 0, 0},
    {"workers", SLC_SET_INT, "2", "threads", AT(workers), 1, 64},
    {"limits.timeout", SLC_SET_DURATION, "30s", "patience", AT(timeout_ms), 100, 3600000},
    {"limits.body", SLC_SET_SIZE, "1MiB", "largest body", AT(body_bytes), 0, 0},
    {NULL, SLC_SET_STRING, NULL, NULL, 0, 0, 0},
};

static struct target target;
static slc_error err;
static char config_path[] = "/tmp/slc-test-settings-XXXXXX";

/* Arguments end with NULL. */
static int load(char *first, ...)
{
    char *argv[16] = {"sluice-test"};
    int argc = 1;
    va_list args;
    va_start(args, first);
    for (char *arg = first; arg != NULL; arg = va_arg(args, char *))
        argv[argc++] = arg;
    va_end(args);
    err = (slc_error){0};
    return slc_settings_load(table, "sluice-test", "a test", argc, argv, &target, &err);
}

static void release(void)
{
    slc_settings_release(table, &target);
}

static void refuse_with(int result, const char *message_part)
{
    ck_assert_int_eq(result, -1);
    ck_assert_int_eq(err.code, SLC_INVALID);
    ck_assert_msg(strstr(err.message, message_part) != NULL, "%s", err.message);
    release();
}

static void write_config(const char *text)
{
    int fd = mkstemp(config_path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    setenv("SLUICE_CONFIG", config_path, 1);
}

START_TEST(defaults_hold_when_nothing_is_said)
{
    ck_assert_int_eq(load(NULL), 0);
    ck_assert_str_eq(target.address, "127.0.0.1:8001");
    ck_assert_ptr_null(target.name);
    ck_assert_ptr_null(target.token);
    ck_assert_int_eq(target.workers, 2);
    ck_assert(!target.tls);
    ck_assert_int_eq(target.timeout_ms, 30000);
    ck_assert_int_eq(target.body_bytes, 1048576);
    release();
    ck_assert_ptr_null(target.address);
}
END_TEST

START_TEST(a_flag_beats_the_environment_beats_the_file)
{
    write_config("name: file\nworkers: 3\nadmin:\n  address: '[::1]:1'\n  tls-on: true\nlimits: {timeout: 5s, "
                 "body: 10}\n");
    setenv("SLUICE_WORKERS", "4", 1);
    setenv("SLUICE_NAME", "environment", 1);
    setenv("SLUICE_ADMIN_TLS_ON", "false", 1);
    ck_assert_int_eq(load("--name", "flag", "--limits-body=2KiB", NULL), 0);
    ck_assert_str_eq(target.name, "flag");
    ck_assert_int_eq(target.workers, 4);
    ck_assert_str_eq(target.address, "[::1]:1");
    ck_assert(!target.tls);
    ck_assert_int_eq(target.timeout_ms, 5000);
    ck_assert_int_eq(target.body_bytes, 2048);
    release();
    unlink(config_path);
}
END_TEST

START_TEST(the_config_flag_beats_its_variable)
{
    write_config("name: right\n");
    setenv("SLUICE_CONFIG", "/no/such/file", 1);
    ck_assert_int_eq(load("--config", config_path, NULL), 0);
    ck_assert_str_eq(target.name, "right");
    release();
    ck_assert_int_eq(load(NULL), -1);
    ck_assert_int_eq(err.code, SLC_NOT_FOUND);
    release();
    unlink(config_path);
}
END_TEST

START_TEST(flags_have_several_spellings)
{
    ck_assert_int_eq(load("--admin-tls-on", "--name=a=b", "--workers", "64", NULL), 0);
    ck_assert(target.tls);
    ck_assert_str_eq(target.name, "a=b");
    ck_assert_int_eq(target.workers, 64);
    release();
    ck_assert_int_eq(load("--admin-tls-on=true", "--no-admin-tls-on", "--name", "", "--admin-address=", NULL),
                     0);
    ck_assert(!target.tls);
    ck_assert_str_eq(target.name, "");
    ck_assert_ptr_null(target.address);
    release();
    ck_assert_int_eq(load("--name", "first", "--name", "last", NULL), 0);
    ck_assert_str_eq(target.name, "last");
    release();
}
END_TEST

START_TEST(units_are_understood)
{
    static const struct {
        char *flag;
        int64_t want;
    } durations[] = {
        {"--limits-timeout=500ms", 500}, {"--limits-timeout=10m", 600000}, {"--limits-timeout=1h", 3600000}};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(load(durations[i].flag, NULL), 0);
        ck_assert_int_eq(target.timeout_ms, durations[i].want);
        release();
    }
    static const struct {
        char *flag;
        int64_t want;
    } sizes[] = {{"--limits-body=0", 0},
                 {"--limits-body=64KiB", 65536},
                 {"--limits-body=2GiB", 2147483648},
                 {"--limits-body=7B", 7}};
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(load(sizes[i].flag, NULL), 0);
        ck_assert_int_eq(target.body_bytes, sizes[i].want);
        release();
    }
}
END_TEST

START_TEST(bad_flags_are_named)
{
    refuse_with(load("--wrong", NULL), "unknown flag --wrong");
    refuse_with(load("positional", NULL), "positional");
    refuse_with(load("-x", NULL), "-x");
    refuse_with(load("--", NULL), "--");
    refuse_with(load("--name", NULL), "--name needs a value");
    refuse_with(load("--no-name", NULL), "unknown flag --no-name");
    refuse_with(load("--workers=0", NULL), "--workers: workers is 0, which is not within 1 to 64");
    refuse_with(load("--workers", "65", NULL), "not within");
    refuse_with(load("--workers", "two", NULL), "not a whole number");
    refuse_with(load("--workers", "2s", NULL), "not a whole number");
    refuse_with(load("--workers", "99999999999999999999", NULL), "not a whole number");
    refuse_with(load("--limits-timeout", "30", NULL), "--limits-timeout: limits.timeout is \"30\"");
    refuse_with(load("--limits-timeout", "2h", NULL), "2h, which is not within 100ms to 1h");
    refuse_with(load("--limits-timeout", "999999999999999999d", NULL), "not a duration");
    refuse_with(load("--limits-body", "1MB", NULL), "not a size");
    refuse_with(load("--admin-tls-on=yes", NULL), "not true or false");
    refuse_with(load("--admin-address", "8001", NULL), "HOST:PORT");
    ck_assert_str_eq(err.field, "admin.address");
}
END_TEST

START_TEST(a_bad_variable_is_named)
{
    setenv("SLUICE_LIMITS_TIMEOUT", "soon", 1);
    refuse_with(load(NULL), "SLUICE_LIMITS_TIMEOUT: limits.timeout is \"soon\"");
    ck_assert_int_eq(load("--limits-timeout", "1s", NULL),
                     0); /* the flag wins, so nobody looks at the variable */
    release();
}
END_TEST

static void refuse_file(const char *text, const char *message_part)
{
    memcpy(config_path + sizeof config_path - 7, "XXXXXX", 6);
    write_config(text);
    refuse_with(load(NULL), message_part);
    ck_assert_ptr_nonnull(strstr(err.message, config_path));
    unlink(config_path);
}

START_TEST(bad_files_are_named_with_the_place)
{
    refuse_file("name: a\nadmin:\n  adress: x\n", ":3:3: unknown key admin.adress");
    refuse_file("nam: a\n", ":1:1: unknown key nam");
    refuse_file("workers: 100\n", ":1:1: workers is 100");
    refuse_file("workers: [1]\n", ":1:1: workers must be a scalar");
    refuse_file("workers:\n", ":1:1: workers must be a scalar");
    refuse_file("admin: 7\n", ":1:1: admin must be a mapping");
    refuse_file("admin:\n  address: {a: b}\n", ":2:3: admin.address must be a scalar");
    refuse_file("name: 12\n", ":1:1: name must be a text");
    refuse_file("admin: {tls-on: 1}\n", "tls-on is \"1\", which is not true or false");
    refuse_file("- a\n", "settings are a mapping");
    refuse_file("name: a\nname: b\n", "line 2 column 1");
    refuse_file("name: [\n", "line");
}
END_TEST

START_TEST(an_empty_file_or_section_is_fine)
{
    write_config("# nothing\n");
    ck_assert_int_eq(load(NULL), 0);
    release();
    memcpy(config_path + sizeof config_path - 7, "XXXXXX", 6);
    write_config("admin:\n");
    ck_assert_int_eq(load(NULL), 0);
    release();
}
END_TEST

START_TEST(a_secret_is_never_told)
{
    char *text = NULL;
    size_t len = 0;
    ck_assert_int_eq(load("--token", "hunter2", NULL), 0);
    ck_assert_str_eq(target.token, "hunter2");
    FILE *out = open_memstream(&text, &len);
    slc_settings_help(table, "sluice-test", "a test", out);
    fclose(out);
    ck_assert_ptr_null(strstr(text, "hunter2"));
    ck_assert_ptr_nonnull(strstr(text, "--token SECRET"));
    ck_assert_ptr_nonnull(strstr(text, "SLUICE_ADMIN_TLS_ON"));
    ck_assert_ptr_nonnull(strstr(text, "--limits-timeout DURATION"));
    ck_assert_ptr_nonnull(strstr(text, "(default: 30s)"));
    ck_assert_ptr_nonnull(strstr(text, "(default: true); --no-colour: false"));
    free(text);
    release();
}
END_TEST

START_TEST(help_and_version_are_answers)
{
    int null = open("/dev/null", O_WRONLY), saved = dup(STDOUT_FILENO);
    dup2(null, STDOUT_FILENO);
    ck_assert_int_eq(load("--help", NULL), 1);
    release();
    ck_assert_int_eq(load("--workers", "3", "--version", NULL), 1);
    release();
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(null);
    close(saved);
}
END_TEST

START_TEST(addresses_are_split)
{
    static const struct {
        const char *text, *host;
        int port; /* -1: refused */
    } cases[] = {
        {"127.0.0.1:8000", "127.0.0.1", 8000},
        {":0", "", 0},
        {"[::1]:65535", "::1", 65535},
        {"a-b.c_d.example:1", "a-b.c_d.example", 1},
        {"", "", -1},
        {"8000", "", -1},
        {"host", "", -1},
        {"host:", "", -1},
        {"host:65536", "", -1},
        {"host:-1", "", -1},
        {"host:+1", "", -1},
        {"host: 1", "", -1},
        {"::1:80", "", -1},
        {"[::1]", "", -1},
        {"[]:1", "", -1},
        {"[host]:1", "", -1},
        {"[::1:1", "", -1},
        {"ho st:1", "", -1},
        {"http://h:1", "", -1},
        {"h:1:2", "", -1},
        {"host:000001", "", -1},
        {"[::1%lo]:1", "", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char host[64];
        uint16_t port;
        bool ok = slc_address_split(cases[i].text, host, sizeof host, &port, &err);
        ck_assert_msg(ok == (cases[i].port >= 0), "%s", cases[i].text);
        if (ok)
            ck_assert_int_eq(port, cases[i].port);
        ck_assert_str_eq(host, cases[i].host);
    }
    char small[4];
    uint16_t port;
    ck_assert(!slc_address_split("host:1", small, sizeof small, &port, &err));
}
END_TEST

START_TEST(the_file_has_a_schema)
{
    json_t *schema = slc_settings_schema(table), *admin, *workers;
    json_t *properties = json_object_get(schema, "properties");
    ck_assert(json_is_false(json_object_get(schema, "additionalProperties")));
    admin = json_object_get(json_object_get(json_object_get(properties, "admin"), "properties"), "address");
    ck_assert_str_eq(json_string_value(json_object_get(admin, "default")), "127.0.0.1:8001");
    workers = json_object_get(properties, "workers");
    ck_assert_str_eq(json_string_value(json_object_get(workers, "type")), "integer");
    ck_assert_int_eq(json_integer_value(json_object_get(workers, "maximum")), 64);
    ck_assert_ptr_null(json_object_get(json_object_get(properties, "token"), "default"));
    ck_assert_uint_eq(json_object_size(properties), 6); /* admin, colour, name, token, workers, limits */
    json_decref(schema);
    ck_assert_int_eq(load("--settings-schema", NULL), 1);
    release();
}
END_TEST

UNIT_MAIN("settings", the_file_has_a_schema, defaults_hold_when_nothing_is_said,
          a_flag_beats_the_environment_beats_the_file, the_config_flag_beats_its_variable,
          flags_have_several_spellings, units_are_understood, bad_flags_are_named, a_bad_variable_is_named,
          bad_files_are_named_with_the_place, an_empty_file_or_section_is_fine, a_secret_is_never_told,
          help_and_version_are_answers, addresses_are_split)
