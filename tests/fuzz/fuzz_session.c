/* Any bytes from both sides of a native session: choices, then pieces, each a byte that says from whom, two
 * bytes of length, and what is said. The first byte chooses authentication and namespace, the second how much
 * may be held, and whether what need not be seen is moved or read. Nothing may be lost or grow, and every chunk
 * comes back. Seeds: tests/fuzz/capture-sessions. */
#include <stdint.h>

#include "common/assert.h"
#include "common/log.h"
#include "tests/unit/dataplane/proxy/stage.h"

#define CHOICE_BYTES 2
#define PIECE_HEAD   3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void choose(struct stage *stage, uint8_t who, uint8_t limit)
{
    static const char *const ways[] = {"anonymous", "anonymous", "plain", "passthrough"};
    slc_log_set_level(SLC_LOG_ERROR);
    stage_init(stage, ways[who & 3], (who & 4) != 0 ? "tenant-a." : NULL);
    if ((limit & 1) != 0)
        stage->settings.limits.kafka_buffer_bytes = SLC_CHUNK_SMALL;
    if ((limit & 2) != 0)
        stage->settings.limits.kafka_in_flight = 2;
    if ((limit & 4) != 0)
        stage->settings.limits.kafka_splice_bytes = 1;
    stage_connect(stage);
}

/* Takes what the session says, so that it never has to wait. */
static void take(struct stage *stage)
{
    static uint8_t rest[64 * 1024];
    while (stage_receive(stage->client, rest, sizeof rest, NULL) > 0 ||
           stage_receive(stage->broker, rest, sizeof rest, NULL) > 0)
        stage_run(stage);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct stage stage;
    if (size < CHOICE_BYTES)
        return 0;
    choose(&stage, data[0], data[1]);
    for (size_t at = CHOICE_BYTES; at + PIECE_HEAD <= size && stage_open_sessions(&stage) > 0;) {
        size_t len = (size_t)data[at + 1] << 8 | data[at + 2];
        int *from = (data[at] & 1) != 0 ? &stage.broker : &stage.client;
        bool close = (data[at] & 2) != 0;
        at += PIECE_HEAD;
        len = len < size - at ? len : size - at;
        if (*from >= 0)
            stage_send(&stage, *from, data + at, len);
        take(&stage);
        SLC_BUG_ON(stage_open_sessions(&stage) > 0 && stage.front->pool.taken_bytes > 64u * 1024 * 1024);
        if (close)
            stage_disconnect(&stage, from);
        at += len;
    }
    stage_release(&stage);
    return 0;
}
