/* The documents of an event API on this group, for those who ask its gateways over HTTP. */
#include <stdlib.h>

#include "catalog/compile_private.h"
#include "catalog/document_facts.h"
#include "common/json.h"

static char *print(slc_compile *compile, json_t *document)
{
    size_t len;
    char *text = slc_json_print(document, &len), *kept = slc_compile_text(compile, text);
    free(text);
    json_decref(document);
    return kept;
}

bool slc_compile_documents(slc_compile *compile, Sluice__Snapshot__V1__EventApi *api, slc_error *err)
{
    slc_document_facts facts;
    int rc = slc_document_facts_read(compile->txn, api->id, compile->group_id, &facts, err);
    /* What is reached by native Kafka alone is not asked for there. */
    if (rc == 1 && (facts.source.rest || facts.source.sse)) {
        api->openapi_json = print(compile, slc_document_openapi(&facts.source));
        api->asyncapi_json = print(compile, slc_document_asyncapi(&facts.source));
    }
    slc_document_facts_release(&facts);
    return rc == 1;
}
