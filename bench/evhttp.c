/* The baseline of bench/rest and bench/portal: evhttp and nothing else. Every request is read and answered with
 * 201 and the body that Sluice would send, or BYTES of text.
 *
 * usage: bench-evhttp ADDRESS PORT [BYTES]     ends with SIGTERM or SIGINT
 */
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct answer {
    struct evbuffer *body;
    const char *text;
    size_t len;
};

static void on_request(struct evhttp_request *req, void *arg)
{
    struct answer *answer = arg;
    struct evbuffer *body = answer->body;
    evbuffer_add_reference(body, answer->text, answer->len, NULL, NULL);
    evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type", "application/json");
    evhttp_send_reply(req, 201, "Created", body);
}

static void on_signal(evutil_socket_t number, short what, void *base)
{
    (void)number;
    (void)what;
    event_base_loopbreak(base);
}

int main(int argc, char **argv)
{
    static const char receipt[] = "{\"id\":\"0-1234567\"}";
    static char filler[1 << 20];
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: bench-evhttp ADDRESS PORT [BYTES]\n");
        return 2;
    }
    memset(filler, 'x', sizeof filler);
    size_t bytes = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
    signal(SIGPIPE, SIG_IGN);
    struct event_base *base = event_base_new();
    struct evhttp *http = evhttp_new(base);
    struct evbuffer *body = evbuffer_new();
    struct answer answer = {body, receipt, sizeof receipt - 1};
    if (argc == 4)
        answer = (struct answer){body, filler, bytes < sizeof filler ? bytes : sizeof filler};
    evhttp_set_allowed_methods(http, EVHTTP_REQ_POST | EVHTTP_REQ_GET);
    evhttp_set_gencb(http, on_request, &answer);
    struct event *term = evsignal_new(base, SIGTERM, on_signal, base);
    struct event *interrupt = evsignal_new(base, SIGINT, on_signal, base);
    event_add(term, NULL);
    event_add(interrupt, NULL);
    if (evhttp_bind_socket(http, argv[1], (uint16_t)atoi(argv[2])) != 0) {
        fprintf(stderr, "bench-evhttp: cannot listen on %s port %s\n", argv[1], argv[2]);
        return 1;
    }
    event_base_dispatch(base);
    event_free(term);
    event_free(interrupt);
    evbuffer_free(body);
    evhttp_free(http);
    event_base_free(base);
    return 0;
}
