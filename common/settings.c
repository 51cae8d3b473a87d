#include "common/settings.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/file.h"
#include "common/json.h"
#include "common/log.h"
#include "common/settings_private.h"
#include "common/version.h"

#define FILE_MAX_BYTES (1024 * 1024)

extern char **environ;

/* What --help and the environment know besides the table. */
#define CONFIG_FLAG     "config"
#define CONFIG_VARIABLE "SLUICE_CONFIG"

struct loading {
    const slc_setting *table;
    const char *program;
    const char *summary;
    void *target;
    slc_error *err;
    bool *given; /* per setting: a source of higher precedence has set it */

    const char *path; /* of the file being read */
    const char *text;
    size_t text_len;
};

static size_t count(const slc_setting *table)
{
    size_t n = 0;
    while (table[n].name != NULL)
        n++;
    return n;
}

/* ---- names: a.b_c is --a-b-c and SLUICE_A_B_C ---- */

void slc_setting_flag(const slc_setting *setting, char out[SLC_SETTING_NAME_CHARS])
{
    size_t i = 0;
    for (; setting->name[i] != '\0' && i < SLC_SETTING_NAME_CHARS - 1; i++)
        out[i] = setting->name[i] == '.' || setting->name[i] == '_' ? '-' : setting->name[i];
    out[i] = '\0';
}

void slc_setting_variable(const slc_setting *setting, char out[SLC_SETTING_NAME_CHARS])
{
    static const char prefix[] = "SLUICE_";
    memcpy(out, prefix, sizeof(prefix));
    size_t n = sizeof(prefix) - 1;
    for (const char *p = setting->name; *p != '\0' && n < SLC_SETTING_NAME_CHARS - 1; p++) {
        bool letter = *p >= 'a' && *p <= 'z';
        out[n++] = letter ? (char)(*p - 'a' + 'A') : *p == '.' || *p == '-' ? '_' : *p;
    }
    out[n] = '\0';
}

/* ---- values ---- */

static bool set_text(struct loading *l, size_t i, const char *text, const char *source)
{
    slc_error cause = {0};
    if (slc_setting_parse(&l->table[i], text, l->target, &cause))
        return true;
    return slc_fail(l->err, SLC_INVALID, l->table[i].name, "%s: %s", source, cause.message);
}

static bool set_defaults(struct loading *l)
{
    for (size_t i = 0; l->table[i].name != NULL; i++)
        slc_setting_reset(&l->table[i], l->target);
    for (size_t i = 0; l->table[i].name != NULL; i++)
        if (l->table[i].default_value != NULL)
            SLC_BUG_ON(!set_text(l, i, l->table[i].default_value, "default"));
    return true;
}

/* ---- flags ---- */

enum { FLAG_ERROR = -1, FLAG_OK = 0, FLAG_ANSWERED = 1 };

static int find_flag(const slc_setting *table, const char *name, size_t len)
{
    char flag[SLC_SETTING_NAME_CHARS];
    for (int i = 0; table[i].name != NULL; i++) {
        slc_setting_flag(&table[i], flag);
        if (strlen(flag) == len && memcmp(flag, name, len) == 0)
            return i;
    }
    return -1;
}

static bool set_flag(struct loading *l, int i, const char *text)
{
    char flag[SLC_SETTING_NAME_CHARS], source[SLC_SETTING_NAME_CHARS + 2];
    slc_setting_flag(&l->table[i], flag);
    snprintf(source, sizeof(source), "--%s", flag);
    l->given[i] = true;
    return set_text(l, (size_t)i, text, source);
}

/* One argument and perhaps the next one. `*at` is moved past what was used. */
static bool read_flag(struct loading *l, int argc, char **argv, int *at)
{
    const char *arg = argv[(*at)++];
    if (strncmp(arg, "--", 2) != 0 || arg[2] == '\0')
        return slc_fail(l->err, SLC_INVALID, NULL, "unexpected argument \"%.80s\"; see --help", arg);
    const char *name = arg + 2;
    const char *equals = strchr(name, '=');
    size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name);
    bool is_config = len == strlen(CONFIG_FLAG) && memcmp(name, CONFIG_FLAG, len) == 0;
    int i = is_config ? -1 : find_flag(l->table, name, len);
    if (i < 0 && !is_config) {
        int positive =
            strncmp(name, "no-", 3) == 0 && equals == NULL ? find_flag(l->table, name + 3, len - 3) : -1;
        if (positive >= 0 && l->table[positive].type == SLC_SET_BOOL)
            return set_flag(l, positive, "false");
        return slc_fail(l->err, SLC_INVALID, NULL, "unknown flag %.80s; see --help", arg);
    }
    if (!is_config && l->table[i].type == SLC_SET_BOOL && equals == NULL)
        return set_flag(l, i, "true");
    const char *value = equals != NULL ? equals + 1 : *at < argc ? argv[(*at)++] : NULL;
    if (value == NULL)
        return slc_fail(l->err, SLC_INVALID, NULL, "%.80s needs a value", arg);
    if (!is_config)
        return set_flag(l, i, value);
    l->path = value;
    return true;
}

static void print_schema(const slc_setting *table)
{
    json_t *schema = slc_settings_schema(table);
    json_dumpf(schema, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
    putchar('\n');
    json_decref(schema);
}

static int read_flags(struct loading *l, int argc, char **argv)
{
    for (int at = 1; at < argc;) {
        if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
            slc_settings_help(l->table, l->program, l->summary, stdout);
            return FLAG_ANSWERED;
        }
        if (strcmp(argv[at], "--version") == 0) {
            printf("%s %s (%s)\n", l->program, SLC_VERSION, SLC_COMMIT);
            return FLAG_ANSWERED;
        }
        if (strcmp(argv[at], "--settings-schema") == 0) {
            print_schema(l->table);
            return FLAG_ANSWERED;
        }
        if (!read_flag(l, argc, argv, &at))
            return FLAG_ERROR;
    }
    return FLAG_OK;
}

/* ---- environment ---- */

static bool read_variable(struct loading *l, const char *entry)
{
    const char *equals = strchr(entry, '=');
    if (equals == NULL)
        return true;
    size_t len = (size_t)(equals - entry);
    char variable[SLC_SETTING_NAME_CHARS];
    for (size_t i = 0; l->table[i].name != NULL; i++) {
        slc_setting_variable(&l->table[i], variable);
        if (strlen(variable) != len || memcmp(variable, entry, len) != 0)
            continue;
        if (l->given[i])
            return true;
        l->given[i] = true;
        return set_text(l, i, equals + 1, variable);
    }
    if (len == strlen(CONFIG_VARIABLE) && memcmp(entry, CONFIG_VARIABLE, len) == 0) {
        if (l->path == NULL && equals[1] != '\0')
            l->path = equals + 1;
        return true;
    }
    snprintf(variable, sizeof(variable), "%.*s", (int)len, entry);
    slc_log(SLC_LOG_WARN, "unknown environment variable", LS("variable", variable));
    return true;
}

static bool read_environment(struct loading *l)
{
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++)
        if (strncmp(*entry, "SLUICE_", 7) == 0 && !read_variable(l, *entry))
            return false;
    return true;
}

/* ---- file ---- */

/* "FILE:LINE:COLUMN: ..." for the place of a pointer. */
static bool fail_in_file(struct loading *l, const char *name, const char *pointer, const char *what)
{
    size_t line, column;
    if (slc_yaml_locate(l->text, l->text_len, pointer, &line, &column))
        return slc_fail(l->err, SLC_INVALID, name, "%s:%zu:%zu: %s", l->path, line, column, what);
    return slc_fail(l->err, SLC_INVALID, name, "%s: %s", l->path, what);
}

/* A YAML scalar as the text that a flag would have; NULL for what has none. The caller frees. */
static char *scalar_text(const json_t *value)
{
    if (json_is_string(value))
        return slc_strdup(json_string_value(value));
    if (json_is_array(value) || json_is_object(value) || json_is_null(value))
        return NULL;
    return slc_json_print(value, NULL);
}

static bool read_key(struct loading *l, size_t i, const char *pointer, const json_t *value)
{
    char what[400];
    bool wants_string = l->table[i].type == SLC_SET_STRING || l->table[i].type == SLC_SET_SECRET;
    char *text = scalar_text(value);
    if (text == NULL || (wants_string && !json_is_string(value))) {
        free(text);
        snprintf(what, sizeof(what), "%s must be a %s", l->table[i].name,
                 wants_string ? "text: quote it" : "scalar");
        return fail_in_file(l, l->table[i].name, pointer, what);
    }
    slc_error cause = {0};
    bool ok = l->given[i] || slc_setting_parse(&l->table[i], text, l->target, &cause);
    slc_free_secret(text, strlen(text));
    l->given[i] = true;
    return ok || fail_in_file(l, l->table[i].name, pointer, cause.message);
}

/* A mapping whose keys are settings, or prefixes of settings. `prefix` is empty or ends with a dot. */
static bool read_section(struct loading *l, const char *prefix, const char *pointer, json_t *section)
{
    const char *key;
    json_t *value;
    json_object_foreach (section, key, value) {
        char name[SLC_SETTING_NAME_CHARS], here[512], what[SLC_SETTING_NAME_CHARS + 32];
        snprintf(name, sizeof(name), "%s%.80s", prefix, key);
        snprintf(here, sizeof(here), "%s", pointer);
        slc_json_pointer_push(here, sizeof(here), key);
        size_t len = strlen(name), i = 0;
        bool is_prefix = false;
        for (; l->table[i].name != NULL && strcmp(l->table[i].name, name) != 0; i++)
            is_prefix =
                is_prefix || (strncmp(l->table[i].name, name, len) == 0 && l->table[i].name[len] == '.');
        if (l->table[i].name != NULL) {
            if (!read_key(l, i, here, value))
                return false;
            continue;
        }
        snprintf(what, sizeof(what), is_prefix ? "%s must be a mapping" : "unknown key %s", name);
        if (!is_prefix || (!json_is_object(value) && !json_is_null(value)))
            return fail_in_file(l, name, here, what);
        snprintf(name + len, sizeof(name) - len, ".");
        if (json_is_object(value) && !read_section(l, name, here, value))
            return false;
    }
    return true;
}

static bool read_file(struct loading *l)
{
    if (l->path == NULL)
        return true;
    char *text = slc_file_read(l->path, FILE_MAX_BYTES, &l->text_len, l->err);
    if (text == NULL)
        return false;
    l->text = text;
    json_t *root = slc_yaml_parse(text, l->text_len, FILE_MAX_BYTES, l->err);
    bool ok = root != NULL || slc_fail_context(l->err, "%s", l->path);
    if (ok && json_is_object(root))
        ok = read_section(l, "", "", root);
    else if (ok && !json_is_null(root))
        ok = slc_fail(l->err, SLC_INVALID, NULL, "%s: settings are a mapping", l->path);
    json_decref(root);
    slc_free_secret(text, l->text_len);
    l->text = NULL;
    return ok;
}

/* ---- the whole ---- */

int slc_settings_load(const slc_setting *table, const char *program, const char *summary, int argc, char **argv,
                      void *target, slc_error *err)
{
    struct loading l = {.table = table, .program = program, .summary = summary, .target = target, .err = err};
    l.given = slc_calloc(count(table), sizeof(bool));
    set_defaults(&l);
    int result = read_flags(&l, argc, argv);
    if (result == FLAG_OK && (!read_environment(&l) || !read_file(&l)))
        result = FLAG_ERROR;
    free(l.given);
    return result;
}

void slc_settings_release(const slc_setting *table, void *target)
{
    for (; table->name != NULL; table++)
        slc_setting_release(table, target);
}
