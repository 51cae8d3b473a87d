#include "dataplane/schema/number.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

#define MAX_DIGITS   19
#define MAX_APART    18 /* 37 digits fit */
#define MAX_EXPONENT 100000

/* strtod wants an end, and records are not followed by one. */
static double read_real(const char *text, size_t len)
{
    char small[64];
    char *copy = len < sizeof small ? small : slc_malloc(len + 1);
    memcpy(copy, text, len);
    copy[len] = '\0';
    double real = strtod(copy, NULL);
    if (copy != small)
        free(copy);
    return real;
}

static int read_exponent(const char *p, const char *end)
{
    bool below = *p == '-';
    int value = 0;
    if (*p == '-' || *p == '+')
        p++;
    for (; p < end; p++)
        value = value < MAX_EXPONENT ? value * 10 + (*p - '0') : value;
    return below ? -value : value;
}

slc_number slc_number_read(const char *text, size_t len)
{
    slc_number number = {.exact = true, .real = read_real(text, len)};
    const char *p = text, *end = text + len;
    bool below = *p == '-', fraction = false;
    int count = 0, zeros = 0, exponent = 0; /* zeros: that matter only when another digit follows */
    for (p += below ? 1 : 0; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.') {
            fraction = true;
            continue;
        }
        exponent -= fraction ? 1 : 0;
        if (*p == '0') {
            zeros += count > 0 ? 1 : 0;
            continue;
        }
        count += zeros + 1;
        for (; count <= MAX_DIGITS && zeros > 0; zeros--)
            number.digits *= 10;
        number.digits = count <= MAX_DIGITS ? number.digits * 10 + (*p - '0') : number.digits;
        zeros = 0;
    }
    exponent += zeros + (p < end ? read_exponent(p + 1, end) : 0);
    number.exact = count <= MAX_DIGITS && abs(exponent) < MAX_EXPONENT;
    number.exponent = number.digits == 0 ? 0 : exponent;
    number.digits = below ? -number.digits : number.digits;
    return number;
}

static slc_wide scaled(slc_wide digits, int power)
{
    slc_wide value = digits;
    while (power-- > 0)
        value *= 10;
    return value;
}

/* Both as whole numbers of one unit. False: they are too far apart for it. */
static bool align(const slc_number *a, const slc_number *b, slc_wide *x, slc_wide *y)
{
    int apart = a->exponent - b->exponent;
    if (!a->exact || !b->exact || abs(apart) > MAX_APART)
        return false;
    *x = scaled(a->digits, apart > 0 ? apart : 0);
    *y = scaled(b->digits, apart < 0 ? -apart : 0);
    return true;
}

int slc_number_compare(const slc_number *a, const slc_number *b)
{
    slc_wide x, y;
    if (align(a, b, &x, &y))
        return (x > y) - (x < y);
    return (a->real > b->real) - (a->real < b->real);
}

bool slc_number_is_whole(const slc_number *number)
{
    return number->exact ? number->exponent >= 0
                         : isfinite(number->real) && floor(number->real) == number->real;
}

bool slc_number_is_multiple(const slc_number *a, const slc_number *b)
{
    slc_wide x, y;
    if (a->exact && a->digits == 0)
        return true;
    if (align(a, b, &x, &y))
        return x % y == 0;
    if (isinf(a->real) || b->real == 0)
        return false;
    return fmod(a->real, b->real) == 0;
}

bool slc_number_int64(const slc_number *number, int64_t *out)
{
    if (!number->exact || number->exponent < 0 || number->exponent > MAX_APART)
        return false;
    slc_wide value = scaled(number->digits, number->exponent);
    if (value > INT64_MAX || value < INT64_MIN)
        return false;
    *out = (int64_t)value;
    return true;
}
