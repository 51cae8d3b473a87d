/* What evhttp does not check: RFC 9112 sections 2.2, 3.2, 5.1, 6.1 and 6.3. A request that two servers in a row
 * could frame differently is refused as a whole, never repaired. */
#include <event2/keyvalq_struct.h>
#include <string.h>
#include <strings.h>

#include "common/httpd_private.h"

static void end_line(struct slc_http_head *head)
{
    if (head->lines > 0 && head->line_bytes == 0)
        head->complete = true;
    head->lines++;
    head->line_bytes = 0;
}

static void take_byte(struct slc_http_head *head, uint8_t c)
{
    if (c == '\n') {
        head->after_cr = false;
        end_line(head);
        return;
    }
    if (head->after_cr) { /* it did not end the line */
        head->bad_bytes = true;
        head->bytes++;
        head->line_bytes++;
    }
    head->after_cr = c == '\r';
    if (head->after_cr)
        return;
    if (c == '\0')
        head->bad_bytes = true;
    if (head->lines > 0 && head->line_bytes == 0 && c != ' ' && c != '\t')
        head->fields++;
    head->bytes++;
    head->line_bytes++;
}

void slc_http_head_scan(struct slc_http_head *head, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len && !head->complete; i++)
        take_byte(head, data[i]);
}

/* RFC 9110 section 5.6.2. */
static bool is_token(const char *s)
{
    static const char allowed[] = "!#$%&'*+-.^_`|~0123456789"
                                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return *s != '\0' && s[strspn(s, allowed)] == '\0';
}

static bool has_control(const char *s)
{
    for (; *s != '\0'; s++)
        if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7F)
            return true;
    return false;
}

/* RFC 3986 knows only visible ASCII: everything else comes percent-encoded. */
static bool is_target(const char *s)
{
    for (; *s != '\0'; s++)
        if ((unsigned char)*s <= 0x20 || (unsigned char)*s >= 0x7F)
            return false;
    return true;
}

static bool is_length(const char *s)
{
    size_t len = strlen(s);
    return len > 0 && len <= 18 && strspn(s, "0123456789") == len;
}

struct tally {
    unsigned fields, lengths, codings, hosts;
    const char *length;
    const char *coding;
};

static void count_field(struct tally *tally, const struct evkeyval *field)
{
    tally->fields++;
    if (strcasecmp(field->key, "Content-Length") == 0) {
        tally->lengths++;
        tally->length = field->value;
    } else if (strcasecmp(field->key, "Transfer-Encoding") == 0) {
        tally->codings++;
        tally->coding = field->value;
    } else if (strcasecmp(field->key, "Host") == 0) {
        tally->hosts++;
    }
}

static const char *check_framing(const struct tally *tally, struct evhttp_request *req)
{
    if (tally->lengths > 1)
        return "Content-Length is given more than once.";
    if (tally->lengths == 1 && !is_length(tally->length))
        return "Content-Length is not a number.";
    if (tally->codings > 0 && tally->lengths > 0)
        return "Content-Length and Transfer-Encoding exclude each other.";
    if (tally->codings > 1 || (tally->codings == 1 && strcasecmp(tally->coding, "chunked") != 0))
        return "The only supported Transfer-Encoding is chunked.";
    if (tally->codings == 1 && req->minor == 0)
        return "HTTP/1.0 has no Transfer-Encoding.";
    /* evhttp does not read these bodies: they would be taken for the next request. */
    bool bodyless = req->type == EVHTTP_REQ_HEAD || req->type == EVHTTP_REQ_TRACE;
    if (bodyless &&
        (tally->codings > 0 || (tally->lengths > 0 && strspn(tally->length, "0") != strlen(tally->length))))
        return "This method takes no body.";
    return NULL;
}

const char *slc_http_head_check(const struct slc_http_head *head, struct evhttp_request *req)
{
    struct tally tally = {0};
    const struct evkeyval *field;
    if (req->major != 1 || req->minor < 0)
        return "The HTTP version is not supported.";
    if (head->bad_bytes)
        return "The header holds control characters.";
    if (!is_target(req->uri))
        return "The request target holds characters that must be percent-encoded.";
    TAILQ_FOREACH (field, req->input_headers, next) {
        if (!is_token(field->key))
            return "A header name is not a token.";
        if (has_control(field->value))
            return "A header value holds control characters.";
        count_field(&tally, field);
    }
    /* evhttp adds the trailer section's fields to the header's, where they could pass for what a proxy set. */
    if (tally.fields != head->fields)
        return "Trailer fields are not supported.";
    if (tally.hosts > 1 || (tally.hosts == 0 && req->minor > 0))
        return "HTTP/1.1 wants exactly one Host header.";
    return check_framing(&tally, req);
}
