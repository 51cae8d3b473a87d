/* Settings, declared once: each is a flag, an environment variable and a key of one YAML file, in that order of
 * precedence (flag > environment > file > default).
 *
 * `admin.address` is --admin-address, SLUICE_ADMIN_ADDRESS and, in the file, `admin: {address: ...}`.
 * --config FILE (SLUICE_CONFIG) names the file; --help prints a table from the declarations; --settings-schema
 * a JSON Schema of the file; --version prints the version. An unknown flag, an unknown key in the file (with
 * line and column), a value of the wrong type or out of range is an error that names the setting and where its
 * value came from. An unknown SLUICE_ variable is a warning.
 */
#ifndef SLC_COMMON_SETTINGS_H
#define SLC_COMMON_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/error.h"

enum slc_setting_type {
    SLC_SET_STRING,   /* char *, owned by the settings, NULL when unset and without default */
    SLC_SET_INT,      /* int64_t, min..max */
    SLC_SET_BOOL,     /* bool; the flag alone means true, --no-NAME means false */
    SLC_SET_DURATION, /* int64_t milliseconds; "500ms", "15s", "10m", "24h", "30d" */
    SLC_SET_SIZE,     /* int64_t bytes; "64KiB", "1MiB", "2GiB", plain bytes */
    SLC_SET_ADDRESS,  /* char *, "HOST:PORT", "[::1]:PORT" or ":PORT" (all addresses); checked */
    SLC_SET_SECRET,   /* char *; never printed by --help, --print-config or in an error */
};

typedef struct slc_setting {
    const char *name; /* dotted: "config.address" */
    enum slc_setting_type type;
    const char *default_value; /* as text; NULL: none */
    const char *help;          /* one line */
    size_t offset;             /* where in the caller's struct the value goes */
    int64_t min, max;          /* INT, DURATION, SIZE: both 0 means no bound */
} slc_setting;

/* Parses into `target` (a struct whose members `table` points at). `table` ends with a NULL name. Positional
 * arguments are an error. Returns 0 when the program should go on, 1 when --help or --version was answered
 * (exit 0), -1 on an error. Call slc_settings_release on the same target in every case. */
int slc_settings_load(const slc_setting *table, const char *program, const char *summary, int argc, char **argv,
                      void *target, slc_error *err) SLC_CHECKED;
void slc_settings_release(const slc_setting *table, void *target);
/* The --help text. */
void slc_settings_help(const slc_setting *table, const char *program, const char *summary, FILE *out);

/* "HOST:PORT" as SLC_SET_ADDRESS accepts it, split. `host` is empty for all addresses. */
bool slc_address_split(const char *address, char *host, size_t host_size, uint16_t *port,
                       slc_error *err) SLC_CHECKED;

#endif
