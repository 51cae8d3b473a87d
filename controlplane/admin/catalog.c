/* The catalog as people look through it. */
#include <stdlib.h>
#include <string.h>

#include "catalog/discover.h"
#include "catalog/rest_document.h"
#include "controlplane/admin/admin.h"
#include "controlplane/admin/handlers.h"
#include "controlplane/admin/kept_pages.h"
#include "controlplane/admin/markdown.h"

#define HTML_MAX_BYTES (512 << 10)
#define GROUP_MAX      200 /* characters, as the OpenAPI document says */

static slc_discover_viewer viewer_of(const slc_call *call)
{
    return call->visitor ? slc_discover_visitor() : slc_discover_viewer_of(&call->identity);
}

static size_t characters_of(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

static bool check_lengths(const slc_call *call, slc_error *err)
{
    static const struct {
        const char *parameter;
        size_t max; /* characters, as the OpenAPI document says */
    } limits[] = {{"q", 400}, {"tag", 63}, {"team", 200}, {"environment", 63}};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        const char *text = slc_call_query(call, limits[i].parameter);
        if (text != NULL && (*text == '\0' || characters_of(text) > limits[i].max))
            return slc_fail(err, SLC_INVALID, limits[i].parameter, "must have 1 to %zu characters",
                            limits[i].max);
    }
    return true;
}

bool slc_route_catalog(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const known[] = {"q",        "kind",        "tag",   "team",   "lifecycle",
                                        "protocol", "environment", "limit", "cursor", NULL};
    const slc_discover_viewer viewer = viewer_of(call);
    const slc_discover_query query = {.words = slc_call_query(call, "q"),
                                      .kind = slc_call_query(call, "kind"),
                                      .tag = slc_call_query(call, "tag"),
                                      .team = slc_call_query(call, "team"),
                                      .lifecycle = slc_call_query(call, "lifecycle"),
                                      .protocol = slc_call_query(call, "protocol"),
                                      .environment = slc_call_query(call, "environment"),
                                      .cursor = slc_call_query(call, "cursor"),
                                      .limit = slc_call_limit(call, err)};
    if (query.limit < 0 || !slc_call_query_only(call, known, err) || !check_lengths(call, err))
        return false;
    call->text = slc_kept_pages_list(slc_admin_pages(call->admin), txn, &query, &viewer, &call->text_len, err);
    call->text_type = "application/json";
    return call->text != NULL;
}

static void add_html(json_t *api, const char *field, const char *name)
{
    const char *text = json_string_value(json_object_get(api, field));
    char *html = text != NULL ? slc_markdown_html(text, HTML_MAX_BYTES) : NULL;
    if (html != NULL)
        json_object_set_new(api, name, json_string(html));
    free(html);
}

bool slc_route_catalog_one(slc_txn *txn, slc_call *call, slc_error *err)
{
    const slc_discover_viewer viewer = viewer_of(call);
    call->answer = slc_discover_get(txn, call->target.key, &viewer, err);
    add_html(call->answer, "description", "description_html");
    add_html(call->answer, "changelog", "changelog_html");
    return call->answer != NULL;
}

bool slc_route_catalog_asyncapi(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const known[] = {"gateway_group", NULL};
    const slc_discover_viewer viewer = viewer_of(call);
    const char *group = slc_call_query(call, "gateway_group");
    if (!slc_call_query_only(call, known, err))
        return false;
    if (group == NULL || *group == '\0' || characters_of(group) > GROUP_MAX)
        return slc_fail(err, SLC_INVALID, "gateway_group",
                        "is required: the key or id of the gateway group that it is deployed on");
    call->text = slc_discover_asyncapi(txn, call->target.key, group, &viewer, &call->text_len, err);
    call->text_type = "application/vnd.aai.asyncapi+json;version=3.0.0";
    return call->text != NULL;
}

bool slc_route_catalog_document(slc_txn *txn, slc_call *call, slc_error *err)
{
    const slc_discover_viewer viewer = viewer_of(call);
    call->text = slc_discover_document(txn, call->target.key, &viewer, &call->text_len, err);
    if (call->text == NULL)
        return false;
    call->text_type = slc_rest_document_is_json(call->text) ? "application/json" : "application/yaml";
    return true;
}
