/* ip-restriction: from which addresses. Asked before authentication, so that those outside cannot try
 * credentials; on a plan or an application, once it is known that it concerns the request. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/network.h"
#include "dataplane/policy/types.h"

#define MAX_RANGES 500
#define MAX_CHARS  49

struct ranges {
    slc_network *list;
    size_t count;
};

struct ip_restriction {
    struct ranges allow, deny;
};

static void release(void *compiled)
{
    struct ip_restriction *restriction = compiled;
    free(restriction->allow.list);
    free(restriction->deny.list);
    free(restriction);
}

static bool is_network(const char *text, size_t len)
{
    slc_network network;
    return strlen(text) == len && slc_network_parse(text, &network);
}

static bool compile_ranges(const json_t *config, const char *name, struct ranges *ranges, slc_error *err)
{
    static const slc_policy_list rule = {1, MAX_RANGES, MAX_CHARS, is_network};
    const json_t *list = NULL;
    size_t i;
    json_t *item;
    if (!slc_policy_config_strings(config, name, &rule, &list, err))
        return false;
    if (list == NULL)
        return true;
    ranges->count = json_array_size(list);
    ranges->list = slc_calloc(ranges->count, sizeof *ranges->list);
    json_array_foreach ((json_t *)list, i, item) {
        if (!slc_network_parse(json_string_value(item), &ranges->list[i]))
            return slc_fail(err, SLC_INTERNAL, "/config", "a range that was checked is none");
    }
    return true;
}

static bool compile(const json_t *config, void **compiled, slc_error *err)
{
    static const char *const known[] = {"allow", "deny", NULL};
    struct ip_restriction *restriction = slc_calloc(1, sizeof *restriction);
    bool ok = slc_policy_config_known(config, known, err) &&
              compile_ranges(config, "allow", &restriction->allow, err) &&
              compile_ranges(config, "deny", &restriction->deny, err);
    if (ok && restriction->allow.count + restriction->deny.count == 0)
        ok = slc_fail(err, SLC_INVALID, "/config", "allow or deny must be set");
    if (!ok) {
        release(restriction);
        return false;
    }
    *compiled = restriction;
    return true;
}

static bool is_in(const struct ranges *ranges, const slc_network *address)
{
    for (size_t i = 0; i < ranges->count; i++)
        if (slc_network_within(&ranges->list[i], address))
            return true;
    return false;
}

static enum slc_verdict check(void *compiled, slc_policy_request *request, slc_denial *denial)
{
    const struct ip_restriction *restriction = compiled;
    slc_network address;
    bool known = request->client_address != NULL && slc_network_parse(request->client_address, &address);
    if (known && !is_in(&restriction->deny, &address) &&
        (restriction->allow.count == 0 || is_in(&restriction->allow, &address)))
        return SLC_PASS;
    return slc_deny(denial, 403, "denied", "Denied", NULL, "ip-restriction %s: the address %s",
                    request->policy_id, known ? request->client_address : "is not known");
}

/* A stream is asked again when the policies change. */
static enum slc_verdict recheck(void *compiled, slc_policy_request *request)
{
    slc_denial denial;
    return request->client_address != NULL ? check(compiled, request, &denial) : SLC_PASS;
}

/* Native clients from elsewhere are not let in at all; what an event API says is about its topic. */
static enum slc_verdict access_native(void *compiled, const slc_access_question *question, slc_denial *denial)
{
    return question->resource == SLC_RESOURCE_TOPIC ? check(compiled, question->request, denial) : SLC_PASS;
}

const slc_policy_type slc_policy_ip_restriction = {
    .name = "ip-restriction",
    .summary =
        "Lets requests in by the client's IP address. When the policies change, what is open is asked again.",
    .config_schema =
        "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
        "\"allow\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":500,\"uniqueItems\":true,"
        "\"items\":{\"type\":\"string\",\"maxLength\":49},"
        "\"description\":\"Only from these: addresses, or ranges such as 192.0.2.0/24 and 2001:db8::/32.\"},"
        "\"deny\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":500,\"uniqueItems\":true,"
        "\"items\":{\"type\":\"string\",\"maxLength\":49},"
        "\"description\":\"Not from these, also when they are allowed.\"}}}",
    .compile = compile,
    .release = release,
    .on_request = check,
    .limit = check,
    .access = access_native,
    .recheck = recheck,
};
