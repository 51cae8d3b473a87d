/* From headers policies that take part to edits of one place, and edits of records. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/policy/headers.h"

/* ---- which take part ---- */

void slc_header_policies_add(slc_header_policies *policies, const slc_headers *headers)
{
    policies->items = slc_realloc(policies->items, (policies->count + 1) * sizeof *policies->items);
    policies->items[policies->count++] = headers;
}

void slc_header_policies_release(slc_header_policies *policies)
{
    free(policies->items);
    *policies = (slc_header_policies){0};
}

/* ---- edits ---- */

static size_t count_rules(const slc_header_policies *policies, enum slc_header_place place)
{
    size_t count = 0;
    for (size_t i = 0; i < policies->count; i++)
        for (size_t j = 0; policies->items[i]->places[place] && j < policies->items[i]->count; j++)
            count += policies->items[i]->rules[j].place == place;
    return count;
}

static void make_edit(slc_header_edit *edit, const slc_header_rule *rule, slc_header_value_fn *fn, void *ctx)
{
    *edit = (slc_header_edit){.action = rule->action, .name = rule->name, .to = rule->to, .value = rule->value};
    if (slc_header_value_is_open(rule->value))
        edit->value = edit->owned = slc_header_value_expand(rule->value, fn, ctx);
}

slc_header_edits *slc_header_edits_new(const slc_header_policies *policies, enum slc_header_place place,
                                       slc_header_value_fn *fn, void *ctx)
{
    size_t count = count_rules(policies, place);
    if (count == 0)
        return NULL;
    slc_header_edits *edits = slc_malloc(sizeof *edits + count * sizeof edits->items[0]);
    edits->count = 0;
    for (size_t i = 0; i < policies->count; i++)
        for (size_t j = 0; j < policies->items[i]->count; j++)
            if (policies->items[i]->rules[j].place == place)
                make_edit(&edits->items[edits->count++], &policies->items[i]->rules[j], fn, ctx);
    return edits;
}

void slc_header_edits_free(slc_header_edits *edits)
{
    for (size_t i = 0; edits != NULL && i < edits->count; i++)
        free(edits->items[i].owned);
    free(edits);
}

static bool is_named(const slc_record_header *header, const char *name)
{
    return header->name_len == strlen(name) && memcmp(header->name, name, header->name_len) == 0;
}

static slc_record_header header_of(const slc_header_edit *edit)
{
    return (slc_record_header){.name = edit->name,
                               .name_len = (uint32_t)strlen(edit->name),
                               .value = (const uint8_t *)edit->value,
                               .value_len = (uint32_t)strlen(edit->value)};
}

/* One edit, in place; there is room for one more. */
static uint32_t apply(const slc_header_edit *edit, slc_record_header *list, uint32_t count)
{
    bool keeps = edit->action != SLC_HEADER_SET && edit->action != SLC_HEADER_REMOVE;
    bool puts = edit->value != NULL && edit->action != SLC_HEADER_REMOVE && edit->action != SLC_HEADER_RENAME;
    uint32_t left = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool named = is_named(&list[i], edit->name);
        if (named && edit->action == SLC_HEADER_SET && puts) {
            list[left++] = header_of(edit);
            puts = false;
        } else if (!named || keeps) {
            list[left] = list[i];
            if (named && edit->action == SLC_HEADER_RENAME) {
                list[left].name = edit->to;
                list[left].name_len = (uint32_t)strlen(edit->to);
            }
            left++;
        }
    }
    if (puts)
        list[left++] = header_of(edit);
    return left;
}

uint32_t slc_header_edits_record(const slc_header_edits *edits, const slc_record_header *in, uint32_t count,
                                 slc_record_header *out)
{
    if (count > 0)
        memcpy(out, in, count * sizeof *out);
    for (size_t i = 0; i < edits->count; i++)
        count = apply(&edits->items[i], out, count);
    return count;
}
