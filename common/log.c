#include "common/log.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/redact.h"

#define VALUE_MAX_BYTES 2048
#define LINE_MAX_BYTES  (256 * 1024)

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static atomic_int threshold = SLC_LOG_INFO;
static enum slc_log_level configured = SLC_LOG_INFO;
static char component_name[32] = "sluice";
static bool as_json = true;

void slc_log_init(const char *component, enum slc_log_level level, bool json)
{
    size_t len = strnlen(component, sizeof(component_name) - 1);
    memcpy(component_name, component, len);
    component_name[len] = '\0';
    as_json = json;
    configured = level;
    slc_log_set_level(level);
}

void slc_log_set_level(enum slc_log_level level)
{
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

void slc_log_toggle_debug(void)
{
    bool debug = slc_log_enabled(SLC_LOG_DEBUG);
    enum slc_log_level level = debug ? configured : SLC_LOG_DEBUG;
    slc_log_set_level(level);
    /* As an error, so that it is written at any level: whoever reads the log must know where a part begins. */
    slc_log(SLC_LOG_ERROR, "log level changed by a signal",
            LS("from", level_names[debug ? SLC_LOG_DEBUG : configured]), LS("to", level_names[level]));
}

bool slc_log_enabled(enum slc_log_level level)
{
    return (int)level >= atomic_load_explicit(&threshold, memory_order_relaxed);
}

bool slc_log_parse_level(const char *text, enum slc_log_level *level)
{
    for (int i = SLC_LOG_DEBUG; i <= SLC_LOG_ERROR; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *level = (enum slc_log_level)i;
            return true;
        }
    }
    return false;
}

static void add_string(slc_buf *line, const char *s)
{
    if (s == NULL) {
        slc_buf_adds(line, "null");
        return;
    }
    size_t len = strnlen(s, VALUE_MAX_BYTES + 1);
    bool cut = len > VALUE_MAX_BYTES;
    if (cut) { /* not inside a UTF-8 sequence */
        len = VALUE_MAX_BYTES;
        while (len > VALUE_MAX_BYTES - 4 && ((unsigned char)s[len] & 0xC0) == 0x80)
            len--;
    }
    slc_buf_addc(line, '"');
    slc_buf_add_json_string(line, s, len);
    slc_buf_adds(line, cut ? "...[cut]\"" : "\"");
}

static void add_value(slc_buf *line, const struct slc_log_value *value)
{
    switch (value->type) {
    case SLC_LV_STRING:
        add_string(line, value->u.s);
        break;
    case SLC_LV_INT:
        slc_buf_addf(line, "%lld", (long long)value->u.i);
        break;
    case SLC_LV_DOUBLE:
        if (isfinite(value->u.d))
            slc_buf_addf(line, "%.9g", value->u.d);
        else
            slc_buf_adds(line, "null"); /* JSON has no word for it */
        break;
    case SLC_LV_BOOL:
        slc_buf_adds(line, value->u.b ? "true" : "false");
        break;
    }
}

static void json_line(slc_buf *line, enum slc_log_level level, const char *time, const char *text,
                      const struct slc_log_pair *pairs)
{
    slc_buf_addf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"component\":", time, level_names[level]);
    add_string(line, component_name);
    slc_buf_adds(line, ",\"message\":");
    add_string(line, text);
    for (; pairs->key != NULL; pairs++) {
        slc_buf_addc(line, ',');
        add_string(line, pairs->key);
        slc_buf_addc(line, ':');
        add_value(line, &pairs->value);
    }
    slc_buf_adds(line, "}\n");
}

static void text_line(slc_buf *line, enum slc_log_level level, const char *time, const char *text,
                      const struct slc_log_pair *pairs)
{
    slc_buf_addf(line, "%s %-5s %s: %s", time, level_names[level], component_name, text);
    for (; pairs->key != NULL; pairs++) {
        slc_buf_addf(line, " %s=", pairs->key);
        add_value(line, &pairs->value);
    }
    slc_buf_addc(line, '\n');
}

void slc_log_write(enum slc_log_level level, const char *text, const struct slc_log_pair *pairs)
{
    if (!slc_log_enabled(level))
        return;
    int saved_errno = errno; /* logging must not disturb what the caller is about to look at */
    char time[SLC_RFC3339_CHARS];
    slc_rfc3339_format(slc_wall_ms(), time);
    slc_buf line;
    slc_buf_init(&line, LINE_MAX_BYTES);
    (as_json ? json_line : text_line)(&line, level, time, text, pairs);
    line.len = slc_redact((char *)line.data, line.len);
    /* One write, so that lines of different threads do not mix. When stderr is gone there is nobody left to
     * tell. */
    ssize_t written;
    do
        written = write(STDERR_FILENO, line.data, line.len);
    while (written < 0 && errno == EINTR);
    slc_buf_release(&line);
    errno = saved_errno;
}

void slc_log_fields(enum slc_log_level level, const char *text, ...)
{
    struct slc_log_pair pairs[SLC_LOG_FIELDS_MAX + 1];
    size_t n = 0;
    va_list args;
    va_start(args, text);
    do
        pairs[n] = va_arg(args, struct slc_log_pair);
    while (pairs[n].key != NULL && ++n < SLC_LOG_FIELDS_MAX);
    va_end(args);
    pairs[n].key = NULL;
    slc_log_write(level, text, pairs);
}

void slc_log_error(enum slc_log_level level, const char *text, const slc_error *err)
{
    const struct slc_log_pair pairs[] = {
        LS("code", slc_code_name(err->code)),
        LS("error", err->message),
        err->field[0] != '\0' ? LS("field", err->field) : (struct slc_log_pair){NULL, {SLC_LV_INT, {.i = 0}}},
        {NULL, {SLC_LV_INT, {.i = 0}}},
    };
    slc_log_write(level, text, pairs);
}
