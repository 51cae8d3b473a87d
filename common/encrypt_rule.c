#include "common/encrypt_rule.h"

#include <string.h>

/* What a name in braces stands for; NULL: nothing. `*behind` is behind its brace. */
static const char *value_of(const char *at, const char *topic, const char *vcluster, const char **behind)
{
    static const char topic_name[] = "{topic}", vcluster_name[] = "{virtual_cluster}";
    if (strncmp(at, topic_name, sizeof topic_name - 1) == 0) {
        *behind = at + sizeof topic_name - 1;
        return topic;
    }
    if (strncmp(at, vcluster_name, sizeof vcluster_name - 1) == 0) {
        *behind = at + sizeof vcluster_name - 1;
        return vcluster;
    }
    return NULL;
}

bool slc_key_template_fill(const char *template, const char *topic, const char *vcluster, char *out,
                           size_t size)
{
    size_t len = 0;
    for (const char *at = template; *at != '\0';) {
        const char *behind = at + 1, *value = NULL;
        if (*at == '{' && (value = value_of(at, topic, vcluster, &behind)) == NULL)
            return false;
        size_t more = value != NULL ? strlen(value) : 1;
        if (len + more >= size)
            return false;
        memcpy(out + len, value != NULL ? value : at, more);
        len += more;
        at = behind;
    }
    out[len] = '\0';
    return len > 0;
}

const char *slc_key_template_check(const char *template)
{
    char filled[2 * SLC_KEY_TEMPLATE_MAX + 1];
    if (strlen(template) > SLC_KEY_TEMPLATE_MAX)
        return "is too long";
    for (const char *at = template; *at != '\0'; at++)
        if ((unsigned char)*at <= ' ' || (unsigned char)*at >= 0x7f)
            return "must be of printable ASCII characters without spaces";
    return slc_key_template_fill(template, "t", "v", filled, sizeof filled)
               ? NULL
               : "may have {topic} and {virtual_cluster} in it, and nothing else in braces";
}

const char *slc_field_pattern_check(const char *pointer)
{
    size_t len = strlen(pointer);
    if (len < 2 || len > SLC_FIELD_PATTERN_MAX || pointer[0] != '/')
        return "must be a JSON pointer, such as /card/number or /items/*/price";
    for (const char *at = strchr(pointer, '~'); at != NULL; at = strchr(at + 1, '~'))
        if (at[1] != '0' && at[1] != '1')
            return "has a ~ that is neither ~0 nor ~1";
    return NULL;
}
