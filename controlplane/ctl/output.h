/* Results on standard output, in the form that was asked for. */
#ifndef SLC_CONTROLPLANE_CTL_OUTPUT_H
#define SLC_CONTROLPLANE_CTL_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>

#include "controlplane/ctl/ctl.h"

/* Items of a kind: a table, JSON or YAML of the list, or kind/key lines. */
int slc_output_list(const slc_ctl *ctl, const char *kind, const json_t *items);
/* One of a kind: YAML unless asked otherwise; with -o table a row. */
int slc_output_item(const slc_ctl *ctl, const char *kind, const json_t *item);
/* Something that is no entity: YAML, or JSON with -o json. */
int slc_output_value(const slc_ctl *ctl, const json_t *value);
/* The same in the given form. */
int slc_output_json(const json_t *value);
int slc_output_yaml(const json_t *value);

/* What an apply, a rollback or a diff changes: a line each, and those of fields with `fields`. */
void slc_output_changes(const json_t *changes, bool fields);
/* "3 created, 1 changed, 2 deleted" of it. */
void slc_output_count(const json_t *changes, char *out, size_t size);

/* Rows of text in columns that fit. */
typedef struct slc_table {
    json_t *rows; /* arrays of strings; the first is the head */
} slc_table;
void slc_table_init(slc_table *table, const char *const *head);
void slc_table_add(slc_table *table, const char *const *cells); /* as many as the head has */
void slc_table_print(slc_table *table);                         /* and releases it */

#endif
