/* Gateway nodes: enrolled, seen, lost, revoked, forgotten. */
#include <stdio.h>
#include <string.h>

#include "catalog/nodes.h"
#include "fixture.h"

static char node_id[17];

static bool enrol(slc_txn *txn, void *arg, slc_error *err)
{
    const bool *ephemeral = arg;
    json_t *group = slc_entity_load(txn, slc_kind_find("gateway-groups"), "dev", err);
    slc_node_certificate certificate = {
        .serial = "0a1b", .authority = "ca-1", .expires_at_ms = slc_txn_now_ms(txn) + 86400000};
    slc_node_new_id(node_id);
    bool ok = slc_node_register(txn, node_id, t_text(group, "id"), "gw-1", *ephemeral ? "uid-1" : NULL,
                                &certificate, err);
    json_decref(group);
    return ok;
}

static void setup(void)
{
    bool ephemeral = false;
    t_setup();
    t_make("gateway-groups", "{'name': 'dev', 'environment': 'dev'}");
    ck_assert_msg(t_write(enrol, &ephemeral, &t_error), "%s", t_error.message);
}

static bool seen(slc_txn *txn, void *arg, slc_error *err)
{
    return slc_usage_node_seen(txn, arg, err);
}

static void report(int64_t version, bool connected)
{
    slc_node_report what = {.node_id = node_id,
                            .build = "1.2.3",
                            .boot_id = "b",
                            .connected = connected,
                            .connections = 5,
                            .applied_version = version};
    ck_assert_msg(slc_catalog_usage_sync(t_catalog, seen, &what, &t_error), "%s", t_error.message);
}

static bool refuse(slc_txn *txn, void *arg, slc_error *err)
{
    return slc_usage_node_nack(txn, node_id, *(int64_t *)arg, "listener/edge", "port is taken", err);
}

static const char *state(void)
{
    static char text[32];
    json_t *node = t_get("gateway-nodes", node_id);
    snprintf(text, sizeof(text), "%s", t_text(node, "state"));
    json_decref(node);
    return text;
}

START_TEST(a_node_is_shown_with_what_it_reports)
{
    ck_assert_str_eq(state(), "never");
    report(7, true);
    json_t *node = t_get("gateway-nodes", node_id);
    ck_assert_str_eq(t_text(node, "state"), "connected");
    ck_assert_str_eq(t_text(node, "group"), "dev");
    ck_assert_str_eq(t_text(node, "version"), "1.2.3");
    ck_assert_int_eq(json_integer_value(json_object_get(node, "applied_version")), 7);
    ck_assert_int_eq(json_integer_value(json_object_get(node, "connections")), 5);
    json_decref(node);
    report(-1, true); /* keeps the version */
    node = t_get("gateway-nodes", node_id);
    ck_assert_int_eq(json_integer_value(json_object_get(node, "applied_version")), 7);
    json_decref(node);
    report(8, false);
    ck_assert_str_eq(state(), "lost");
}
END_TEST

static bool backdate(slc_txn *txn, void *arg, slc_error *err)
{
    return slc_txn_exec(txn, err, "UPDATE node_status SET last_seen = last_seen - ?1", "i", *(int64_t *)arg);
}

START_TEST(silence_makes_a_node_lost)
{
    int64_t hour_ms = 3600000;
    report(7, true);
    ck_assert(slc_catalog_usage_sync(t_catalog, backdate, &hour_ms, &t_error));
    ck_assert_str_eq(state(), "lost");
}
END_TEST

START_TEST(a_refusal_is_shown_until_something_newer_is_applied)
{
    int64_t version = 9;
    report(7, true);
    ck_assert(slc_catalog_usage_sync(t_catalog, refuse, &version, &t_error));
    report(7, true);
    json_t *node = t_get("gateway-nodes", node_id);
    const json_t *nack = json_object_get(node, "last_nack");
    ck_assert_str_eq(t_text(nack, "entity"), "listener/edge");
    ck_assert_int_eq(json_integer_value(json_object_get(nack, "version")), 9);
    json_decref(node);
    report(10, true);
    node = t_get("gateway-nodes", node_id);
    ck_assert_ptr_null(json_object_get(node, "last_nack"));
    json_decref(node);
}
END_TEST

static bool complain(slc_txn *txn, void *arg, slc_error *err)
{
    slc_node_report said = {.node_id = node_id, .connected = true, .applied_version = -1, .problem = arg};
    return slc_usage_node_seen(txn, &said, err);
}

START_TEST(a_problem_is_shown_until_the_node_says_that_there_is_none)
{
    char text[] = "its certificate stays as it was";
    ck_assert(slc_catalog_usage_sync(t_catalog, complain, text, &t_error));
    json_t *node = t_get("gateway-nodes", node_id);
    ck_assert_str_eq(t_text(node, "problem"), text);
    json_decref(node);
    *text = '\0';
    ck_assert(slc_catalog_usage_sync(t_catalog, complain, text, &t_error));
    node = t_get("gateway-nodes", node_id);
    ck_assert_ptr_null(json_object_get(node, "problem"));
    json_decref(node);
}
END_TEST

START_TEST(heartbeats_leave_the_catalog_alone)
{
    char before[32];
    snprintf(before, sizeof(before), "%s", t_sql("SELECT int_value FROM catalog_meta WHERE name = 'revision'"));
    report(7, true);
    ck_assert_str_eq(before, t_sql("SELECT int_value FROM catalog_meta WHERE name = 'revision'"));
}
END_TEST

struct found {
    slc_node_info info;
    size_t revoked;
};

static bool find(slc_txn *txn, void *arg, slc_error *err)
{
    struct found *found = arg;
    json_t *revoked = slc_nodes_revoked(txn, err);
    found->revoked = json_array_size(revoked);
    json_decref(revoked);
    return slc_node_find(txn, node_id, &found->info, err);
}

static bool renew(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    slc_node_certificate certificate = {
        .serial = "ff", .authority = "ca-2", .expires_at_ms = slc_txn_now_ms(txn) + 90000000};
    return slc_node_renewed(txn, node_id, &certificate, err);
}

START_TEST(a_revoked_node_cannot_renew)
{
    struct found found;
    ck_assert(t_write(renew, NULL, &t_error));
    ck_assert(t_read(find, &found, &t_error));
    ck_assert(!found.info.revoked && found.revoked == 0);
    ck_assert_str_eq(found.info.group_name, "dev");
    json_decref(t_act("gateway-nodes", node_id, "revoke"));
    json_decref(t_act("gateway-nodes", node_id, "revoke")); /* twice is no harm */
    report(7, true);
    ck_assert_str_eq(state(), "revoked");
    ck_assert(t_read(find, &found, &t_error));
    ck_assert(found.info.revoked && found.revoked == 1);
    ck_assert(!t_write(renew, NULL, &t_error));
    ck_assert_int_eq(t_error.code, SLC_DENIED);
    t_delete("gateway-nodes", node_id);
    ck_assert(!t_read(find, &found, &t_error));
    ck_assert_int_eq(t_error.code, SLC_NOT_FOUND);
}
END_TEST

/* Its token is good for as many nodes as it likes, and it may have made some in advance. */
START_TEST(a_pod_is_revoked_with_all_of_its_nodes)
{
    bool ephemeral = true;
    char first[17];
    ck_assert(t_write(enrol, &ephemeral, &t_error));
    snprintf(first, sizeof(first), "%s", node_id);
    ck_assert(t_write(enrol, &ephemeral, &t_error));
    json_decref(t_act("gateway-nodes", first, "revoke"));
    ck_assert_str_eq(state(), "revoked");
    ck_assert(!t_write(renew, NULL, &t_error));
    ck_assert_int_eq(t_error.code, SLC_DENIED);
    ck_assert_str_eq(t_sql("SELECT count(*) FROM audit_events WHERE action = 'revoke'"), "2");
    ck_assert_str_eq(t_sql("SELECT count(*) FROM gateway_nodes WHERE revoked_at IS NULL AND ephemeral = 0"),
                     "1");
    ck_assert_str_eq(t_sql("SELECT count(*) FROM gateway_nodes WHERE revoked_at IS NULL"), "1");
}
END_TEST

START_TEST(nodes_are_made_by_enrolment_only)
{
    t_create_fails("gateway-nodes", "{'group': 'dev'}", SLC_UNSUPPORTED, NULL);
    t_patch_fails("gateway-nodes", node_id, "{'ephemeral': true}", SLC_UNSUPPORTED, NULL);
    t_delete_fails("gateway-groups", "dev", SLC_CONFLICT);
    ck_assert_str_eq(t_sql("SELECT count(*) FROM audit_events WHERE action = 'enrol'"), "1");
}
END_TEST

static unsigned forgotten;

static bool forget(slc_txn *txn, void *arg, slc_error *err)
{
    json_t *ids = json_array();
    bool ok = slc_nodes_forget(txn, *(int64_t *)arg, ids, err);
    forgotten = (unsigned)json_array_size(ids);
    json_decref(ids);
    return ok;
}

static bool age_nodes(slc_txn *txn, void *arg, slc_error *err)
{
    return slc_txn_exec(txn, err, "UPDATE gateway_nodes SET updated_at = updated_at - ?1", "i",
                        *(int64_t *)arg);
}

static bool shut_out(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    return slc_txn_exec(txn, err, "UPDATE gateway_nodes SET revoked_at = updated_at", "");
}

static bool let_in(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    return slc_txn_exec(txn, err, "UPDATE gateway_nodes SET revoked_at = NULL", "");
}

START_TEST(ephemeral_nodes_are_forgotten)
{
    bool ephemeral = true;
    int64_t hour_ms = 3600000, day_ms = 24 * hour_ms;
    ck_assert(t_write(enrol, &ephemeral, &t_error));
    report(1, false);
    ck_assert(t_write(forget, &hour_ms, &t_error));
    ck_assert_uint_eq(forgotten, 0);
    ck_assert(t_write(age_nodes, &day_ms, &t_error));
    ck_assert(t_write(forget, &hour_ms, &t_error));
    ck_assert_uint_eq(forgotten, 0); /* it was seen just now */
    ck_assert(slc_catalog_usage_sync(t_catalog, backdate, &day_ms, &t_error));
    ck_assert(t_write(shut_out, NULL, &t_error)); /* or the pod would be taken for a new one */
    ck_assert(t_write(forget, &hour_ms, &t_error));
    ck_assert_uint_eq(forgotten, 0);
    ck_assert(t_write(let_in, NULL, &t_error));
    ck_assert(t_write(forget, &hour_ms, &t_error));
    ck_assert_uint_eq(forgotten, 1); /* not the one that stays */
    ck_assert_str_eq(t_sql("SELECT count(*) FROM gateway_nodes"), "1");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("catalog/node");
    TCase *tc = tcase_create("node");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, t_teardown);
    tcase_add_test(tc, a_node_is_shown_with_what_it_reports);
    tcase_add_test(tc, silence_makes_a_node_lost);
    tcase_add_test(tc, a_refusal_is_shown_until_something_newer_is_applied);
    tcase_add_test(tc, a_problem_is_shown_until_the_node_says_that_there_is_none);
    tcase_add_test(tc, heartbeats_leave_the_catalog_alone);
    tcase_add_test(tc, a_revoked_node_cannot_renew);
    tcase_add_test(tc, a_pod_is_revoked_with_all_of_its_nodes);
    tcase_add_test(tc, nodes_are_made_by_enrolment_only);
    tcase_add_test(tc, ephemeral_nodes_are_forgotten);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
