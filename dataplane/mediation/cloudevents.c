/* CloudEvents 1.0: what makes an event (section "Required attributes"), and the HTTP binding's fields as the
 * Kafka binding's headers. */
#include <event2/keyvalq_struct.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/mediation/json_scan.h"
#include "dataplane/mediation/publish.h"

static const char *const required[] = {"id", "source", "type"};
#define REQUIRED (sizeof required / sizeof *required)

static bool same_name(const slc_json_slice *a, const slc_json_slice *b)
{
    if (memchr(a->text, '\\', a->len) == NULL && memchr(b->text, '\\', b->len) == NULL)
        return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
    char *texts = slc_malloc(a->len + b->len);
    size_t a_len = slc_json_unescape(a, texts), b_len = slc_json_unescape(b, texts + a->len);
    bool same = a_len == b_len && memcmp(texts, texts + a->len, a_len) == 0;
    free(texts);
    return same;
}

/* Of a name that comes twice readers would take the first or the last, as their parsers do. */
static bool check_members(const char *text, size_t len, const char **detail)
{
    slc_json_slice object, value, names[SLC_PUBLISH_MAX_HEADERS];
    size_t count = 0;
    const char *at = NULL;
    if (!slc_json_find(text, len, "", &object) || *object.text != '{')
        return true; /* what it lacks is said by others */
    while (slc_json_next_member(&object, &at, &names[count], &value)) {
        *detail = "An attribute comes twice.";
        for (size_t i = 0; i < count; i++) {
            if (same_name(&names[i], &names[count]))
                return false;
        }
        *detail = "Too many attributes.";
        if (++count == SLC_PUBLISH_MAX_HEADERS)
            return false;
    }
    return true;
}

bool slc_cloudevent_check(const char *text, size_t len, const char **detail)
{
    slc_json_slice value;
    static const char *const pointers[] = {"/id", "/source", "/type"};
    if (!slc_json_find(text, len, "/specversion", &value) || value.len != 5 ||
        memcmp(value.text, "\"1.0\"", 5) != 0) {
        *detail = "A CloudEvent has specversion \"1.0\".";
        return false;
    }
    if (!check_members(text, len, detail))
        return false;
    if (slc_json_find(text, len, "/data", &value) && slc_json_find(text, len, "/data_base64", &value)) {
        *detail = "A CloudEvent has data or data_base64, not both.";
        return false;
    }
    for (size_t i = 0; i < REQUIRED; i++) {
        if (!slc_json_find(text, len, pointers[i], &value) || *value.text != '"' || value.len <= 2) {
            *detail = "A CloudEvent has id, source and type, each a string that is not empty.";
            return false;
        }
    }
    return true;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Adds the decoded value (HTTP binding 3.1.3.2) and a NUL; -1 when it is malformed. A quoted string is what
 * senders of older versions may send. */
static long add_decoded(slc_buf *text, const char *value)
{
    size_t start = text->len, value_len = strlen(value);
    bool quoted = value_len >= 2 && value[0] == '"' && value[value_len - 1] == '"';
    const char *end = value + value_len - quoted;
    for (value += quoted; value < end; value++) {
        char c = *value;
        if (quoted && c == '\\') {
            if (++value == end)
                return -1;
            c = *value;
        }
        if (c == '%') {
            int high = hex(value[1]), low = high < 0 ? -1 : hex(value[2]);
            if (low < 0)
                return -1;
            c = (char)(high << 4 | low);
            value += 2;
        }
        slc_buf_addc(text, c);
    }
    size_t len = text->len - start;
    slc_buf_addc(text, '\0');
    return slc_utf8_valid(text->data + start, len) ? (long)len : -1;
}

/* Attribute names are lower-case letters and digits. */
static bool add_name(slc_buf *text, const char *attribute)
{
    if (*attribute == '\0')
        return false;
    slc_buf_adds(text, "ce_");
    for (; *attribute != '\0'; attribute++) {
        char c = *attribute;
        if (c >= 'A' && c <= 'Z')
            c = (char)(c | 0x20);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
            return false;
        slc_buf_addc(text, c);
    }
    slc_buf_addc(text, '\0');
    return true;
}

bool slc_cloudevent_is_binary(const struct evkeyvalq *fields)
{
    const struct evkeyval *field;
    TAILQ_FOREACH (field, fields, next) {
        if (strncasecmp(field->key, "ce-", 3) == 0)
            return true;
    }
    return false;
}

struct place {
    size_t name, value, value_len;
};

static bool has(const slc_broker_header *headers, int count, const char *attribute)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(headers[i].name + 3, attribute) == 0)
            return headers[i].value_len > 0;
    }
    return false;
}

static bool check_required(const slc_broker_header *headers, int count, const char *version,
                           const char **detail)
{
    *detail = "A CloudEvent has ce-specversion 1.0, ce-id, ce-source and ce-type.";
    for (size_t i = 0; i < REQUIRED; i++) {
        if (!has(headers, count, required[i]))
            return false;
    }
    return strcmp(version, "1.0") == 0;
}

static bool comes_again(const struct evkeyval *field)
{
    const struct evkeyval *other = field;
    while ((other = TAILQ_NEXT(other, next)) != NULL) {
        if (strcasecmp(other->key, field->key) == 0)
            return true;
    }
    return false;
}

/* Collects places first: the buffer moves as it grows. */
static int collect(struct evkeyvalq *fields, struct place *places, slc_buf *text, const char **detail)
{
    int count = 0;
    struct evkeyval *field;
    TAILQ_FOREACH (field, fields, next) {
        if (strncasecmp(field->key, "ce-", 3) != 0)
            continue;
        *detail = "Too many attributes.";
        if (count == SLC_PUBLISH_MAX_HEADERS - 1)
            return -1;
        struct place *place = &places[count++];
        place->name = text->len;
        *detail = "An attribute comes twice.";
        if (comes_again(field))
            return -1;
        *detail = "Names of CloudEvents attributes are letters and digits.";
        if (!add_name(text, field->key + 3))
            return -1;
        place->value = text->len;
        long len = add_decoded(text, field->value);
        *detail = "The value of a CloudEvents attribute is not percent-encoded UTF-8.";
        if (len < 0)
            return -1;
        place->value_len = (size_t)len;
    }
    *detail = "The attributes are too long.";
    return text->overflow ? -1 : count;
}

int slc_cloudevent_headers(slc_exchange *exchange, slc_broker_header *out, slc_buf *text, const char **detail)
{
    struct place places[SLC_PUBLISH_MAX_HEADERS];
    int count = collect(evhttp_request_get_input_headers(exchange->req), places, text, detail);
    if (count < 0)
        return -1;
    for (int i = 0; i < count; i++)
        out[i] = (slc_broker_header){(const char *)text->data + places[i].name, text->data + places[i].value,
                                     places[i].value_len};
    const char *version = slc_exchange_header(exchange, "ce-specversion");
    if (!check_required(out, count, version != NULL ? version : "", detail))
        return -1;
    const char *type = slc_exchange_header(exchange, "Content-Type");
    if (type != NULL)
        out[count++] = (slc_broker_header){"content-type", type, strlen(type)};
    return count;
}
