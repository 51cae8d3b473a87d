/* What was taken away after a backup was made stays so when it is restored. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "catalog/backup.h"
#include "catalog/nodes.h"
#include "catalog/session.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "fixture.h"

static char backup[200];

static void setup(void)
{
    t_setup();
    snprintf(backup, sizeof(backup), "%s/kept.db", t_dir);
}

static void make_backup_as(const char *path)
{
    ck_assert_msg(slc_catalog_backup(t_catalog, path, &t_error), "%s", t_error.message);
}

static void make_backup(void)
{
    make_backup_as(backup);
}

static json_t *restore_with(const char *file, bool undo_revocations)
{
    slc_catalog_options options = {.data_dir = t_dir};
    slc_restore wanted = {.file = file, .undo_revocations = undo_revocations};
    json_t *report;
    t_close();
    ck_assert_msg(slc_catalog_restore(&options, &wanted, &report, &t_error), "%s", t_error.message);
    t_open();
    return report;
}

static json_t *restore(void)
{
    return restore_with(backup, false);
}

static bool is_compared(json_t *report)
{
    bool compared = json_is_true(json_object_get(report, "compared"));
    json_decref(report);
    return compared;
}

/* "what" of an entity in the report, "" when it is not there. */
static const char *taken(const json_t *report, const char *kind, const char *key)
{
    size_t i;
    json_t *entry;
    json_array_foreach (json_object_get(report, "taken_away"), i, entry) {
        if (strcmp(t_text(entry, "kind"), kind) == 0 && strcmp(t_text(entry, "key"), key) == 0)
            return t_text(entry, "what");
    }
    return "";
}

static bool is_returned(const json_t *report, const char *kind)
{
    size_t i;
    json_t *entry;
    bool found = false;
    json_array_foreach (json_object_get(report, "returned"), i, entry) {
        found = found || strcmp(t_text(entry, "kind"), kind) == 0;
    }
    return found;
}

static char *first_id(const char *kind)
{
    json_t *list = t_list(kind, NULL, 0, NULL);
    char *id = slc_strdup(t_text(json_array_get(json_object_get(list, "items"), 0), "id"));
    json_decref(list);
    return id;
}

static const char *field_of(const char *kind, const char *key, const char *field)
{
    static char text[400];
    json_t *entity = t_get(kind, key);
    ck_assert_ptr_nonnull(entity);
    json_t *value = json_object_get(entity, field);
    char *dump = value != NULL ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : slc_strdup("");
    snprintf(text, sizeof(text), "%s", dump);
    free(dump);
    json_decref(entity);
    return text;
}

static bool register_node(slc_txn *txn, void *arg, slc_error *err)
{
    slc_node_certificate certificate = {"ab", "first", slc_wall_ms() + 3600000};
    sqlite3_stmt *stmt = slc_txn_query(txn, err, "SELECT id FROM gateway_groups", "");
    ck_assert_int_eq(slc_txn_step(txn, stmt, err), 1);
    char group[64];
    snprintf(group, sizeof(group), "%s", slc_column_text(stmt, 0));
    slc_txn_finish(txn, stmt);
    return slc_node_register(txn, arg, group, NULL, arg /* as if it were one of a pod */, &certificate, err);
}

static char *make_node(void)
{
    char *id = slc_malloc(24); /* more than a node id has */
    slc_node_new_id(id);
    ck_assert_msg(t_write(register_node, id, &t_error), "%s", t_error.message);
    return id;
}

START_TEST(what_was_revoked_and_then_deleted_does_not_come_back)
{
    t_make_samples(NULL);
    char *node = make_node(), *gone = make_node(), *kept = make_node();
    char *credential = first_id("credentials"), *subscription = first_id("subscriptions");
    make_backup();
    json_decref(t_act("gateway-nodes", node, "revoke"));
    t_delete("gateway-nodes", node);
    t_delete("gateway-nodes", gone);
    json_decref(t_act("credentials", credential, "revoke"));
    t_delete("credentials", credential);
    json_decref(t_act("subscriptions", subscription, "revoke"));
    t_delete("subscriptions", subscription);
    json_t *report = restore();
    ck_assert_str_eq(taken(report, "gateway-nodes", node), "revoked");
    ck_assert_str_eq(field_of("gateway-nodes", node, "state"), "\"revoked\"");
    ck_assert_str_eq(taken(report, "gateway-nodes", gone), "deleted");
    ck_assert_ptr_null(t_get("gateway-nodes", gone));
    ck_assert_str_eq(taken(report, "gateway-nodes", kept), "");
    ck_assert_str_eq(field_of("gateway-nodes", kept, "state"), "\"never\"");
    ck_assert_str_eq(taken(report, "credentials", credential), "deleted");
    ck_assert_str_ne(field_of("credentials", credential, "revoked_at"), "");
    ck_assert_str_eq(taken(report, "subscriptions", subscription), "deleted");
    ck_assert_str_eq(field_of("subscriptions", subscription, "state"), "\"revoked\"");
    json_decref(report);
    report = restore(); /* once more: the restored catalog knows it as well */
    ck_assert_str_eq(field_of("gateway-nodes", node, "state"), "\"revoked\"");
    ck_assert_ptr_null(t_get("gateway-nodes", gone));
    ck_assert_str_ne(field_of("credentials", credential, "revoked_at"), "");
    ck_assert_str_eq(field_of("subscriptions", subscription, "state"), "\"revoked\"");
    json_decref(report);
    free(subscription);
    free(credential);
    free(kept);
    free(gone);
    free(node);
}
END_TEST

static bool may_enrol(slc_txn *txn, void *arg, slc_error *err)
{
    return slc_pod_may_enrol(txn, arg, err);
}

START_TEST(a_pod_whose_node_was_revoked_stays_out)
{
    t_make_samples("backend-clusters");
    make_backup();
    char *joined_later = make_node();
    json_decref(t_act("gateway-nodes", joined_later, "revoke"));
    json_decref(restore());
    ck_assert(!t_read(may_enrol, joined_later, &t_error));
    ck_assert_int_eq(t_error.code, SLC_DENIED);
    free(joined_later);
}
END_TEST

START_TEST(a_suspended_subscription_that_was_revoked_cannot_be_resumed)
{
    t_make_samples(NULL);
    char *id = first_id("subscriptions");
    json_decref(t_act("subscriptions", id, "suspend"));
    make_backup();
    json_decref(t_act("subscriptions", id, "revoke"));
    json_t *report = restore();
    ck_assert_str_eq(taken(report, "subscriptions", id), "ended");
    t_act_fails("subscriptions", id, "resume", SLC_CONFLICT);
    json_decref(report);
    free(id);
}
END_TEST

START_TEST(ends_that_were_brought_forward_are_kept_and_later_ones_are_not)
{
    t_make_samples(NULL);
    char *credential = first_id("credentials"), *subscription = first_id("subscriptions");
    char *token = first_id("api-tokens");
    json_decref(t_patch("subscriptions", subscription, "{'expires_at': '2090-01-01T00:00:00Z'}"));
    make_backup();
    json_decref(t_patch("credentials", credential, "{'expires_at': '2080-01-01T00:00:00Z'}"));
    json_decref(t_patch("api-tokens", token, "{'expires_at': '2080-01-01T00:00:00Z'}"));
    json_decref(t_patch("subscriptions", subscription, "{'expires_at': '2099-01-01T00:00:00Z'}"));
    json_t *report = restore();
    ck_assert_str_eq(taken(report, "credentials", credential), "shortened");
    ck_assert_str_eq(field_of("credentials", credential, "expires_at"), "\"2080-01-01T00:00:00.000Z\"");
    ck_assert_str_eq(taken(report, "api-tokens", token), "shortened");
    ck_assert_str_eq(field_of("api-tokens", token, "expires_at"), "\"2080-01-01T00:00:00.000Z\"");
    ck_assert_str_eq(taken(report, "subscriptions", subscription), "");
    ck_assert_str_eq(field_of("subscriptions", subscription, "expires_at"), "\"2090-01-01T00:00:00.000Z\"");
    json_decref(report);
    free(token);
    free(subscription);
    free(credential);
}
END_TEST

START_TEST(rights_that_were_cut_stay_cut_and_those_that_were_given_go)
{
    t_make_samples("api-tokens");
    t_make("roles", "{'name': 'wide', 'permissions': ['*']}");
    t_make("users", "{'name': 'bob', 'roles': ['wide', 'viewer'], 'teams': ['platform']}");
    t_make("users", "{'name': 'eve', 'roles': ['viewer']}");
    json_t *token = t_create("api-tokens", "{'name': 'ci', 'scopes': ['teams:*', 'listeners:read']}");
    make_backup();
    json_decref(t_patch("roles", "wide", "{'permissions': ['teams:*', 'listeners:read']}"));
    json_decref(t_patch("roles", "operator", "{'permissions': ['listeners:*', 'teams:read', 'users:read']}"));
    json_decref(t_patch("users", "bob", "{'roles': ['viewer', 'developer'], 'teams': []}"));
    t_delete("users", "eve");
    json_decref(t_patch("api-tokens", t_text(token, "id"), "{'scopes': ['teams:read', 'products:read']}"));
    json_t *report = restore();
    ck_assert_str_eq(taken(report, "roles", "wide"), "permissions cut");
    ck_assert_str_eq(field_of("roles", "wide", "permissions"), "[\"teams:*\",\"listeners:read\"]");
    ck_assert_str_eq(taken(report, "roles", "operator"), "");
    ck_assert_str_eq(field_of("roles", "operator", "permissions"), "[\"listeners:*\",\"teams:read\"]");
    ck_assert_str_eq(field_of("users", "bob", "roles"), "[\"viewer\"]");
    ck_assert_str_eq(field_of("users", "bob", "teams"), "");
    ck_assert_str_eq(field_of("users", "ann", "roles"), "[\"operator\",\"viewer\"]");
    ck_assert_str_eq(taken(report, "users", "ann"), "");
    ck_assert_str_eq(taken(report, "users", "eve"), "deleted");
    ck_assert_str_eq(field_of("users", "eve", "disabled"), "true");
    ck_assert_str_eq(taken(report, "api-tokens", t_text(token, "id")), "scopes cut");
    ck_assert_str_eq(field_of("api-tokens", t_text(token, "id"), "scopes"), "[\"teams:read\"]");
    json_t *again = json_object_get(report, "revoked_again");
    ck_assert_int_eq(json_integer_value(json_object_get(again, "users")), 3);
    ck_assert_int_eq(json_integer_value(json_object_get(again, "roles")), 1);
    ck_assert_ptr_nonnull(json_object_get(again, "subscriptions"));
    json_decref(report);
    json_decref(token);
}
END_TEST

START_TEST(what_admits_somebody_and_holds_again_is_named)
{
    t_make_samples(NULL);
    char *grant = first_id("grants"), *issuer = first_id("issuers");
    make_backup();
    json_decref(t_patch("deployments", "orders.v1@dev", "{'topic': 'elsewhere'}")); /* rests on it */
    json_decref(t_patch("grants", grant, "{'operations': ['read']}"));
    json_decref(t_patch("issuers", issuer, "{'jwks_url': 'https://elsewhere.example/keys'}"));
    json_t *report = restore();
    ck_assert(is_returned(report, "grants"));
    ck_assert(is_returned(report, "issuers"));
    ck_assert(!is_returned(report, "enrolment-rules"));
    json_decref(report);
    char *rule = first_id("enrolment-rules");
    t_delete("enrolment-rules", rule);
    report = restore();
    ck_assert(is_returned(report, "enrolment-rules"));
    json_decref(report);
    free(rule);
    free(issuer);
    free(grant);
}
END_TEST

static bool begin_session(slc_txn *txn, void *arg, slc_error *err)
{
    slc_session_limits limits = {.idle_ms = 3600000, .absolute_ms = 86400000, .per_user = 5};
    slc_session_facts facts = {.address = "192.0.2.1"};
    char secret[SLC_SESSION_SECRET_CHARS + 1];
    return slc_session_begin(txn, arg, &limits, &facts, secret, err);
}

static bool set_password(slc_txn *txn, void *arg, slc_error *err)
{
    return slc_txn_exec(
        txn, err,
        "INSERT OR REPLACE INTO user_passwords SELECT id, ?1, (SELECT count(*) FROM audit_events) "
        "FROM users",
        "s", (const char *)arg);
}

START_TEST(people_sign_in_anew_with_the_password_that_they_had_last)
{
    t_make_samples("gateway-groups");
    json_decref(t_patch("users", "ann", "{'owned_teams': ['platform']}"));
    char *id = slc_strdup(t_sql("SELECT id FROM users WHERE name = 'ann'"));
    ck_assert(t_write(begin_session, id, &t_error));
    ck_assert(t_write(set_password, "older", &t_error));
    make_backup();
    json_decref(t_patch("users", "ann", "{'owned_teams': []}"));
    ck_assert(t_write(set_password, "newer", &t_error));
    json_t *report = restore(), *people = json_object_get(report, "people");
    ck_assert_int_eq(json_integer_value(json_object_get(people, "sessions_ended")), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(people, "invitations_voided")), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(people, "passwords_kept")), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(people, "owned_teams_cut")), 1);
    json_decref(report);
    ck_assert_str_eq(t_sql("SELECT count(*) FROM sessions"), "0");
    ck_assert_str_eq(t_sql("SELECT count(*) FROM invitations"), "0");
    ck_assert_str_eq(t_sql("SELECT hash FROM user_passwords"), "newer");
    ck_assert_str_eq(t_sql("SELECT count(*) FROM users_owned_teams"), "0");
    free(id);
}
END_TEST

START_TEST(each_is_in_the_audit_trail)
{
    t_make_samples(NULL);
    char *id = first_id("credentials");
    make_backup();
    t_delete("credentials", id);
    json_decref(restore());
    char *sql = slc_asprintf("SELECT action || ' ' || json_extract(actor, '$.name') || ' ' || changes FROM "
                             "audit_events WHERE entity_id = '%s' ORDER BY seq DESC LIMIT 1",
                             id);
    ck_assert_str_eq(t_sql(sql), "revoke restore {\"restore\":{\"to\":\"deleted\"}}");
    free(sql);
    free(id);
}
END_TEST

/* ---- one restore after another ---- */

struct taken_away {
    char older[200], newer[200];
    char *credential, *deleted, *token, *subscription, *node;
};

/* An older backup, a newer one with all that is then taken away. */
static void take_away(struct taken_away *all)
{
    snprintf(all->older, sizeof(all->older), "%s/older.db", t_dir);
    snprintf(all->newer, sizeof(all->newer), "%s/newer.db", t_dir);
    t_make("teams", "{'name': 'early'}");
    make_backup_as(all->older);
    t_make_samples(NULL);
    t_make("users", "{'name': 'bob', 'roles': ['operator', 'viewer']}");
    all->credential = first_id("credentials");
    json_t *made = t_create("credentials", "{'application': 'demo', 'type': 'secret'}");
    all->deleted = slc_strdup(t_text(made, "id"));
    json_decref(made);
    made = t_create("api-tokens", "{'name': 'leaked', 'scopes': ['*']}");
    all->token = slc_strdup(t_text(made, "id"));
    json_decref(made);
    all->subscription = first_id("subscriptions");
    all->node = make_node();
    make_backup_as(all->newer);
    json_decref(t_act("credentials", all->credential, "revoke"));
    t_delete("credentials", all->deleted);
    t_delete("api-tokens", all->token);
    json_decref(t_act("subscriptions", all->subscription, "suspend"));
    json_decref(t_act("gateway-nodes", all->node, "revoke"));
    json_decref(t_patch("users", "ann", "{'disabled': true}"));
    json_decref(t_patch("users", "bob", "{'roles': ['viewer']}"));
    json_decref(t_patch("roles", "operator", "{'permissions': ['teams:read']}"));
}

static void forget_taken_away(struct taken_away *all)
{
    free(all->credential);
    free(all->deleted);
    free(all->token);
    free(all->subscription);
    free(all->node);
}

static void ck_still_taken_away(const struct taken_away *all)
{
    ck_assert_str_ne(field_of("credentials", all->credential, "revoked_at"), "");
    ck_assert_str_ne(field_of("credentials", all->deleted, "revoked_at"), "");
    ck_assert_str_ne(field_of("api-tokens", all->token, "expires_at"), "");
    ck_assert_str_eq(field_of("subscriptions", all->subscription, "state"), "\"suspended\"");
    ck_assert_str_eq(field_of("gateway-nodes", all->node, "state"), "\"revoked\"");
    ck_assert_str_eq(field_of("users", "ann", "disabled"), "true");
    ck_assert_str_eq(field_of("users", "bob", "roles"), "[\"viewer\"]");
    ck_assert_str_eq(field_of("roles", "operator", "permissions"), "[\"teams:read\"]");
}

START_TEST(an_older_backup_in_between_makes_nothing_valid_again)
{
    struct taken_away all;
    take_away(&all);
    ck_assert(is_compared(restore_with(all.older, false)));
    ck_assert_ptr_null(t_get("credentials", all.credential));
    ck_assert(is_compared(restore_with(all.older, false))); /* and once more */
    make_backup();                                          /* of a catalog that has only been told */
    json_t *report = restore_with(all.newer, false);
    ck_assert_str_eq(taken(report, "api-tokens", all.token), "deleted");
    ck_assert_str_eq(taken(report, "gateway-nodes", all.node), "revoked");
    ck_assert(is_compared(report));
    ck_still_taken_away(&all);
    ck_assert(is_compared(restore()));
    ck_assert(is_compared(restore_with(all.newer, false)));
    ck_still_taken_away(&all);
    forget_taken_away(&all);
}
END_TEST

START_TEST(undoing_revocations_spares_what_the_backup_does_not_have)
{
    struct taken_away all;
    take_away(&all);
    json_decref(restore_with(all.older, true));
    json_decref(restore_with(all.newer, false));
    ck_still_taken_away(&all);
    json_decref(restore_with(all.newer, true));
    ck_assert_str_eq(field_of("users", "ann", "disabled"), "false");
    json_decref(restore_with(all.newer, false)); /* what was undone stays so */
    ck_assert_str_eq(field_of("users", "ann", "disabled"), "false");
    forget_taken_away(&all);
}
END_TEST

START_TEST(a_catalog_that_does_not_know_it_all_does_not_claim_to)
{
    struct taken_away all;
    take_away(&all);
    char *kept = slc_strdup(t_path("aside.db"));
    t_close();
    ck_assert_int_eq(rename(t_path("catalog.db"), kept), 0);
    t_open(); /* a new, empty one: as after the loss of a volume */
    ck_assert(!is_compared(restore_with(all.newer, false)));
    ck_assert(!is_compared(restore_with(all.older, false))); /* the rest of that era is not known */
    make_backup();
    ck_assert(is_compared(restore())); /* of this one everything is */
    t_close();
    ck_assert_int_eq(rename(kept, t_path("catalog.db")), 0);
    t_open(); /* by hand: it knows its own time */
    ck_assert(is_compared(restore_with(all.newer, false)));
    ck_still_taken_away(&all);
    free(kept);
    forget_taken_away(&all);
}
END_TEST

START_TEST(a_branch_that_was_put_in_place_by_hand_does_not_claim_to_know)
{
    struct taken_away all;
    take_away(&all);
    t_close();
    unlink(t_path("catalog.db"));
    ck_assert_int_eq(rename(all.older, t_path("catalog.db")), 0);
    t_open();
    for (int i = 0; i < 100; i++) { /* its revision is beyond that of the other branch's backup */
        char team[40];
        snprintf(team, sizeof(team), "{'name': 'more-%d'}", i);
        t_make("teams", team);
    }
    ck_assert(!is_compared(restore_with(all.newer, false)));
    forget_taken_away(&all);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("catalog/restore_carry");
    TCase *tc = tcase_create("carry");
    tcase_add_checked_fixture(tc, setup, t_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, what_was_revoked_and_then_deleted_does_not_come_back);
    tcase_add_test(tc, a_pod_whose_node_was_revoked_stays_out);
    tcase_add_test(tc, a_suspended_subscription_that_was_revoked_cannot_be_resumed);
    tcase_add_test(tc, ends_that_were_brought_forward_are_kept_and_later_ones_are_not);
    tcase_add_test(tc, rights_that_were_cut_stay_cut_and_those_that_were_given_go);
    tcase_add_test(tc, what_admits_somebody_and_holds_again_is_named);
    tcase_add_test(tc, an_older_backup_in_between_makes_nothing_valid_again);
    tcase_add_test(tc, undoing_revocations_spares_what_the_backup_does_not_have);
    tcase_add_test(tc, a_catalog_that_does_not_know_it_all_does_not_claim_to);
    tcase_add_test(tc, a_branch_that_was_put_in_place_by_hand_does_not_claim_to_know);
    tcase_add_test(tc, people_sign_in_anew_with_the_password_that_they_had_last);
    tcase_add_test(tc, each_is_in_the_audit_trail);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
