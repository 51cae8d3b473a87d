#include "controlplane/ctl/sse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void slc_sse_init(slc_sse *sse, slc_sse_event on_event, void *arg)
{
    memset(sse, 0, sizeof *sse);
    slc_buf_init(&sse->line, SLC_SSE_LINE_MAX);
    slc_buf_init(&sse->data, SLC_SSE_LINE_MAX);
    sse->retry_ms = -1;
    sse->on_event = on_event;
    sse->arg = arg;
}

void slc_sse_release(slc_sse *sse)
{
    slc_buf_release(&sse->line);
    slc_buf_release(&sse->data);
}

void slc_sse_restart(slc_sse *sse)
{
    slc_buf_clear(&sse->line);
    slc_buf_clear(&sse->data);
    sse->type[0] = '\0';
    sse->next_id[0] = '\0';
    sse->after_cr = false;
}

static bool dispatch(slc_sse *sse)
{
    bool go_on = true;
    snprintf(sse->id, sizeof sse->id, "%s", sse->next_id);
    if (sse->data.len > 0) /* each data line has left a line feed, of which the last does not count */
        go_on = sse->on_event(sse->arg, sse->type[0] != '\0' ? sse->type : "message",
                              (const char *)sse->data.data, sse->data.len - 1);
    slc_buf_clear(&sse->data);
    sse->type[0] = '\0';
    return go_on;
}

static bool is_number(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0' && strlen(text) < 10;
}

static bool take_line(slc_sse *sse)
{
    slc_buf_addc(&sse->line, '\0');
    char *name = (char *)sse->line.data, *value = strchr(name, ':');
    if (sse->line.overflow || sse->data.overflow)
        return false;
    if (name[0] == '\0')
        return dispatch(sse);
    if (value == name)
        return true; /* a comment */
    if (value != NULL) {
        *value++ = '\0';
        value += *value == ' ';
    } else {
        value = name + strlen(name);
    }
    if (strcmp(name, "data") == 0) {
        size_t before = (size_t)((uint8_t *)value - sse->line.data);
        slc_buf_add(&sse->data, value, sse->line.len - 1 - before);
        slc_buf_addc(&sse->data, '\n');
    } else if (strcmp(name, "event") == 0) {
        snprintf(sse->type, sizeof sse->type, "%.60s", value);
    } else if (strcmp(name, "id") == 0) {
        snprintf(sse->next_id, sizeof sse->next_id, "%s", value);
    } else if (strcmp(name, "retry") == 0 && is_number(value)) {
        sse->retry_ms = strtoll(value, NULL, 10);
    }
    return !sse->data.overflow;
}

bool slc_sse_feed(slc_sse *sse, const char *data, size_t len)
{
    for (size_t i = 0; i < len;) {
        if (sse->after_cr && data[i] == '\n') {
            sse->after_cr = false;
            i++;
            continue;
        }
        sse->after_cr = false;
        size_t end = i;
        while (end < len && data[end] != '\n' && data[end] != '\r')
            end++;
        slc_buf_add(&sse->line, data + i, end - i);
        if (end == len)
            break;
        sse->after_cr = data[end] == '\r';
        if (!take_line(sse))
            return false;
        slc_buf_clear(&sse->line);
        i = end + 1;
    }
    return !sse->line.overflow;
}
