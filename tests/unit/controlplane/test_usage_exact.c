/* What gateways count and what the control plane has stored are the same, to the last event: after any sequence
 * of lost streams, parts told twice, control planes and gateways that start anew, failed transactions and hours
 * that pass. The gateway's book and the catalog's tables, with nothing between them but a network that this
 * test plays. */
#include <stdlib.h>
#include <string.h>

#include "../catalog/fixture.h"
#include "catalog/usage.h"
#include "common/clock.h"
#include "dataplane/observe/usage_book.h"

#define NODES 3
#define STEPS 400
#define KEYS  12
#define SEEDS 12
#define AFTER 50 /* hours ago is where it begins */

/* A part on its way. */
struct part {
    char node_id[8], boot_id[24];
    uint64_t sequence;
    uint32_t oldest_hour;
    size_t count;
    slc_usage_row rows[SLC_USAGE_PART_MAX];
};

struct node {
    char node_id[8], boot_id[24];
    unsigned boots;
    slc_usage_table table;
    slc_usage_book book;
    struct part part; /* the last that was sent on this stream; count 0: none */
    bool stored;      /* it was; the acknowledgement is on its way */
};

static struct node nodes[NODES];
static struct part late; /* of a stream that was lost, maybe of a process that is gone */
static uint64_t expected, seed;
static uint32_t now_hour;

static unsigned pick(unsigned below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % below;
}

static void boot(struct node *node, unsigned index)
{
    snprintf(node->node_id, sizeof node->node_id, "node%u", index);
    snprintf(node->boot_id, sizeof node->boot_id, "boot%ux%u", index, node->boots++);
    slc_usage_init(&node->table, 8); /* so that some are merged */
    slc_usage_book_init(&node->book, 40);
    node->part.count = 0;
    node->stored = false;
}

static void count(struct node *node)
{
    char application[16], api[16];
    slc_usage_key key;
    uint64_t events = 1 + pick(5);
    snprintf(application, sizeof application, "app%u", pick(KEYS));
    snprintf(api, sizeof api, "api%u", pick(2));
    slc_usage_key_make(&key, (enum slc_usage_operation)(1 + pick(5)), application, api, "");
    key.hour = now_hour;
    slc_usage_add(&node->table, &key, &(slc_usage_sum){.requests = 1, .events = events, .bytes = 3 * events});
    expected += events;
}

static void collect(struct node *node)
{
    slc_usage_book_add(&node->book, &node->table);
    slc_usage_release(&node->table);
    slc_usage_book_settle(&node->book, now_hour);
}

static void send(struct node *node)
{
    const slc_usage_row *rows[SLC_USAGE_PART_MAX];
    uint32_t oldest;
    size_t n = slc_usage_book_next(&node->book, rows, &oldest);
    if (n == 0)
        return;
    struct part *part = &node->part;
    memcpy(part->node_id, node->node_id, sizeof part->node_id);
    memcpy(part->boot_id, node->boot_id, sizeof part->boot_id);
    part->sequence = node->book.sequence;
    part->oldest_hour = oldest;
    part->count = n;
    node->stored = false;
    for (size_t i = 0; i < n; i++)
        part->rows[i] = *rows[i];
}

/* ---- the control plane ---- */

struct storing {
    const struct part *part;
    bool fails; /* at its end: nothing may be left of it */
};

static bool store(slc_txn *txn, void *arg, slc_error *err)
{
    const struct storing *storing = arg;
    const struct part *part = storing->part;
    slc_usage_told told[SLC_USAGE_PART_MAX];
    for (size_t i = 0; i < part->count; i++) {
        const slc_usage_row *row = &part->rows[i];
        told[i] = (slc_usage_told){.hour = row->key.hour,
                                   .application_id = row->key.application_id,
                                   .event_api_id = row->key.event_api_id,
                                   .virtual_cluster_id = row->key.vcluster_id,
                                   .operation = (int64_t)row->key.operation - 1,
                                   .numbers = {row->sum.requests, row->sum.events, row->sum.bytes,
                                               row->sum.errors, row->sum.throttled}};
    }
    return slc_usage_store(txn, part->node_id, part->boot_id, part->oldest_hour, told, part->count, err) &&
           (!storing->fails || slc_fail(err, SLC_NO_SPACE, NULL, "the disk is full"));
}

static bool deliver(const struct part *part, bool fails)
{
    struct storing storing = {part, fails};
    bool ok = part->count == 0 || slc_catalog_usage_sync(t_catalog, store, &storing, &t_error);
    ck_assert(ok || fails);
    return ok;
}

static uint64_t stored(const char *period)
{
    char sql[160];
    snprintf(sql, sizeof sql, "SELECT coalesce(sum(events), 0) FROM usage.usage_sums WHERE period = %s",
             period);
    return strtoull(t_sql(sql), NULL, 10);
}

/* ---- the play ---- */

static void acknowledge(struct node *node)
{
    if (node->part.count == 0 || !node->stored)
        return;
    (void)slc_usage_book_acknowledged(&node->book, node->part.sequence);
    node->part.count = 0;
}

/* A gateway that stops tells what it has before; what one that is killed has not told is lost, and not
 * expected. */
static void restart(struct node *node, unsigned index)
{
    acknowledge(node);
    slc_usage_book_again(&node->book);
    collect(node);
    do {
        send(node);
        if (node->part.count > 0)
            node->stored = deliver(&node->part, false);
        acknowledge(node);
    } while (!slc_usage_book_is_told(&node->book));
    slc_usage_release(&node->table);
    slc_usage_book_release(&node->book);
    boot(node, index);
}

static void step(void)
{
    unsigned index = pick(NODES);
    struct node *node = &nodes[index];
    switch (pick(16)) {
    case 0:
    case 1:
        collect(node);
        break;
    case 2:
    case 3:
        send(node);
        break;
    case 4:
    case 5: /* it arrives */
        node->stored = node->part.count > 0 && deliver(&node->part, false);
        break;
    case 6: /* it arrives, and the transaction fails */
        (void)deliver(&node->part, true);
        break;
    case 7: /* it arrives once more, perhaps after its acknowledgement was lost */
        (void)deliver(&node->part, false);
        break;
    case 8:
    case 9:
        acknowledge(node);
        break;
    case 10: /* the stream is lost; what was on its way may still come, whenever */
        slc_usage_book_again(&node->book);
        if (node->part.count > 0)
            late = node->part;
        node->part.count = 0;
        break;
    case 11:
        if (pick(4) == 0)
            restart(node, index);
        break;
    case 12:
        if (pick(10) == 0) { /* the control plane starts anew */
            t_close();
            t_open();
        }
        break;
    case 13:
        (void)deliver(&late, false);
        now_hour += pick(3) == 0;
        break;
    default:
        for (unsigned i = pick(20); i > 0; i--)
            count(node);
    }
}

START_TEST(every_event_counts_once)
{
    seed = (uint64_t)_i + 1;
    expected = 0;
    now_hour = (uint32_t)(slc_wall_ms() / SLC_USAGE_HOUR_MS) - AFTER;
    memset(nodes, 0, sizeof nodes);
    late.count = 0;
    for (unsigned i = 0; i < NODES; i++)
        boot(&nodes[i], i);
    for (unsigned i = 0; i < STEPS; i++)
        step();
    for (unsigned i = 0; i < NODES; i++) {
        restart(&nodes[i], i);
        slc_usage_release(&nodes[i].table);
        slc_usage_book_release(&nodes[i].book);
    }
    ck_assert_uint_gt(expected, 0);
    ck_assert_uint_eq(stored("0"), expected);
    ck_assert_uint_eq(stored("1"), expected);
    ck_assert_uint_eq(stored("2"), expected);
    /* What is remembered of hours that are over is forgotten: all that is left is of each process's last hours.
     */
    ck_assert_str_eq(t_sql("SELECT count(*) FROM usage.usage_counters AS c JOIN usage.usage_boots AS b USING "
                           "(node_id, boot_id) WHERE c.hour < b.oldest_hour"),
                     "0");
}
END_TEST

static Suite *suite(void)
{
    slc_usage_register_metrics();
    Suite *suite = suite_create("usage counts once");
    TCase *tc = tcase_create("property");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, t_setup, t_teardown);
    tcase_add_loop_test(tc, every_event_counts_once, 0, SEEDS);
    suite_add_tcase(suite, tc);
    return suite;
}

TEST_MAIN(suite)
