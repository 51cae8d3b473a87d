/* Names of subjects in the settings of schema policies, as the catalog and the gateway both understand them.
 * Pure; any thread. */
#ifndef SLC_COMMON_SCHEMA_RULE_H
#define SLC_COMMON_SCHEMA_RULE_H

#include <stdbool.h>
#include <stddef.h>

#define SLC_SUBJECT_TEMPLATE_MAX 250 /* bytes */

/* {topic} and {backend_topic} stand for something. What is wrong with it; NULL: nothing. */
const char *slc_subject_template_check(const char *template);
/* Fills one. False: too long. */
bool slc_subject_template_fill(const char *template, const char *topic, const char *backend_topic, char *out,
                               size_t size);

#endif
