/* jansson prints reals with 17 digits, so that 0.1 would come back as 0.10000000000000001 to whoever wrote it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/buf.h"
#include "common/json.h"

static void print_value(slc_buf *out, const json_t *value, bool sorted);

/* The fewest digits that give the same double again, and always the look of a real. */
static void print_real(slc_buf *out, double value)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    slc_buf_addf(out, "%s%s", text, strpbrk(text, ".e") == NULL ? ".0" : "");
}

static void print_string(slc_buf *out, const char *s, size_t len)
{
    slc_buf_addc(out, '"');
    slc_buf_add_json_string(out, s, len);
    slc_buf_addc(out, '"');
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void print_object(slc_buf *out, json_t *object, bool sorted)
{
    size_t n = json_object_size(object), i = 0;
    const char **keys = slc_calloc(n, sizeof(*keys));
    const char *key;
    json_t *value;
    json_object_foreach (object, key, value)
        keys[i++] = key;
    if (sorted)
        qsort(keys, n, sizeof(*keys), compare_keys);
    slc_buf_addc(out, '{');
    for (i = 0; i < n; i++) {
        if (i > 0)
            slc_buf_addc(out, ',');
        print_string(out, keys[i], strlen(keys[i]));
        slc_buf_addc(out, ':');
        print_value(out, json_object_get(object, keys[i]), sorted);
    }
    slc_buf_addc(out, '}');
    free(keys);
}

static void print_array(slc_buf *out, const json_t *array, bool sorted)
{
    slc_buf_addc(out, '[');
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i > 0)
            slc_buf_addc(out, ',');
        print_value(out, json_array_get(array, i), sorted);
    }
    slc_buf_addc(out, ']');
}

static void print_value(slc_buf *out, const json_t *value, bool sorted)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        print_object(out, (json_t *)value, sorted);
        break;
    case JSON_ARRAY:
        print_array(out, value, sorted);
        break;
    case JSON_STRING:
        print_string(out, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        slc_buf_addf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        print_real(out, json_real_value(value));
        break;
    case JSON_TRUE:
        slc_buf_adds(out, "true");
        break;
    case JSON_FALSE:
        slc_buf_adds(out, "false");
        break;
    case JSON_NULL:
        slc_buf_adds(out, "null");
        break;
    }
}

static char *print(const json_t *value, size_t *len, bool sorted)
{
    SLC_BUG_ON(value == NULL); /* such as json_pack's, when a text was not UTF-8 */
    slc_buf out;
    slc_buf_init(&out, SIZE_MAX / 4);
    print_value(&out, value, sorted);
    SLC_BUG_ON(out.overflow);
    return slc_buf_steal(&out, len);
}

char *slc_json_print(const json_t *value, size_t *len)
{
    return print(value, len, false);
}

char *slc_json_canonical(const json_t *value, size_t *len)
{
    return print(value, len, true);
}
