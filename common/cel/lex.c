/* CEL's tokens: names, numbers, texts with their escapes, signs. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cel/cel_private.h"

bool slc_cel_fail_at(slc_error *err, size_t at, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return slc_fail(err, SLC_INVALID, NULL, "at character %zu: %s", at + 1, text);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static int hex_of(char c)
{
    if (is_digit(c))
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static char peek(const slc_cel_lexer *lexer, size_t ahead)
{
    return lexer->pos + ahead < lexer->len ? lexer->text[lexer->pos + ahead] : '\0';
}

static void skip_space(slc_cel_lexer *lexer)
{
    for (;;) {
        char c = peek(lexer, 0);
        if (c == '/' && peek(lexer, 1) == '/') {
            while (lexer->pos < lexer->len && lexer->text[lexer->pos] != '\n')
                lexer->pos++;
        } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f') {
            lexer->pos++;
        } else {
            return;
        }
    }
}

/* ---- numbers ---- */

static void take_digits(slc_cel_lexer *lexer)
{
    while (is_digit(peek(lexer, 0)))
        lexer->pos++;
}

static bool take_fraction(slc_cel_lexer *lexer)
{
    bool found = false;
    if (peek(lexer, 0) == '.' && is_digit(peek(lexer, 1))) {
        lexer->pos++;
        take_digits(lexer);
        found = true;
    }
    if ((peek(lexer, 0) | 0x20) == 'e') {
        size_t sign = peek(lexer, 1) == '+' || peek(lexer, 1) == '-';
        if (is_digit(peek(lexer, 1 + sign))) {
            lexer->pos += 1 + sign;
            take_digits(lexer);
            found = true;
        }
    }
    return found;
}

static bool read_number(slc_cel_lexer *lexer, slc_cel_token *token, slc_error *err)
{
    char digits[64];
    size_t start = lexer->pos;
    bool hex = peek(lexer, 0) == '0' && (peek(lexer, 1) | 0x20) == 'x' && hex_of(peek(lexer, 2)) >= 0;
    token->kind = SLC_CEL_T_INT;
    if (hex) {
        lexer->pos += 2;
        while (hex_of(peek(lexer, 0)) >= 0)
            lexer->pos++;
    } else {
        take_digits(lexer);
        if (take_fraction(lexer))
            token->kind = SLC_CEL_T_DOUBLE;
    }
    size_t len = lexer->pos - start;
    if (len >= sizeof digits)
        return slc_cel_fail_at(err, start, "this number has too many digits");
    memcpy(digits, lexer->text + start, len);
    digits[len] = '\0';
    if (token->kind == SLC_CEL_T_INT && (peek(lexer, 0) | 0x20) == 'u') {
        token->kind = SLC_CEL_T_UINT;
        lexer->pos++;
    }
    if (is_letter(peek(lexer, 0)) || is_digit(peek(lexer, 0)))
        return slc_cel_fail_at(err, lexer->pos, "a number cannot go on like this");
    if (token->kind == SLC_CEL_T_DOUBLE) {
        token->real = strtod(digits, NULL);
        return true;
    }
    errno = 0;
    token->natural = strtoull(digits, NULL, hex ? 16 : 10);
    if (errno != 0 || (token->kind == SLC_CEL_T_INT && token->natural > (uint64_t)INT64_MAX + 1))
        return slc_cel_fail_at(err, start, "this number is too large");
    return true;
}

/* ---- texts ---- */

struct quote {
    char mark;
    size_t count; /* 1 or 3 */
    bool raw, bytes;
};

static void put(slc_cel_lexer *lexer, char c)
{
    lexer->decoded[lexer->decoded_len++] = c;
}

static void put_utf8(slc_cel_lexer *lexer, uint32_t point)
{
    static const uint8_t first[] = {0, 0xC0, 0xE0, 0xF0};
    int more = point < 0x80 ? 0 : point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    put(lexer, (char)(first[more] | (point >> (6 * more))));
    while (more-- > 0)
        put(lexer, (char)(0x80 | ((point >> (6 * more)) & 0x3F)));
}

/* `digits` of a number after an escape. */
static bool read_code(slc_cel_lexer *lexer, unsigned base, size_t digits, uint32_t *code, slc_error *err)
{
    *code = 0;
    for (size_t i = 0; i < digits; i++, lexer->pos++) {
        int digit = hex_of(peek(lexer, 0));
        if (digit < 0 || (unsigned)digit >= base)
            return slc_cel_fail_at(err, lexer->pos, "an escape with too few digits");
        *code = *code * base + (uint32_t)digit;
    }
    return true;
}

/* In a string a code is a character of Unicode, in bytes a byte. */
static bool put_code(slc_cel_lexer *lexer, const struct quote *quote, uint32_t code, size_t at, slc_error *err)
{
    if (quote->bytes) {
        if (code > 0xFF)
            return slc_cel_fail_at(err, at, "no byte is as large as this");
        put(lexer, (char)code);
        return true;
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        return slc_cel_fail_at(err, at, "there is no such character in Unicode");
    put_utf8(lexer, code);
    return true;
}

static bool read_escape(slc_cel_lexer *lexer, const struct quote *quote, slc_error *err)
{
    static const char from[] = "abfnrtv\\'\"`?", to[] = "\a\b\f\n\r\t\v\\'\"`?";
    size_t at = lexer->pos++;
    char c = peek(lexer, 0);
    uint32_t code;
    const char *simple = c != '\0' ? strchr(from, c) : NULL;
    if (simple != NULL) {
        lexer->pos++;
        put(lexer, to[simple - from]);
        return true;
    }
    bool ok;
    if (c >= '0' && c <= '3') {
        ok = read_code(lexer, 8, 3, &code, err);
    } else {
        lexer->pos++;
        size_t digits = c == 'x' || c == 'X' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
        if (digits == 0 || (digits > 2 && quote->bytes))
            return slc_cel_fail_at(err, at, "an escape that does not exist here; a backslash is written \\\\");
        ok = read_code(lexer, 16, digits, &code, err);
    }
    return ok && put_code(lexer, quote, code, at, err);
}

static bool at_end_of_text(const slc_cel_lexer *lexer, const struct quote *quote)
{
    for (size_t i = 0; i < quote->count; i++)
        if (peek(lexer, i) != quote->mark)
            return false;
    return true;
}

static bool read_text(slc_cel_lexer *lexer, slc_cel_token *token, struct quote *quote, slc_error *err)
{
    quote->mark = peek(lexer, 0);
    quote->count = peek(lexer, 1) == quote->mark && peek(lexer, 2) == quote->mark ? 3 : 1;
    lexer->pos += quote->count;
    token->kind = quote->bytes ? SLC_CEL_T_BYTES : SLC_CEL_T_STRING;
    token->data = lexer->decoded + lexer->decoded_len;
    while (!at_end_of_text(lexer, quote)) {
        char c = peek(lexer, 0);
        if (lexer->pos >= lexer->len || (quote->count == 1 && (c == '\n' || c == '\r')))
            return slc_cel_fail_at(err, token->at, "this text has no end");
        if (c == '\\' && !quote->raw) {
            if (!read_escape(lexer, quote, err))
                return false;
            continue;
        }
        put(lexer, c);
        lexer->pos++;
    }
    token->data_len = (size_t)(lexer->decoded + lexer->decoded_len - token->data);
    lexer->pos += quote->count;
    return true;
}

/* r"", b'', rb"", Br''...: true when a text begins here; `pos` is at its quotation mark then. */
static bool starts_text(slc_cel_lexer *lexer, struct quote *quote)
{
    size_t i = 0;
    for (; i < 2; i++) {
        char c = (char)(peek(lexer, i) | 0x20);
        if (c == 'r' && !quote->raw)
            quote->raw = true;
        else if (c == 'b' && !quote->bytes)
            quote->bytes = true;
        else
            break;
    }
    if (peek(lexer, i) != '"' && peek(lexer, i) != '\'')
        return false;
    lexer->pos += i;
    return true;
}

/* ---- the rest ---- */

static bool read_sign(slc_cel_lexer *lexer, slc_cel_token *token, slc_error *err)
{
    static const char *const signs[] = {"&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/",
                                        "%",  "!",  "?",  ":",  "(",  ")",  "[", "]", "{", "}", ",", "."};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        size_t len = strlen(signs[i]);
        if (lexer->len - lexer->pos < len || memcmp(lexer->text + lexer->pos, signs[i], len) != 0)
            continue;
        token->kind = SLC_CEL_T_SIGN;
        memcpy(token->sign, signs[i], len + 1);
        lexer->pos += len;
        return true;
    }
    return slc_cel_fail_at(err, lexer->pos, "nothing begins like this");
}

static void read_name(slc_cel_lexer *lexer, slc_cel_token *token)
{
    token->kind = SLC_CEL_T_NAME;
    while (is_letter(peek(lexer, 0)) || is_digit(peek(lexer, 0)))
        lexer->pos++;
    if (lexer->pos - token->at == 2 && memcmp(lexer->text + token->at, "in", 2) == 0) {
        token->kind = SLC_CEL_T_SIGN;
        memcpy(token->sign, "in", 3);
    }
}

static bool read_quoted(slc_cel_lexer *lexer, slc_cel_token *token, slc_error *err)
{
    token->kind = SLC_CEL_T_QUOTED;
    token->at = ++lexer->pos;
    while (is_letter(peek(lexer, 0)) || is_digit(peek(lexer, 0)) ||
           (peek(lexer, 0) != '\0' && strchr(".-/ ", peek(lexer, 0)) != NULL))
        lexer->pos++;
    token->len = lexer->pos - token->at;
    if (peek(lexer, 0) != '`' || token->len == 0)
        return slc_cel_fail_at(err, lexer->pos, "a quoted name holds letters, digits, _, ., -, / and spaces");
    lexer->pos++;
    return true;
}

bool slc_cel_next(slc_cel_lexer *lexer, slc_cel_token *token, slc_error *err)
{
    struct quote quote = {0};
    bool ok = true;
    skip_space(lexer);
    *token = (slc_cel_token){.kind = SLC_CEL_T_END, .at = lexer->pos};
    if (lexer->pos >= lexer->len)
        return true;
    char c = peek(lexer, 0);
    if (is_digit(c) || (c == '.' && is_digit(peek(lexer, 1))))
        ok = read_number(lexer, token, err);
    else if (starts_text(lexer, &quote))
        ok = read_text(lexer, token, &quote, err);
    else if (is_letter(c))
        read_name(lexer, token);
    else if (c == '`')
        return read_quoted(lexer, token, err);
    else
        ok = read_sign(lexer, token, err);
    token->len = lexer->pos - token->at;
    return ok;
}
