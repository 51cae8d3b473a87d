/* Which request reaches which route, what it needs, and that the document says the same. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/admin/admin.h"
#include "controlplane/admin/handlers.h"
#include "controlplane/admin/route.h"

static const slc_route *match(const char *method, const char *path, slc_route_target *target, char *allow)
{
    memset(target, 0, sizeof *target);
    return slc_route_match(method, path, target, allow, 64);
}

START_TEST(a_collection_and_a_member_are_told_apart)
{
    slc_route_target target;
    char allow[64];
    ck_assert(match("GET", "/v1/teams", &target, allow)->run == slc_route_list);
    ck_assert_str_eq(target.kind->name, "teams");
    ck_assert(match("GET", "/v1/event-apis/orders.v1", &target, allow)->run == slc_route_get);
    ck_assert_str_eq(target.key, "orders.v1");
    ck_assert(match("POST", "/v1/subscriptions/abc/approve", &target, allow)->run == slc_route_act);
    ck_assert_str_eq(target.action, "approve");
}
END_TEST

START_TEST(an_unknown_path_has_no_methods)
{
    static const char *const paths[] = {
        "/",         "/v1",        "/v1/",     "/v1/nothing",          "/v1/teams/", "/v1/teams/a/b",
        "/v2/teams", "/v1//teams", "v1/teams", "/v1/teams/a/approve/x"};
    slc_route_target target;
    char allow[64];
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        ck_assert_msg(match("GET", paths[i], &target, allow) == NULL, "%s matched", paths[i]);
        ck_assert_msg(allow[0] == '\0', "%s allows %s", paths[i], allow);
    }
}
END_TEST

START_TEST(a_wrong_method_lists_the_right_ones)
{
    slc_route_target target;
    char allow[64];
    ck_assert_ptr_null(match("PUT", "/v1/teams", &target, allow));
    ck_assert_str_eq(allow, "GET, POST");
    ck_assert_ptr_null(match("POST", "/v1/audit-events", &target, allow));
    ck_assert_str_eq(allow, "GET");
    ck_assert_ptr_null(match("GET", "/v1/subscriptions/abc/approve", &target, allow));
    ck_assert_str_eq(allow, "POST");
}
END_TEST

START_TEST(permissions_follow_the_kind_and_the_action)
{
    slc_route_target target;
    char allow[64], permission[96];
    const slc_route *route = match("DELETE", "/v1/listeners/edge", &target, allow);
    slc_route_permission(route, &target, permission, sizeof permission);
    ck_assert_str_eq(permission, "listeners:write");
    route = match("POST", "/v1/subscriptions/abc/approve", &target, allow);
    slc_route_permission(route, &target, permission, sizeof permission);
    ck_assert_str_eq(permission, "subscriptions:approve");
    route = match("GET", "/health/live", &target, allow);
    slc_route_permission(route, &target, permission, sizeof permission);
    ck_assert_str_eq(permission, SLC_PERMISSION_OPEN);
}
END_TEST

START_TEST(every_permission_of_the_document_is_known)
{
    json_t *document = slc_openapi_document();
    const char *path, *method;
    json_t *item, *operation;
    size_t count = 0;
    ck_assert_ptr_nonnull(document);
    json_object_foreach (json_object_get(document, "paths"), path, item) {
        json_object_foreach (item, method, operation) {
            const char *permission = json_string_value(json_object_get(operation, "x-permission"));
            ck_assert_ptr_nonnull(permission);
            bool special =
                strcmp(permission, SLC_PERMISSION_OPEN) == 0 || strcmp(permission, SLC_PERMISSION_ANY) == 0;
            ck_assert_msg(special || slc_permission_known(permission), "%s %s needs %s", method, path,
                          permission);
            count++;
        }
    }
    ck_assert_uint_gt(count, 80);
    json_decref(document);
}
END_TEST

START_TEST(operation_ids_are_unique)
{
    json_t *document = slc_openapi_document(), *seen = json_object(), *item, *operation;
    const char *path, *method;
    json_object_foreach (json_object_get(document, "paths"), path, item) {
        json_object_foreach (item, method, operation) {
            const char *id = json_string_value(json_object_get(operation, "operationId"));
            ck_assert_msg(json_object_get(seen, id) == NULL, "%s twice", id);
            json_object_set_new(seen, id, json_true());
        }
    }
    json_decref(seen);
    json_decref(document);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("admin routes");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_collection_and_a_member_are_told_apart);
    tcase_add_test(tcase, an_unknown_path_has_no_methods);
    tcase_add_test(tcase, a_wrong_method_lists_the_right_ones);
    tcase_add_test(tcase, permissions_follow_the_kind_and_the_action);
    tcase_add_test(tcase, every_permission_of_the_document_is_known);
    tcase_add_test(tcase, operation_ids_are_unique);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
