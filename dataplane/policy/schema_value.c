/* Values by schemas: checked, stored, shown. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "dataplane/policy/schema_private.h"

#define KEEP_BYTES (1u << 20) /* of a thread's memory between values */

/* A thread's; freed with it. */
struct work {
    slc_tape tape;
    slc_avro_work avro;
};

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void free_work(void *arg)
{
    struct work *work = arg;
    slc_tape_release(&work->tape);
    slc_avro_work_release(&work->avro);
    free(work);
}

static void make_key(void)
{
    SLC_BUG_ON(pthread_key_create(&key, free_work) != 0);
}

static struct work *work_of_thread(void)
{
    pthread_once(&once, make_key);
    struct work *work = pthread_getspecific(key);
    if (work != NULL)
        return work;
    work = slc_calloc(1, sizeof *work);
    slc_tape_init(&work->tape);
    SLC_BUG_ON(pthread_setspecific(key, work) != 0);
    return work;
}

/* ---- findings ---- */

bool slc_finding_fail(struct slc_finding *finding, enum slc_code code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(finding->message, sizeof finding->message, fmt, args);
    va_end(args);
    finding->code = code;
    snprintf(finding->detail, sizeof finding->detail, "%.*s", (int)sizeof finding->detail - 1,
             finding->message);
    return false;
}

static bool misfit(struct slc_finding *finding, const slc_schema_fault *fault)
{
    slc_finding_fail(finding, fault->code == SLC_TOO_LARGE ? SLC_TOO_LARGE : SLC_INVALID,
                     "The value is not as its schema says: \"%.120s\" %.150s.", fault->pointer, fault->message);
    snprintf(finding->pointer, sizeof finding->pointer, "%.127s", fault->pointer);
    return false;
}

/* ---- values ---- */

static bool read_tape(struct work *work, const uint8_t *data, size_t len, struct slc_finding *finding)
{
    slc_error err = {0};
    return slc_tape_read(&work->tape, (const char *)data, len, &err) ||
           slc_finding_fail(finding, err.code, "The value cannot be checked: %.200s.", err.message);
}

static bool check_json(const slc_schema *schema, struct work *work, struct slc_finding *finding)
{
    slc_schema_fault fault = {0};
    return slc_json_schema_check(schema->json, &work->tape, slc_schemas_steps(), &fault) ||
           misfit(finding, &fault);
}

bool slc_value_check(const slc_schema *schema, const uint8_t *data, size_t len, struct slc_finding *finding)
{
    struct work *work = work_of_thread();
    slc_schema_fault fault = {0};
    if (schema->format == SLC_SCHEMA_AVRO)
        return slc_avro_decode(schema->avro, data, len, false, slc_schemas_steps(), NULL, &fault) ||
               misfit(finding, &fault);
    bool ok = read_tape(work, data, len, finding) && check_json(schema, work, finding);
    slc_tape_trim(&work->tape, KEEP_BYTES);
    return ok;
}

bool slc_value_store(const slc_schema *schema, const uint8_t *data, size_t len, slc_buf *out,
                     struct slc_finding *finding)
{
    struct work *work = work_of_thread();
    slc_schema_fault fault = {0};
    bool ok = read_tape(work, data, len, finding);
    if (ok && schema->format == SLC_SCHEMA_AVRO)
        ok = slc_avro_encode(schema->avro, &work->tape, slc_schemas_steps(), &work->avro, out, &fault) ||
             misfit(finding, &fault);
    else if (ok)
        ok = check_json(schema, work, finding) &&
             (slc_buf_add(out, data, len) ||
              slc_finding_fail(finding, SLC_TOO_LARGE, "The value is too large."));
    slc_tape_trim(&work->tape, KEEP_BYTES);
    return ok;
}

bool slc_value_show(const slc_schema *schema, bool tagged, const uint8_t *data, size_t len, slc_buf *out,
                    struct slc_finding *finding)
{
    slc_schema_fault fault = {0};
    return slc_avro_decode(schema->avro, data, len, tagged, slc_schemas_steps(), out, &fault) ||
           misfit(finding, &fault);
}
