/* Entities of every kind, driven by the table of kinds and the samples. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

static const char *key_of(const struct sample *sample, const json_t *made)
{
    return sample->key != NULL ? sample->key : t_text(made, "id");
}

/* Does every value of `wanted` appear in `found`? Objects are compared by their members. */
static bool includes(const json_t *found, const json_t *wanted)
{
    const char *name;
    json_t *value;
    if (!json_is_object(wanted))
        return json_equal(found, wanted);
    json_object_foreach ((json_t *)wanted, name, value) {
        if (!includes(json_object_get(found, name), value))
            return false;
    }
    return true;
}

static void without_secrets(const slc_field *fields, json_t *body)
{
    for (const slc_field *field = fields; field->name != NULL; field++) {
        if ((field->flags & (SLC_F_SECRET | SLC_F_WRITE_ONLY)) != 0)
            json_object_del(body, field->name);
        else if (field->fields != NULL && json_is_object(json_object_get(body, field->name)))
            without_secrets(field->fields, json_object_get(body, field->name));
    }
}

START_TEST(every_kind_can_be_created_and_read_back)
{
    for (const struct sample *sample = t_samples; sample->kind != NULL; sample++) {
        json_t *made = t_create(sample->kind, sample->body);
        json_t *body = t_json(sample->body);
        without_secrets(slc_kind_find(sample->kind)->fields, body);
        ck_assert_msg(includes(made, body), "%s: %s", sample->kind, json_dumps(made, 0));
        ck_assert_uint_eq(strlen(t_text(made, "id")), 16);
        ck_assert_str_eq(t_text(made, "manager"), "api");
        json_t *got = t_get(sample->kind, key_of(sample, made));
        json_t *by_id = t_get(sample->kind, t_text(made, "id"));
        ck_assert(includes(made, got)); /* the creation may show more, once */
        ck_assert(json_equal(got, by_id));
        json_decref(by_id);
        json_decref(got);
        json_decref(body);
        json_decref(made);
    }
}
END_TEST

START_TEST(what_was_read_can_be_put_back_without_a_change)
{
    t_make_samples(NULL);
    for (const slc_kind *const *kind = slc_kinds(); *kind != NULL; kind++) {
        if (((*kind)->flags & SLC_KIND_UPDATE) == 0)
            continue;
        json_t *list = t_list((*kind)->name, NULL, 0, NULL);
        size_t index;
        json_t *item;
        json_array_foreach (json_object_get(list, "items"), index, item) {
            char *text = json_dumps(item, 0);
            json_t *whole = t_get((*kind)->name, t_text(item, "id")); /* lists leave out what is large */
            json_t *same = t_put((*kind)->name, t_text(item, "id"), text);
            ck_assert_msg(includes(whole, item), "%s %s", (*kind)->name, text);
            ck_assert_msg(json_equal(whole, same), "%s %s", (*kind)->name, text);
            json_decref(whole);
            json_decref(same);
            free(text);
        }
        json_decref(list);
    }
}
END_TEST

START_TEST(every_kind_can_be_patched)
{
    t_make_samples(NULL);
    for (const struct sample *sample = t_samples; sample->kind != NULL; sample++) {
        json_t *list = t_list(sample->kind, NULL, 0, NULL);
        json_t *items = json_object_get(list, "items");
        json_t *made = json_array_get(items, json_array_size(items) - 1);
        const char *key = key_of(sample, made);
        if (sample->patch != NULL) {
            json_t *patched = t_patch(sample->kind, key, sample->patch);
            json_t *again = t_patch(sample->kind, key, sample->patch);
            ck_assert_int_gt(json_integer_value(json_object_get(patched, "revision")),
                             json_integer_value(json_object_get(made, "revision")));
            ck_assert_msg(json_equal(patched, again), "%s", sample->kind);
            json_decref(again);
            json_decref(patched);
        }
        json_decref(list);
    }
}
END_TEST

START_TEST(every_kind_refuses_what_it_does_not_know)
{
    t_make_samples(NULL);
    for (const struct sample *sample = t_samples; sample->kind != NULL; sample++) {
        json_t *body = t_json(sample->body);
        json_object_set_new(body, "colour", json_string("red"));
        char *text = json_dumps(body, 0);
        t_create_fails(sample->kind, text, SLC_INVALID, "/colour");
        free(text);
        json_decref(body);
        t_create_fails(sample->kind, "[]", SLC_INVALID, "");
        t_create_fails(sample->kind, "'x'", SLC_INVALID, "");
    }
}
END_TEST

START_TEST(every_required_field_is_missed)
{
    t_make_samples(NULL);
    for (const struct sample *sample = t_samples; sample->kind != NULL; sample++) {
        const slc_field *field = slc_kind_find(sample->kind)->fields;
        for (; field->name != NULL; field++) {
            if ((field->flags & SLC_F_REQUIRED) == 0)
                continue;
            json_t *body = t_json(sample->body);
            json_object_del(body, field->name);
            char *text = json_dumps(body, 0);
            char pointer[64];
            snprintf(pointer, sizeof(pointer), "/%s", field->name);
            t_create_fails(sample->kind, text, SLC_INVALID, pointer);
            free(text);
            json_decref(body);
        }
    }
}
END_TEST

/* A value of a type that no field of that type takes. */
static json_t *wrong_value(const slc_field *field)
{
    switch (field->type) {
    case SLC_F_STRING:
    case SLC_F_TEXT:
    case SLC_F_ENUM:
    case SLC_F_REF:
    case SLC_F_BOOL:
    case SLC_F_TIMESTAMP:
    case SLC_F_DURATION:
        return json_integer(7);
    default:
        return json_string("no such value");
    }
}

START_TEST(every_field_refuses_a_value_of_another_type)
{
    t_make_samples(NULL);
    for (const struct sample *sample = t_samples; sample->kind != NULL; sample++) {
        const slc_field *field = slc_kind_find(sample->kind)->fields;
        for (; field->name != NULL; field++) {
            if ((field->flags & (SLC_F_READ_ONLY | SLC_F_HIDDEN)) != 0)
                continue;
            json_t *body = t_json(sample->body);
            json_object_set_new(body, field->name, wrong_value(field));
            char *text = json_dumps(body, 0);
            char pointer[64];
            snprintf(pointer, sizeof(pointer), "/%s", field->name);
            t_create_fails(sample->kind, text, SLC_INVALID, pointer);
            free(text);
            json_decref(body);
        }
    }
}
END_TEST

START_TEST(every_kind_can_be_deleted_when_nothing_refers_to_it)
{
    t_make_samples(NULL);
    size_t count = 0;
    while (t_samples[count].kind != NULL)
        count++;
    while (count-- > 0) {
        json_t *list = t_list(t_samples[count].kind, NULL, 0, NULL);
        size_t index;
        json_t *item;
        json_array_foreach (json_object_get(list, "items"), index, item) {
            if (json_is_true(json_object_get(item, "built_in")))
                continue;
            t_delete(t_samples[count].kind, t_text(item, "id"));
            ck_assert_ptr_null(t_get(t_samples[count].kind, t_text(item, "id")));
            ck_assert_int_eq(t_error.code, SLC_NOT_FOUND);
        }
        json_decref(list);
    }
}
END_TEST

static bool delete_group(slc_txn *txn, void *arg, slc_error *err)
{
    return slc_entity_delete(txn, slc_kind_find("gateway-groups"), "dev", -1, arg, err);
}

START_TEST(a_deletion_lists_every_referrer)
{
    json_t *referrers = NULL;
    t_make_samples(NULL);
    ck_assert(!t_write(delete_group, &referrers, &t_error));
    ck_assert_int_eq(t_error.code, SLC_CONFLICT);
    ck_assert_uint_eq(json_array_size(referrers),
                      3); /* listener, rule, deployment; not the token that it owns */
    ck_assert_str_eq(t_text(json_array_get(referrers, 0), "kind"), "listeners");
    ck_assert_str_eq(t_text(json_array_get(referrers, 0), "key"), "edge");
    json_decref(referrers);
    t_delete_fails("event-apis", "orders.v1", SLC_CONFLICT);   /* link table, policy scope */
    t_delete_fails("schema-registries", "main", SLC_CONFLICT); /* inside an object */
    t_delete("policies", "pages");
    t_delete("deployments", "orders.v1@dev");
    t_delete("listeners", "edge");
    t_delete("enrolment-rules", "pods");
    t_delete("gateway-groups", "dev");
    ck_assert_str_eq(t_sql("SELECT count(*) FROM enrolment_tokens"), "0");
    ck_assert_str_eq(
        t_sql("SELECT count(*) FROM audit_events WHERE kind = 'enrolment-tokens' AND action = 'delete'"), "1");
}
END_TEST

/* ---- single rules of the generic part ---- */

START_TEST(names_are_unique_and_fixed)
{
    t_make("teams", "{'name': 'a'}");
    t_create_fails("teams", "{'name': 'a'}", SLC_CONFLICT, "/name");
    t_patch_fails("teams", "a", "{'name': 'b'}", SLC_INVALID, "/name");
    const char *bad[] = {
        "", "A", "a_b", "-a", "a-", "a.b", "0123456789012345678901234567890123456789012345678901234567890123"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char body[128];
        snprintf(body, sizeof(body), "{'name': '%s'}", bad[i]);
        t_create_fails("teams", body, SLC_INVALID, "/name");
    }
    t_make("teams", "{'name': '0'}");
}
END_TEST

START_TEST(other_unique_fields_are_checked)
{
    t_make("users", "{'name': 'a', 'email': 'a@example.com'}");
    t_create_fails("users", "{'name': 'b', 'email': 'a@example.com'}", SLC_CONFLICT, "/email");
    t_make("users", "{'name': 'b'}");
    t_make("users", "{'name': 'c'}"); /* absent twice is no clash */
    t_patch_fails("users", "b", "{'email': 'a@example.com'}", SLC_CONFLICT, "/email");
    json_decref(t_patch("users", "a", "{'title': 'A', 'email': 'a@example.com'}"));
}
END_TEST

START_TEST(pointers_lead_into_objects_and_lists)
{
    t_make_samples("backend-clusters");
    t_create_fails("backend-clusters", "{'name': 'x', 'bootstrap_servers': ['a:1', 'b:99999']}", SLC_INVALID,
                   "/bootstrap_servers/1");
    t_create_fails("backend-clusters", "{'name': 'x', 'bootstrap_servers': ['a:1', 'a:1']}", SLC_INVALID,
                   "/bootstrap_servers/1");
    t_create_fails("backend-clusters", "{'name': 'x', 'bootstrap_servers': []}", SLC_INVALID,
                   "/bootstrap_servers");
    t_create_fails("backend-clusters", "{'name': 'x', 'bootstrap_servers': ['a:1'], 'tls': {'a~/b': 1}}",
                   SLC_INVALID, "/tls/a~0~1b");
    t_create_fails("backend-clusters",
                   "{'name': 'x', 'bootstrap_servers': ['a:1'], 'options': {'connect_timeout': "
                   "'5'}}",
                   SLC_INVALID, "/options/connect_timeout");
    t_create_fails("teams", "{'name': 'x', 'labels': {'a': 1}}", SLC_INVALID, "/labels/a");
    t_create_fails("users", "{'name': 'x', 'roles': ['viewer', 'nobody']}", SLC_INVALID, "/roles/1");
}
END_TEST

struct problems {
    const char *body;
    json_t *found;
};

static bool create_user(slc_txn *txn, void *arg, slc_error *err)
{
    struct problems *problems = arg;
    json_t *body = t_json(problems->body);
    json_t *made = slc_entity_create(txn, slc_kind_find("users"), body, err);
    problems->found = json_deep_copy(slc_txn_problems(txn));
    json_decref(made);
    json_decref(body);
    return made != NULL;
}

START_TEST(all_problems_are_told_at_once)
{
    struct problems problems = {.body = "{'name': 'A', 'email': 'x', 'disabled': 1, 'shoe': 2}"};
    ck_assert(!t_write(create_user, &problems, &t_error));
    ck_assert_uint_eq(json_array_size(problems.found), 4);
    ck_assert_str_eq(t_text(json_array_get(problems.found, 0), "pointer"), t_error.field);
    json_decref(problems.found);
}
END_TEST

START_TEST(read_only_fields_cannot_be_set)
{
    t_create_fails("teams", "{'name': 'a', 'id': 'x'}", SLC_INVALID, "/id");
    t_create_fails("roles", "{'name': 'a', 'permissions': [], 'built_in': true}", SLC_INVALID, "/built_in");
    t_make("teams", "{'name': 'a'}");
    t_patch_fails("teams", "a", "{'manager': 'me'}", SLC_INVALID, "/manager");
    t_patch_fails("teams", "a", "{'created_at': '2020-01-01T00:00:00Z'}", SLC_INVALID, "/created_at");
    t_create_fails("credentials", "{'lookup': 'x'}", SLC_INVALID, "/lookup"); /* hidden: not even known */
}
END_TEST

struct conditional {
    int64_t if_match;
    const char *body;
    bool deletion;
};

static bool update_team(slc_txn *txn, void *arg, slc_error *err)
{
    const struct conditional *c = arg;
    if (c->deletion)
        return slc_entity_delete(txn, slc_kind_find("teams"), "a", c->if_match, NULL, err);
    json_t *body = t_json(c->body);
    json_t *answer = slc_entity_update(txn, slc_kind_find("teams"), "a", body, false, c->if_match, err);
    json_decref(body);
    json_decref(answer);
    return answer != NULL;
}

static enum slc_code try_team(int64_t if_match, const char *body)
{
    struct conditional c = {.if_match = if_match, .body = body, .deletion = body == NULL};
    return t_write(update_team, &c, &t_error) ? SLC_OK : t_error.code;
}

START_TEST(an_update_needs_the_revision_unless_nothing_changes)
{
    json_t *made = t_create("teams", "{'name': 'a', 'title': 'A'}");
    int64_t revision = json_integer_value(json_object_get(made, "revision"));
    json_decref(made);
    ck_assert_int_eq(try_team(-1, "{'title': 'B'}"), SLC_STALE);
    ck_assert_int_eq(try_team(revision - 1, "{'title': 'B'}"), SLC_STALE);
    ck_assert_int_eq(try_team(-1, "{'name': 'a', 'title': 'A'}"), SLC_OK);
    ck_assert_int_eq(try_team(revision - 1, "{'title': 'A'}"), SLC_OK);
    ck_assert_int_eq(try_team(revision, "{'title': 'B'}"), SLC_OK);
    ck_assert_int_eq(try_team(revision, "{'title': 'C'}"), SLC_STALE);
    ck_assert_int_eq(try_team(revision, NULL), SLC_STALE);
    ck_assert_int_eq(try_team(-1, NULL), SLC_OK);
}
END_TEST

START_TEST(a_put_replaces_and_a_patch_merges)
{
    t_make("gateway-groups",
           "{'name': 'g', 'environment': 'dev', 'title': 'T', 'max_staleness': '60s', 'labels': "
           "{'a': '1', 'b': '2'}}");
    json_t *patched = t_patch("gateway-groups", "g", "{'title': null, 'labels': {'a': null, 'c': '3'}}");
    ck_assert_ptr_null(json_object_get(patched, "title"));
    ck_assert_str_eq(t_text(patched, "max_staleness"), "1m");
    json_t *labels = t_json("{'b': '2', 'c': '3'}");
    ck_assert(json_equal(json_object_get(patched, "labels"), labels));
    json_t *put = t_put("gateway-groups", "g", "{'environment': 'prod'}");
    ck_assert_ptr_null(json_object_get(put, "labels"));
    ck_assert_ptr_null(json_object_get(put, "max_staleness"));
    ck_assert_str_eq(t_text(put, "name"), "g");
    json_decref(put);
    json_decref(labels);
    json_decref(patched);
    t_put_fails("gateway-groups", "g", "{'title': 'x'}", SLC_INVALID, "/environment");
    t_patch_fails("gateway-groups", "g", "{'environment': null}", SLC_INVALID, "/environment");
    t_patch_fails("gateway-groups", "g", "[]", SLC_INVALID, "");
}
END_TEST

START_TEST(numbers_texts_and_times_have_bounds)
{
    t_make_samples("event-apis");
#define API "{'name': 'x', 'team': 'platform', 'operations': ['read'], 'exposures': ['rest'], %s}"
    const struct {
        const char *field, *pointer;
    } bad[] = {
        {"'major': 0", "/major"},
        {"'major': 1.5", "/major"},
        {"'major': 1e300", "/major"},
        {"'major': 1, 'max_event_bytes': 0", "/max_event_bytes"},
        {"'major': 1, 'sunset_at': 'tomorrow'", "/sunset_at"},
        {"'major': 1, 'title': 'a\\nb'", "/title"},
        {"'major': 1, 'tags': ['Not A Name']", "/tags/0"},
        {"'major': 1, 'lifecycle': 'gone'", "/lifecycle"},
        {"'major': 1, 'key': {'source': 'json_pointer', 'pointer': 'x'}", "/key/pointer"},
    };
    char body[400];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(body, sizeof(body), API, bad[i].field);
        t_create_fails("event-apis", body, SLC_INVALID, bad[i].pointer);
    }
    snprintf(body, sizeof(body), API, "'major': 2.0");
    t_make("event-apis", body); /* an integer, as JSON Schema sees it */
}
END_TEST

START_TEST(every_change_is_audited)
{
    t_actor.request_id = "req-1";
    t_make("teams", "{'name': 'a', 'title': 'A'}");
    json_decref(t_patch("teams", "a", "{'title': 'B'}"));
    json_decref(t_patch("teams", "a", "{'title': 'B'}")); /* changes nothing */
    t_delete("teams", "a");
    json_t *list = t_list("audit-events", "{'kind': 'teams'}", 0, NULL);
    json_t *items = json_object_get(list, "items");
    ck_assert_uint_eq(json_array_size(items), 3);
    json_t *update = json_array_get(items, 1);
    json_t *changes = t_json("{'title': {'from': 'A', 'to': 'B'}}");
    ck_assert_str_eq(t_text(json_array_get(items, 0), "action"), "delete");
    ck_assert_str_eq(t_text(update, "action"), "update");
    ck_assert_str_eq(t_text(update, "ref"), "a");
    ck_assert_str_eq(t_text(update, "request_id"), "req-1");
    ck_assert_str_eq(t_text(json_object_get(update, "actor"), "kind"), "token");
    ck_assert(json_equal(json_object_get(update, "changes"), changes));
    json_decref(changes);
    json_decref(list);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("catalog/entity");
    TCase *tc = tcase_create("every kind");
    tcase_add_checked_fixture(tc, t_setup, t_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, every_kind_can_be_created_and_read_back);
    tcase_add_test(tc, what_was_read_can_be_put_back_without_a_change);
    tcase_add_test(tc, every_kind_can_be_patched);
    tcase_add_test(tc, every_kind_refuses_what_it_does_not_know);
    tcase_add_test(tc, every_required_field_is_missed);
    tcase_add_test(tc, every_field_refuses_a_value_of_another_type);
    tcase_add_test(tc, every_kind_can_be_deleted_when_nothing_refers_to_it);
    suite_add_tcase(s, tc);
    TCase *one = tcase_create("fields");
    tcase_add_checked_fixture(one, t_setup, t_teardown);
    tcase_set_timeout(one, 60);
    tcase_add_test(one, a_deletion_lists_every_referrer);
    tcase_add_test(one, names_are_unique_and_fixed);
    tcase_add_test(one, other_unique_fields_are_checked);
    tcase_add_test(one, pointers_lead_into_objects_and_lists);
    tcase_add_test(one, all_problems_are_told_at_once);
    tcase_add_test(one, read_only_fields_cannot_be_set);
    tcase_add_test(one, an_update_needs_the_revision_unless_nothing_changes);
    tcase_add_test(one, a_put_replaces_and_a_patch_merges);
    tcase_add_test(one, numbers_texts_and_times_have_bounds);
    tcase_add_test(one, every_change_is_audited);
    suite_add_tcase(s, one);
    return s;
}

TEST_MAIN(suite)
