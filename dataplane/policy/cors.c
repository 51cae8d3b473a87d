/* cors: which web pages may call an event API from a browser (Fetch standard, CORS protocol).
 *
 * A preflight is answered before authentication, since browsers send none with it. An origin that is not listed
 * gets no CORS headers: the browser then refuses, and clients that are not browsers are not concerned.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/buf.h"
#include "common/http_text.h"
#include "dataplane/policy/types.h"

#define MAX_LIST_BYTES 4096
/* What requests to an event API may carry; of CloudEvents the attributes that the specification and its
 * partitioning extension name: a browser takes no wildcard for a part of a name. */
#define DEFAULT_HEADERS                                                                                        \
    "Content-Type, X-API-Key, Authorization, Last-Event-ID, Idempotency-Key, Prefer, ce-specversion, ce-id, "  \
    "ce-source, ce-type, ce-subject, ce-time, ce-dataschema, ce-partitionkey"

struct cors {
    json_t *origins; /* own reference; array of strings */
    bool any_origin;
    bool credentials;
    char *methods;
    char *headers;
    char *exposed;
    char max_age[16];
};

static void release(void *compiled)
{
    struct cors *cors = compiled;
    json_decref(cors->origins);
    free(cors->methods);
    free(cors->headers);
    free(cors->exposed);
    free(cors);
}

static const slc_policy_list origins_list = {1, 100, 300, slc_http_is_origin};
static const slc_policy_list methods_list = {0, 20, 32, slc_http_is_token};
static const slc_policy_list headers_list = {0, 50, 64, slc_http_is_token};

/* A list member as "A, B", or the default. NULL with err when it is wrong. */
static char *joined(const json_t *config, const char *name, const slc_policy_list *rule, const char *fallback,
                    slc_error *err)
{
    const json_t *list = NULL;
    size_t i;
    json_t *item;
    slc_buf text;
    if (!slc_policy_config_strings(config, name, rule, &list, err))
        return NULL;
    if (list == NULL)
        return slc_strdup(fallback);
    slc_buf_init(&text, MAX_LIST_BYTES);
    slc_buf_adds(&text, "");
    json_array_foreach ((json_t *)list, i, item) {
        slc_buf_addf(&text, "%s%s", i > 0 ? ", " : "", json_string_value(item));
    }
    SLC_BUG_ON(text.overflow); /* the list's rule leaves room */
    char *joined_text = slc_strdup(text.data != NULL ? (char *)text.data : "");
    slc_buf_release(&text);
    return joined_text;
}

static bool compile_origins(struct cors *cors, const json_t *config, slc_error *err)
{
    const json_t *origins = NULL;
    size_t i;
    json_t *item;
    if (!slc_policy_config_strings(config, "origins", &origins_list, &origins, err))
        return false;
    if (origins == NULL)
        return slc_fail(err, SLC_INVALID, "/config/origins", "origins must list at least one origin, or \"*\"");
    cors->origins = json_incref((json_t *)origins);
    json_array_foreach (cors->origins, i, item) {
        cors->any_origin = cors->any_origin || strcmp(json_string_value(item), "*") == 0;
    }
    if (cors->any_origin && cors->credentials)
        return slc_fail(err, SLC_INVALID, "/config/credentials",
                        "credentials cannot be allowed to every origin: list the origins");
    return true;
}

static bool compile_max_age(struct cors *cors, const json_t *config, slc_error *err)
{
    const json_t *value = json_object_get(config, "max_age");
    json_int_t seconds = value == NULL ? 600 : json_integer_value(value);
    if (value != NULL && (!json_is_integer(value) || seconds < 0 || seconds > 86400))
        return slc_fail(err, SLC_INVALID, "/config/max_age", "max_age must be 0 to 86400 seconds");
    snprintf(cors->max_age, sizeof cors->max_age, "%lld", (long long)seconds);
    return true;
}

static bool compile(const json_t *config, void **compiled, slc_error *err)
{
    static const char *const known[] = {"origins",     "methods", "headers", "exposed_headers",
                                        "credentials", "max_age", NULL};
    struct cors *cors = slc_calloc(1, sizeof *cors);
    bool ok = slc_policy_config_known(config, known, err) &&
              slc_policy_config_bool(config, "credentials", false, &cors->credentials, err) &&
              compile_origins(cors, config, err) && compile_max_age(cors, config, err);
    if (ok) {
        cors->methods = joined(config, "methods", &methods_list, "GET, POST", err);
        cors->headers =
            cors->methods == NULL ? NULL : joined(config, "headers", &headers_list, DEFAULT_HEADERS, err);
        cors->exposed = cors->headers == NULL ? NULL
                                              : joined(config, "exposed_headers", &headers_list,
                                                       "X-Request-Id, Retry-After", err);
        ok = cors->exposed != NULL;
    }
    if (!ok) {
        release(cors);
        return false;
    }
    *compiled = cors;
    return true;
}

static bool allowed(const struct cors *cors, const char *origin)
{
    size_t i;
    json_t *item;
    json_array_foreach (cors->origins, i, item) {
        if (strcasecmp(json_string_value(item), origin) == 0)
            return true;
    }
    return cors->any_origin;
}

static const char *origin_of(const slc_policy_request *request)
{
    return request->method != NULL ? request->header(request->protocol, "Origin") : NULL;
}

static void add_fields(const struct cors *cors, slc_policy_request *request, bool preflight)
{
    const char *origin = origin_of(request);
    /* Also without Origin: else a cache could give a page the answer that it kept for somebody else. */
    if (!cors->any_origin && request->method != NULL)
        request->add_header(request->protocol, "Vary", "Origin");
    if (origin == NULL || !allowed(cors, origin))
        return;
    request->add_header(request->protocol, "Access-Control-Allow-Origin", cors->any_origin ? "*" : origin);
    if (cors->credentials)
        request->add_header(request->protocol, "Access-Control-Allow-Credentials", "true");
    if (preflight) {
        request->add_header(request->protocol, "Access-Control-Allow-Methods", cors->methods);
        request->add_header(request->protocol, "Access-Control-Allow-Headers", cors->headers);
        request->add_header(request->protocol, "Access-Control-Max-Age", cors->max_age);
    } else {
        request->add_header(request->protocol, "Access-Control-Expose-Headers", cors->exposed);
    }
}

static void on_other_answer(void *compiled, slc_policy_request *request)
{
    add_fields(compiled, request, false);
}

static enum slc_verdict on_request(void *compiled, slc_policy_request *request, slc_denial *denial)
{
    bool preflight = origin_of(request) != NULL && strcmp(request->method, "OPTIONS") == 0 &&
                     request->header(request->protocol, "Access-Control-Request-Method") != NULL;
    add_fields(compiled, request, preflight);
    if (!preflight)
        return SLC_PASS;
    memset(denial, 0, sizeof *denial);
    denial->status = 204;
    return SLC_ANSWER;
}

const slc_policy_type slc_policy_cors = {
    .name = "cors",
    .summary = "Lets the web pages of the listed origins call the event API from a browser.",
    .config_schema =
        "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"origins\"],\"properties\":{"
        "\"origins\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":100,\"uniqueItems\":true,"
        "\"items\":{\"type\":\"string\",\"maxLength\":300},"
        "\"description\":\"Origins such as https://shop.example, or * for all.\"},"
        "\"methods\":{\"type\":\"array\",\"maxItems\":20,\"uniqueItems\":true,"
        "\"items\":{\"type\":\"string\",\"maxLength\":32},\"default\":[\"GET\",\"POST\"]},"
        "\"headers\":{\"type\":\"array\",\"maxItems\":50,\"uniqueItems\":true,"
        "\"items\":{\"type\":\"string\",\"maxLength\":64},"
        "\"description\":\"Request headers that a page may send; by default those that the gateway reads, and "
        "the fields of "
        "CloudEvents without extensions of their own.\"},"
        "\"exposed_headers\":{\"type\":\"array\",\"maxItems\":50,\"uniqueItems\":true,"
        "\"items\":{\"type\":\"string\",\"maxLength\":64}},"
        "\"credentials\":{\"type\":\"boolean\",\"default\":false},"
        "\"max_age\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":86400,\"default\":600,"
        "\"description\":\"Seconds that a browser may keep a preflight's answer.\"}}}",
    .compile = compile,
    .release = release,
    .on_other_answer = on_other_answer,
    .on_request = on_request,
};
