/* Buffers for one record at a time, and what policies say of it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "dataplane/policy/records.h"

void slc_record_scratch_init(slc_record_scratch *scratch, size_t max_bytes)
{
    *scratch = (slc_record_scratch){.max_bytes = max_bytes};
}

void slc_record_scratch_release(slc_record_scratch *scratch)
{
    for (unsigned i = 0; i < scratch->count; i++) {
        slc_buf_release(scratch->bufs[i]);
        free(scratch->bufs[i]);
    }
    free(scratch->bufs);
    *scratch = (slc_record_scratch){0};
}

void slc_record_scratch_trim(slc_record_scratch *scratch, size_t keep_bytes)
{
    for (unsigned i = 0; i < scratch->count; i++) {
        if (scratch->bufs[i]->cap <= keep_bytes)
            continue;
        slc_buf_release(scratch->bufs[i]);
        slc_buf_init(scratch->bufs[i], scratch->max_bytes);
    }
}

slc_buf *slc_record_scratch_buf(slc_record_scratch *scratch)
{
    if (scratch->used == scratch->count) {
        scratch->bufs = slc_realloc(scratch->bufs, (scratch->count + 1) * sizeof *scratch->bufs);
        scratch->bufs[scratch->count] = slc_malloc(sizeof(slc_buf));
        slc_buf_init(scratch->bufs[scratch->count++], scratch->max_bytes);
    }
    slc_buf *buf = scratch->bufs[scratch->used++];
    slc_buf_clear(buf);
    return buf;
}

slc_record_header *slc_record_scratch_headers(slc_record_scratch *scratch, uint32_t count)
{
    return (slc_record_header *)(void *)slc_buf_extend(slc_record_scratch_buf(scratch),
                                                       (count + 1) * sizeof(slc_record_header));
}

void slc_record_scratch_reset(slc_record_scratch *scratch)
{
    scratch->used = 0;
}

enum slc_record_verdict slc_record_reject(slc_record_problem *problem, enum slc_code code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(problem->why, sizeof problem->why, fmt, args);
    va_end(args);
    problem->code = code;
    snprintf(problem->detail, sizeof problem->detail, "%s", problem->why);
    return SLC_RECORD_REJECT;
}
