/* A kind by what people call it. */
#include <stdio.h>
#include <string.h>

#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/schema.h"
#include "controlplane/ctl/suggest.h"

/* "event API" is typed as event-api. */
static bool same_words(const char *typed, const char *words)
{
    for (; *typed != '\0' && *words != '\0'; typed++, words++) {
        char c = *words == ' ' ? '-' : *words;
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (*typed != c && !(*typed == '_' && c == '-'))
            return false;
    }
    return *typed == '\0' && *words == '\0';
}

const char *slc_ctl_kind(const char *word)
{
    slc_suggestion near = slc_suggestion_for(word);
    const char *name, *found = NULL;
    json_t *kind;
    unsigned prefixed = 0;
    json_object_foreach ((json_t *)slc_schema_kinds(), name, kind) {
        if (same_words(word, name) || same_words(word, json_string_value(json_object_get(kind, "singular"))))
            return name;
        if (strncmp(name, word, strlen(word)) == 0) {
            prefixed++;
            found = name;
        }
        slc_suggest(&near, name);
    }
    if (prefixed == 1)
        return found;
    if (prefixed > 1) {
        slc_ctl_fail("\"%s\" begins the names of %u kinds (sluicectl kinds lists them)", word, prefixed);
        return NULL;
    }
    slc_ctl_fail("there is no kind \"%s\"%s%s%s (sluicectl kinds lists them)", word,
                 near.best != NULL ? ": did you mean \"" : "", near.best != NULL ? near.best : "",
                 near.best != NULL ? "\"?" : "");
    return NULL;
}
