/* Reads an expression in one pass, by recursive descent: each function is a rule of CEL's grammar and gives the
 * kind of what it has read, as far as it is known. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/cel/emit.h"
#include "common/utf8.h"

struct reader {
    slc_cel_emitter out;
    slc_cel_lexer lexer;
    slc_cel_token token; /* the next one */
    unsigned nesting;
};

static bool read_expression(struct reader *reader, enum slc_cel_kind *kind);
static bool read_unary(struct reader *reader, enum slc_cel_kind *kind);

static bool advance(struct reader *reader)
{
    return slc_cel_next(&reader->lexer, &reader->token, reader->out.err);
}

static bool is_sign(const struct reader *reader, const char *sign)
{
    return reader->token.kind == SLC_CEL_T_SIGN && strcmp(reader->token.sign, sign) == 0;
}

static bool expect_sign(struct reader *reader, const char *sign)
{
    if (is_sign(reader, sign))
        return advance(reader);
    if (reader->token.kind == SLC_CEL_T_END)
        return slc_cel_fail_at(reader->out.err, reader->token.at, "the expression ends where %s must stand",
                               sign);
    return slc_cel_fail_at(reader->out.err, reader->token.at, "here %s must stand", sign);
}

static slc_cel_op *emit_jump(struct reader *reader, enum slc_cel_code code, size_t at, size_t *index)
{
    *index = reader->out.cel->op_count;
    return slc_cel_emit(&reader->out, (slc_cel_op){.code = (uint8_t)code, .at = (uint16_t)at})
               ? &reader->out.cel->ops[*index]
               : NULL;
}

static slc_cel_op *op_at(struct reader *reader, size_t index)
{
    return &reader->out.cel->ops[index];
}

static uint16_t here(const struct reader *reader)
{
    return (uint16_t)reader->out.cel->op_count;
}

/* ---- lists of values ---- */

/* Up to the closing sign, which is taken. `kinds` gets the first of them. */
static bool read_values(struct reader *reader, const char *close, bool trailing_comma, enum slc_cel_kind *kinds,
                        size_t kinds_cap, size_t *count)
{
    *count = 0;
    while (!is_sign(reader, close)) {
        enum slc_cel_kind kind;
        if (!read_expression(reader, &kind))
            return false;
        if (*count < kinds_cap)
            kinds[*count] = kind;
        (*count)++;
        if (is_sign(reader, close))
            break;
        if (!expect_sign(reader, ","))
            return false;
        if (is_sign(reader, close) && !trailing_comma)
            return slc_cel_fail_at(reader->out.err, reader->token.at, "here a value must stand");
    }
    return advance(reader);
}

static bool read_list(struct reader *reader, enum slc_cel_kind *kind)
{
    size_t start = reader->out.cel->op_count, at = reader->token.at, count;
    *kind = SLC_CEL_LIST;
    return advance(reader) && read_values(reader, "]", true, NULL, 0, &count) &&
           slc_cel_emit_made(&reader->out, SLC_CEL_MAKE_LIST, count, start, at);
}

static bool read_map(struct reader *reader, enum slc_cel_kind *kind)
{
    size_t start = reader->out.cel->op_count, at = reader->token.at, pairs = 0;
    enum slc_cel_kind ignored;
    *kind = SLC_CEL_MAP;
    if (!advance(reader))
        return false;
    for (; !is_sign(reader, "}"); pairs++) {
        if (!read_expression(reader, &ignored) || !expect_sign(reader, ":") ||
            !read_expression(reader, &ignored))
            return false;
        if (!is_sign(reader, "}") && !expect_sign(reader, ","))
            return false;
    }
    return advance(reader) && slc_cel_emit_made(&reader->out, SLC_CEL_MAKE_MAP, pairs, start, at);
}

/* ---- calls ---- */

static bool is_name(const char *name, size_t len, const char *wanted)
{
    return strlen(wanted) == len && memcmp(name, wanted, len) == 0;
}

static bool read_member(struct reader *reader, enum slc_cel_kind *kind);

static bool read_has(struct reader *reader, size_t at, enum slc_cel_kind *kind)
{
    reader->out.selected = 0;
    bool ok = read_member(reader, kind) && expect_sign(reader, ")") && slc_cel_emit_has(&reader->out, at);
    *kind = SLC_CEL_BOOL;
    return ok;
}

/* matches(text, pattern): after the bracket. */
static bool read_matches(struct reader *reader, size_t at, enum slc_cel_kind *kind)
{
    enum slc_cel_kind text, pattern;
    if (!read_expression(reader, &text) || !expect_sign(reader, ","))
        return false;
    size_t start = reader->out.cel->op_count;
    *kind = SLC_CEL_BOOL;
    return read_expression(reader, &pattern) && expect_sign(reader, ")") &&
           slc_cel_emit_matches(&reader->out, text, start, at);
}

/* name(...): the bracket is next. */
static bool read_call(struct reader *reader, const char *name, size_t len, size_t at, enum slc_cel_kind *kind)
{
    enum slc_cel_kind kinds[SLC_CEL_MAX_ARGS];
    size_t start = reader->out.cel->op_count, count;
    if (!advance(reader))
        return false;
    if (is_name(name, len, "has"))
        return read_has(reader, at, kind);
    if (is_name(name, len, "matches"))
        return read_matches(reader, at, kind);
    if (!read_values(reader, ")", false, kinds, SLC_CEL_MAX_ARGS, &count))
        return false;
    if (count > SLC_CEL_MAX_ARGS)
        return slc_cel_fail_at(reader->out.err, at, "no function takes that many values");
    return slc_cel_emit_call(&reader->out, name, len, false, start, kinds, count, at, kind);
}

/* .name(...) of a value of `kind`, whose operations began at `start`. */
static bool read_method(struct reader *reader, const slc_cel_token *name, size_t start, enum slc_cel_kind *kind)
{
    const char *text = reader->lexer.text + name->at;
    enum slc_cel_kind kinds[SLC_CEL_MAX_ARGS] = {*kind};
    size_t arguments = reader->out.cel->op_count, count;
    /* A loop declares a name of its own, which would be told as unknown. */
    if (slc_cel_function_find(text, name->len, true) == NULL && !is_name(text, name->len, "matches"))
        return slc_cel_emit_call(&reader->out, text, name->len, true, start, kinds, 1, name->at, kind);
    if (!advance(reader) || !read_values(reader, ")", false, kinds + 1, SLC_CEL_MAX_ARGS - 1, &count))
        return false;
    if (is_name(text, name->len, "matches") && count == 1) {
        *kind = SLC_CEL_BOOL;
        return slc_cel_emit_matches(&reader->out, kinds[0], arguments, name->at);
    }
    if (count == 1 && slc_cel_takes_zone(text, name->len) &&
        !slc_cel_expect_zone(&reader->out, arguments, name->at))
        return false;
    if (count + 1 > SLC_CEL_MAX_ARGS || is_name(text, name->len, "matches"))
        return slc_cel_fail_at(reader->out.err, name->at, "%.*s() does not take that many values",
                               (int)name->len, text);
    return slc_cel_emit_call(&reader->out, text, name->len, true, start, kinds, count + 1, name->at, kind);
}

/* ---- names ---- */

static bool is_reserved(const char *name, size_t len)
{
    static const char *const words[] = {"as",       "break",  "const",  "continue", "else", "for",
                                        "function", "if",     "import", "let",      "loop", "namespace",
                                        "package",  "return", "var",    "void",     "while"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (is_name(name, len, words[i]))
            return true;
    return false;
}

/* Does a variable have this name, or begin with it and a dot? */
static bool match_variable(const slc_cel_variable *variables, const char *name, size_t len, size_t *found)
{
    bool begins = false;
    for (size_t i = 0; variables[i].name != NULL; i++) {
        if (strncmp(variables[i].name, name, len) != 0)
            continue;
        if (variables[i].name[len] == '\0')
            *found = i;
        begins = begins || variables[i].name[len] == '.';
    }
    return begins;
}

/* a.b.c: as much of it as is the longest name of a variable; the rest are fields. */
static bool read_variable(struct reader *reader, slc_cel_token first, enum slc_cel_kind *kind)
{
    const slc_cel_variable *variables = reader->out.cel->variables;
    char name[64];
    size_t len = 0, best = SIZE_MAX;
    slc_cel_token token = first, after = reader->token;
    slc_cel_lexer lexer = reader->lexer;
    bool more = true;
    while (more && len + token.len + 1 < sizeof name) {
        size_t found = SIZE_MAX;
        memcpy(name + len, reader->lexer.text + token.at, token.len);
        len += token.len;
        more = match_variable(variables, name, len, &found);
        if (found != SIZE_MAX) {
            best = found;
            lexer = reader->lexer;
            after = reader->token;
        }
        if (!more || !is_sign(reader, "."))
            break;
        if (!advance(reader))
            return false;
        name[len++] = '.';
        token = reader->token;
        more = token.kind == SLC_CEL_T_NAME;
        if (more && !advance(reader))
            return false;
    }
    if (best == SIZE_MAX)
        return slc_cel_fail_at(reader->out.err, first.at, "there is no variable %.*s", (int)len, name);
    reader->lexer = lexer;
    reader->token = after;
    *kind = variables[best].kind;
    if (!slc_cel_emit(&reader->out,
                      (slc_cel_op){.code = SLC_CEL_VARIABLE, .at = (uint16_t)first.at, .a = (uint16_t)best}))
        return false;
    reader->out.selected = strchr(variables[best].name, '.') != NULL ? reader->out.cel->op_count : 0;
    return true;
}

static bool read_named(struct reader *reader, enum slc_cel_kind *kind)
{
    slc_cel_token token = reader->token;
    const char *name = reader->lexer.text + token.at;
    if (!advance(reader))
        return false;
    *kind = SLC_CEL_BOOL;
    if (is_name(name, token.len, "true") || is_name(name, token.len, "false"))
        return slc_cel_emit_constant(&reader->out, slc_cel_bool(*name == 't'), token.at);
    *kind = SLC_CEL_NULL;
    if (is_name(name, token.len, "null"))
        return slc_cel_emit_constant(&reader->out, (slc_cel_value){.kind = SLC_CEL_NULL}, token.at);
    if (is_reserved(name, token.len))
        return slc_cel_fail_at(reader->out.err, token.at, "the word %.*s is reserved", (int)token.len, name);
    if (is_sign(reader, "("))
        return read_call(reader, name, token.len, token.at, kind);
    return read_variable(reader, token, kind);
}

/* ---- literals ---- */

static bool read_literal(struct reader *reader, bool negative, enum slc_cel_kind *kind)
{
    slc_cel_token token = reader->token;
    slc_cel_value value = {.kind = SLC_CEL_STRING};
    switch (token.kind) {
    case SLC_CEL_T_INT:
        if (!negative && token.natural > INT64_MAX)
            return slc_cel_fail_at(reader->out.err, token.at, "this number is too large");
        value = slc_cel_int((int64_t)(negative ? 0 - token.natural : token.natural));
        break;
    case SLC_CEL_T_UINT:
        value = (slc_cel_value){.kind = SLC_CEL_UINT, .as.natural = token.natural};
        break;
    case SLC_CEL_T_DOUBLE:
        value = (slc_cel_value){.kind = SLC_CEL_DOUBLE, .as.real = negative ? -token.real : token.real};
        break;
    default:
        value.kind = token.kind == SLC_CEL_T_BYTES ? SLC_CEL_BYTES : SLC_CEL_STRING;
        value.as.text.data = token.data;
        value.as.text.len = token.data_len;
    }
    *kind = value.kind;
    return advance(reader) && slc_cel_emit_constant(&reader->out, value, token.at);
}

static bool read_primary(struct reader *reader, enum slc_cel_kind *kind)
{
    if (reader->token.kind == SLC_CEL_T_NAME)
        return read_named(reader, kind);
    if (reader->token.kind == SLC_CEL_T_END)
        return slc_cel_fail_at(reader->out.err, reader->token.at,
                               "the expression ends where a value must stand");
    if (reader->token.kind == SLC_CEL_T_QUOTED)
        return slc_cel_fail_at(reader->out.err, reader->token.at, "only the name of a field may be quoted");
    if (reader->token.kind != SLC_CEL_T_SIGN)
        return read_literal(reader, false, kind);
    if (is_sign(reader, "["))
        return read_list(reader, kind);
    if (is_sign(reader, "{"))
        return read_map(reader, kind);
    if (!is_sign(reader, "("))
        return slc_cel_fail_at(reader->out.err, reader->token.at, "here a value must stand, not %s",
                               reader->token.sign);
    bool ok = advance(reader) && read_expression(reader, kind) && expect_sign(reader, ")");
    reader->out.selected = 0; /* has((a.b)) asks for no field */
    return ok;
}

static bool read_field(struct reader *reader, size_t start, enum slc_cel_kind *kind)
{
    if (!advance(reader))
        return false;
    slc_cel_token name = reader->token;
    bool word = name.kind == SLC_CEL_T_NAME || name.kind == SLC_CEL_T_QUOTED ||
                (name.kind == SLC_CEL_T_SIGN && strcmp(name.sign, "in") == 0);
    if (!word)
        return slc_cel_fail_at(reader->out.err, name.at, "after a dot a name must stand");
    if (!advance(reader))
        return false;
    if (is_sign(reader, "(") && name.kind == SLC_CEL_T_NAME)
        return read_method(reader, &name, start, kind);
    bool ok = slc_cel_emit_select(&reader->out, *kind, reader->lexer.text + name.at, name.len, name.at);
    *kind = SLC_CEL_ANY;
    return ok;
}

static bool read_place(struct reader *reader, enum slc_cel_kind *kind)
{
    enum slc_cel_kind key;
    size_t at = reader->token.at;
    bool ok = advance(reader) && read_expression(reader, &key) && expect_sign(reader, "]") &&
              slc_cel_emit_index(&reader->out, *kind, key, at);
    *kind = SLC_CEL_ANY;
    return ok;
}

static bool read_suffixes(struct reader *reader, size_t start, enum slc_cel_kind *kind)
{
    for (;;) {
        bool dot = is_sign(reader, ".");
        if (!dot && !is_sign(reader, "["))
            return true;
        if (!(dot ? read_field(reader, start, kind) : read_place(reader, kind)))
            return false;
    }
}

static bool read_member(struct reader *reader, enum slc_cel_kind *kind)
{
    size_t start = reader->out.cel->op_count;
    return read_primary(reader, kind) && read_suffixes(reader, start, kind);
}

/* ---- operators ---- */

static bool is_signed_number(const struct reader *reader)
{
    return reader->token.kind == SLC_CEL_T_INT || reader->token.kind == SLC_CEL_T_DOUBLE;
}

/* Any number of one of the two. The minus right before a number belongs to it: -9223372036854775808 is one. */
static bool read_unary(struct reader *reader, enum slc_cel_kind *kind)
{
    size_t start = reader->out.cel->op_count, at = reader->token.at, count = 0;
    bool not = is_sign(reader, "!"), minus = is_sign(reader, "-");
    const char *sign = not ? "!" : "-";
    for (; (not || minus) && is_sign(reader, sign); count++)
        if (!advance(reader))
            return false;
    bool literal = minus && is_signed_number(reader);
    count -= literal;
    if (!(literal ? read_literal(reader, true, kind) && read_suffixes(reader, start, kind)
                  : read_member(reader, kind)))
        return false;
    for (; count > 0; count--) {
        enum slc_cel_kind operand = *kind;
        bool ok = not ? slc_cel_expect(&reader->out, operand, SLC_CEL_BOOL, at) &&
                            slc_cel_emit(&reader->out, (slc_cel_op){.code = SLC_CEL_NOT, .at = (uint16_t)at})
                      : slc_cel_emit_call(&reader->out, "-", 1, false, start, &operand, 1, at, kind);
        if (!ok)
            return false;
        *kind = not ? SLC_CEL_BOOL : *kind;
    }
    return true;
}

/* The operators of arithmetic and comparison, by precedence. */
static const char *const levels[][8] = {
    {"<", "<=", ">", ">=", "==", "!=", "in", NULL}, {"+", "-", NULL}, {"*", "/", "%", NULL}};
#define LEVELS (sizeof levels / sizeof *levels)

static const char *sign_of_level(const struct reader *reader, size_t level)
{
    for (const char *const *sign = levels[level]; *sign != NULL; sign++)
        if (is_sign(reader, *sign))
            return *sign;
    return NULL;
}

static bool read_binary(struct reader *reader, size_t level, enum slc_cel_kind *kind)
{
    size_t start = reader->out.cel->op_count;
    const char *sign;
    if (level == LEVELS)
        return read_unary(reader, kind);
    if (!read_binary(reader, level + 1, kind))
        return false;
    while ((sign = sign_of_level(reader, level)) != NULL) {
        enum slc_cel_kind kinds[2] = {*kind};
        size_t at = reader->token.at;
        if (!advance(reader) || !read_binary(reader, level + 1, &kinds[1]))
            return false;
        bool ok = level > 0 ? slc_cel_emit_call(&reader->out, sign, 1, false, start, kinds, 2, at, kind)
                            : slc_cel_emit_relation(&reader->out, sign, kinds[0], kinds[1], at);
        if (!ok)
            return false;
        *kind = level == 0 ? SLC_CEL_BOOL : *kind;
    }
    return true;
}

/* && (level 1) and || (level 0) */
static bool read_logic(struct reader *reader, int level, enum slc_cel_kind *kind)
{
    const char *sign = level == 0 ? "||" : "&&";
    if (!(level == 0 ? read_logic(reader, 1, kind) : read_binary(reader, 0, kind)))
        return false;
    while (is_sign(reader, sign)) {
        size_t at = reader->token.at, jump;
        enum slc_cel_kind right;
        if (!slc_cel_expect(&reader->out, *kind, SLC_CEL_BOOL, at) ||
            emit_jump(reader, level == 0 ? SLC_CEL_OR_JUMP : SLC_CEL_AND_JUMP, at, &jump) == NULL ||
            !advance(reader))
            return false;
        if (!(level == 0 ? read_logic(reader, 1, &right) : read_binary(reader, 0, &right)) ||
            !slc_cel_expect(&reader->out, right, SLC_CEL_BOOL, at) ||
            !slc_cel_emit(&reader->out, (slc_cel_op){.code = (uint8_t)(level == 0 ? SLC_CEL_OR : SLC_CEL_AND),
                                                     .at = (uint16_t)at}))
            return false;
        op_at(reader, jump)->a = here(reader);
        *kind = SLC_CEL_BOOL;
    }
    return true;
}

/* condition ? a : b */
static bool read_choice(struct reader *reader, enum slc_cel_kind *kind)
{
    size_t choose, jump, at = reader->token.at;
    enum slc_cel_kind other;
    if (!slc_cel_expect(&reader->out, *kind, SLC_CEL_BOOL, at) ||
        emit_jump(reader, SLC_CEL_CHOOSE, at, &choose) == NULL || !advance(reader) ||
        !read_logic(reader, 0, kind) || !expect_sign(reader, ":") ||
        emit_jump(reader, SLC_CEL_JUMP, at, &jump) == NULL)
        return false;
    op_at(reader, choose)->a = here(reader);
    if (!read_expression(reader, &other))
        return false;
    op_at(reader, choose)->b = here(reader);
    op_at(reader, jump)->a = here(reader);
    *kind = *kind == other ? other : SLC_CEL_ANY;
    return true;
}

static bool read_expression(struct reader *reader, enum slc_cel_kind *kind)
{
    if (++reader->nesting > SLC_CEL_MAX_NESTING)
        return slc_cel_fail_at(reader->out.err, reader->token.at, "nested more than %d deep",
                               SLC_CEL_MAX_NESTING);
    bool ok = read_logic(reader, 0, kind) && (!is_sign(reader, "?") || read_choice(reader, kind));
    reader->nesting--;
    return ok;
}

/* ---- all of it ---- */

static bool check_text(const char *text, size_t len, slc_error *err)
{
    if (len > SLC_CEL_MAX_CHARS)
        return slc_fail(err, SLC_TOO_LARGE, NULL, "an expression has at most %d bytes, not %zu",
                        SLC_CEL_MAX_CHARS, len);
    for (size_t at = 0, more; at < len; at += more) {
        more = slc_utf8_sequence(text + at, len - at);
        if (more == 0)
            return slc_cel_fail_at(err, at, "this is not UTF-8");
    }
    return true;
}

static bool read_all(struct reader *reader, enum slc_cel_kind result)
{
    enum slc_cel_kind kind;
    if (!advance(reader) || !read_expression(reader, &kind))
        return false;
    if (reader->token.kind != SLC_CEL_T_END)
        return slc_cel_fail_at(reader->out.err, reader->token.at, "the expression should end here");
    return slc_cel_expect(&reader->out, kind, result, 0) && slc_cel_check_stack(&reader->out);
}

slc_cel *slc_cel_compile(const char *text, size_t len, const slc_cel_variable *variables,
                         enum slc_cel_kind result, slc_error *err)
{
    if (!check_text(text, len, err))
        return NULL;
    slc_cel *cel = slc_calloc(1, sizeof *cel);
    cel->magic = SLC_CEL_MAGIC;
    cel->variables = variables;
    cel->text = slc_calloc(1, len + 1);
    cel->decoded = slc_calloc(1, len + 1);
    memcpy(cel->text, text, len);
    struct reader reader = {.out = {.cel = cel, .err = err},
                            .lexer = {.text = cel->text, .len = len, .decoded = cel->decoded}};
    if (read_all(&reader, result))
        return cel;
    slc_cel_free(cel);
    return NULL;
}

void slc_cel_free(slc_cel *cel)
{
    if (cel == NULL)
        return;
    SLC_CHECK_MAGIC(cel, SLC_CEL_MAGIC);
    for (size_t i = 0; i < cel->pattern_count; i++)
        slc_re2_free(cel->patterns[i]);
    for (size_t i = 0; i < cel->owned_count; i++)
        free(cel->owned[i]);
    free(cel->patterns);
    free(cel->owned);
    free(cel->constants);
    free(cel->ops);
    free(cel->decoded);
    free(cel->text);
    cel->magic = 0;
    free(cel);
}
