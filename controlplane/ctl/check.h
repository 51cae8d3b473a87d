/* JSON Schema 2020-12, as far as our own schemas use it: type, properties, additionalProperties, required,
 * enum, items, anyOf, propertyNames, format date-time and the bounds. */
#ifndef SLC_CONTROLPLANE_CTL_CHECK_H
#define SLC_CONTROLPLANE_CTL_CHECK_H

#include <jansson.h>
#include <stdbool.h>

typedef struct slc_check {
    const json_t *forms; /* {pattern: what it means}, for messages; may be NULL */
    json_t *problems;    /* array; NULL: only count */
    unsigned found;
    char pointer[512]; /* where in the document */
} slc_check;

/* Adds {"pointer", "detail"} for everything in `value` that the schema does not allow. A null is as good as
 * absent. */
void slc_check_value(slc_check *check, const json_t *schema, const json_t *value);
void slc_check_problem(slc_check *check, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
