/* The config client against a scripted control plane: real gRPC, real TLS. */
#include <check.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/httpd.h"
#include "common/metrics.h"
#include "controlplane/ca/x509.h"
#include "dataplane/config/client.h"
#include "dataplane/config/identity.h"
#include "dataplane/config/keys.h"
#include "fake_control.h"
#include "folder.h"

static struct folder folder;
static struct fake fake;
static struct maker *maker;
static slc_config_client *client;

/* The gateway's side. */
static atomic_bool answer_questions = true, swap_at_once = true, refuse, stale;
static atomic_uint applies;
static atomic_uint_least64_t offered;
static _Atomic(slc_config_client *) started;

static bool apply(void *arg, slc_snapshot *snapshot, slc_error *err)
{
    (void)arg;
    applies++;
    offered = slc_snapshot_version(snapshot);
    if (refuse)
        return slc_fail(err, SLC_UNAVAILABLE, "listener/edge", "the address is in use");
    while (started == NULL) /* the first may come before slc_config_client_new has returned */
        sched_yield();
    if (swap_at_once)
        slc_config_client_applied(started, offered);
    return true;
}

static void set_stale(void *arg, bool value)
{
    (void)arg;
    stale = value;
}

static void status(void *arg, slc_config_status *out)
{
    (void)arg;
    out->connections = 3;
    out->listener_count = 1;
    strcpy(out->listeners[0].name, "edge");
}

/* More than go into one message. */
static void list(void *arg, const char *id, size_t limit)
{
    slc_connection_list list = {.total = 5000, .count = limit};

    (void)arg;
    if (!answer_questions)
        return;
    list.items = slc_calloc(limit, sizeof *list.items);
    for (size_t i = 0; i < limit; i++) {
        list.items[i].protocol = "http";
        snprintf(list.items[i].client_address, sizeof list.items[i].client_address, "127.0.0.1:%zu", i);
    }
    slc_config_client_listed(started, id, &list);
}

static bool try_start(const char *join, slc_error *err)
{
    slc_config_gateway gateway = {.apply = apply, .stale = set_stale, .status = status, .list = list};
    slc_config_client_options options = {.state_dir = folder.path,
                                         .join = join,
                                         .build = "test",
                                         .reconnect_min_ms = 20,
                                         .reconnect_max_ms = 200,
                                         .retry_enrol_ms = 50,
                                         .retry_apply_min_ms = 20,
                                         .retry_apply_max_ms = 100};

    started = NULL;
    client = slc_config_client_new(&options, &gateway, err);
    started = client;
    return client != NULL;
}

static void start(void)
{
    char *join = fake_join(&fake, false);
    slc_error err;

    ck_assert_msg(try_start(join, &err), "%s", err.message);
    free(join);
}

static void stop(void)
{
    slc_config_client_free(client);
    client = NULL;
}

static void setup(void)
{
    folder_make(&folder);
    fake_start(&fake);
    maker = maker_new();
    slc_config_client_register_metrics();
}

static void teardown(void)
{
    stop();
    fake_stop(&fake);
    maker_free(maker);
    folder_remove(&folder);
}

#define WAIT(condition)                                                                                        \
    do {                                                                                                       \
        int64_t since_ = slc_monotonic_ms();                                                                   \
        while (!(condition)) {                                                                                 \
            ck_assert_msg(slc_monotonic_ms() - since_ < 45000, "waited in vain for %s", #condition);           \
            usleep(1000);                                                                                      \
        }                                                                                                      \
    } while (0)

/* ---- the way it should go ---- */

START_TEST(enrols_fetches_applies_and_acknowledges)
{
    fake_push(&fake, maker);
    start();
    fake_wait(&fake, fake.seen.acks == 1);
    ck_assert_uint_eq(fake.seen.acked_version, 1);
    ck_assert_uint_eq(fake.seen.enrols, 1);
    ck_assert_uint_eq(fake.seen.chunks_sent, maker->manifest.n_chunks);
    ck_assert_uint_eq(slc_config_client_applied_version(client), 1);
    ck_assert(slc_config_client_connected(client));
    fake_wait(&fake, fake.seen.statuses >= 2);
}
END_TEST

START_TEST(fetches_only_what_changed)
{
    fake_push(&fake, maker);
    start();
    fake_wait(&fake, fake.seen.acks == 1);
    unsigned before = fake.seen.chunks_sent;
    maker->version = 2;
    maker->credential[0].expires_at_ms = 99;
    fake_push(&fake, maker);
    fake_wait(&fake, fake.seen.acks == 2);
    ck_assert_uint_eq(fake.seen.acked_version, 2);
    ck_assert_uint_eq(fake.seen.chunks_sent - before, 1);
}
END_TEST

START_TEST(fetches_indexes_and_then_their_parts)
{
    maker->split = true;
    for (unsigned n = 2; n < 900; n++)
        maker_add_application(maker, n);
    fake_push(&fake, maker);
    start();
    fake_wait(&fake, fake.seen.acks == 1);
    ck_assert_uint_eq(fake.seen.chunks_sent, maker->chunk_count);
    ck_assert_uint_gt(fake.seen.chunk_requests, 1);
}
END_TEST

START_TEST(acknowledges_only_after_the_swap)
{
    swap_at_once = false;
    fake_push(&fake, maker);
    start();
    WAIT(applies == 1);
    maker->version = 2; /* comes while the swap is under way, and waits for it */
    fake_push(&fake, maker);
    fake_wait(&fake, fake.seen.statuses >= 2);
    ck_assert_uint_eq(fake.seen.acks, 0);
    ck_assert_uint_eq(applies, 1);
    swap_at_once = true;
    slc_config_client_applied(client, 1);
    fake_wait(&fake, fake.seen.acks == 2);
    ck_assert_uint_eq(fake.seen.acked_version, 2);
}
END_TEST

/* ---- refusals ---- */

START_TEST(bad_snapshot_is_refused_by_entity_and_the_old_one_stays)
{
    fake_push(&fake, maker);
    start();
    fake_wait(&fake, fake.seen.acks == 1);
    maker->version = 2;
    maker->listener[0].address = "nonsense";
    fake_push(&fake, maker);
    fake_wait(&fake, fake.seen.nacks == 1);
    ck_assert_str_eq(fake.seen.entity, "listener/edge");
    ck_assert_uint_eq(fake.seen.nacked_version, 2);
    ck_assert_uint_eq(slc_config_client_applied_version(client), 1);
    ck_assert_uint_eq(applies, 1);
    maker->version = 3;
    maker->listener[0].address = "127.0.0.1:8002";
    fake_push(&fake, maker);
    fake_wait(&fake, fake.seen.acks == 2);
    ck_assert_uint_eq(slc_config_client_applied_version(client), 3);
}
END_TEST

START_TEST(what_the_gateway_refuses_is_refused)
{
    refuse = true;
    fake_push(&fake, maker);
    start();
    fake_wait(&fake, fake.seen.nacks == 1);
    ck_assert_str_eq(fake.seen.entity, "listener/edge");
    ck_assert_str_eq(fake.seen.message, "the address is in use");
    refuse = false;
    maker->version = 2;
    fake_push(&fake, maker);
    fake_wait(&fake, fake.seen.acks == 1);
}
END_TEST

/* Nobody needs to push it again when the port has become free. */
START_TEST(what_the_gateway_refuses_is_tried_again)
{
    refuse = true;
    fake_push(&fake, maker);
    start();
    fake_wait(&fake, fake.seen.nacks == 1);
    WAIT(applies >= 4);
    ck_assert_uint_eq(fake.seen.retries, 0); /* the reason is known */
    refuse = false;
    fake_wait(&fake, fake.seen.retries == 1);
    ck_assert(fake.seen.retry_worked);
    ck_assert_uint_eq(fake.seen.retried_version, 1);
    ck_assert_uint_eq(fake.seen.nacks, 1);
    WAIT(slc_config_client_applied_version(client) == 1);
    /* All of it is on disk. */
    fake_close_ports(&fake);
    stop();
    applies = 0;
    start();
    WAIT(applies == 1);
    fake_open_ports(&fake);
}
END_TEST

START_TEST(what_is_refused_gives_way_to_what_comes_next)
{
    refuse = true;
    fake_push(&fake, maker);
    start();
    fake_wait(&fake, fake.seen.nacks == 1);
    maker->version = 2;
    fake_push(&fake, maker);
    fake_wait(&fake, fake.seen.nacks == 2);
    WAIT(applies >= 4);
    refuse = false;
    fake_wait(&fake, fake.seen.retries == 1);
    ck_assert_uint_eq(fake.seen.retried_version, 2);
    ck_assert_uint_eq(offered, 2);
}
END_TEST

START_TEST(another_stream_gets_an_answer_to_what_was_refused)
{
    refuse = true;
    fake_push(&fake, maker);
    start();
    fake_wait(&fake, fake.seen.nacks == 1);
    fake_close_ports(&fake);
    fake_open_ports(&fake);
    fake_wait(&fake, fake.seen.nacks == 2);
    refuse = false;
    fake_wait(&fake, fake.seen.retries + fake.seen.acks >= 1);
}
END_TEST

START_TEST(who_is_connected_is_told_in_parts)
{
    fake_push(&fake, maker);
    start();
    fake_wait(&fake, fake.seen.acks == 1);
    fake_ask(&fake);
    fake_wait(&fake, fake.seen.last_part);
    ck_assert_uint_eq(fake.seen.connections, SLC_CONFIG_MAX_CONNECTIONS);
    ck_assert_uint_eq(fake.seen.parts, 5);
    ck_assert_uint_eq(fake.seen.total, 5000);
    fake_ask(&fake);
    fake_wait(&fake, fake.seen.parts == 10);
}
END_TEST

START_TEST(configuration_of_another_group_is_refused)
{
    maker->group.name = "prod";
    fake_push(&fake, maker);
    start();
    fake_wait(&fake, fake.seen.nacks == 1);
    ck_assert_uint_eq(applies, 0);
}
END_TEST

/* ---- a control plane that misbehaves ---- */

static void misbehave(bool *how)
{
    *how = true;
    fake_push(&fake, maker);
    start();
    fake_wait(&fake, fake.seen.ends >= 2); /* cut, came again, cut again */
    ck_assert_uint_eq(fake.seen.acks, 0);
    ck_assert_uint_eq(applies, 0);
    pthread_mutex_lock(&fake.lock);
    *how = false;
    pthread_mutex_unlock(&fake.lock);
    fake_wait(&fake, fake.seen.acks == 1);
}

START_TEST(lie_about_a_chunk_is_cut)
{
    misbehave(&fake.lie_about_chunks);
}
END_TEST

START_TEST(chunk_that_nobody_asked_for_is_cut)
{
    misbehave(&fake.send_unasked_chunk);
}
END_TEST

START_TEST(garbage_is_cut)
{
    misbehave(&fake.push_garbage);
}
END_TEST

START_TEST(manifest_before_welcome_is_cut)
{
    misbehave(&fake.push_before_welcome);
}
END_TEST

START_TEST(second_welcome_is_cut)
{
    fake.welcome_twice = true;
    start();
    fake_wait(&fake, fake.seen.ends >= 2);
}
END_TEST

START_TEST(manifest_that_cannot_be_is_refused_and_the_old_one_stays)
{
    Sluice__Snapshot__V1__ChunkRef *last;

    fake_push(&fake, maker);
    start();
    fake_wait(&fake, fake.seen.acks == 1);
    maker->version = 2;
    fake_push(&fake, maker); /* lists the chunks anew */
    fake_wait(&fake, fake.seen.acks == 2);
    pthread_mutex_lock(&fake.lock);
    last = maker->manifest.chunks[0];
    last->bucket = 99; /* a section that there is not */
    maker->manifest.version = 3;
    pthread_mutex_unlock(&fake.lock);
    fake_push_as_it_is(&fake);
    fake_wait(&fake, fake.seen.nacks == 1);
    ck_assert_uint_eq(fake.seen.nacked_version, 3);
    ck_assert_uint_eq(slc_config_client_applied_version(client), 2);
    ck_assert_uint_eq(fake.seen.ends, 0);
}
END_TEST

/* As after a restore from a backup: the control plane has the last word. */
START_TEST(an_older_version_is_taken)
{
    maker->version = 9;
    fake_push(&fake, maker);
    start();
    fake_wait(&fake, fake.seen.acks == 1);
    maker->version = 2;
    fake_push(&fake, maker);
    fake_wait(&fake, fake.seen.acks == 2);
    ck_assert_uint_eq(fake.seen.acked_version, 2);
}
END_TEST

START_TEST(second_question_before_the_answer_is_cut)
{
    answer_questions = false;
    fake_push(&fake, maker);
    start();
    fake_wait(&fake, fake.seen.acks == 1);
    fake_ask(&fake);
    fake_ask(&fake);
    fake_wait(&fake, fake.seen.ends == 1);
    answer_questions = true;
    fake_wait(&fake, fake.seen.hellos == 2);
}
END_TEST

/* ---- reconnecting and the cache ---- */

START_TEST(comes_back_with_what_it_holds)
{
    fake_push(&fake, maker);
    start();
    fake_wait(&fake, fake.seen.acks == 1);
    unsigned sent = fake.seen.chunks_sent;
    fake_close_ports(&fake);
    WAIT(!slc_config_client_connected(client));
    fake_open_ports(&fake);
    fake_wait(&fake, fake.seen.hellos >= 2 && fake.seen.held);
    fake_wait(&fake, fake.seen.statuses >= 3);
    ck_assert_uint_eq(fake.seen.held_version, 1);
    ck_assert_uint_eq(fake.seen.chunks_sent, sent);
    ck_assert_uint_eq(fake.seen.acks, 1);
}
END_TEST

START_TEST(starts_from_the_cache_without_a_control_plane)
{
    slc_error err;

    fake_push(&fake, maker);
    start();
    fake_wait(&fake, fake.seen.acks == 1);
    stop();
    fake_close_ports(&fake);
    ck_assert_msg(try_start(NULL, &err), "%s", err.message);
    WAIT(slc_config_client_applied_version(client) == 1);
    ck_assert(!slc_config_client_connected(client));
    unsigned sent = fake.seen.chunks_sent;
    fake_open_ports(&fake);
    WAIT(slc_config_client_connected(client));
    fake_wait(&fake, fake.seen.held);
    ck_assert_uint_eq(fake.seen.chunks_sent, sent);
}
END_TEST

START_TEST(damaged_cache_is_ignored_and_fetched_again)
{
    char path[128];
    slc_error err;

    fake_push(&fake, maker);
    start();
    fake_wait(&fake, fake.seen.acks == 1);
    stop();
    snprintf(path, sizeof path, "%s/cache/chunks", folder.path);
    ck_assert_int_eq(truncate(path, 50), 0);
    pthread_mutex_lock(&fake.lock);
    fake.seen.acks = 0;
    pthread_mutex_unlock(&fake.lock);
    ck_assert_msg(try_start(NULL, &err), "%s", err.message);
    fake_wait(&fake, fake.seen.acks == 1);
    ck_assert_uint_eq(applies, 2);
}
END_TEST

START_TEST(goes_stale_when_the_group_says_so_and_recovers)
{
    maker->group.max_staleness_ms = 300;
    fake_push(&fake, maker);
    start();
    fake_wait(&fake, fake.seen.acks == 1);
    fake_close_ports(&fake);
    WAIT(stale);
    fake_open_ports(&fake);
    WAIT(!stale);
}
END_TEST

/* ---- identity ---- */

START_TEST(state_is_private_and_holds_no_cache_key_in_the_clear)
{
    char path[128];
    struct stat file;
    slc_error err;
    slc_identity *identity;

    start();
    fake_wait(&fake, fake.seen.hellos >= 1);
    snprintf(path, sizeof path, "%s/%s", folder.path, SLC_IDENTITY_FILE);
    ck_assert_int_eq(stat(path, &file), 0);
    ck_assert_uint_eq(file.st_mode & 0777, 0600);
    identity = slc_identity_load(folder.path, &err);
    ck_assert_msg(identity != NULL, "%s", err.message);
    ck_assert_str_eq(identity->node_id, "node-1");
    slc_identity_free(identity);
}
END_TEST

static enum slc_code pin(const char *name, bool wrong_pin, const char *endpoint)
{
    char *text = fake_join(&fake, wrong_pin), *pem;
    slc_error err = {0};
    slc_join join;

    ck_assert(slc_join_parse(text, strlen(text), &join, &err));
    if (endpoint != NULL)
        snprintf(join.endpoint, sizeof join.endpoint, "%s", endpoint);
    pem = slc_pin_fetch_ca(&join, name, endpoint != NULL ? 1000 : 20000, &err);
    if (pem != NULL) {
        char *ca = slc_x509_cert_pem(fake.ca);

        ck_assert_str_eq(pem, ca);
        free(ca);
    }
    free(text);
    free(pem);
    return pem != NULL ? SLC_OK : err.code;
}

START_TEST(only_the_pinned_authority_is_taken)
{
    char silent[32];
    slc_error err;
    int fd = slc_listen("127.0.0.1:0", false, &err);

    ck_assert_int_eq(pin("sluice-control", false, NULL), SLC_OK);
    ck_assert_int_eq(pin("sluice-control", true, NULL), SLC_DENIED);
    ck_assert_int_eq(pin("another-name", false, NULL), SLC_DENIED);
    ck_assert_int_ge(fd, 0);
    snprintf(silent, sizeof silent, "127.0.0.1:%u", slc_listen_port(fd));
    ck_assert_int_eq(pin("sluice-control", false, silent),
                     SLC_TIMEOUT); /* takes the connection, says nothing */
    close(fd);
    ck_assert_int_eq(pin("sluice-control", false, silent), SLC_UNAVAILABLE);
    ck_assert_uint_eq(fake.seen.enrols, 0);
}
END_TEST

START_TEST(refused_enrolment_is_tried_again)
{
    fake.enrol_status = SLC_RPC_UNAUTHENTICATED;
    start();
    fake_wait(&fake, fake.seen.enrols >= 2);
    pthread_mutex_lock(&fake.lock);
    fake.enrol_status = SLC_RPC_OK;
    pthread_mutex_unlock(&fake.lock);
    fake_wait(&fake, fake.seen.hellos >= 1);
}
END_TEST

START_TEST(certificate_is_renewed_at_half_life_without_dropping_the_stream)
{
    fake.leaf_ms = 3000;
    fake_push(&fake, maker);
    start();
    fake_wait(&fake, fake.seen.acks == 1);
    fake_wait(&fake, fake.seen.renewals >= 2);
    ck_assert_uint_eq(fake.seen.bad_renewals, 0);
    ck_assert_uint_eq(fake.seen.enrols, 1);
    ck_assert_uint_eq(fake.seen.hellos, 1);
    stop(); /* the renewed identity and its cache still open */
    slc_error err;
    ck_assert_msg(try_start(NULL, &err), "%s", err.message);
    WAIT(slc_config_client_applied_version(client) == 1);
}
END_TEST

/* What a node finds that was off for long: its certificate, signed by the authority, ended an hour ago. */
static void age_identity(void)
{
    int64_t now_ms = slc_wall_ms();
    slc_x509_spec spec = {.common_name = "node-1",
                          .subject_alt_name = "URI:spiffe://sluice/group/dev/node/node-1",
                          .usage = "clientAuth",
                          .not_before_ms = now_ms - 25 * 3600000LL,
                          .not_after_ms = now_ms - 3600000LL};
    slc_error err;
    slc_identity *identity = slc_identity_load(folder.path, &err);
    EVP_PKEY *key = slc_x509_read_key(identity->key_pem, strlen(identity->key_pem), &err);
    X509 *leaf = slc_x509_sign(&spec, key, fake.ca, fake.ca_key, &err);

    free(identity->certificate_pem);
    identity->certificate_pem = slc_x509_cert_pem(leaf);
    identity->obtained_ms = spec.not_before_ms;
    ck_assert(slc_identity_save(identity, folder.path, &err));
    X509_free(leaf);
    EVP_PKEY_free(key);
    slc_identity_free(identity);
}

START_TEST(expired_certificate_is_renewed_at_the_start)
{
    slc_error err;

    fake_push(&fake, maker);
    start();
    fake_wait(&fake, fake.seen.acks == 1);
    stop();
    ck_assert_uint_eq(fake.seen.renewals, 0);
    age_identity();
    ck_assert_msg(try_start(NULL, &err), "%s", err.message);
    fake_wait(&fake, fake.seen.renewals == 1);
    WAIT(slc_config_client_connected(client));
    ck_assert_uint_eq(fake.seen.enrols, 1);
}
END_TEST

START_TEST(start_needs_an_identity_or_a_good_join_string)
{
    slc_error err;
    char path[128];
    FILE *file;

    ck_assert(!try_start(NULL, &err));
    ck_assert_int_eq(err.code, SLC_INVALID);
    ck_assert(!try_start("sluice-join-1.nonsense", &err));
    snprintf(path, sizeof path, "%s/%s", folder.path, SLC_IDENTITY_FILE);
    file = fopen(path, "w");
    fputs("{\"node_id\":\"x\"}", file);
    fclose(file);
    ck_assert(!try_start(NULL, &err));
    ck_assert_int_eq(err.code, SLC_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.message, SLC_IDENTITY_FILE));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client");
    TCase *tcase = tcase_create("client");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, enrols_fetches_applies_and_acknowledges);
    tcase_add_test(tcase, fetches_only_what_changed);
    tcase_add_test(tcase, fetches_indexes_and_then_their_parts);
    tcase_add_test(tcase, acknowledges_only_after_the_swap);
    tcase_add_test(tcase, bad_snapshot_is_refused_by_entity_and_the_old_one_stays);
    tcase_add_test(tcase, what_the_gateway_refuses_is_refused);
    tcase_add_test(tcase, what_the_gateway_refuses_is_tried_again);
    tcase_add_test(tcase, manifest_that_cannot_be_is_refused_and_the_old_one_stays);
    tcase_add_test(tcase, an_older_version_is_taken);
    tcase_add_test(tcase, second_question_before_the_answer_is_cut);
    tcase_add_test(tcase, what_is_refused_gives_way_to_what_comes_next);
    tcase_add_test(tcase, another_stream_gets_an_answer_to_what_was_refused);
    tcase_add_test(tcase, who_is_connected_is_told_in_parts);
    tcase_add_test(tcase, configuration_of_another_group_is_refused);
    tcase_add_test(tcase, lie_about_a_chunk_is_cut);
    tcase_add_test(tcase, chunk_that_nobody_asked_for_is_cut);
    tcase_add_test(tcase, garbage_is_cut);
    tcase_add_test(tcase, manifest_before_welcome_is_cut);
    tcase_add_test(tcase, second_welcome_is_cut);
    tcase_add_test(tcase, comes_back_with_what_it_holds);
    tcase_add_test(tcase, starts_from_the_cache_without_a_control_plane);
    tcase_add_test(tcase, damaged_cache_is_ignored_and_fetched_again);
    tcase_add_test(tcase, goes_stale_when_the_group_says_so_and_recovers);
    tcase_add_test(tcase, state_is_private_and_holds_no_cache_key_in_the_clear);
    tcase_add_test(tcase, only_the_pinned_authority_is_taken);
    tcase_add_test(tcase, refused_enrolment_is_tried_again);
    tcase_add_test(tcase, certificate_is_renewed_at_half_life_without_dropping_the_stream);
    tcase_add_test(tcase, expired_certificate_is_renewed_at_the_start);
    tcase_add_test(tcase, start_needs_an_identity_or_a_good_join_string);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
