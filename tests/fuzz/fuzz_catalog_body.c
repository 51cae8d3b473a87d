/* The body of a creation or a change, of every kind: whatever comes in, there is an answer or an error with a
 * field, and the transaction can be rolled back. The first byte chooses the kind, the second the operation. */
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/catalog.h"
#include "catalog/declare.h"
#include "common/assert.h"
#include "common/json.h"
#include "common/log.h"

static slc_catalog *catalog;
static char dir[] = "/tmp/slc-fuzz-catalog-XXXXXX";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const slc_kind *kind;
    uint8_t operation;
    json_t *body;
};

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void clean_up(void)
{
    slc_catalog_close(catalog);
    nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void open_once(void)
{
    if (catalog != NULL)
        return;
    slc_error err;
    slc_log_init("fuzz", SLC_LOG_ERROR, false);
    SLC_BUG_ON(mkdtemp(dir) == NULL);
    slc_catalog_options options = {.data_dir = dir};
    catalog = slc_catalog_open(&options, &err);
    SLC_BUG_ON(catalog == NULL);
    atexit(clean_up);
}

/* Always rolls back, so that every input meets the same catalog. */
static bool run(slc_txn *txn, void *arg, slc_error *err)
{
    const struct input *input = arg;
    slc_declare_options options = {.prune = (input->operation & 1) != 0, .adopt = (input->operation & 2) != 0};
    json_t *answer;
    switch (input->operation % 3) {
    case 0:
        answer = slc_entity_create(txn, input->kind, input->body, err);
        break;
    case 1:
        answer = slc_entity_update(txn, slc_kind_find("roles"), "viewer", input->body, true, 1, err);
        break;
    default:
        answer = slc_catalog_apply(txn, input->body, &options, err);
    }
    SLC_BUG_ON(answer == NULL && err->message[0] == '\0');
    /* Nothing but what the input asks for may be wrong. */
    SLC_BUG_ON(answer == NULL &&
               (err->code == SLC_INTERNAL || err->code == SLC_CORRUPT || err->code == SLC_IO));
    /* The schema is the last line of defence: no input should get that far. */
    SLC_BUG_ON(answer == NULL && strncmp(err->message, "the change breaks a rule of the schema", 38) == 0);
    json_decref(answer);
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    open_once();
    size_t kinds = 0;
    while (slc_kinds()[kinds] != NULL)
        kinds++;
    slc_error err;
    struct input input = {.kind = slc_kinds()[data[0] % kinds], .operation = data[1]};
    input.body = slc_json_parse((const char *)data + 2, size - 2, 65536, &err);
    if (input.body == NULL)
        return 0;
    SLC_BUG_ON(slc_catalog_write_sync(catalog, NULL, run, &input, &err));
    json_decref(input.body);
    return 0;
}
