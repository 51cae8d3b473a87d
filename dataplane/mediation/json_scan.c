#include "dataplane/mediation/json_scan.h"

#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* A scanner returns where it stopped; NULL for an error, which it noted. */
typedef struct scan {
    const char *start, *end;
    slc_json_info *info;
} scan;

static const char *fail(scan *s, const char *at, const char *error)
{
    s->info->error_at = (size_t)(at - s->start);
    s->info->error = error;
    return NULL;
}

static const char *skip_more_space(scan *s, const char *p)
{
    for (; p < s->end; p++) {
        if (*p == '\n' || *p == '\r')
            s->info->line_breaks = true;
        else if (*p != ' ' && *p != '\t')
            break;
    }
    return p;
}

/* Mostly there is none. */
static inline const char *skip_space(scan *s, const char *p)
{
    return p < s->end && (uint8_t)*p > ' ' ? p : skip_more_space(s, p);
}

/* For where fewer than sixteen bytes are left, or the machine cannot take so many at a time. */
static const char *skip_rest_of_plain(const char *p, const char *end)
{
    const uint64_t ones = 0x0101010101010101ULL, highs = 0x8080808080808080ULL;
    while (end - p >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        uint64_t quote = word ^ (ones * '"'), backslash = word ^ (ones * '\\');
        /* A byte's high bit: not ASCII, below 0x20, or zero after the XOR. The lowest one set is exact. */
        uint64_t special = (word | (word - ones * 0x20) | (quote - ones) | (backslash - ones)) & highs;
        if (special != 0) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            return p + (size_t)__builtin_ctzll(special) / 8;
#else
            break;
#endif
        }
        p += 8;
    }
    while (p < end && (uint8_t)*p >= 0x20 && (uint8_t)*p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
}

/* Behind the ASCII from p on that can stand in a string as it is: sixteen bytes at a time, since most is. */
static inline const char *skip_plain(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i space = _mm_set1_epi8(0x20), quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
    for (; end - p >= 16; p += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i low = _mm_cmplt_epi8(bytes, space); /* signed: what is not ASCII is below, too */
        __m128i marks = _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash));
        unsigned special = (unsigned)_mm_movemask_epi8(_mm_or_si128(low, marks));
        if (special != 0)
            return p + __builtin_ctz(special);
    }
#endif
    return skip_rest_of_plain(p, end);
}

/* UTF-8
 * --------------------------------------------------------------------------------------------------------- */

static bool continues(const uint8_t *p)
{
    return (*p & 0xc0) == 0x80;
}

/* Length of the sequence that starts at p (a byte >= 0x80); 0 when it is not one. */
static size_t utf8_length(const uint8_t *p, const uint8_t *end)
{
    size_t left = (size_t)(end - p);
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        return left >= 2 && continues(p + 1) ? 2 : 0;
    if (p[0] >= 0xe0 && p[0] <= 0xef) {
        if (left < 3 || !continues(p + 1) || !continues(p + 2))
            return 0;
        bool overlong = p[0] == 0xe0 && p[1] < 0xa0;
        bool surrogate = p[0] == 0xed && p[1] > 0x9f;
        return overlong || surrogate ? 0 : 3;
    }
    if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        if (left < 4 || !continues(p + 1) || !continues(p + 2) || !continues(p + 3))
            return 0;
        bool overlong = p[0] == 0xf0 && p[1] < 0x90;
        bool beyond = p[0] == 0xf4 && p[1] > 0x8f;
        return overlong || beyond ? 0 : 4;
    }
    return 0;
}

bool slc_utf8_valid(const void *text, size_t len)
{
    const uint8_t *p = text;
    const uint8_t *end = p + len;
    while (p < end) {
        uint64_t word;
        if (end - p >= 8 && (memcpy(&word, p, 8), (word & 0x8080808080808080ULL) == 0)) {
            p += 8;
            continue;
        }
        size_t step = *p < 0x80 ? 1 : utf8_length(p, end);
        if (step == 0)
            return false;
        p += step;
    }
    return true;
}

/* Tokens
 * -------------------------------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits after \u, or -1. */
static int32_t read_hex(const char *p, const char *end)
{
    int32_t value = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* p is at the backslash. */
static const char *scan_escape(scan *s, const char *p)
{
    if (s->end - p < 2)
        return fail(s, p, "unfinished escape");
    if (p[1] != 'u')
        return strchr("\"\\/bfnrt", p[1]) != NULL && p[1] != '\0' ? p + 2 : fail(s, p, "unknown escape");
    int32_t unit = read_hex(p + 2, s->end);
    if (unit < 0)
        return fail(s, p, "\\u needs four hexadecimal digits");
    if (unit < 0xd800 || unit > 0xdfff)
        return p + 6;
    int32_t low =
        unit < 0xdc00 && s->end - p >= 12 && p[6] == '\\' && p[7] == 'u' ? read_hex(p + 8, s->end) : -1;
    return low >= 0xdc00 && low <= 0xdfff ? p + 12 : fail(s, p, "a surrogate without its pair");
}

/* From p on, which is where something else than plain text may stand. */
static const char *scan_rest_of_string(scan *s, const char *p)
{
    while (p < s->end) {
        uint8_t c = (uint8_t)*p;
        if (c == '"')
            return p + 1;
        if (c == '\\') {
            p = scan_escape(s, p);
            if (p == NULL)
                return NULL;
        } else if (c < 0x20) {
            return fail(s, p, "a control character in a string");
        } else {
            size_t step = utf8_length((const uint8_t *)p, (const uint8_t *)s->end);
            if (step == 0)
                return fail(s, p, "not UTF-8");
            p += step;
        }
        p = skip_plain(p, s->end);
    }
    return fail(s, p, "unfinished string");
}

/* p is behind the opening quote; returns behind the closing one. */
static inline const char *scan_string(scan *s, const char *p)
{
    p = skip_plain(p, s->end);
    return p < s->end && *p == '"' ? p + 1 : scan_rest_of_string(s, p);
}

static const char *skip_digits(scan *s, const char *p)
{
    while (p < s->end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

static const char *scan_digits(scan *s, const char *p)
{
    const char *after = skip_digits(s, p);
    return after > p ? after : fail(s, p, "a digit is missing");
}

static const char *scan_number(scan *s, const char *p)
{
    if (*p == '-')
        p++;
    if (p < s->end && *p == '0')
        p++;
    else if ((p = scan_digits(s, p)) == NULL)
        return NULL;
    if (p < s->end && *p == '.' && (p = scan_digits(s, p + 1)) == NULL)
        return NULL;
    if (p < s->end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < s->end && (*p == '+' || *p == '-'))
            p++;
        p = scan_digits(s, p);
    }
    return p;
}

static const char *scan_word(scan *s, const char *p, const char *word)
{
    size_t len = strlen(word);
    return (size_t)(s->end - p) >= len && memcmp(p, word, len) == 0 ? p + len : fail(s, p, "not a JSON value");
}

static const char *scan_scalar(scan *s, const char *p)
{
    switch (*p) {
    case '"':
        return scan_string(s, p + 1);
    case 't':
        return scan_word(s, p, "true");
    case 'f':
        return scan_word(s, p, "false");
    case 'n':
        return scan_word(s, p, "null");
    default:
        return *p == '-' || (*p >= '0' && *p <= '9') ? scan_number(s, p) : fail(s, p, "not a JSON value");
    }
}

/* Structure
 * ----------------------------------------------------------------------------------------------------- */

/* An object's name and colon; p is where the name should start. */
static const char *scan_name(scan *s, const char *p)
{
    if (p == s->end || *p != '"')
        return fail(s, p, "a name in quotes is missing");
    p = scan_string(s, p + 1);
    if (p == NULL)
        return NULL;
    p = skip_space(s, p);
    return p < s->end && *p == ':' ? skip_space(s, p + 1) : fail(s, p, "a colon is missing");
}

/* One value from p on; the nesting is a stack of bits, 1 for an object. */
static const char *scan_value(scan *s, const char *p)
{
    uint64_t objects = 0;
    unsigned depth = 0;
    for (;;) {
        if (p == s->end)
            return fail(s, p, "a value is missing");
        if (*p == '{' || *p == '[') {
            bool object = *p == '{';
            if (depth == SLC_JSON_SCAN_DEPTH)
                return fail(s, p, "nested too deeply");
            objects = objects << 1 | object;
            depth++;
            p = skip_space(s, p + 1);
            if (p < s->end && *p == (object ? '}' : ']')) {
                p++;
                objects >>= 1;
                depth--;
            } else if (object && (p = scan_name(s, p)) == NULL) {
                return NULL;
            } else {
                continue;
            }
        } else if ((p = scan_scalar(s, p)) == NULL) {
            return NULL;
        }
        for (;;) { /* after a value: close, or go on with the next */
            if (depth == 0)
                return p;
            p = skip_space(s, p);
            if (p == s->end)
                return fail(s, p, "unfinished object or array");
            bool object = objects & 1;
            if (*p == ',') {
                p = skip_space(s, p + 1);
                if (object && (p = scan_name(s, p)) == NULL)
                    return NULL;
                break;
            }
            if (*p != (object ? '}' : ']'))
                return fail(s, p, "a comma or a closing bracket is missing");
            p++;
            objects >>= 1;
            depth--;
        }
    }
}

bool slc_json_scan(const char *text, size_t len, slc_json_info *info)
{
    *info = (slc_json_info){0};
    scan s = {text, text + len, info};
    const char *p = skip_space(&s, text);
    const char *first = p;
    p = scan_value(&s, p);
    if (p == NULL)
        return false;
    p = skip_space(&s, p);
    if (p != s.end) {
        fail(&s, p, "text after the value");
        return false;
    }
    info->type = *first == '-' || (*first >= '0' && *first <= '9') ? '0' : *first;
    return true;
}

/* Finding
 * ------------------------------------------------------------------------------------------------------- */

size_t slc_json_unescape(const slc_json_slice *string, char *out)
{
    static const char plain[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
    const char *p = string->text + 1;
    const char *end = string->text + string->len - 1;
    char *at = out;
    while (p < end) {
        if (*p != '\\') {
            *at++ = *p++;
            continue;
        }
        if (p[1] != 'u') {
            *at++ = meaning[strchr(plain, p[1]) - plain];
            p += 2;
            continue;
        }
        uint32_t code = (uint32_t)read_hex(p + 2, end);
        p += 6;
        if (code >= 0xd800 && code <= 0xdbff) {
            code = 0x10000 + ((code - 0xd800) << 10) + ((uint32_t)read_hex(p + 2, end) - 0xdc00);
            p += 6;
        }
        if (code < 0x80) {
            *at++ = (char)code;
        } else if (code < 0x800) {
            *at++ = (char)(0xc0 | code >> 6);
            *at++ = (char)(0x80 | (code & 0x3f));
        } else if (code < 0x10000) {
            *at++ = (char)(0xe0 | code >> 12);
            *at++ = (char)(0x80 | (code >> 6 & 0x3f));
            *at++ = (char)(0x80 | (code & 0x3f));
        } else {
            *at++ = (char)(0xf0 | code >> 18);
            *at++ = (char)(0x80 | (code >> 12 & 0x3f));
            *at++ = (char)(0x80 | (code >> 6 & 0x3f));
            *at++ = (char)(0x80 | (code & 0x3f));
        }
    }
    return (size_t)(at - out);
}

/* Does the name (a string slice) equal the pointer's token, up to '/' or the end? */
static bool name_matches(const slc_json_slice *name, const char *token, size_t token_len)
{
    char text[256], wanted[256];
    if (name->len > sizeof text || token_len > sizeof wanted)
        return false;
    size_t len = slc_json_unescape(name, text), wanted_len = 0;
    for (size_t i = 0; i < token_len; i++) {
        char c = token[i];
        if (c == '~' && i + 1 < token_len)
            c = token[++i] == '1' ? '/' : '~';
        wanted[wanted_len++] = c;
    }
    return len == wanted_len && memcmp(text, wanted, len) == 0;
}

/* The value that starts at p, in checked text. */
static const char *take_value(scan *s, const char *p, slc_json_slice *out)
{
    const char *after = scan_value(s, p);
    *out = (slc_json_slice){p, after == NULL ? 0 : (size_t)(after - p)};
    return after;
}

static bool find_member(const slc_json_slice *object, const char *token, size_t token_len, slc_json_slice *out)
{
    slc_json_info info = {0};
    scan s = {object->text, object->text + object->len, &info};
    bool found = false;
    const char *p = skip_space(&s, object->text + 1);
    while (p != NULL && p < s.end && *p == '"') {
        slc_json_slice name = {p, 0}, value;
        const char *behind = scan_string(&s, p + 1);
        if (behind == NULL)
            return false;
        name.len = (size_t)(behind - p);
        p = take_value(&s, skip_space(&s, skip_space(&s, behind) + 1), &value);
        if (p == NULL)
            return false;
        if (name_matches(&name, token, token_len)) {
            *out = value;
            found = true;
        }
        p = skip_space(&s, p);
        if (p < s.end && *p == ',')
            p = skip_space(&s, p + 1);
    }
    return found;
}

bool slc_json_next_element(const slc_json_slice *array, const char **at, slc_json_slice *out)
{
    slc_json_info info = {0};
    scan s = {array->text, array->text + array->len, &info};
    const char *p = skip_space(&s, *at == NULL ? array->text + 1 : *at);
    if (*at != NULL && p < s.end && *p == ',')
        p = skip_space(&s, p + 1);
    if (p >= s.end || *p == ']')
        return false;
    *at = take_value(&s, p, out);
    return *at != NULL;
}

bool slc_json_next_member(const slc_json_slice *object, const char **at, slc_json_slice *name,
                          slc_json_slice *value)
{
    slc_json_info info = {0};
    scan s = {object->text, object->text + object->len, &info};
    const char *p = skip_space(&s, *at == NULL ? object->text + 1 : *at);
    if (*at != NULL && p < s.end && *p == ',')
        p = skip_space(&s, p + 1);
    if (p >= s.end || *p != '"')
        return false;
    const char *behind = scan_string(&s, p + 1);
    if (behind == NULL)
        return false;
    *name = (slc_json_slice){p, (size_t)(behind - p)};
    *at = take_value(&s, skip_space(&s, skip_space(&s, behind) + 1), value);
    return *at != NULL;
}

static bool find_element(const slc_json_slice *array, const char *token, size_t token_len, slc_json_slice *out)
{
    size_t index = 0;
    const char *at = NULL;
    if (token_len == 0 || token_len > 9 || (token[0] == '0' && token_len > 1))
        return false;
    for (size_t i = 0; i < token_len; i++) {
        if (token[i] < '0' || token[i] > '9')
            return false;
        index = index * 10 + (size_t)(token[i] - '0');
    }
    for (size_t i = 0; i <= index; i++) {
        if (!slc_json_next_element(array, &at, out))
            return false;
    }
    return true;
}

bool slc_json_find(const char *text, size_t len, const char *pointer, slc_json_slice *out)
{
    slc_json_info info = {0};
    scan s = {text, text + len, &info};
    slc_json_slice here;
    if (take_value(&s, skip_space(&s, text), &here) == NULL)
        return false;
    while (*pointer != '\0') {
        if (*pointer++ != '/')
            return false;
        size_t token_len = strcspn(pointer, "/");
        slc_json_slice next;
        bool found = *here.text == '{'   ? find_member(&here, pointer, token_len, &next)
                     : *here.text == '[' ? find_element(&here, pointer, token_len, &next)
                                         : false;
        if (!found)
            return false;
        here = next;
        pointer += token_len;
    }
    *out = here;
    return true;
}
