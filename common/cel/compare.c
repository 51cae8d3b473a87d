/* CEL's equality, order and containers. */
#include <math.h>
#include <string.h>

#include "common/cel/cel_private.h"

static const char not_comparable[] = "these values cannot be compared";

bool slc_cel_is_number(enum slc_cel_kind kind)
{
    return kind == SLC_CEL_INT || kind == SLC_CEL_UINT || kind == SLC_CEL_DOUBLE;
}

#define THREE_WAY(a, b) ((a) < (b) ? SLC_CEL_LESS : (a) > (b) ? SLC_CEL_MORE : SLC_CEL_SAME)

static enum slc_cel_order turned(enum slc_cel_order order)
{
    return order == SLC_CEL_LESS ? SLC_CEL_MORE : order == SLC_CEL_MORE ? SLC_CEL_LESS : order;
}

/* As doubles, like the other implementations of CEL: above 2^53 neighbours may be the same. */
static enum slc_cel_order compare_doubles(double a, double b)
{
    return isnan(a) || isnan(b) ? SLC_CEL_UNORDERED : THREE_WAY(a, b);
}

static double double_of(const slc_cel_value *number)
{
    return number->kind == SLC_CEL_INT    ? (double)number->as.integer
           : number->kind == SLC_CEL_UINT ? (double)number->as.natural
                                          : number->as.real;
}

static enum slc_cel_order compare_numbers(const slc_cel_value *a, const slc_cel_value *b)
{
    if (a->kind > b->kind) /* int before uint before double */
        return turned(compare_numbers(b, a));
    if (b->kind == SLC_CEL_DOUBLE)
        return compare_doubles(double_of(a), b->as.real);
    if (b->kind == SLC_CEL_INT)
        return THREE_WAY(a->as.integer, b->as.integer);
    if (a->kind == SLC_CEL_INT && a->as.integer < 0)
        return SLC_CEL_LESS;
    return THREE_WAY(a->as.natural, b->as.natural); /* an int that is not negative has the same bits */
}

static enum slc_cel_order compare_texts(const slc_cel_value *a, const slc_cel_value *b)
{
    size_t len = a->as.text.len < b->as.text.len ? a->as.text.len : b->as.text.len;
    int order = len > 0 ? memcmp(a->as.text.data, b->as.text.data, len) : 0;
    return order != 0 ? THREE_WAY(order, 0) : THREE_WAY(a->as.text.len, b->as.text.len);
}

bool slc_cel_orderable(enum slc_cel_kind a, enum slc_cel_kind b)
{
    static const unsigned ordered = 1u << SLC_CEL_ANY | 1u << SLC_CEL_BOOL | 1u << SLC_CEL_INT |
                                    1u << SLC_CEL_UINT | 1u << SLC_CEL_DOUBLE | 1u << SLC_CEL_STRING |
                                    1u << SLC_CEL_BYTES | 1u << SLC_CEL_TIMESTAMP | 1u << SLC_CEL_DURATION;
    return ((ordered >> a) & (ordered >> b) & 1) != 0 &&
           (a == SLC_CEL_ANY || b == SLC_CEL_ANY || a == b || (slc_cel_is_number(a) && slc_cel_is_number(b)));
}

enum slc_cel_order slc_cel_compare(const slc_cel_value *a, const slc_cel_value *b)
{
    if (slc_cel_is_number(a->kind) && slc_cel_is_number(b->kind))
        return compare_numbers(a, b);
    if (a->kind != b->kind)
        return SLC_CEL_INCOMPARABLE;
    switch (a->kind) {
    case SLC_CEL_BOOL:
        return THREE_WAY(a->as.boolean, b->as.boolean);
    case SLC_CEL_STRING:
    case SLC_CEL_BYTES:
        return compare_texts(a, b);
    case SLC_CEL_TIMESTAMP:
    case SLC_CEL_DURATION:
        return a->as.seconds != b->as.seconds ? THREE_WAY(a->as.seconds, b->as.seconds)
                                              : THREE_WAY(a->nanos, b->nanos);
    default:
        return SLC_CEL_INCOMPARABLE;
    }
}

/* NULL: not found. Numbers of any kind find each other. */
static const slc_cel_value *find_in_map(const slc_cel_value *map, const slc_cel_value *key)
{
    for (size_t i = 0; i < map->as.list.count; i++)
        if (slc_cel_compare(&map->as.list.items[2 * i], key) == SLC_CEL_SAME)
            return &map->as.list.items[2 * i + 1];
    return NULL;
}

static slc_cel_value equal_lists(const slc_cel_value *a, const slc_cel_value *b)
{
    bool same = a->as.list.count == b->as.list.count;
    for (size_t i = 0; same && i < a->as.list.count; i++) {
        slc_cel_value each = slc_cel_equal(&a->as.list.items[i], &b->as.list.items[i]);
        if (each.kind == SLC_CEL_ERROR)
            return each;
        same = each.as.boolean;
    }
    return slc_cel_bool(same);
}

static slc_cel_value equal_maps(const slc_cel_value *a, const slc_cel_value *b)
{
    bool same = a->as.list.count == b->as.list.count;
    for (size_t i = 0; same && i < a->as.list.count; i++) {
        const slc_cel_value *other = find_in_map(b, &a->as.list.items[2 * i]);
        slc_cel_value each =
            other != NULL ? slc_cel_equal(&a->as.list.items[2 * i + 1], other) : slc_cel_bool(false);
        if (each.kind == SLC_CEL_ERROR)
            return each;
        same = each.as.boolean;
    }
    return slc_cel_bool(same);
}

/* As deep as the expression that made the values, which is bounded. */
slc_cel_value slc_cel_equal(const slc_cel_value *a, const slc_cel_value *b)
{
    if (a->kind == SLC_CEL_LOOKUP || b->kind == SLC_CEL_LOOKUP)
        return slc_cel_error(not_comparable);
    if (a->kind != b->kind && !(slc_cel_is_number(a->kind) && slc_cel_is_number(b->kind)))
        return slc_cel_bool(false);
    if (a->kind == SLC_CEL_NULL)
        return slc_cel_bool(true);
    if (a->kind == SLC_CEL_LIST)
        return equal_lists(a, b);
    if (a->kind == SLC_CEL_MAP)
        return equal_maps(a, b);
    return slc_cel_bool(slc_cel_compare(a, b) == SLC_CEL_SAME);
}

/* ---- containers ---- */

static slc_cel_value in_list(const slc_cel_value *key, const slc_cel_value *list)
{
    for (size_t i = 0; i < list->as.list.count; i++) {
        slc_cel_value each = slc_cel_equal(key, &list->as.list.items[i]);
        if (each.kind == SLC_CEL_ERROR || each.as.boolean)
            return each;
    }
    return slc_cel_bool(false);
}

static bool is_key(enum slc_cel_kind kind)
{
    return kind == SLC_CEL_BOOL || kind == SLC_CEL_STRING || slc_cel_is_number(kind);
}

slc_cel_value slc_cel_contains(const slc_cel_value *key, const slc_cel_value *container)
{
    slc_cel_value found;
    if (container->kind == SLC_CEL_LIST)
        return in_list(key, container);
    if (container->kind == SLC_CEL_MAP && is_key(key->kind))
        return slc_cel_bool(find_in_map(container, key) != NULL);
    if (container->kind == SLC_CEL_LOOKUP && key->kind == SLC_CEL_STRING)
        return slc_cel_bool(
            container->as.lookup.find(container->as.lookup.ctx, key->as.text.data, key->as.text.len, &found));
    return slc_cel_error("`in` looks for a value in a list, or for a key in a map");
}

static slc_cel_value index_list(const slc_cel_value *list, const slc_cel_value *key)
{
    slc_cel_value at = slc_cel_int(0), count = slc_cel_int((int64_t)list->as.list.count);
    if (!slc_cel_is_number(key->kind))
        return slc_cel_error("the place in a list is a number");
    if (slc_cel_compare(key, &at) == SLC_CEL_LESS || slc_cel_compare(key, &count) != SLC_CEL_LESS)
        return slc_cel_error("the list has no such place");
    size_t place = key->kind == SLC_CEL_DOUBLE ? (size_t)key->as.real : (size_t)key->as.natural;
    at = slc_cel_int((int64_t)place);
    if (slc_cel_compare(key, &at) != SLC_CEL_SAME)
        return slc_cel_error("the place in a list is a whole number");
    return list->as.list.items[place];
}

slc_cel_value slc_cel_index(const slc_cel_value *container, const slc_cel_value *key)
{
    static const char no_such_key[] = "the map has no such key";
    slc_cel_value found;
    if (container->kind == SLC_CEL_LIST)
        return index_list(container, key);
    if (container->kind == SLC_CEL_MAP && is_key(key->kind)) {
        const slc_cel_value *value = find_in_map(container, key);
        return value != NULL ? *value : slc_cel_error(no_such_key);
    }
    if (container->kind == SLC_CEL_LOOKUP && key->kind == SLC_CEL_STRING)
        return container->as.lookup.find(container->as.lookup.ctx, key->as.text.data, key->as.text.len, &found)
                   ? found
                   : slc_cel_error(no_such_key);
    return slc_cel_error("only lists and maps are looked into, by a place or a key");
}

const char *slc_cel_map_fault(const slc_cel_value *items, size_t pairs)
{
    for (size_t i = 0; i < pairs; i++) {
        if (!is_key(items[2 * i].kind) || items[2 * i].kind == SLC_CEL_DOUBLE)
            return "a map's keys are texts, whole numbers, true and false";
        for (size_t j = 0; j < i; j++)
            if (slc_cel_compare(&items[2 * i], &items[2 * j]) == SLC_CEL_SAME)
                return "a map has each key once";
    }
    return NULL;
}
