/* Rules: REST APIs that are imported from their OpenAPI documents. */
#include <string.h>

#include "catalog/kinds.h"
#include "catalog/rest_document.h"
#include "catalog/rules.h"
#include "catalog/store.h"

/* What the document gives as long as nobody writes another. */
static const char *const followed[] = {"title", "description"};

/* Was it written, rather than taken from the document before? */
static bool is_own(const slc_change *change, const char *field)
{
    const json_t *next = json_object_get(change->next, field);
    const json_t *before = json_object_get(change->before, field);
    bool taken = slc_has_text(json_object_get(change->before, "from_document"), field);
    return next != NULL && !(taken && before != NULL && json_equal(next, before));
}

static void follow(slc_change *change, const json_t *facts)
{
    json_t *taken = json_array();
    for (size_t i = 0; i < sizeof followed / sizeof *followed; i++) {
        json_t *value = json_object_get(facts, followed[i]);
        if (is_own(change, followed[i]))
            continue;
        json_array_append_new(taken, json_string(followed[i]));
        if (value != NULL)
            json_object_set(change->next, followed[i], value);
        else
            json_object_del(change->next, followed[i]);
    }
    json_object_set_new(change->next, "from_document", taken);
}

static void note_facts(slc_change *change, const json_t *facts)
{
    static const char *const noted[] = {"version", "openapi", "servers", "operations"};
    for (size_t i = 0; i < sizeof noted / sizeof *noted; i++) {
        json_t *value = json_object_get(facts, noted[i]);
        if (value != NULL)
            json_object_set(change->next, noted[i], value);
        else
            json_object_del(change->next, noted[i]);
    }
    json_object_set_new(change->next, "operation_count",
                        json_integer((json_int_t)json_array_size(json_object_get(facts, "operations"))));
}

/* Reading a document takes time: only when it is another one, or something is to be taken from it. */
static bool needs_reading(const slc_change *change)
{
    const json_t *document = json_object_get(change->next, "document");
    if (change->before == NULL || !json_equal(document, json_object_get(change->before, "document")))
        return true;
    for (size_t i = 0; i < sizeof followed / sizeof *followed; i++) {
        bool taken = slc_has_text(json_object_get(change->before, "from_document"), followed[i]);
        if (is_own(change, followed[i]) == taken)
            return true;
    }
    return false;
}

static void keep_taken(slc_change *change)
{
    size_t i;
    json_t *field;
    json_array_foreach (json_object_get(change->before, "from_document"), i, field) {
        json_t *value = json_object_get(change->before, json_string_value(field));
        if (value != NULL)
            json_object_set(change->next, json_string_value(field), value);
    }
}

/* What lists show can be sent back: without the document it stays. */
static void keep_document(slc_change *change)
{
    json_t *before = json_object_get(change->before, "document");
    if (before != NULL && json_object_get(change->next, "document") == NULL)
        json_object_set(change->next, "document", before);
}

static bool read_document(slc_txn *txn, slc_change *change, slc_error *err)
{
    keep_document(change);
    const json_t *document = json_object_get(change->next, "document");
    const char *text = json_string_value(document);
    slc_error why = {0};
    if (text == NULL)
        return slc_txn_problem(txn, "/document", err, "is required");
    if (!needs_reading(change)) {
        keep_taken(change);
        return true;
    }
    json_t *facts =
        slc_rest_document_read(text, json_string_length(document), (size_t)txn->catalog->document_bytes, &why);
    if (facts == NULL)
        return slc_txn_problem(txn, "/document", err, "%s", why.message);
    follow(change, facts);
    note_facts(change, facts);
    json_decref(facts);
    return true;
}

static bool check_rest_api(slc_txn *txn, slc_change *change, slc_error *err)
{
    bool teams = strcmp(slc_get_text(change->next, "visibility"), "teams") == 0;
    if (!teams && json_array_size(json_object_get(change->next, "visible_to")) > 0)
        return slc_txn_problem(txn, "/visible_to", err, "is only for the visibility teams");
    slc_lifecycle_note(txn, change);
    return slc_lifecycle_check(txn, change, err) && read_document(txn, change, err);
}

static bool rest_api_written(slc_txn *txn, slc_change *change, slc_error *err)
{
    (void)err;
    slc_publication_note(txn, change);
    return true;
}

const struct slc_kind_rules slc_rules_rest_api = {
    .check = check_rest_api, .written = rest_api_written, .settled = slc_publication_check};
