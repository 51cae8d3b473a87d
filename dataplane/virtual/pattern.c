#include "dataplane/virtual/pattern.h"

#include <string.h>

#include "common/re2/re2_face.h"

#define NOTHING "(?:)"

/* Adds a literal. Names are letters, digits, '.', '_' and '-': only the dot means something. */
static void add_literal(slc_buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '.')
            slc_buf_addc(out, '\\');
        slc_buf_addc(out, *text);
    }
}

/* Fixed topics outside the namespace that the client's expression matches come first, so that the client's
 * expression is always what stands between the first `prefix(?:` and the last bracket. */
static void add_fixed(const slc_names *names, const slc_re2 *re2, slc_buf *out)
{
    const char *client, *backend;
    for (size_t i = 0; slc_names_fixed(names, i, &client, &backend); i++) {
        if (!slc_re2_matches(re2, client, strlen(client)))
            continue;
        add_literal(out, backend);
        slc_buf_addc(out, '|');
    }
}

/* Bytes of a class, from its bracket to its end. The expression is known to be valid. */
static size_t class_size(const uint8_t *data, size_t len)
{
    size_t at = 1;
    at += at < len && data[at] == '^';
    at += at < len && data[at] == ']'; /* first of all it stands for itself */
    while (at < len && data[at] != ']') {
        bool named = data[at] == '[' && at + 1 < len && data[at + 1] == ':';
        const uint8_t *end = named ? memmem(data + at, len - at, ":]", 2) : NULL;
        at += data[at] == '\\' ? 2 : end != NULL ? (size_t)(end - (data + at)) + 2 : 1;
    }
    return at < len ? at + 1 : len;
}

static size_t quotation_size(const uint8_t *data, size_t len)
{
    const uint8_t *end = memmem(data, len, "\\E", 2);
    return end != NULL ? (size_t)(end - data) + 2 : len;
}

/* Behind a prefix nothing is at the beginning any more, so `^` and `\A` become an empty group: the whole name
 * is matched anyway. */
static void add_unanchored(slc_buf *out, const uint8_t *data, size_t len)
{
    for (size_t at = 0, size; at < len; at += size) {
        const uint8_t *here = data + at;
        size_t left = len - at;
        bool escape = here[0] == '\\' && left > 1;
        if (escape && here[1] == 'Q')
            size = quotation_size(here, left);
        else
            size = escape ? 2 : here[0] == '[' ? class_size(here, left) : 1;
        if (here[0] == '^' || (escape && here[1] == 'A'))
            slc_buf_adds(out, NOTHING);
        else
            slc_buf_add(out, here, size);
    }
}

static bool map(const slc_names *names, enum slc_name_kind kind, const slc_re2 *re2, const uint8_t *data,
                size_t len, slc_buf *out, slc_error *err)
{
    const char *prefix = slc_names_prefix(names);
    if (slc_names_filters(names, kind))
        return slc_fail(err, SLC_INVALID, NULL,
                        "Patterns cannot be used here: this virtual cluster filters names.");
    if (!slc_names_hides(names) && !slc_re2_begins_with(re2, prefix))
        return slc_fail(err, SLC_INVALID, NULL,
                        "The pattern may match names outside of %s: begin each of its branches with that.",
                        prefix);
    if (kind == SLC_NAME_TOPIC)
        add_fixed(names, re2, out);
    if (slc_names_hides(names))
        add_literal(out, prefix);
    slc_buf_adds(out, "(?:");
    if (slc_names_hides(names))
        add_unanchored(out, data, len);
    else
        slc_buf_add(out, data, len);
    slc_buf_addc(out, ')');
    return !out->overflow || slc_fail(err, SLC_INVALID, NULL, "The pattern is too long.");
}

bool slc_pattern_map(const slc_names *names, enum slc_name_kind kind, const uint8_t *data, size_t len,
                     slc_buf *out, slc_error *err)
{
    char reason[160];
    slc_re2 *re2 = slc_re2_new((const char *)data, len, reason, sizeof reason);
    if (re2 == NULL)
        return slc_fail(err, SLC_INVALID, NULL, "The pattern is no valid regular expression: %s", reason);
    bool mapped = map(names, kind, re2, data, len, out, err);
    slc_re2_free(re2);
    return mapped;
}

bool slc_pattern_unmap(const slc_names *names, const uint8_t *data, size_t len, slc_buf *out)
{
    slc_buf head;
    slc_buf_init(&head, 4096);
    if (slc_names_hides(names))
        add_literal(&head, slc_names_prefix(names));
    slc_buf_adds(&head, "(?:");
    const uint8_t *found = memmem(data, len, head.data, head.len);
    bool ours = found != NULL && data[len - 1] == ')' && (found == data || found[-1] == '|');
    const uint8_t *at = ours ? found + head.len : NULL, *end = data + len - 1;
    slc_buf_release(&head);
    for (const uint8_t *next; ours && at < end; at = next) {
        const uint8_t *nothing = memmem(at, (size_t)(end - at), NOTHING, sizeof NOTHING - 1);
        slc_buf_add(out, at, (size_t)((nothing != NULL ? nothing : end) - at));
        next = nothing != NULL ? nothing + sizeof NOTHING - 1 : end;
        if (nothing != NULL)
            slc_buf_addc(out, '^');
    }
    return ours;
}
