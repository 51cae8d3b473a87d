/* CEL's timestamps (years 1 to 9999) and durations (292 years either way), to the nanosecond, in UTC or in a
 * time zone. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/cel/cel_private.h"
#include "common/clock.h"
#include "common/tz/tz_face.h"

#define SECOND_NS    1000000000
#define FIRST_SECOND (-62135596800) /* 0001-01-01T00:00:00Z */
#define LAST_SECOND  253402300799   /* 9999-12-31T23:59:59Z */
#define LONGEST      9223372036     /* seconds whose nanoseconds fit into an int */

#define TIME SLC_CEL_TIMESTAMP
#define SPAN SLC_CEL_DURATION

static const char out_of_range[] = "the time is out of range";

static slc_cel_value make_time(enum slc_cel_kind kind, int64_t seconds, int64_t nanos)
{
    seconds += nanos / SECOND_NS;
    nanos %= SECOND_NS;
    if (nanos < 0) {
        nanos += SECOND_NS;
        seconds--;
    }
    bool good = kind == TIME ? seconds >= FIRST_SECOND && seconds <= LAST_SECOND
                             : seconds > -LONGEST && seconds < LONGEST;
    return good ? (slc_cel_value){.kind = kind, .nanos = (uint32_t)nanos, .as.seconds = seconds}
                : slc_cel_error(out_of_range);
}

slc_cel_value slc_cel_timestamp_ms(int64_t wall_ms)
{
    return make_time(TIME, wall_ms / 1000, wall_ms % 1000 * 1000000);
}

/* None overflows: both are in range. */
slc_cel_value slc_cel_add_times(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    enum slc_cel_kind kind = args[0].kind == TIME || args[1].kind == TIME ? TIME : SPAN;
    (void)scratch;
    return make_time(kind, args[0].as.seconds + args[1].as.seconds, (int64_t)args[0].nanos + args[1].nanos);
}

slc_cel_value slc_cel_subtract_times(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    enum slc_cel_kind kind = args[0].kind == TIME && args[1].kind == SPAN ? TIME : SPAN;
    (void)scratch;
    return make_time(kind, args[0].as.seconds - args[1].as.seconds, (int64_t)args[0].nanos - args[1].nanos);
}

/* ---- from text and to text ---- */

static uint32_t nanos_of(const char *text, size_t len)
{
    const char *dot = memchr(text, '.', len), *end = text + len;
    uint32_t nanos = 0, unit = SECOND_NS / 10;
    for (const char *c = dot != NULL ? dot + 1 : end; c < end && *c >= '0' && *c <= '9'; c++, unit /= 10)
        nanos += (uint32_t)(*c - '0') * unit;
    return nanos;
}

static slc_cel_value time_of_string(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    int64_t wall_ms;
    (void)scratch;
    if (!slc_rfc3339_parse(args[0].as.text.data, args[0].as.text.len, &wall_ms))
        return slc_cel_error("a timestamp is written like 2026-01-31T23:59:59Z");
    int64_t seconds = wall_ms / 1000 - (wall_ms % 1000 < 0);
    return make_time(TIME, seconds, nanos_of(args[0].as.text.data, args[0].as.text.len));
}

static slc_cel_value time_of_int(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    (void)scratch;
    return args[0].as.integer < FIRST_SECOND || args[0].as.integer > LAST_SECOND
               ? slc_cel_error(out_of_range)
               : make_time(TIME, args[0].as.integer, 0);
}

static const struct unit {
    const char *name;
    int64_t nanos;
} units[] = {{"ns", 1},
             {"us", 1000},
             {"ms", 1000000},
             {"s", SECOND_NS},
             {"m", 60LL * SECOND_NS},
             {"h", 3600LL * SECOND_NS}};

/* One "1.5h". `*at` moves behind it; false when there is none, or one too long for any duration. */
static bool take_part(const char **at, const char *end, int64_t *seconds, int64_t *nanos)
{
    int64_t whole = 0, fraction = 0, scale = 1;
    const char *c = *at;
    bool digits = false;
    for (; c < end && *c >= '0' && *c <= '9'; c++, digits = true)
        if (whole > INT64_MAX / 20 || (whole = whole * 10 + (*c - '0')) < 0)
            return false;
    if (c < end && *c == '.')
        for (c++; c < end && *c >= '0' && *c <= '9'; c++, digits = true)
            if (scale < SECOND_NS) {
                fraction = fraction * 10 + (*c - '0');
                scale *= 10;
            }
    const char *name = c;
    while (c < end && *c >= 'a' && *c <= 'z')
        c++;
    for (const struct unit *unit = units; digits && unit < units + sizeof units / sizeof *units; unit++) {
        if ((size_t)(c - name) != strlen(unit->name) || memcmp(name, unit->name, (size_t)(c - name)) != 0)
            continue;
        int64_t per_second = unit->nanos < SECOND_NS ? SECOND_NS / unit->nanos : 1;
        int64_t seconds_each = unit->nanos < SECOND_NS ? 0 : unit->nanos / SECOND_NS;
        if (seconds_each > 0 && whole > LONGEST / seconds_each)
            return false;
        *seconds += seconds_each > 0 ? whole * seconds_each : whole / per_second;
        *nanos += seconds_each > 0 ? 0 : whole % per_second * unit->nanos;
        /* The fraction is below one unit; of an hour that is 3.6e12 ns. */
        *nanos += (int64_t)((double)fraction / (double)scale * (double)unit->nanos + 0.5);
        *at = c;
        return *seconds <= LONGEST;
    }
    return false;
}

static slc_cel_value span_of_string(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    const char *at = args[0].as.text.data, *end = at + args[0].as.text.len;
    int64_t seconds = 0, nanos = 0;
    (void)scratch;
    bool negative = at < end && *at == '-';
    at += at < end && (*at == '-' || *at == '+');
    bool zero = end - at == 1 && *at == '0';
    bool ok = at < end;
    while (ok && !zero && at < end)
        ok = take_part(&at, end, &seconds, &nanos);
    if (!ok)
        return slc_cel_error("a duration is written like 90s, 1.5h or 1h30m, and shorter than 292 years");
    return make_time(SPAN, negative ? -seconds : seconds, negative ? -nanos : nanos);
}

/* ".5", ".123456789", or nothing. */
static void print_fraction(char *out, size_t cap, uint32_t nanos)
{
    int len = snprintf(out, cap, ".%09" PRIu32, nanos);
    while (len > 0 && out[len - 1] == '0')
        len--;
    out[len > 1 ? len : 0] = '\0';
}

slc_cel_value slc_cel_string_of_timestamp(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    char date[SLC_RFC3339_CHARS], fraction[16], text[64];
    slc_rfc3339_format(args[0].as.seconds * 1000, date);
    print_fraction(fraction, sizeof fraction, args[0].nanos);
    int len = snprintf(text, sizeof text, "%.19s%sZ", date, fraction);
    return slc_cel_make_string(scratch, text, (size_t)len);
}

slc_cel_value slc_cel_string_of_duration(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    char fraction[16], text[64];
    int64_t seconds = args[0].as.seconds;
    uint32_t nanos = args[0].nanos;
    bool negative = seconds < 0;
    if (negative && nanos > 0) {
        seconds++;
        nanos = SECOND_NS - nanos;
    }
    print_fraction(fraction, sizeof fraction, nanos);
    int len = snprintf(text, sizeof text, "%s%" PRId64 "%ss", negative ? "-" : "",
                       negative ? -seconds : seconds, fraction);
    return slc_cel_make_string(scratch, text, (size_t)len);
}

/* ---- parts ---- */

struct date {
    int64_t year;
    int64_t month, day, day_of_year; /* from 0 */
};

/* Howard Hinnant's days algorithm, whose years begin in March, so that a leap day is the last of its year. */
static struct date date_of(int64_t seconds)
{
    int64_t days = (seconds - (seconds % 86400 < 0 ? 86400 : 0)) / 86400 + 719468; /* from 0000-03-01 */
    int64_t era = days / 146097, day = days % 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t of_year = day - (365 * year + year / 4 - year / 100), march = (5 * of_year + 2) / 153;
    struct date date = {.month = march < 10 ? march + 2 : march - 10, .day = of_year - (153 * march + 2) / 5};
    date.year = era * 400 + year + (date.month < 2);
    bool leap = date.year % 4 == 0 && (date.year % 100 != 0 || date.year % 400 == 0);
    date.day_of_year = of_year >= 306 ? of_year - 306 : of_year + 59 + leap;
    return date;
}

static int64_t second_of_day(const slc_cel_value *time)
{
    int64_t seconds = time->as.seconds % 86400;
    return seconds < 0 ? seconds + 86400 : seconds;
}

static int64_t weekday_of(int64_t seconds) /* Sunday is 0 */
{
    int64_t day = ((seconds - (seconds % 86400 < 0 ? 86400 : 0)) / 86400 + 4) % 7;
    return day < 0 ? day + 7 : day;
}

/* Towards zero, as durations are counted. */
static int64_t whole_seconds(const slc_cel_value *span)
{
    return span->as.seconds + (span->as.seconds < 0 && span->nanos > 0);
}

static int64_t ms_of_span(const slc_cel_value *span)
{
    bool up = span->as.seconds < 0 && span->nanos > 0;
    return up ? -(int64_t)((SECOND_NS - span->nanos) / 1000000) : span->nanos / 1000000;
}

#define PART(name, expression)                                                                                 \
    static slc_cel_value name(const slc_cel_value *args, slc_cel_scratch *scratch)                             \
    {                                                                                                          \
        (void)scratch;                                                                                         \
        return slc_cel_int(expression);                                                                        \
    }

/* The time as clocks in a zone show it. False: the zone is not known on this machine. */
static bool shift(const slc_cel_value *args, slc_cel_value *local)
{
    int32_t offset;
    *local = args[0];
    if (!slc_tz_offset(args[1].as.text.data, args[1].as.text.len, args[0].as.seconds, &offset))
        return false;
    local->as.seconds += offset;
    return true;
}

#define ZONED(name, part)                                                                                      \
    static slc_cel_value name(const slc_cel_value *args, slc_cel_scratch *scratch)                             \
    {                                                                                                          \
        slc_cel_value local;                                                                                   \
        return shift(args, &local) ? part(&local, scratch)                                                     \
                                   : slc_cel_error("this machine does not know the time zone");                \
    }

PART(year, date_of(args->as.seconds).year)
PART(month, date_of(args->as.seconds).month)
PART(day_of_month, date_of(args->as.seconds).day)
PART(date, date_of(args->as.seconds).day + 1)
PART(day_of_year, date_of(args->as.seconds).day_of_year)
PART(weekday, weekday_of(args->as.seconds))
PART(hours, second_of_day(args) / 3600)
PART(minutes, second_of_day(args) / 60 % 60)
PART(seconds, second_of_day(args) % 60)
PART(milliseconds, args->nanos / 1000000)
PART(span_hours, whole_seconds(args) / 3600)
PART(span_minutes, whole_seconds(args) / 60)
PART(span_seconds, whole_seconds(args))
PART(span_milliseconds, ms_of_span(args))

ZONED(zoned_year, year)
ZONED(zoned_month, month)
ZONED(zoned_day_of_month, day_of_month)
ZONED(zoned_date, date)
ZONED(zoned_day_of_year, day_of_year)
ZONED(zoned_weekday, weekday)
ZONED(zoned_hours, hours)
ZONED(zoned_minutes, minutes)
ZONED(zoned_seconds, seconds)
ZONED(zoned_milliseconds, milliseconds)

static slc_cel_value keep(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    (void)scratch;
    return args[0];
}

const slc_cel_function slc_cel_times[] = {
    {"timestamp", false, 1, {SLC_CEL_STRING}, TIME, time_of_string},
    {"timestamp", false, 1, {SLC_CEL_INT}, TIME, time_of_int},
    {"timestamp", false, 1, {TIME}, TIME, keep},
    {"duration", false, 1, {SLC_CEL_STRING}, SPAN, span_of_string},
    {"duration", false, 1, {SPAN}, SPAN, keep},
    {"getFullYear", true, 1, {TIME}, SLC_CEL_INT, year},
    {"getFullYear", true, 2, {TIME, SLC_CEL_STRING}, SLC_CEL_INT, zoned_year},
    {"getMonth", true, 1, {TIME}, SLC_CEL_INT, month},
    {"getMonth", true, 2, {TIME, SLC_CEL_STRING}, SLC_CEL_INT, zoned_month},
    {"getDayOfMonth", true, 1, {TIME}, SLC_CEL_INT, day_of_month},
    {"getDayOfMonth", true, 2, {TIME, SLC_CEL_STRING}, SLC_CEL_INT, zoned_day_of_month},
    {"getDate", true, 1, {TIME}, SLC_CEL_INT, date},
    {"getDate", true, 2, {TIME, SLC_CEL_STRING}, SLC_CEL_INT, zoned_date},
    {"getDayOfYear", true, 1, {TIME}, SLC_CEL_INT, day_of_year},
    {"getDayOfYear", true, 2, {TIME, SLC_CEL_STRING}, SLC_CEL_INT, zoned_day_of_year},
    {"getDayOfWeek", true, 1, {TIME}, SLC_CEL_INT, weekday},
    {"getDayOfWeek", true, 2, {TIME, SLC_CEL_STRING}, SLC_CEL_INT, zoned_weekday},
    {"getHours", true, 1, {TIME}, SLC_CEL_INT, hours},
    {"getHours", true, 2, {TIME, SLC_CEL_STRING}, SLC_CEL_INT, zoned_hours},
    {"getHours", true, 1, {SPAN}, SLC_CEL_INT, span_hours},
    {"getMinutes", true, 1, {TIME}, SLC_CEL_INT, minutes},
    {"getMinutes", true, 2, {TIME, SLC_CEL_STRING}, SLC_CEL_INT, zoned_minutes},
    {"getMinutes", true, 1, {SPAN}, SLC_CEL_INT, span_minutes},
    {"getSeconds", true, 1, {TIME}, SLC_CEL_INT, seconds},
    {"getSeconds", true, 2, {TIME, SLC_CEL_STRING}, SLC_CEL_INT, zoned_seconds},
    {"getSeconds", true, 1, {SPAN}, SLC_CEL_INT, span_seconds},
    {"getMilliseconds", true, 1, {TIME}, SLC_CEL_INT, milliseconds},
    {"getMilliseconds", true, 2, {TIME, SLC_CEL_STRING}, SLC_CEL_INT, zoned_milliseconds},
    {"getMilliseconds", true, 1, {SPAN}, SLC_CEL_INT, span_milliseconds},
    {.name = NULL},
};
