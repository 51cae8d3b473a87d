/* Any bytes before a native session that a load balancer passed on: the size of the pieces in which they come,
 * then what comes. The session takes the header exactly when the parser does, to its last byte and no further;
 * whoever is not named keeps the address of the connection. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/assert.h"
#include "common/log.h"
#include "common/proxy_header.h"
#include "tests/unit/dataplane/proxy/stage.h"

#define BALANCER "203.0.113.7:40123" /* as the stage has it */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum verdict { HEADER_CUT, HEADER_BAD, HEADER_GOOD };

/* What the parser says of the header that the bytes begin with. */
static enum verdict judge(const uint8_t *data, size_t len, char address[64])
{
    struct sockaddr_storage source = {0};
    size_t size = 0;
    bool told;
    slc_error err = {0};
    snprintf(address, 64, "%s", BALANCER);
    if (len < SLC_PROXY_HEADER_FIRST)
        return HEADER_CUT;
    if (!slc_proxy_header_size(data, &size, &err)) {
        SLC_BUG_ON(err.code != SLC_INVALID);
        return HEADER_BAD;
    }
    SLC_BUG_ON(size < SLC_PROXY_HEADER_FIRST || size > SLC_PROXY_HEADER_MAX);
    if (len < size)
        return HEADER_CUT;
    if (!slc_proxy_header_read(data, size, &told, &source, &err)) {
        SLC_BUG_ON(err.code != SLC_INVALID || told);
        return HEADER_BAD;
    }
    SLC_BUG_ON(told && source.ss_family != AF_INET && source.ss_family != AF_INET6);
    if (told)
        slc_proxy_describe(&source, address);
    return HEADER_GOOD;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct stage stage;
    char address[64];
    if (size < 1)
        return 0;
    size_t piece = data[0] + 1u, len = --size;
    data++;
    enum verdict verdict = judge(data, len, address);
    slc_log_set_level(SLC_LOG_ERROR);
    stage_init(&stage, "anonymous", NULL);
    stage_connect_behind_balancer(&stage);
    for (size_t at = 0; at < len && stage_open_sessions(&stage) > 0; at += piece) {
        size_t end = len - at > piece ? at + piece : len;
        stage_send(&stage, stage.client, data + at, end - at);
        if (stage_open_sessions(&stage) > 0)
            SLC_BUG_ON((stage.session->intake != NULL) != (judge(data, end, address) == HEADER_CUT));
    }
    if (stage_open_sessions(&stage) > 0) {
        SLC_BUG_ON(verdict == HEADER_BAD || (stage.session->intake == NULL) != (verdict == HEADER_GOOD));
        SLC_BUG_ON(strcmp(stage.session->address, verdict == HEADER_GOOD ? address : BALANCER) != 0);
    } else {
        SLC_BUG_ON(verdict == HEADER_CUT);
    }
    stage_release(&stage);
    return 0;
}
