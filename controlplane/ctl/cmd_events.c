/* events ...: an event API through a gateway, as an application sees it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/json.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/gateway.h"
#include "controlplane/ctl/output.h"
#include "controlplane/ctl/sse.h"

#define BODY_MAX_BYTES (64u << 20)
#define PAUSE_MS       1000 /* before the first resumption, when the server asks for nothing */
#define PAUSE_MOST_MS  30000

/* ---- what goes wrong ---- */

/* A gateway's problem document: one line. */
static int tell_problem(const slc_gateway_target *target, const slc_ctl_answer *answer)
{
    slc_error err = {0};
    json_t *problem =
        slc_json_parse((const char *)answer->body.data, answer->body.len, SLC_ANSWER_MAX_BYTES, &err);
    const char *title = json_string_value(json_object_get(problem, "title"));
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    int status = slc_ctl_fail("%s%s: %ld %s%s%s", target->server, target->path, answer->status,
                              title != NULL ? title : "is not what a gateway answers",
                              detail != NULL ? ": " : "", detail != NULL ? detail : "");
    if (answer->status == 401 && target->header == NULL)
        fprintf(stderr, "  No key was sent: --key-file FILE, --bearer-file FILE or SLUICE_API_KEY.\n");
    json_decref(problem);
    return status;
}

/* ---- tail ---- */

struct tail {
    const slc_ctl *ctl;
    slc_sse sse;
    int64_t left; /* events to print; -1: any number */
    bool data_only, failed, heard;
};

static void print_event(const struct tail *tail, const char *data, size_t len)
{
    slc_error err = {0};
    json_t *event = tail->data_only ? slc_json_parse(data, len, SLC_SSE_LINE_MAX, &err) : NULL;
    const json_t *value = json_object_get(event, "data");
    char *text = value != NULL ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    const char *base64 = json_string_value(json_object_get(event, "data_base64"));
    if (text != NULL)
        puts(text);
    else if (base64 != NULL)
        puts(base64);
    else if (!tail->data_only)
        printf("%.*s\n", (int)len, data);
    fflush(stdout);
    free(text);
    json_decref(event);
}

static bool on_event(void *arg, const char *type, const char *data, size_t len)
{
    struct tail *tail = arg;
    if (strcmp(type, "error") == 0) {
        slc_ctl_fail("the gateway ended the stream: %.*s", (int)len, data);
        tail->failed = strstr(data, "unavailable") == NULL; /* another gateway may serve it */
        return false;
    }
    if (strcmp(type, "message") != 0) {
        slc_ctl_note("%s: %.*s", type, (int)len, data);
        return true;
    }
    print_event(tail, data, len);
    if (tail->left > 0)
        tail->left--;
    return tail->left != 0 && !ferror(stdout);
}

static bool feed(void *arg, const char *data, size_t len)
{
    struct tail *tail = arg;
    tail->heard = true; /* a stream of heartbeats is one that works */
    return slc_sse_feed(&tail->sse, data, len);
}

static void pause_before(const struct tail *tail, unsigned failures)
{
    int64_t ms = tail->sse.retry_ms >= 0 ? tail->sse.retry_ms : PAUSE_MS;
    for (unsigned i = 1; i < failures && ms < PAUSE_MOST_MS; i++)
        ms *= 2;
    ms = slc_jitter_ms(ms < PAUSE_MOST_MS ? ms : PAUSE_MOST_MS, 20);
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&wait, NULL);
}

/* One connection. True when another should be tried. */
static bool tail_once(struct tail *tail, slc_ctl_client *client, const slc_gateway_target *target,
                      const char *path, int *status)
{
    slc_ctl_answer answer;
    slc_error err = {0};
    char *last = tail->sse.id[0] != '\0' ? slc_asprintf("Last-Event-ID: %s", tail->sse.id) : NULL;
    const char *headers[3] = {NULL};
    size_t count = 0;
    if (target->header != NULL)
        headers[count++] = target->header;
    if (last != NULL)
        headers[count++] = last;
    slc_ctl_request request = {.method = "GET",
                               .path = path,
                               .accept = "text/event-stream",
                               .headers = headers,
                               .once = true,
                               .endless = true,
                               .sink = feed,
                               .sink_arg = tail};
    slc_sse_restart(&tail->sse);
    bool answered = slc_client_send(client, &request, &answer, &err), again = true;
    *status = SLC_EXIT_FAILED;
    if (tail->left == 0 || ferror(stdout)) {
        *status = SLC_EXIT_OK;
        again = false;
    } else if (tail->failed) {
        again = false;
    } else if (answered && answer.status != 200 && answer.status != 503 && answer.status != 429) {
        tell_problem(target, &answer);
        again = false;
    } else if (!answered && tail->ctl->progress) {
        fprintf(stderr, "sluicectl: %s; resuming\n", err.message);
    }
    slc_answer_release(&answer);
    free(last);
    return again;
}

static int tail_on(struct tail *tail, slc_ctl_client *client, const slc_gateway_target *target,
                   const char *path, unsigned retries)
{
    int status;
    unsigned failures = 0;
    while (tail_once(tail, client, target, path, &status)) {
        failures = tail->heard ? 1 : failures + 1;
        tail->heard = false;
        if (failures > retries)
            return slc_ctl_fail("%s: gave up after %u tries; the last id is %s", target->server, failures,
                                tail->sse.id[0] != '\0' ? tail->sse.id : "none");
        pause_before(tail, failures);
    }
    return status;
}

static void tail_path(const slc_ctl *ctl, const slc_gateway_target *target, char *path, size_t size)
{
    static const char *const parameters[] = {"from", "cursor"};
    char separator = '?';
    snprintf(path, size, "%s", target->path);
    for (size_t i = 0; i < 2; i++) {
        const char *value = slc_args_get(&ctl->args, parameters[i]);
        if (value == NULL)
            continue;
        snprintf(path + strlen(path), size - strlen(path), "%c%s=", separator, parameters[i]);
        slc_ctl_path_add(path, size, value);
        separator = '&';
    }
}

int slc_cmd_events_tail(slc_ctl *ctl)
{
    static struct tail tail; /* ids are long */
    slc_gateway_target target;
    char path[16384];
    int64_t count, retries;
    int status = SLC_EXIT_FAILED;
    if (!slc_ctl_int_option(ctl, "count", -1, 1, 1000000000, &count) ||
        !slc_ctl_int_option(ctl, "retries", 10, 0, 1000000, &retries))
        return SLC_EXIT_USAGE;
    tail.ctl = ctl;
    tail.left = count;
    tail.data_only = slc_args_has(&ctl->args, "data-only");
    if (slc_gateway_find(ctl, &target)) {
        slc_ctl_client *client = slc_gateway_client(ctl, &target, 0);
        slc_sse_init(&tail.sse, on_event, &tail);
        tail_path(ctl, &target, path, sizeof path);
        if (client != NULL)
            status = tail_on(&tail, client, &target, path, (unsigned)retries);
        slc_sse_release(&tail.sse);
        slc_client_free(client);
    }
    slc_gateway_release(&target);
    return status;
}

/* ---- publish ---- */

static char *body_of(slc_ctl *ctl, size_t *len)
{
    const char *data = slc_args_get(&ctl->args, "data"), *path = slc_args_get(&ctl->args, "file");
    slc_error err = {0};
    if (data != NULL) {
        *len = strlen(data);
        return slc_strdup(data);
    }
    if (path == NULL) {
        slc_ctl_usage(ctl, "--data TEXT or -f FILE (\"-\" is standard input) says what to publish");
        return NULL;
    }
    char *text = slc_ctl_read(path, BODY_MAX_BYTES, len, &err);
    if (text == NULL)
        slc_ctl_fail("%s", err.message);
    return text;
}

static const char *content_type(const slc_ctl *ctl)
{
    const char *given = slc_args_get(&ctl->args, "content-type"), *path = slc_args_get(&ctl->args, "file");
    const char *end = path != NULL ? strrchr(path, '.') : NULL;
    return given != NULL                                ? given
           : end != NULL && strcmp(end, ".ndjson") == 0 ? "application/x-ndjson"
                                                        : "application/json";
}

static int publish(slc_ctl *ctl, const slc_gateway_target *target, const char *body, size_t len)
{
    slc_ctl_answer answer;
    slc_error err = {0};
    int status = SLC_EXIT_OK;
    int64_t retries;
    const char *headers[] = {target->header, NULL};
    slc_ctl_request request = {.method = "POST",
                               .path = target->path,
                               .body = body,
                               .body_len = len,
                               .content_type = content_type(ctl),
                               .headers = headers,
                               .unsafe = true};
    if (!slc_ctl_int_option(ctl, "retries", 3, 0, 100, &retries))
        return SLC_EXIT_USAGE;
    slc_ctl_client *client = slc_gateway_client(ctl, target, (unsigned)retries);
    if (client == NULL)
        return SLC_EXIT_FAILED;
    if (!slc_client_send(client, &request, &answer, &err))
        status = slc_ctl_fail("%s", err.message);
    else if (answer.status < 200 || answer.status >= 300)
        status = tell_problem(target, &answer);
    else
        printf("%.*s\n", (int)answer.body.len, (const char *)answer.body.data);
    if (status == SLC_EXIT_OK && answer.status == 207)
        status = slc_ctl_fail("not every event was stored: see the results");
    slc_answer_release(&answer);
    slc_client_free(client);
    return status;
}

int slc_cmd_events_publish(slc_ctl *ctl)
{
    slc_gateway_target target;
    size_t len = 0;
    char *body = body_of(ctl, &len);
    int status = SLC_EXIT_USAGE;
    if (body == NULL)
        return status;
    status = slc_gateway_find(ctl, &target) ? publish(ctl, &target, body, len) : SLC_EXIT_FAILED;
    slc_gateway_release(&target);
    free(body);
    return status;
}
