#include "dataplane/virtual/pattern.h"

#include <string.h>

#include "dataplane/virtual/re2_face.h"

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

bool slc_pattern_unmap(const slc_names *names, const uint8_t *data, size_t len, slc_kafka_span *pattern)
{
    slc_buf head;
    slc_buf_init(&head, 4096);
    if (slc_names_hides(names))
        add_literal(&head, slc_names_prefix(names));
    slc_buf_adds(&head, "(?:");
    const uint8_t *found = memmem(data, len, head.data, head.len);
    bool ours = found != NULL && data[len - 1] == ')' && (found == data || found[-1] == '|');
    if (ours)
        *pattern = (slc_kafka_span){found + head.len, (size_t)(data + len - 1 - (found + head.len))};
    slc_buf_release(&head);
    return ours;
}
