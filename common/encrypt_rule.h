/* Texts in the settings of encrypt policies, as the catalog and the gateway both understand them. Pure; any
 * thread. */
#ifndef SLC_COMMON_ENCRYPT_RULE_H
#define SLC_COMMON_ENCRYPT_RULE_H

#include <stdbool.h>
#include <stddef.h>

#define SLC_KEY_TEMPLATE_MAX  255 /* bytes */
#define SLC_FIELD_PATTERN_MAX 200

/* Names of keys, and contexts: {topic} and {virtual_cluster} stand for something. What is wrong with it; NULL:
 * nothing. */
const char *slc_key_template_check(const char *template);
/* Fills one. False: too long. */
bool slc_key_template_fill(const char *template, const char *topic, const char *vcluster, char *out,
                           size_t size);

/* A JSON pointer (RFC 6901) in which the token * stands for any member or element. What is wrong with it; NULL:
 * nothing. */
const char *slc_field_pattern_check(const char *pointer);

#endif
