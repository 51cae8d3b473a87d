/* CEL's conversions. What does not fit is an error, never another value. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cel/cel_private.h"
#include "common/utf8.h"

#define S SLC_CEL_STRING
#define I SLC_CEL_INT
#define U SLC_CEL_UINT
#define D SLC_CEL_DOUBLE

static const char range[] = "the value is out of the range of the kind that it is converted to";
static const char not_a_number[] = "the text is no number of this kind";

static slc_cel_value keep(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    (void)scratch;
    return args[0];
}

static slc_cel_value make_uint(uint64_t value)
{
    return (slc_cel_value){.kind = SLC_CEL_UINT, .as.natural = value};
}

static slc_cel_value make_double(double value)
{
    return (slc_cel_value){.kind = SLC_CEL_DOUBLE, .as.real = value};
}

static slc_cel_value int_of_uint(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    (void)scratch;
    return args[0].as.natural > INT64_MAX ? slc_cel_error(range) : slc_cel_int((int64_t)args[0].as.natural);
}

/* The limits themselves are refused: 2^63 is no int, and a double next to it might have been rounded. */
static slc_cel_value int_of_double(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    double value = args[0].as.real;
    (void)scratch;
    return value > -0x1p63 && value < 0x1p63 ? slc_cel_int((int64_t)value) : slc_cel_error(range);
}

/* A C string of the argument; false when it is none or too long for a number. */
static bool number_text(const slc_cel_value *text, char out[64])
{
    size_t len = text->as.text.len;
    if (len == 0 || len >= 64 || memchr(text->as.text.data, '\0', len) != NULL)
        return false;
    memcpy(out, text->as.text.data, len);
    out[len] = '\0';
    return true;
}

static slc_cel_value int_of_string(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    char text[64], *end;
    (void)scratch;
    if (!number_text(&args[0], text))
        return slc_cel_error(not_a_number);
    const char *digits = text + (text[0] == '-' || text[0] == '+');
    if (*digits < '0' || *digits > '9')
        return slc_cel_error(not_a_number);
    errno = 0;
    long long value = strtoll(text, &end, 10);
    return *end != '\0' || errno != 0 ? slc_cel_error(not_a_number) : slc_cel_int(value);
}

static slc_cel_value int_of_timestamp(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    (void)scratch;
    return slc_cel_int(args[0].as.seconds);
}

static slc_cel_value uint_of_int(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    (void)scratch;
    return args[0].as.integer < 0 ? slc_cel_error(range) : make_uint((uint64_t)args[0].as.integer);
}

static slc_cel_value uint_of_double(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    double value = args[0].as.real;
    (void)scratch;
    return value >= 0 && value < 0x1p64 ? make_uint((uint64_t)value) : slc_cel_error(range);
}

static slc_cel_value uint_of_string(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    char text[64], *end;
    (void)scratch;
    if (!number_text(&args[0], text) || text[0] < '0' || text[0] > '9')
        return slc_cel_error(not_a_number);
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    return *end != '\0' || errno != 0 ? slc_cel_error(not_a_number) : make_uint(value);
}

static slc_cel_value double_of_int(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    (void)scratch;
    return make_double((double)args[0].as.integer);
}

static slc_cel_value double_of_uint(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    (void)scratch;
    return make_double((double)args[0].as.natural);
}

static slc_cel_value double_of_string(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    char text[64], *end;
    (void)scratch;
    if (!number_text(&args[0], text) || text[strspn(text, "0123456789+-.eE")] != '\0')
        return slc_cel_error(not_a_number);
    double value = strtod(text, &end);
    return *end != '\0' || end == text ? slc_cel_error(not_a_number) : make_double(value);
}

static slc_cel_value string_of_int(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    char text[32];
    return slc_cel_make_string(scratch, text,
                               (size_t)snprintf(text, sizeof text, "%" PRId64, args[0].as.integer));
}

static slc_cel_value string_of_uint(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    char text[32];
    return slc_cel_make_string(scratch, text,
                               (size_t)snprintf(text, sizeof text, "%" PRIu64, args[0].as.natural));
}

/* The shortest that gives the same number back. */
static slc_cel_value string_of_double(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    char text[64];
    int len = 0;
    for (int digits = 15; digits <= 17; digits++) {
        len = snprintf(text, sizeof text, "%.*g", digits, args[0].as.real);
        if (strtod(text, NULL) == args[0].as.real)
            break;
    }
    return slc_cel_make_string(scratch, text, (size_t)len);
}

static slc_cel_value string_of_bool(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    (void)scratch;
    return args[0].as.boolean ? slc_cel_string("true", 4) : slc_cel_string("false", 5);
}

static slc_cel_value string_of_bytes(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    const char *at = args[0].as.text.data;
    (void)scratch;
    for (size_t left = args[0].as.text.len, len; left > 0; at += len, left -= len) {
        len = slc_utf8_sequence(at, left);
        if (len == 0)
            return slc_cel_error("the bytes are no text in UTF-8");
    }
    return slc_cel_string(args[0].as.text.data, args[0].as.text.len);
}

static slc_cel_value bytes_of_string(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    slc_cel_value bytes = args[0];
    (void)scratch;
    bytes.kind = SLC_CEL_BYTES;
    return bytes;
}

static bool is_text(const slc_cel_value *value, const char *text)
{
    return value->as.text.len == strlen(text) && memcmp(value->as.text.data, text, strlen(text)) == 0;
}

static slc_cel_value bool_of_string(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    static const char *const yes[] = {"true", "TRUE", "True", "t", "1"};
    static const char *const no[] = {"false", "FALSE", "False", "f", "0"};
    (void)scratch;
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        if (is_text(&args[0], yes[i]) || is_text(&args[0], no[i]))
            return slc_cel_bool(is_text(&args[0], yes[i]));
    return slc_cel_error("the text is neither true nor false");
}

const slc_cel_function slc_cel_conversions[] = {
    {"dyn", false, 1, {SLC_CEL_ANY}, SLC_CEL_ANY, keep},
    {"int", false, 1, {I}, I, keep},
    {"int", false, 1, {U}, I, int_of_uint},
    {"int", false, 1, {D}, I, int_of_double},
    {"int", false, 1, {S}, I, int_of_string},
    {"int", false, 1, {SLC_CEL_TIMESTAMP}, I, int_of_timestamp},
    {"uint", false, 1, {U}, U, keep},
    {"uint", false, 1, {I}, U, uint_of_int},
    {"uint", false, 1, {D}, U, uint_of_double},
    {"uint", false, 1, {S}, U, uint_of_string},
    {"double", false, 1, {D}, D, keep},
    {"double", false, 1, {I}, D, double_of_int},
    {"double", false, 1, {U}, D, double_of_uint},
    {"double", false, 1, {S}, D, double_of_string},
    {"string", false, 1, {S}, S, keep},
    {"string", false, 1, {I}, S, string_of_int},
    {"string", false, 1, {U}, S, string_of_uint},
    {"string", false, 1, {D}, S, string_of_double},
    {"string", false, 1, {SLC_CEL_BOOL}, S, string_of_bool},
    {"string", false, 1, {SLC_CEL_BYTES}, S, string_of_bytes},
    {"string", false, 1, {SLC_CEL_TIMESTAMP}, S, slc_cel_string_of_timestamp},
    {"string", false, 1, {SLC_CEL_DURATION}, S, slc_cel_string_of_duration},
    {"bytes", false, 1, {SLC_CEL_BYTES}, SLC_CEL_BYTES, keep},
    {"bytes", false, 1, {S}, SLC_CEL_BYTES, bytes_of_string},
    {"bool", false, 1, {SLC_CEL_BOOL}, SLC_CEL_BOOL, keep},
    {"bool", false, 1, {S}, SLC_CEL_BOOL, bool_of_string},
    {.name = NULL},
};
