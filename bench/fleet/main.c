/* Takes orders from bench/config on standard input, a line each, and answers each with one JSON object on
 * standard output:
 *
 *   connect cold   connects every node (they come back by themselves when they are cut off)
 *   connect warm   connects the first, and when it has a configuration the others, as if they had that one on
 * disk wait streams   answers when every node was welcomed wait running   answers when every node has a
 * configuration, too wait VERSION   answers when every node has acknowledged that version or a later one since
 * the last mark mark           counts from here count          what every node has received since the last mark
 *   quit
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"
#include "fleet.h"

static struct {
    enum { WAIT_NOTHING, WAIT_ENROLLED, WAIT_STREAMS, WAIT_RUNNING, WAIT_VERSION } what;
    uint64_t version;
} waiting;
static bool warming; /* the first node fetches for all */

static int64_t acked_us(const struct node *node, uint64_t version)
{
    for (unsigned i = 0; i < node->ack_count; i++)
        if (node->acks[i].version >= version)
            return node->acks[i].at_us;
    return 0;
}

static bool has_it(const struct node *node)
{
    if (waiting.what == WAIT_VERSION)
        return acked_us(node, waiting.version) != 0;
    return node->welcomed && (waiting.what == WAIT_STREAMS || node->snapshot != NULL);
}

static bool is_there(const struct fleet *fleet)
{
    if (waiting.what == WAIT_ENROLLED)
        return fleet->enrolled == fleet->count;
    for (unsigned i = 0; i < fleet->count; i++)
        if (!has_it(&fleet->nodes[i]))
            return false;
    return true;
}

static void print_list(const struct fleet *fleet, const char *name, uint64_t (*value)(const struct node *node))
{
    printf("\"%s\": [", name);
    for (unsigned i = 0; i < fleet->count; i++)
        printf("%s%" PRIu64, i > 0 ? ", " : "", value(&fleet->nodes[i]));
    printf("]");
}

static uint64_t bytes_of(const struct node *node)
{
    return node->bytes;
}

static uint64_t chunks_of(const struct node *node)
{
    return node->chunk_count;
}

static uint64_t pushes_of(const struct node *node)
{
    return node->push_count;
}

static uint64_t held_of(const struct node *node)
{
    return node->held_count;
}

static uint64_t acked_of(const struct node *node)
{
    return (uint64_t)acked_us(node, waiting.version);
}

static void answer(const struct fleet *fleet)
{
    printf("{");
    if (waiting.what == WAIT_VERSION) {
        print_list(fleet, "acked_us", acked_of);
        printf(", ");
    }
    print_list(fleet, "bytes", bytes_of);
    printf(", ");
    print_list(fleet, "chunks", chunks_of);
    printf(", ");
    print_list(fleet, "pushes", pushes_of);
    printf(", ");
    print_list(fleet, "held", held_of);
    printf("}\n");
    fflush(stdout);
}

static void connect_others(struct fleet *fleet)
{
    warming = false;
    for (unsigned i = 1; i < fleet->count; i++) {
        fleet->nodes[i].snapshot = slc_snapshot_ref(fleet->nodes[0].snapshot);
        node_connect(&fleet->nodes[i]);
    }
}

static void on_change(struct fleet *fleet)
{
    if (warming && fleet->nodes[0].snapshot != NULL)
        connect_others(fleet);
    if (waiting.what == WAIT_NOTHING || !is_there(fleet))
        return;
    answer(fleet);
    waiting.what = WAIT_NOTHING;
}

static void wait_for(struct fleet *fleet, const char *what)
{
    waiting.what = strcmp(what, "streams") == 0   ? WAIT_STREAMS
                   : strcmp(what, "running") == 0 ? WAIT_RUNNING
                                                  : WAIT_VERSION;
    waiting.version = strtoull(what, NULL, 10);
    on_change(fleet);
}

static void connect_nodes(struct fleet *fleet, bool warm)
{
    warming = warm;
    for (unsigned i = 0; i < (warm ? 1 : fleet->count); i++)
        node_connect(&fleet->nodes[i]);
    answer(fleet);
}

static void order(struct fleet *fleet, const char *line)
{
    if (strcmp(line, "connect cold") == 0 || strcmp(line, "connect warm") == 0) {
        connect_nodes(fleet, strcmp(line, "connect warm") == 0);
    } else if (strncmp(line, "wait ", 5) == 0) {
        wait_for(fleet, line + 5);
    } else if (strcmp(line, "mark") == 0) {
        for (unsigned i = 0; i < fleet->count; i++)
            node_mark(&fleet->nodes[i]);
        answer(fleet);
    } else if (strcmp(line, "count") == 0) {
        answer(fleet);
    } else if (strcmp(line, "quit") == 0) {
        event_base_loopbreak(slc_loop_base(fleet->loop));
    } else {
        fleet_die("an unknown order", line);
    }
}

static void on_input(evutil_socket_t fd, short what, void *arg)
{
    static char text[4096];
    static size_t used;
    struct fleet *fleet = arg;
    char *end;
    (void)what;
    ssize_t got = read(fd, text + used, sizeof text - 1 - used);
    if (got <= 0) {
        event_base_loopbreak(slc_loop_base(fleet->loop));
        return;
    }
    used += (size_t)got;
    text[used] = '\0';
    while ((end = strchr(text, '\n')) != NULL) {
        *end = '\0';
        order(fleet, text);
        used -= (size_t)(end + 1 - text);
        memmove(text, end + 1, used + 1);
    }
}

static void release(struct fleet *fleet)
{
    for (unsigned i = 0; i < fleet->count; i++)
        node_release(&fleet->nodes[i]);
    fleet_forget(fleet);
    slc_rpc_stop(fleet->rpc);
    slc_loop_free(fleet->loop);
    free(fleet->ca_pem);
    free(fleet->nodes);
}

int main(int argc, char **argv)
{
    struct fleet fleet = {.changed = on_change};
    slc_error err;
    slc_log_init("bench-fleet", SLC_LOG_ERROR, true);
    if (argc != 3) {
        fprintf(stderr, "usage: %s JOIN_STRING NODES\n", argv[0]);
        return 2;
    }
    if (!slc_join_parse(argv[1], strlen(argv[1]), &fleet.join, &err))
        fleet_die("the join string", err.message);
    fleet.count = (unsigned)strtoul(argv[2], NULL, 10);
    fleet.nodes = slc_calloc(fleet.count, sizeof *fleet.nodes);
    fleet.loop = slc_loop_new("fleet", &fleet);
    fleet.rpc = slc_rpc_start(fleet.loop, &err);
    if (fleet.rpc == NULL)
        fleet_die("gRPC", err.message);
    for (unsigned i = 0; i < fleet.count; i++)
        node_init(&fleet.nodes[i], &fleet, i);
    struct event *input =
        event_new(slc_loop_base(fleet.loop), STDIN_FILENO, EV_READ | EV_PERSIST, on_input, &fleet);
    event_add(input, NULL);
    waiting.what = WAIT_ENROLLED;
    fleet_enrol(&fleet);
    slc_loop_run(fleet.loop);
    event_free(input);
    release(&fleet);
    return 0;
}
