/* What every command shares: requests, words to people, small parsers. */
#include "controlplane/ctl/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/file.h"
#include "common/json.h"
#include "controlplane/ctl/problem.h"
#include "controlplane/ctl/schema.h"
#include "controlplane/ctl/skew.h"
#include "controlplane/ctl/suggest.h"

#define PAGE_ITEMS 500

/* ---- words to people ---- */

SLC_PRINTF(2, 0) static void say(const char *prefix, const char *fmt, va_list args)
{
    fprintf(stderr, "sluicectl: %s", prefix);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
}

int slc_ctl_fail(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say("", fmt, args);
    va_end(args);
    return SLC_EXIT_FAILED;
}

int slc_ctl_usage(const slc_ctl *ctl, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say("", fmt, args);
    va_end(args);
    if (ctl->args.command != NULL)
        fprintf(stderr, "See sluicectl help %s.\n", ctl->args.command->name);
    return SLC_EXIT_USAGE;
}

void slc_ctl_note(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say("note: ", fmt, args);
    va_end(args);
}

bool slc_ctl_end_output(int error)
{
    static bool told;
    errno = 0;
    if (fflush(stdout) != 0 && error == 0)
        error = errno;
    if (error == 0 && ferror(stdout) == 0)
        return true;
    if (error != EPIPE && !told)
        slc_ctl_fail("standard output cannot be written%s%s", error != 0 ? ": " : "",
                     error != 0 ? strerror(error) : "");
    told = true;
    return false;
}

bool slc_ctl_confirm(const slc_ctl *ctl, const char *question)
{
    char answer[16] = "";
    if (slc_args_has(&ctl->args, "yes"))
        return true;
    if (!isatty(STDIN_FILENO)) {
        slc_ctl_fail("nothing was changed: there is no terminal to ask on; --yes goes without asking");
        fprintf(stderr, "  %s\n", question);
        return false;
    }
    fprintf(stderr, "%s [y/N] ", question);
    if (fgets(answer, sizeof answer, stdin) == NULL || (answer[0] != 'y' && answer[0] != 'Y')) {
        fprintf(stderr, "Nothing was changed.\n");
        return false;
    }
    return true;
}

void slc_ctl_progress(const slc_ctl *ctl, const char *fmt, ...)
{
    va_list args;
    bool in_place = isatty(STDERR_FILENO) != 0;
    if (!ctl->progress)
        return;
    if (in_place)
        fputs("\r\033[K", stderr);
    if (fmt != NULL) {
        va_start(args, fmt);
        vfprintf(stderr, fmt, args);
        va_end(args);
        if (!in_place)
            fputc('\n', stderr);
    }
    fflush(stderr);
}

/* ---- requests ---- */

static void on_waiting(void *arg, const char *why, int64_t ms)
{
    const slc_ctl *ctl = arg;
    if (ctl->progress)
        fprintf(stderr, "sluicectl: %s: %s; another try in %.1f s\n", ctl->context.server, why,
                (double)ms / 1000);
}

bool slc_ctl_connect(slc_ctl *ctl)
{
    slc_error err = {0};
    int64_t timeout, connect_timeout, retries;
    if (ctl->client != NULL)
        return true;
    if (ctl->context.server == NULL && !slc_context_resolve(&ctl->args, &ctl->context, &err)) {
        slc_ctl_fail("%s", err.message);
        return false;
    }
    if (!slc_ctl_duration_option(ctl, "timeout", 60000, &timeout) ||
        !slc_ctl_duration_option(ctl, "connect-timeout", 5000, &connect_timeout) ||
        !slc_ctl_int_option(ctl, "retries", 3, 0, 100, &retries))
        return false;
    slc_ctl_client_options options = {
        .server = ctl->context.server,
        .token = ctl->context.token,
        .ca_file = ctl->context.ca_file,
        .client_certificate_file = ctl->context.client_certificate_file,
        .client_key_file = ctl->context.client_key_file,
        .connect_timeout_ms = connect_timeout,
        .timeout_ms = timeout,
        .retries = (unsigned)retries,
        .waiting = on_waiting,
        .arg = ctl,
    };
    ctl->client = slc_client_new(&options, &err);
    if (ctl->client == NULL)
        slc_ctl_fail("%s", err.message);
    return ctl->client != NULL;
}

bool slc_ctl_call(slc_ctl *ctl, const slc_ctl_request *request, slc_ctl_answer *answer)
{
    slc_error err = {0};
    memset(answer, 0, sizeof *answer);
    if (!slc_ctl_connect(ctl))
        return false;
    if (!slc_client_send(ctl->client, request, answer, &err)) {
        slc_ctl_progress(ctl, NULL);
        slc_ctl_fail("%s", err.message);
        slc_problem_unreachable(ctl, &err);
        return false;
    }
    if (!ctl->skew_told) {
        ctl->skew_told = true;
        slc_skew_warn(answer->version);
    }
    if (answer->status >= 200 && answer->status < 300)
        return true;
    slc_ctl_progress(ctl, NULL);
    slc_problem_tell(ctl, request, answer);
    return false;
}

static json_t *parse_answer(const slc_ctl *ctl, const slc_ctl_answer *answer)
{
    slc_error err = {0};
    if (answer->body.len == 0)
        return json_object();
    json_t *body =
        slc_json_parse((const char *)answer->body.data, answer->body.len, SLC_ANSWER_MAX_BYTES, &err);
    if (body == NULL)
        slc_ctl_fail(
            "%s does not answer like a Sluice control plane (%s); is the address of the context \"%s\" right?",
            ctl->context.server, err.message, ctl->context.name);
    return body;
}

json_t *slc_ctl_get(slc_ctl *ctl, const char *path)
{
    return slc_ctl_send(ctl, "GET", path, NULL);
}

json_t *slc_ctl_send(slc_ctl *ctl, const char *method, const char *path, const json_t *body)
{
    slc_ctl_answer answer;
    size_t len = 0;
    char *text = body != NULL ? slc_json_print(body, &len) : NULL;
    slc_ctl_request request = {.method = method, .path = path, .body = text, .body_len = len};
    json_t *parsed = slc_ctl_call(ctl, &request, &answer) ? parse_answer(ctl, &answer) : NULL;
    slc_answer_release(&answer);
    free(text);
    return parsed;
}

/* `path` with limit and cursor, in `out`. */
static void page_path(char *out, size_t size, const char *path, size_t limit, const char *cursor)
{
    int len = snprintf(out, size, "%s%climit=%zu", path, strchr(path, '?') != NULL ? '&' : '?', limit);
    if (cursor != NULL && len > 0 && (size_t)len < size) {
        snprintf(out + len, size - (size_t)len, "&cursor=");
        slc_ctl_path_add(out, size, cursor);
    }
}

json_t *slc_ctl_list(slc_ctl *ctl, const char *path, size_t limit)
{
    json_t *all = json_array(), *page = NULL;
    char full[8192], cursor[4096] = "";
    for (;;) {
        size_t left = limit > 0 ? limit - json_array_size(all) : PAGE_ITEMS;
        page_path(full, sizeof full, path, left < PAGE_ITEMS ? left : PAGE_ITEMS,
                  cursor[0] != '\0' ? cursor : NULL);
        page = slc_ctl_get(ctl, full);
        if (page == NULL) {
            json_decref(all);
            return NULL;
        }
        json_array_extend(all, json_object_get(page, "items"));
        const char *next = json_string_value(json_object_get(page, "next"));
        snprintf(cursor, sizeof cursor, "%s", next != NULL ? next : "");
        json_decref(page);
        if (cursor[0] == '\0' || (limit > 0 && json_array_size(all) >= limit))
            break;
        slc_ctl_progress(ctl, "%zu read", json_array_size(all));
    }
    if (json_array_size(all) > PAGE_ITEMS)
        slc_ctl_progress(ctl, NULL);
    return all;
}

/* ---- pieces ---- */

void slc_ctl_path_add(char *path, size_t size, const char *text)
{
    size_t used = strlen(path);
    for (; *text != '\0' && used + 4 < size; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("-._~@", c) != NULL;
        used += (size_t)snprintf(path + used, size - used, plain ? "%c" : "%%%02X", c);
    }
}

bool slc_ctl_int_option(const slc_ctl *ctl, const char *name, int64_t fallback, int64_t min, int64_t max,
                        int64_t *value)
{
    const char *text = slc_args_get(&ctl->args, name);
    char *end;
    *value = fallback;
    if (text == NULL)
        return true;
    *value = strtoll(text, &end, 10);
    if (end != text && *end == '\0' && *value >= min && *value <= max)
        return true;
    slc_ctl_usage(ctl, "--%s is a number from %lld to %lld, not %s", name, (long long)min, (long long)max,
                  text);
    return false;
}

bool slc_ctl_duration_option(const slc_ctl *ctl, const char *name, int64_t fallback, int64_t *value)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    const char *text = slc_args_get(&ctl->args, name);
    char *end;
    *value = fallback;
    if (text == NULL)
        return true;
    long long number = strtoll(text, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (end != text && number > 0 && number <= 1000000 && strcmp(end, units[i].unit) == 0) {
            *value = number * units[i].ms;
            return true;
        }
    }
    slc_ctl_usage(ctl, "--%s is a time such as 500ms, 15s, 10m or 24h, not %s", name, text);
    return false;
}

char *slc_ctl_read(const char *path, size_t max_bytes, size_t *len, slc_error *err)
{
    if (strcmp(path, "-") != 0)
        return slc_file_read(path, max_bytes, len, err);
    slc_buf buf;
    char part[65536];
    size_t got;
    slc_buf_init(&buf, max_bytes);
    while ((got = fread(part, 1, sizeof part, stdin)) > 0)
        slc_buf_add(&buf, part, got);
    if (buf.overflow || ferror(stdin)) {
        slc_fail(err, buf.overflow ? SLC_TOO_LARGE : SLC_IO, NULL, "standard input %s",
                 buf.overflow ? "is too large" : "cannot be read");
        slc_buf_release(&buf);
        return NULL;
    }
    slc_buf_adds(&buf, "");
    *len = buf.len;
    char *text = slc_buf_steal(&buf, len);
    return text != NULL ? text : slc_strdup("");
}
