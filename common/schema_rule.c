#include "common/schema_rule.h"

#include <stdio.h>
#include <string.h>

static const char *const variables[] = {"{topic}", "{backend_topic}", NULL};

/* The variable that stands there, -1: none. */
static int variable_at(const char *text)
{
    for (int i = 0; variables[i] != NULL; i++)
        if (strncmp(text, variables[i], strlen(variables[i])) == 0)
            return i;
    return -1;
}

const char *slc_subject_template_check(const char *template)
{
    if (template[0] == '\0' || strlen(template) > SLC_SUBJECT_TEMPLATE_MAX)
        return "must have 1 to 250 characters";
    for (const char *p = template; *p != '\0'; p++) {
        int variable = *p == '{' ? variable_at(p) : -1;
        if ((*p == '{' && variable < 0) || *p == '}')
            return "may have {topic} and {backend_topic} in braces, and no others";
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return "must have no control characters";
        p += variable >= 0 ? strlen(variables[variable]) - 1 : 0;
    }
    return NULL;
}

bool slc_subject_template_fill(const char *template, const char *topic, const char *backend_topic, char *out,
                               size_t size)
{
    const char *const values[] = {topic, backend_topic};
    size_t len = 0;
    for (const char *p = template; *p != '\0' && len < size;) {
        int variable = *p == '{' ? variable_at(p) : -1;
        if (variable < 0) {
            out[len++] = *p++;
            continue;
        }
        len += (size_t)snprintf(out + len, size - len, "%s", values[variable]);
        p += strlen(variables[variable]);
    }
    if (len >= size)
        return false;
    out[len] = '\0';
    return true;
}
