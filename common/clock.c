#include "common/clock.h"

#include <time.h>

#include "common/assert.h"
#include "common/crypto.h"
#include <string.h>

static int64_t read_clock_us(clockid_t id)
{
    struct timespec ts;
    SLC_BUG_ON(clock_gettime(id, &ts) != 0);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static _Thread_local int64_t pretended_ms;

int64_t slc_wall_ms(void)
{
    return pretended_ms != 0 ? pretended_ms : read_clock_us(CLOCK_REALTIME) / 1000;
}

void slc_wall_pretend(int64_t wall_ms)
{
    pretended_ms = wall_ms;
}

int64_t slc_monotonic_ms(void)
{
    return read_clock_us(CLOCK_MONOTONIC) / 1000;
}

int64_t slc_monotonic_about_ms(void)
{
    return read_clock_us(CLOCK_MONOTONIC_COARSE) / 1000;
}

int64_t slc_monotonic_us(void)
{
    return read_clock_us(CLOCK_MONOTONIC);
}

/* Years outside of 0000..9999 have no RFC 3339 form: they are clamped. */
#define MIN_WALL_MS (-INT64_C(62167219200000))
#define MAX_WALL_MS INT64_C(253402300799999)

/* The inverse of days_from_date. */
static void date_from_days(int64_t days, int *year, unsigned *month, unsigned *day)
{
    days += 719468; /* since 0000-03-01 */
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned of_era = (unsigned)(days - era * 146097);
    unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned from_march = (5 * of_year + 2) / 153;
    *day = of_year - (153 * from_march + 2) / 5 + 1;
    *month = from_march < 10 ? from_march + 3 : from_march - 9;
    *year = (int)(era * 400) + (int)year_of_era + (*month <= 2);
}

static void put_digits(char *out, int digits, unsigned value)
{
    while (digits-- > 0) {
        out[digits] = (char)('0' + value % 10);
        value /= 10;
    }
}

static void format_second(int64_t seconds, char out[SLC_RFC3339_CHARS])
{
    int64_t of_day = seconds % 86400;
    if (of_day < 0)
        of_day += 86400;
    unsigned second = (unsigned)of_day;
    int year;
    unsigned month, day;
    date_from_days((seconds - of_day) / 86400, &year, &month, &day);
    memcpy(out, "0000-00-00T00:00:00.000Z", SLC_RFC3339_CHARS);
    put_digits(out, 4, (unsigned)year);
    put_digits(out + 5, 2, month);
    put_digits(out + 8, 2, day);
    put_digits(out + 11, 2, second / 3600);
    put_digits(out + 14, 2, second / 60 % 60);
    put_digits(out + 17, 2, second % 60);
}

/* By hand: every event has one, and the C library's way takes longer than all the rest of an event. Times that
 * follow each other mostly share the second. */
void slc_rfc3339_format(int64_t wall_ms, char out[SLC_RFC3339_CHARS])
{
    if (wall_ms < MIN_WALL_MS)
        wall_ms = MIN_WALL_MS;
    if (wall_ms > MAX_WALL_MS)
        wall_ms = MAX_WALL_MS;
    int64_t ms = wall_ms % 1000;
    if (ms < 0)
        ms += 1000;
    int64_t seconds = (wall_ms - ms) / 1000;
    static _Thread_local int64_t last_seconds = INT64_MIN;
    static _Thread_local char last[SLC_RFC3339_CHARS];
    if (seconds != last_seconds) {
        format_second(seconds, last);
        last_seconds = seconds;
    }
    memcpy(out, last, SLC_RFC3339_CHARS);
    put_digits(out + 20, 3, (unsigned)ms);
}

struct cursor {
    const char *at;
    const char *end;
};

static bool take_char(struct cursor *c, const char *any_of)
{
    for (; *any_of != '\0'; any_of++) {
        if (c->at < c->end && *c->at == *any_of) {
            c->at++;
            return true;
        }
    }
    return false;
}

/* Exactly `digits` digits, within min..max. */
static bool take_number(struct cursor *c, int digits, int min, int max, int *value)
{
    *value = 0;
    for (int i = 0; i < digits; i++) {
        if (c->at >= c->end || *c->at < '0' || *c->at > '9')
            return false;
        *value = *value * 10 + (*c->at++ - '0');
    }
    return *value >= min && *value <= max;
}

static bool take_fraction(struct cursor *c, int *ms)
{
    *ms = 0;
    if (!take_char(c, "."))
        return true;
    int digits = 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++, digits++)
        if (digits < 3)
            *ms = *ms * 10 + (*c->at - '0');
    for (int i = digits; i < 3; i++)
        *ms *= 10;
    return digits > 0;
}

static bool take_offset(struct cursor *c, int *minutes)
{
    *minutes = 0;
    if (take_char(c, "Zz"))
        return true;
    int sign = 1;
    if (take_char(c, "-"))
        sign = -1;
    else if (!take_char(c, "+"))
        return false;
    int hour, minute;
    if (!take_number(c, 2, 0, 23, &hour) || !take_char(c, ":") || !take_number(c, 2, 0, 59, &minute))
        return false;
    *minutes = sign * (hour * 60 + minute);
    return true;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* Days since 1970-01-01 of a date of the proleptic Gregorian calendar, counting in years that start in March so
 * that the leap day comes last. */
static int64_t days_from_date(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

bool slc_rfc3339_parse(const char *text, size_t len, int64_t *wall_ms)
{
    struct cursor c = {text, text + len};
    int year, month, day, hour, minute, second, ms, offset;
    if (!take_number(&c, 4, 0, 9999, &year) || !take_char(&c, "-") || !take_number(&c, 2, 1, 12, &month) ||
        !take_char(&c, "-") || !take_number(&c, 2, 1, 31, &day) || day > days_in_month(year, month))
        return false;
    if (!take_char(&c, "Tt ") || !take_number(&c, 2, 0, 23, &hour) || !take_char(&c, ":") ||
        !take_number(&c, 2, 0, 59, &minute) || !take_char(&c, ":") || !take_number(&c, 2, 0, 60, &second))
        return false;
    if (!take_fraction(&c, &ms) || !take_offset(&c, &offset) || c.at != c.end)
        return false;
    int64_t minutes = (days_from_date(year, month, day) * 24 + hour) * 60 + minute - offset;
    if (second == 60) { /* a leap second: only at the end of a UTC day, and POSIX time has no place for it */
        if ((minutes + 1) % 1440 != 0)
            return false;
        second = 59;
        ms = 999;
    }
    *wall_ms = (minutes * 60 + second) * 1000 + ms;
    return true;
}

int64_t slc_jitter_ms(int64_t base_ms, unsigned percent)
{
    SLC_BUG_ON(percent > 100 || base_ms < 0 || base_ms > INT64_MAX / 200);
    int64_t spread = base_ms * (int64_t)percent / 100;
    if (spread == 0)
        return base_ms;
    uint64_t random;
    slc_random(&random, sizeof(random));
    return base_ms - spread + (int64_t)(random % (uint64_t)(2 * spread + 1));
}
