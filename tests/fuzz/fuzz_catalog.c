#include "fuzz_catalog.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/json.h"
#include "tests/unit/catalog/fixture.h"

static slc_catalog *catalog;
static char dir[] = "/tmp/slc-fuzz-catalog-XXXXXX";

struct creation {
    const slc_kind *kind;
    json_t *body;
};

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void clean_up(void)
{
    slc_catalog_close(catalog);
    nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static bool create(slc_txn *txn, void *arg, slc_error *err)
{
    const struct creation *creation = arg;
    json_t *made = slc_entity_create(txn, creation->kind, creation->body, err);
    json_decref(made);
    return made != NULL;
}

/* What the samples are made by; they have ' for ". */
void t_make(const char *kind, const char *body)
{
    slc_error err;
    slc_actor actor = {.kind = "user", .id = "fuzz", .name = "fuzz"};
    char *text = slc_strdup(body);
    for (char *c = text; *c != '\0'; c++)
        if (*c == '\'')
            *c = '"';
    struct creation creation = {slc_kind_find(kind), slc_json_parse(text, strlen(text), 65536, &err)};
    SLC_BUG_ON(creation.body == NULL);
    SLC_BUG_ON(!slc_catalog_write_sync(catalog, &actor, create, &creation, &err));
    json_decref(creation.body);
    free(text);
}

slc_catalog *fuzz_catalog(void)
{
    slc_error err;
    if (catalog != NULL)
        return catalog;
    SLC_BUG_ON(mkdtemp(dir) == NULL);
    slc_catalog_options options = {.data_dir = dir};
    catalog = slc_catalog_open(&options, &err);
    SLC_BUG_ON(catalog == NULL);
    atexit(clean_up);
    t_make_samples(NULL);
    return catalog;
}
