/* PUT /v1/config: a whole configuration document in JSON or YAML, applied to a real catalog that has one of
 * most kinds, and rolled back. The first byte has the options: 1 YAML, 2 prune, 4 adopt, 8 dry run, 16 a second
 * time. Whatever comes, there are changes or an error; the schema itself is never broken, and a document that
 * was applied is an empty difference when it is applied again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/declare.h"
#include "common/assert.h"
#include "common/json.h"
#include "common/log.h"
#include "fuzz_catalog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    uint8_t flags;
    json_t *document;
};

static void check_failure(const slc_error *err)
{
    SLC_BUG_ON(err->message[0] == '\0');
    /* Nothing but what the input asks for may be wrong. */
    SLC_BUG_ON(err->code == SLC_INTERNAL || err->code == SLC_CORRUPT || err->code == SLC_IO);
    SLC_BUG_ON(strncmp(err->message, "the change breaks a rule of the schema", 38) == 0);
}

/* Always rolls back, so that every input meets the same catalog. */
static bool run(slc_txn *txn, void *arg, slc_error *err)
{
    const struct input *input = arg;
    json_t *referrers = NULL;
    slc_declare_options options = {.prune = (input->flags & 2) != 0,
                                   .adopt = (input->flags & 4) != 0,
                                   .dry_run = (input->flags & 8) != 0,
                                   .referrers = &referrers};
    json_t *answer = slc_catalog_apply(txn, input->document, &options, err);
    if (answer == NULL)
        check_failure(err);
    if (answer != NULL && (input->flags & 16) != 0 && !options.dry_run &&
        json_object_get(input->document, "base_revision") == NULL) {
        json_t *again = slc_catalog_apply(txn, input->document, &options, err);
        SLC_BUG_ON(again == NULL);
        SLC_BUG_ON(json_array_size(json_object_get(again, "changes")) != 0);
        json_decref(again);
    }
    json_decref(answer);
    json_decref(referrers);
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slc_error err = {0};
    if (size < 2)
        return 0;
    slc_log_init("fuzz", SLC_LOG_ERROR, false);
    struct input input = {.flags = data[0]};
    const char *text = (const char *)data + 1;
    input.document = (data[0] & 1) != 0 ? slc_yaml_parse(text, size - 1, 65536, &err)
                                        : slc_json_parse(text, size - 1, 65536, &err);
    if (input.document == NULL) {
        SLC_BUG_ON(err.message[0] == '\0');
        return 0;
    }
    SLC_BUG_ON(slc_catalog_write_sync(fuzz_catalog(), NULL, run, &input, &err));
    json_decref(input.document);
    return 0;
}
