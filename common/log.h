/* Structured logging: one JSON object a line on stderr (or a file), or a human-readable line when the format
 * setting is "text". Thread safe: each line is one write(2).
 *
 *   slc_log(SLC_LOG_INFO, "listener opened", LS("address", addr), LI("port", port));
 *
 * Never pass a secret. Values are escaped; a value longer than 2 KiB is cut and marked.
 */
#ifndef SLC_COMMON_LOG_H
#define SLC_COMMON_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

enum slc_log_level { SLC_LOG_DEBUG, SLC_LOG_INFO, SLC_LOG_WARN, SLC_LOG_ERROR };

struct slc_log_value {
    enum { SLC_LV_STRING, SLC_LV_INT, SLC_LV_DOUBLE, SLC_LV_BOOL } type;
    union {
        const char *s; /* NULL prints null */
        int64_t i;
        double d;
        bool b;
    } u;
};

struct slc_log_pair {
    const char *key;
    struct slc_log_value value;
};

#define LS(name, v) ((struct slc_log_pair){(name), {SLC_LV_STRING, {.s = (v)}}})
#define LI(name, v) ((struct slc_log_pair){(name), {SLC_LV_INT, {.i = (v)}}})
#define LD(name, v) ((struct slc_log_pair){(name), {SLC_LV_DOUBLE, {.d = (v)}}})
#define LB(name, v) ((struct slc_log_pair){(name), {SLC_LV_BOOL, {.b = (v)}}})

/* slc_log(level, text, fields...): the field list may be empty and holds at most SLC_LOG_FIELDS_MAX. Arguments
 * are not evaluated when the level is off. (The text is part of the variable arguments because ISO C wants at
 * least one.) */
#define SLC_LOG_FIELDS_MAX 24
#define slc_log(level, ...)                                                                                    \
    do {                                                                                                       \
        if (slc_log_enabled(level))                                                                            \
            slc_log_fields((level), __VA_ARGS__, (struct slc_log_pair){NULL, {SLC_LV_INT, {.i = 0}}});         \
    } while (0)

bool slc_log_enabled(enum slc_log_level level);
/* `pairs` ends with a NULL key. `text` is a constant: variable parts are fields. */
void slc_log_write(enum slc_log_level level, const char *text, const struct slc_log_pair *pairs);
/* What slc_log calls: each field is a struct slc_log_pair by value, the last one has a NULL key. */
void slc_log_fields(enum slc_log_level level, const char *text, ...);
/* Logs err's code, message and field under the given text. */
void slc_log_error(enum slc_log_level level, const char *text, const slc_error *err);

/* Before threads start, or from any thread later (the level only). `component` is "control", "gateway", ... */
void slc_log_init(const char *component, enum slc_log_level level, bool json);
void slc_log_set_level(enum slc_log_level level);
/* Between the level of slc_log_init and debug, and says so: what SIGUSR1 does in every program. */
void slc_log_toggle_debug(void);
bool slc_log_parse_level(const char *text, enum slc_log_level *level) SLC_CHECKED;

#endif
