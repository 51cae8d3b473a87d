/* One setting: from text to a member of the caller's struct, and its line of --help. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/settings_private.h"

struct unit {
    const char *suffix;
    int64_t factor;
};

static const struct unit durations[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                        {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const struct unit sizes[] = {
    {"", 1}, {"B", 1}, {"KiB", 1024}, {"MiB", 1024 * 1024}, {"GiB", 1024 * 1024 * 1024}, {NULL, 0}};
static const struct unit plain[] = {{"", 1}, {NULL, 0}};

static const struct {
    const char *name;         /* in --help */
    const char *expected;     /* in errors */
    const struct unit *units; /* of a number; NULL: not a number */
} types[] = {
    [SLC_SET_STRING] = {"TEXT", "a text", NULL},
    [SLC_SET_INT] = {"NUMBER", "a whole number", plain},
    [SLC_SET_BOOL] = {NULL, "true or false", NULL},
    [SLC_SET_DURATION] = {"DURATION", "a duration such as 500ms, 15s, 10m, 24h or 30d", durations},
    [SLC_SET_SIZE] = {"SIZE", "a size such as 65536, 64KiB, 1MiB or 2GiB", sizes},
    [SLC_SET_ADDRESS] = {"ADDRESS", "HOST:PORT, [IPv6]:PORT or :PORT", NULL},
    [SLC_SET_SECRET] = {"SECRET", "a text", NULL},
};

static void *member(const slc_setting *setting, void *target)
{
    return (char *)target + setting->offset;
}

static bool is_text(const slc_setting *setting)
{
    return setting->type == SLC_SET_STRING || setting->type == SLC_SET_ADDRESS ||
           setting->type == SLC_SET_SECRET;
}

void slc_setting_reset(const slc_setting *setting, void *target)
{
    if (is_text(setting))
        *(char **)member(setting, target) = NULL;
    else if (setting->type == SLC_SET_BOOL)
        *(bool *)member(setting, target) = false;
    else
        *(int64_t *)member(setting, target) = 0;
}

void slc_setting_release(const slc_setting *setting, void *target)
{
    if (!is_text(setting))
        return;
    char **text = member(setting, target);
    if (*text != NULL)
        slc_free_secret(*text, strlen(*text));
    *text = NULL;
}

static bool parse_number(const char *text, const struct unit *units, int64_t *value)
{
    const char *digits = text + (*text == '-');
    size_t len = strspn(digits, "0123456789");
    if (len == 0 || len > 18)
        return false;
    int64_t number = strtoll(text, NULL, 10); /* 18 digits always fit */
    for (; units->suffix != NULL; units++)
        if (strcmp(digits + len, units->suffix) == 0)
            return !__builtin_mul_overflow(number, units->factor, value);
    return false;
}

/* A number as somebody would write it: in the largest unit that divides it. */
static void print_number(const struct unit *units, int64_t value, char *out, size_t size)
{
    const struct unit *best = units;
    for (const struct unit *u = units; u->suffix != NULL; u++)
        if (value != 0 && value % u->factor == 0 && u->factor > best->factor)
            best = u;
    snprintf(out, size, "%" PRId64 "%s", value / best->factor, best->suffix);
}

static bool check_bounds(const slc_setting *setting, int64_t value, slc_error *err)
{
    if ((setting->min == 0 && setting->max == 0) || (value >= setting->min && value <= setting->max))
        return true;
    char text[3][32];
    const int64_t values[] = {value, setting->min, setting->max};
    for (int i = 0; i < 3; i++)
        print_number(types[setting->type].units, values[i], text[i], sizeof(text[i]));
    return slc_fail(err, SLC_INVALID, setting->name, "%s is %s, which is not within %s to %s", setting->name,
                    text[0], text[1], text[2]);
}

static bool parse_bool(const char *text, bool *value)
{
    *value = strcmp(text, "true") == 0;
    return *value || strcmp(text, "false") == 0;
}

static bool fail_type(const slc_setting *setting, const char *text, slc_error *err)
{
    return slc_fail(err, SLC_INVALID, setting->name, "%s is \"%.80s\", which is not %s", setting->name, text,
                    types[setting->type].expected);
}

static bool parse_text(const slc_setting *setting, const char *text, char **value, slc_error *err)
{
    char host[256];
    uint16_t port;
    if (setting->type == SLC_SET_ADDRESS && text[0] != '\0' &&
        !slc_address_split(text, host, sizeof(host), &port, NULL))
        return fail_type(setting, text, err);
    if (*value != NULL)
        slc_free_secret(*value, strlen(*value));
    /* An empty address is "none": the way to switch off a default. */
    *value = setting->type == SLC_SET_ADDRESS && text[0] == '\0' ? NULL : slc_strdup(text);
    return true;
}

bool slc_setting_parse(const slc_setting *setting, const char *text, void *target, slc_error *err)
{
    if (is_text(setting))
        return parse_text(setting, text, member(setting, target), err);
    if (setting->type == SLC_SET_BOOL)
        return parse_bool(text, member(setting, target)) || fail_type(setting, text, err);
    int64_t value;
    if (!parse_number(text, types[setting->type].units, &value))
        return fail_type(setting, text, err);
    if (!check_bounds(setting, value, err))
        return false;
    *(int64_t *)member(setting, target) = value;
    return true;
}

/* ---- help ---- */

static void print_flag(FILE *out, const char *flag, const char *value)
{
    int width = fprintf(out, "  --%s%s%s", flag, value != NULL ? " " : "", value != NULL ? value : "");
    if (width < 40)
        fprintf(out, "%*s", 40 - width, "");
    else
        fprintf(out, "\n%40s", "");
}

void slc_settings_help(const slc_setting *table, const char *program, const char *summary, FILE *out)
{
    fprintf(out, "%s: %s\n\nUsage: %s [--NAME VALUE | --NAME=VALUE]...\n\n", program, summary, program);
    fprintf(out,
            "Each setting is a flag, an environment variable and a key of a YAML file: --admin-address is\n"
            "SLUICE_ADMIN_ADDRESS and `admin: {address: ...}`. A flag wins over the environment, the\n"
            "environment over the file.\n\n");
    for (const slc_setting *s = table; s->name != NULL; s++) {
        char flag[SLC_SETTING_NAME_CHARS], variable[SLC_SETTING_NAME_CHARS];
        slc_setting_flag(s, flag);
        slc_setting_variable(s, variable);
        print_flag(out, flag, types[s->type].name);
        fprintf(out, "%s", s->help);
        if (s->default_value != NULL && s->default_value[0] != '\0' && s->type != SLC_SET_SECRET)
            fprintf(out, " (default: %s)", s->default_value);
        if (s->type == SLC_SET_BOOL && s->default_value != NULL && strcmp(s->default_value, "true") == 0)
            fprintf(out, "; --no-%s: false", flag);
        fprintf(out, "\n%40s%s\n", "", variable);
    }
    print_flag(out, "config", "FILE");
    fprintf(out, "the YAML file with settings\n%40sSLUICE_CONFIG\n", "");
    print_flag(out, "settings-schema", NULL);
    fprintf(out, "print a JSON Schema of that file and exit\n");
    print_flag(out, "help", NULL);
    fprintf(out, "print this and exit\n");
    print_flag(out, "version", NULL);
    fprintf(out, "print the version and exit\n");
}
