/* CEL's functions of texts, lists and maps. */
#include <string.h>

#include "common/cel/cel_private.h"
#include "common/utf8.h"

#define S SLC_CEL_STRING

static const char too_long[] = "the texts and lists that are made here are too long";

slc_cel_value slc_cel_add_texts(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    size_t first = args[0].as.text.len, second = args[1].as.text.len;
    if (first > SLC_CEL_SCRATCH || second > SLC_CEL_SCRATCH)
        return slc_cel_error(too_long);
    char *sum = slc_cel_take(scratch, first + second);
    if (sum == NULL)
        return slc_cel_error(too_long);
    if (first > 0)
        memcpy(sum, args[0].as.text.data, first);
    if (second > 0)
        memcpy(sum + first, args[1].as.text.data, second);
    return (slc_cel_value){.kind = args[0].kind, .as.text = {sum, first + second}};
}

slc_cel_value slc_cel_add_lists(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    size_t first = args[0].as.list.count, second = args[1].as.list.count;
    slc_cel_value *items = slc_cel_take(scratch, (first + second) * sizeof *items);
    if (items == NULL)
        return slc_cel_error(too_long);
    if (first > 0)
        memcpy(items, args[0].as.list.items, first * sizeof *items);
    if (second > 0)
        memcpy(items + first, args[1].as.list.items, second * sizeof *items);
    return (slc_cel_value){.kind = SLC_CEL_LIST, .as.list = {items, first + second}};
}

/* In characters. A byte that belongs to none counts as one: requests may carry any. */
static slc_cel_value size_of_string(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    const char *at = args[0].as.text.data;
    size_t left = args[0].as.text.len;
    int64_t count = 0;
    (void)scratch;
    for (; left > 0; count++) {
        size_t len = slc_utf8_sequence(at, left);
        len = len > 0 ? len : 1;
        at += len;
        left -= len;
    }
    return slc_cel_int(count);
}

static slc_cel_value size_of_bytes(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    (void)scratch;
    return slc_cel_int((int64_t)args[0].as.text.len);
}

static slc_cel_value size_of_list(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    (void)scratch;
    return slc_cel_int((int64_t)args[0].as.list.count);
}

static bool same(const char *a, const char *b, size_t len)
{
    return len == 0 || memcmp(a, b, len) == 0;
}

static slc_cel_value starts_with(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    size_t len = args[1].as.text.len;
    (void)scratch;
    return slc_cel_bool(args[0].as.text.len >= len && same(args[0].as.text.data, args[1].as.text.data, len));
}

static slc_cel_value ends_with(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    size_t len = args[1].as.text.len;
    (void)scratch;
    return slc_cel_bool(args[0].as.text.len >= len &&
                        same(args[0].as.text.data + (args[0].as.text.len - len), args[1].as.text.data, len));
}

static slc_cel_value contains(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    size_t len = args[1].as.text.len;
    (void)scratch;
    return slc_cel_bool(len == 0 ||
                        (args[0].as.text.len >= len &&
                         memmem(args[0].as.text.data, args[0].as.text.len, args[1].as.text.data, len) != NULL));
}

const slc_cel_function slc_cel_strings[] = {
    {"size", false, 1, {S}, SLC_CEL_INT, size_of_string},
    {"size", false, 1, {SLC_CEL_BYTES}, SLC_CEL_INT, size_of_bytes},
    {"size", false, 1, {SLC_CEL_LIST}, SLC_CEL_INT, size_of_list},
    {"size", false, 1, {SLC_CEL_MAP}, SLC_CEL_INT, size_of_list},
    {"size", true, 1, {S}, SLC_CEL_INT, size_of_string},
    {"size", true, 1, {SLC_CEL_BYTES}, SLC_CEL_INT, size_of_bytes},
    {"size", true, 1, {SLC_CEL_LIST}, SLC_CEL_INT, size_of_list},
    {"size", true, 1, {SLC_CEL_MAP}, SLC_CEL_INT, size_of_list},
    {"startsWith", true, 2, {S, S}, SLC_CEL_BOOL, starts_with},
    {"endsWith", true, 2, {S, S}, SLC_CEL_BOOL, ends_with},
    {"contains", true, 2, {S, S}, SLC_CEL_BOOL, contains},
    {.name = NULL},
};
