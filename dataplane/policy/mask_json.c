#include "dataplane/policy/mask_json.h"

#include <stdio.h>
#include <string.h>

#include "common/crypto.h"
#include "dataplane/mediation/json_scan.h"

#define WHOLE (UINT64_C(1) << 63) /* in keep: everything below is kept */

/* Which paths lead on from here, each as one bit: as many of their tokens as the place is deep have matched. */
struct lead {
    uint64_t fields, keep;
};

struct walk {
    const slc_mask *mask;
    const uint8_t *key;
    size_t key_len;
    slc_buf *text, *out;
    bool changed;
};

static void walk_value(struct walk *w, const slc_json_slice *value, struct lead lead, size_t depth);

/* ---- paths ---- */

static bool matches(const slc_json_path *path, size_t depth, const char *name, size_t len)
{
    const struct slc_json_path_token *token = depth < path->count ? &path->tokens[depth] : NULL;
    return token != NULL && (token->any || (token->len == len && memcmp(token->text, name, len) == 0));
}

static struct lead follow(const struct walk *w, struct lead lead, size_t depth, const char *name, size_t len)
{
    struct lead next = {0, lead.keep & WHOLE};
    for (size_t i = 0; i < w->mask->field_count; i++)
        if ((lead.fields >> i & 1) != 0 && matches(&w->mask->fields[i].path, depth, name, len))
            next.fields |= UINT64_C(1) << i;
    for (size_t i = 0; i < w->mask->keep_count; i++)
        if ((lead.keep >> i & 1) != 0 && matches(&w->mask->keep[i], depth, name, len))
            next.keep |= UINT64_C(1) << i;
    return next;
}

/* The field that ends here; NULL: none. */
static const slc_mask_field *field_at(const struct walk *w, struct lead lead, size_t depth)
{
    for (size_t i = 0; i < w->mask->field_count; i++)
        if ((lead.fields >> i & 1) != 0 && w->mask->fields[i].path.count == depth)
            return &w->mask->fields[i];
    return NULL;
}

enum kept { KEPT, KEPT_IN_PART, NOT_KEPT };

static enum kept kept_at(const struct walk *w, struct lead lead, size_t depth)
{
    if (w->mask->keep_count == 0 || (lead.keep & WHOLE) != 0)
        return KEPT;
    for (size_t i = 0; i < w->mask->keep_count; i++)
        if ((lead.keep >> i & 1) != 0 && w->mask->keep[i].count <= depth)
            return KEPT;
    return lead.keep != 0 ? KEPT_IN_PART : NOT_KEPT;
}

/* What is kept is kept whole: its paths lead nowhere else. */
static struct lead below(const struct walk *w, struct lead lead, size_t depth)
{
    if (kept_at(w, lead, depth) == KEPT)
        lead.keep = WHOLE;
    return lead;
}

/* ---- what is hidden ---- */

/* A string's text, or that of any other value as it stands. */
static void take_text(struct walk *w, const slc_json_slice *value)
{
    slc_buf_clear(w->text);
    if (*value->text != '"') {
        slc_buf_add(w->text, value->text, value->len);
        return;
    }
    char *to = (char *)slc_buf_extend(w->text, value->len);
    if (to != NULL)
        w->text->len = slc_json_unescape(value, to);
}

static bool begins_character(uint8_t byte)
{
    return (byte & 0xc0) != 0x80;
}

/* A text that would be shown whole is not shown at all. */
static void keep_last(struct walk *w, unsigned keep)
{
    const slc_buf *text = w->text;
    size_t characters = 0, from = text->len;
    for (size_t i = 0; i < text->len; i++)
        characters += begins_character(text->data[i]);
    size_t shown = characters > keep ? keep : 0;
    for (size_t i = 0; i < shown;)
        i += begins_character(text->data[--from]);
    slc_buf_addc(w->out, '"');
    for (size_t i = 0; i < characters - shown; i++)
        slc_buf_addc(w->out, '*');
    slc_buf_add_json_string(w->out, (const char *)text->data + from, text->len - from);
    slc_buf_addc(w->out, '"');
}

static void hash(struct walk *w)
{
    uint8_t digest[SLC_SHA256_BYTES];
    char hex[2 * SLC_SHA256_BYTES + 1];
    slc_hmac_sha256(w->key, w->key_len, w->text->len > 0 ? w->text->data : (const uint8_t *)"", w->text->len,
                    digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    slc_buf_addc(w->out, '"');
    slc_buf_add(w->out, hex, 2 * sizeof digest);
    slc_buf_addc(w->out, '"');
}

static void hide(struct walk *w, const slc_json_slice *value, const slc_mask_field *field)
{
    w->changed = true;
    if (field->action == SLC_MASK_REDACT) {
        slc_buf_adds(w->out, field->replacement);
        return;
    }
    take_text(w, value);
    if (field->action == SLC_MASK_KEEP_LAST)
        keep_last(w, field->keep);
    else
        hash(w);
}

/* ---- the walk ---- */

/* Is the member or element there at all afterwards? */
static bool stays(struct walk *w, const slc_json_slice *value, struct lead lead, size_t depth)
{
    const slc_mask_field *field = field_at(w, lead, depth);
    enum kept kept = kept_at(w, lead, depth);
    bool inside = *value->text == '{' || *value->text == '[';
    bool there =
        kept != NOT_KEPT && (kept == KEPT || inside) && (field == NULL || field->action != SLC_MASK_REMOVE);
    w->changed = w->changed || !there;
    return there;
}

static void walk_object(struct walk *w, const slc_json_slice *object, struct lead lead, size_t depth)
{
    slc_json_slice name, value;
    bool first = true;
    slc_buf_addc(w->out, '{');
    for (const char *at = NULL; slc_json_next_member(object, &at, &name, &value);) {
        take_text(w, &name);
        struct lead next = follow(w, lead, depth, (const char *)w->text->data, w->text->len);
        if (!stays(w, &value, next, depth + 1))
            continue;
        if (!first)
            slc_buf_addc(w->out, ',');
        first = false;
        slc_buf_add(w->out, name.text, name.len);
        slc_buf_addc(w->out, ':');
        walk_value(w, &value, next, depth + 1);
    }
    slc_buf_addc(w->out, '}');
}

static void walk_array(struct walk *w, const slc_json_slice *array, struct lead lead, size_t depth)
{
    slc_json_slice value;
    size_t number = 0;
    bool first = true;
    slc_buf_addc(w->out, '[');
    for (const char *at = NULL; slc_json_next_element(array, &at, &value); number++) {
        char name[24];
        int len = snprintf(name, sizeof name, "%zu", number);
        struct lead next = follow(w, lead, depth, name, (size_t)len);
        if (!stays(w, &value, next, depth + 1))
            continue;
        if (!first)
            slc_buf_addc(w->out, ',');
        first = false;
        walk_value(w, &value, next, depth + 1);
    }
    slc_buf_addc(w->out, ']');
}

static void walk_value(struct walk *w, const slc_json_slice *value, struct lead lead, size_t depth)
{
    const slc_mask_field *field = field_at(w, lead, depth);
    lead = below(w, lead, depth);
    if (field != NULL)
        hide(w, value, field);
    else if (lead.fields == 0 && lead.keep == WHOLE)
        slc_buf_add(w->out, value->text, value->len);
    else if (*value->text == '{')
        walk_object(w, value, lead, depth);
    else if (*value->text == '[')
        walk_array(w, value, lead, depth);
    else
        slc_buf_add(w->out, value->text, value->len);
}

/* All of the first `count` bits. */
static uint64_t bits(size_t count)
{
    return (UINT64_C(1) << count) - 1;
}

bool slc_mask_json(const slc_mask *mask, const uint8_t *key, size_t key_len, const char *value, size_t len,
                   slc_buf *text, slc_buf *out, bool *changed)
{
    struct walk w = {.mask = mask, .key = key, .key_len = key_len, .text = text, .out = out};
    slc_json_slice slice;
    *changed = false;
    if (!slc_json_find(value, len, "", &slice))
        return false;
    bool inside = *slice.text == '{' || *slice.text == '[';
    if (mask->keep_count > 0 && !inside) { /* nothing of it is to be kept */
        slc_buf_adds(out, "null");
        *changed = true;
        return !out->overflow;
    }
    walk_value(&w, &slice, (struct lead){bits(mask->field_count), bits(mask->keep_count)}, 0);
    *changed = w.changed;
    return !out->overflow && !text->overflow;
}
