/* Any schema and any bytes: the first line is the schema, the rest an Avro value. What is decoded is JSON, is
 * the same without output, and encodes again to something that decodes to the same JSON. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "dataplane/mediation/json_scan.h"
#include "dataplane/schema/avro.h"

#define STEPS 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A map's key may be there twice, and of a union another type may come first. */
static void encode_again(const slc_avro *avro, const slc_buf *json)
{
    slc_schema_fault fault = {0};
    slc_avro_work work = {0};
    slc_error err;
    slc_tape tape;
    slc_buf binary, again;
    slc_tape_init(&tape);
    slc_buf_init(&binary, 1 << 20);
    slc_buf_init(&again, 1 << 20);
    SLC_BUG_ON(!slc_tape_read(&tape, (const char *)json->data, json->len, &err));
    if (!slc_avro_encode(avro, &tape, 100 * STEPS, &work, &binary, &fault))
        SLC_BUG_ON(fault.message[0] == '\0' || fault.code == SLC_OK);
    else
        SLC_BUG_ON(!slc_avro_decode(avro, binary.data != NULL ? binary.data : (const uint8_t *)"", binary.len,
                                    false, 100 * STEPS, &again, &fault) &&
                   fault.code == SLC_INVALID);
    slc_avro_work_release(&work);
    slc_buf_release(&binary);
    slc_buf_release(&again);
    slc_tape_release(&tape);
}

static void decode(const slc_avro *avro, const uint8_t *data, size_t len)
{
    slc_schema_fault fault = {0}, other = {0};
    slc_json_info info;
    for (int tagged = 0; tagged < 2; tagged++) {
        slc_buf json;
        slc_buf_init(&json, 1 << 18);
        bool ok = slc_avro_decode(avro, data, len, tagged == 1, STEPS, &json, &fault);
        bool looked = slc_avro_decode(avro, data, len, tagged == 1, STEPS, NULL, &other);
        SLC_BUG_ON(ok != looked && fault.code != SLC_TOO_LARGE);
        SLC_BUG_ON(!ok && (fault.message[0] == '\0' || fault.code == SLC_OK));
        SLC_BUG_ON(ok && !slc_json_scan((const char *)json.data, json.len, &info));
        if (ok)
            encode_again(avro, &json);
        slc_buf_release(&json);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line = memchr(data, '\n', size);
    size_t len = line != NULL ? (size_t)(line - data) : size, rest = line != NULL ? size - len - 1 : 0;
    slc_error err;
    slc_avro *avro = slc_avro_new((const char *)data, len, NULL, 0, &err);
    if (avro == NULL) {
        SLC_BUG_ON(err.message[0] == '\0');
        return 0;
    }
    uint8_t *value = malloc(rest > 0 ? rest : 1);
    if (rest > 0)
        memcpy(value, line + 1, rest);
    decode(avro, value, rest);
    slc_avro_free(avro);
    free(value);
    return 0;
}
