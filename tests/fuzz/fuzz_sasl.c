/* What clients say before anybody knows them: SCRAM and OAUTHBEARER. No message may get in without the secret.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "common/buf.h"
#include "dataplane/kafka/oauth_message.h"
#include "dataplane/kafka/scram_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input is the client's first message, a NUL, and its last one. */
static void try_scram(const uint8_t *data, size_t size, bool sha512)
{
    static const uint8_t verifier[SLC_SCRAM_VERIFIER_512] = {1, 2, 3}, pepper[32] = {9};
    const uint8_t *end = memchr(data, 0, size);
    size_t first = end != NULL ? (size_t)(end - data) : size;
    slc_scram_server scram;
    slc_error err;
    slc_buf out;
    slc_buf_init(&out, 64 * 1024);
    slc_scram_server_init(&scram, sha512);
    if (slc_scram_server_first(&scram, data, first, &err) &&
        slc_scram_server_challenge(&scram, verifier, sha512 ? SLC_SCRAM_VERIFIER_512 : SLC_SCRAM_VERIFIER_256,
                                   pepper, "server", &out, &err) &&
        first < size)
        SLC_BUG_ON(slc_scram_server_final(&scram, data + first + 1, size - first - 1, &out, &err));
    slc_scram_server_release(&scram);
    slc_buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slc_oauth_message message;
    slc_error err;
    uint8_t *copy = malloc(size + 1); /* of its own size, so that a step too far is seen */
    memcpy(copy, data, size);
    if (slc_oauth_message_read(copy, size, &message, &err))
        SLC_BUG_ON(message.token_len == 0 || message.token + message.token_len > (const char *)copy + size);
    free(copy);
    try_scram(data, size, false);
    try_scram(data, size, true);
    return 0;
}
