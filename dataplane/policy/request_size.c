/* request-size: how large a body may be, below what the gateway takes at all. */
#include <stdlib.h>

#include "common/alloc.h"
#include "dataplane/policy/types.h"

#define MAX_BYTES 1073741824

struct request_size {
    uint64_t max_bytes;
};

static bool compile(const json_t *config, void **compiled, slc_error *err)
{
    static const char *const known[] = {"max_bytes", NULL};
    int64_t max_bytes;
    if (!slc_policy_config_known(config, known, err) ||
        !slc_policy_config_int(config, "max_bytes", 0, 1, MAX_BYTES, &max_bytes, err))
        return false;
    if (max_bytes == 0)
        return slc_fail(err, SLC_INVALID, "/config/max_bytes", "max_bytes must be set");
    struct request_size size = {.max_bytes = (uint64_t)max_bytes};
    *compiled = slc_memdup(&size, sizeof size);
    return true;
}

static void release(void *compiled)
{
    free(compiled);
}

static enum slc_verdict check(void *compiled, slc_policy_request *request, slc_denial *denial)
{
    const struct request_size *size = compiled;
    if (request->body_bytes <= size->max_bytes)
        return SLC_PASS;
    return slc_deny(denial, 413, "too-large", "Content Too Large", "The body is larger than may be sent here.",
                    "request-size %s: %llu bytes, and %llu are allowed", request->policy_id,
                    (unsigned long long)request->body_bytes, (unsigned long long)size->max_bytes);
}

const slc_policy_type slc_policy_request_size = {
    .name = "request-size",
    .summary = "Limits the size of request bodies.",
    .config_schema =
        "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"max_bytes\"],\"properties\":{"
        "\"max_bytes\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1073741824,"
        "\"description\":\"Bytes of a body. The gateway's own http.body-limit holds as well.\"}}}",
    .compile = compile,
    .release = release,
    .limit = check,
};
