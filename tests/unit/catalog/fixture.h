/* A catalog in a folder of its own, and short ways to ask it. Every helper asserts that what it does works,
 * unless its name says otherwise. JSON arguments are text with ' for ", so that tests read well. */
#ifndef TEST_CATALOG_FIXTURE_H
#define TEST_CATALOG_FIXTURE_H

#include <check.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "catalog/catalog.h"
#include "catalog/read.h"

extern char t_dir[64];
extern slc_catalog *t_catalog;
extern slc_actor t_actor; /* of every write; reset by t_open */

void t_setup(void);    /* makes the folder and opens the catalog */
void t_teardown(void); /* closes and removes */
void t_open(void);
void t_close(void);
bool t_try_open(slc_error *err);
char *t_path(const char *name); /* in the folder; valid until the next call */

json_t *t_json(const char *text); /* ' for " */
bool t_write(slc_txn_fn fn, void *arg, slc_error *err);
bool t_read(slc_txn_fn fn, void *arg, slc_error *err);

json_t *t_create(const char *kind, const char *body);
json_t *t_get(const char *kind, const char *key); /* NULL when it is not found */
json_t *t_patch(const char *kind, const char *key, const char *patch);
json_t *t_put(const char *kind, const char *key, const char *body);
json_t *t_act(const char *kind, const char *key, const char *action);
json_t *t_list(const char *kind, const char *filters, int limit, const char *cursor);
void t_delete(const char *kind, const char *key);
/* Frees the answer: for what is only a step. */
void t_make(const char *kind, const char *body);

/* Each must fail with this code and, unless NULL, this field; the last error is in t_error. */
extern slc_error t_error;
void t_create_fails(const char *kind, const char *body, enum slc_code code, const char *field);
void t_patch_fails(const char *kind, const char *key, const char *patch, enum slc_code code, const char *field);
void t_put_fails(const char *kind, const char *key, const char *body, enum slc_code code, const char *field);
void t_delete_fails(const char *kind, const char *key, enum slc_code code);
void t_act_fails(const char *kind, const char *key, const char *action, enum slc_code code);

/* So many products more ("many1", ...), which the only subscription's application has subscribed to, around the
 * rules: in the states pending, suspended and approved. The subscriptions' ids are the products' names. */
void t_subscribe_to_many(int count);

/* ---- who asks ---- */
/* From here on t_actor is bound by a new token with these scopes ("['*']"), of a user (NULL: a machine's). */
void t_act_as(const char *user, const char *scopes);
/* The control plane itself again. */
void t_act_unbound(void);

/* A field's text, "" when absent. */
const char *t_text(const json_t *object, const char *field);
/* The first column of the first row of a query, as text in static memory. */
const char *t_sql(const char *sql);

/* ---- samples.c: one valid entity of every kind that can be created, in order of dependency ---- */
struct sample {
    const char *kind;
    const char *key; /* NULL: id only */
    const char *body;
    const char *patch; /* a valid change; NULL: cannot be changed */
};
extern const struct sample t_samples[]; /* ends with a NULL kind */
/* Creates the samples up to and without `kind` (all with NULL). */
void t_make_samples(const char *until);

extern const char t_certificate[], t_certificate_key[], t_other_key[]; /* PEM, with \n as in JSON text */

#define TEST_MAIN(make_suite)                                                                                  \
    int main(void)                                                                                             \
    {                                                                                                          \
        SRunner *runner = srunner_create(make_suite());                                                        \
        srunner_run_all(runner, CK_ENV);                                                                       \
        int failed = srunner_ntests_failed(runner);                                                            \
        srunner_free(runner);                                                                                  \
        return failed == 0 ? 0 : 1;                                                                            \
    }

#endif
