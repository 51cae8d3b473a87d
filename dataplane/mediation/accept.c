/* What the fields of a request prefer (RFC 9110 section 12.5.1, RFC 7240). A field that comes several times is
 * one list. */
#include <event2/keyvalq_struct.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "dataplane/mediation/mediation.h"

#define MOST 1000 /* q=1 */

struct range {
    const char *name;
    int specificity;
};

/* Of `text` up to `end`, without the spaces around it. */
static const char *trimmed(const char *text, const char *end, size_t *len)
{
    while (text < end && (*text == ' ' || *text == '\t'))
        text++;
    while (end > text && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *len = (size_t)(end - text);
    return text;
}

/* The end of an element: a delimiter that is not within quotes. */
static const char *end_of(const char *text, char delimiter)
{
    bool quoted = false;
    for (; *text != '\0' && (quoted || *text != delimiter); text++) {
        if (*text == '"')
            quoted = !quoted;
        else if (*text == '\\' && quoted && text[1] != '\0')
            text++;
    }
    return text;
}

static bool is_word(const char *text, size_t len, const char *word)
{
    return len == strlen(word) && strncasecmp(text, word, len) == 0;
}

/* qvalue: 0.5 is 500; what is none counts as 1. */
static int read_q(const char *text, size_t len)
{
    int value = 0, unit = MOST;
    for (size_t i = 0; i < len; i++) {
        if (i == 1 && text[i] == '.')
            continue;
        if (text[i] < '0' || text[i] > '9' || i > 4)
            return MOST;
        value += (text[i] - '0') * unit;
        unit /= 10;
    }
    return len == 0 || value > MOST ? MOST : value;
}

static int weight_of(const char *parameters, const char *end)
{
    while (parameters < end && *parameters == ';') {
        size_t len;
        const char *stop = end_of(parameters + 1, ';');
        const char *text = trimmed(parameters + 1, stop < end ? stop : end, &len);
        if (len >= 2 && (text[0] == 'q' || text[0] == 'Q') && text[1] == '=')
            return read_q(text + 2, len - 2);
        parameters = stop;
    }
    return MOST;
}

/* One of a list: name;parameter;parameter */
struct element {
    const char *name, *parameters, *end;
    size_t name_len;
};

static bool next_element(const char **at, struct element *out)
{
    if (**at == '\0')
        return false;
    out->end = end_of(*at, ',');
    out->parameters = end_of(*at, ';');
    if (out->parameters > out->end)
        out->parameters = out->end;
    out->name = trimmed(*at, out->parameters, &out->name_len);
    *at = *out->end == ',' ? out->end + 1 : out->end;
    return true;
}

struct choice {
    int specificity; /* of the best so far; -1: none */
    int weight;
};

static void consider(const struct element *element, const struct range *ranges, size_t count,
                     struct choice *choice)
{
    for (size_t i = 0; i < count; i++) {
        if (ranges[i].specificity <= choice->specificity ||
            !is_word(element->name, element->name_len, ranges[i].name))
            continue;
        choice->specificity = ranges[i].specificity;
        choice->weight = weight_of(element->parameters, element->end);
    }
}

/* The weight of the most specific of the ranges that are listed; 0: none is. */
static int weight(const struct evkeyvalq *fields, const struct range *ranges, size_t count)
{
    const struct evkeyval *field;
    struct choice choice = {-1, 0};
    TAILQ_FOREACH (field, fields, next) {
        struct element element;
        const char *at = field->value;
        while (strcasecmp(field->key, "Accept") == 0 && next_element(&at, &element))
            consider(&element, ranges, count, &choice);
    }
    return choice.weight;
}

/* An empty list says no more than none. */
static bool says_what_it_accepts(const struct evkeyvalq *fields)
{
    const struct evkeyval *field;
    TAILQ_FOREACH (field, fields, next) {
        struct element element;
        const char *at = field->value;
        while (strcasecmp(field->key, "Accept") == 0 && next_element(&at, &element)) {
            if (element.name_len > 0)
                return true;
        }
    }
    return false;
}

enum slc_read_kind slc_read_kind_of(const struct evkeyvalq *fields, bool pages, bool streams)
{
    static const struct range stream_ranges[] = {{"text/event-stream", 2}, {"text/*", 1}, {"*/*", 0}};
    static const struct range page_ranges[] = {{"application/json", 2}, {"application/*", 1}, {"*/*", 0}};
    if (!says_what_it_accepts(fields))
        return pages ? SLC_READ_PAGE : streams ? SLC_READ_STREAM : SLC_READ_NEITHER;
    /* Where there are pages, whoever takes anything gets one: a stream never ends. */
    int stream = streams ? weight(fields, stream_ranges, pages ? 2 : 3) : 0;
    int page = pages ? weight(fields, page_ranges, 3) : 0;
    if (stream > 0 && stream >= page)
        return SLC_READ_STREAM;
    return page > 0 ? SLC_READ_PAGE : SLC_READ_NEITHER;
}

static bool is_offered_as(const slc_event_api *api, const char *exposure)
{
    for (size_t i = 0; i < api->msg->n_exposures; i++) {
        if (strcmp(api->msg->exposures[i], exposure) == 0)
            return true;
    }
    return false;
}

enum slc_read_kind slc_read_kind(const slc_exchange *exchange)
{
    return slc_read_kind_of(evhttp_request_get_input_headers(exchange->req),
                            is_offered_as(exchange->api, "rest"), is_offered_as(exchange->api, "sse"));
}

bool slc_prefers(const struct evkeyvalq *fields, const char *preference)
{
    const struct evkeyval *field;
    TAILQ_FOREACH (field, fields, next) {
        struct element element;
        const char *at = field->value;
        while (strcasecmp(field->key, "Prefer") == 0 && next_element(&at, &element)) {
            if (is_word(element.name, element.name_len, preference))
                return true;
        }
    }
    return false;
}
