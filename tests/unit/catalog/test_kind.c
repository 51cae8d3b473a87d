/* The table of kinds is consistent in itself and with the schema. */
#include <stdio.h>
#include <string.h>

#include "catalog/entity.h"
#include "fixture.h"

static size_t position(const char *name)
{
    size_t i = 0;
    while (slc_kinds()[i] != NULL && strcmp(slc_kinds()[i]->name, name) != 0)
        i++;
    return i;
}

static void check_fields(const slc_kind *kind, const slc_field *fields)
{
    for (const slc_field *field = fields; field->name != NULL; field++) {
        int64_t min, max;
        slc_field_bounds(field, &min, &max);
        ck_assert_msg(min <= max, "%s.%s", kind->name, field->name);
        ck_assert_msg(field->help != NULL, "%s.%s has no help", kind->name, field->name);
        bool is_enum = field->type == SLC_F_ENUM || field->type == SLC_F_ENUM_LIST;
        ck_assert_msg(is_enum == (field->values != NULL), "%s.%s", kind->name, field->name);
        bool is_object = field->type == SLC_F_OBJECT || field->type == SLC_F_OBJECT_LIST;
        ck_assert_msg(is_object == (field->fields != NULL), "%s.%s", kind->name, field->name);
        if (field->ref != NULL) {
            ck_assert_ptr_nonnull(slc_kind_find(field->ref));
            ck_assert_msg(position(field->ref) < position(kind->name) || (kind->flags & SLC_KIND_LOG) != 0,
                          "%s refers to the later %s", kind->name, field->ref);
        }
        if (field->fields != NULL)
            check_fields(kind, field->fields);
    }
}

START_TEST(fields_are_declared_completely)
{
    for (const slc_kind *const *kind = slc_kinds(); *kind != NULL; kind++) {
        ck_assert_ptr_eq(slc_kind_find((*kind)->name), *kind);
        ck_assert(*(*kind)->help != '\0' && (*kind)->schema != NULL && (*kind)->singular != NULL);
        check_fields(*kind, (*kind)->fields);
        check_fields(*kind, slc_kind_common_fields(*kind));
    }
    ck_assert_ptr_null(slc_kind_find("nothing"));
}
END_TEST

START_TEST(every_stored_field_has_a_column)
{
    for (const slc_kind *const *kind = slc_kinds(); *kind != NULL; kind++)
        t_sql(slc_row_select(*kind)); /* names all columns and link tables */
}
END_TEST

START_TEST(every_kind_that_can_be_created_has_a_sample)
{
    for (const slc_kind *const *kind = slc_kinds(); *kind != NULL; kind++) {
        const struct sample *sample = t_samples;
        while (sample->kind != NULL && strcmp(sample->kind, (*kind)->name) != 0)
            sample++;
        ck_assert_msg(((*kind)->flags & SLC_KIND_CREATE) == 0 || sample->kind != NULL, "%s", (*kind)->name);
    }
}
END_TEST

START_TEST(permissions_cover_what_they_say)
{
    ck_assert(slc_permission_covers("*", "teams:read"));
    ck_assert(slc_permission_covers("teams:*", "teams:read"));
    ck_assert(slc_permission_covers("teams:read", "teams:read"));
    ck_assert(!slc_permission_covers("teams:read", "teams:write"));
    ck_assert(!slc_permission_covers("team:*", "teams:read"));
    ck_assert(!slc_permission_covers("teams:*", "teams"));
    ck_assert(!slc_permission_covers("te:*", "teams:read"));
    ck_assert(slc_permission_known("subscriptions:approve") && slc_permission_known("nodes:revoke"));
    ck_assert(slc_permission_known("config:apply") && slc_permission_known("listeners:*"));
    ck_assert(!slc_permission_known("listeners:fly") && !slc_permission_known("") &&
              !slc_permission_known("x:*"));
}
END_TEST

START_TEST(built_in_roles_grant_known_permissions)
{
    ck_assert_str_eq(t_sql("SELECT group_concat(key, ' ') FROM (SELECT key FROM roles ORDER BY key)"),
                     "api-owner developer platform-admin viewer");
    json_t *list = t_list("roles", NULL, 0, NULL);
    size_t i, j;
    json_t *role, *permission;
    json_array_foreach (json_object_get(list, "items"), i, role) {
        json_array_foreach (json_object_get(role, "permissions"), j, permission) {
            ck_assert_msg(slc_permission_known(json_string_value(permission)), "%s",
                          json_string_value(permission));
        }
    }
    json_decref(list);
}
END_TEST

START_TEST(durations_go_both_ways)
{
    const struct {
        const char *text, *shown;
        int64_t ms;
    } good[] = {
        {"0s", "0s", 0},         {"500ms", "500ms", 500}, {"1500ms", "1500ms", 1500}, {"60s", "1m", 60000},
        {"90m", "90m", 5400000}, {"24h", "1d", 86400000}, {"30d", "30d", 2592000000}, {"25h", "25h", 90000000}};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t ms;
        char shown[SLC_DURATION_CHARS];
        ck_assert(slc_duration_parse(good[i].text, &ms));
        ck_assert_int_eq(ms, good[i].ms);
        slc_duration_format(ms, shown);
        ck_assert_str_eq(shown, good[i].shown);
    }
    const char *bad[] = {
        "", "5", "s", "-1s", "1.5s", "1 s", "1S", "99999999999999999999d", "9999999999999999d", "1sx"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t ms;
        ck_assert_msg(!slc_duration_parse(bad[i], &ms), "%s", bad[i]);
    }
}
END_TEST

static bool matches(enum slc_format_id id, const char *text)
{
    return slc_format_get(id)->check(text, strlen(text));
}

START_TEST(formats_accept_and_refuse)
{
    const struct {
        enum slc_format_id id;
        const char *good[5], *bad[7];
    } cases[] = {
        {SLC_FMT_TOPIC, {"a", "A.b_c-1", "..."}, {"", ".", "..", "a/b", "a b", "\xc3\xa9"}},
        {SLC_FMT_GLOB, {"*", "a*b?"}, {"", "a[b]", "a/b"}},
        {SLC_FMT_URL,
         {"http://a", "https://a.b:8080/x?y=1", "http://[::1]:80/"},
         {"", "ftp://a", "http://", "http://a b", "http://u@h", "http://a:0", "x"}},
        {SLC_FMT_HOST, {"a", "a.b-c", "127.0.0.1", "::1"}, {"", "-a", "a..b", "a b", "[::1]", ".a"}},
        {SLC_FMT_HOST_PORT,
         {"a:1", "127.0.0.1:65535", "[::1]:9092"},
         {"a", "a:", "a:0", "a:65536", ":1", "::1:1", "a:1x"}},
        {SLC_FMT_ADDRESS, {":8000", "0.0.0.0:1", "[::]:443"}, {"", ":", "8000", "a:b", ":0", "a:99999"}},
        {SLC_FMT_NETWORK,
         {"10.0.0.0/8", "127.0.0.1", "::1", "2001:db8::/32", "0.0.0.0/0"},
         {"", "10.1.0.0/8", "10.0.0.0/33", "10.0.0.0/", "a", "::/129", "10.0.0.0/-1"}},
        {SLC_FMT_EMAIL, {"a@b.c", "a.b+c@d"}, {"", "a", "@b", "a@", "a b@c", "a@b@c"}},
        {SLC_FMT_POINTER, {"", "/", "/a/0", "/a~0~1b"}, {"a", "/~", "/~2"}},
        {SLC_FMT_HEADER, {"X-API-Key", "a"}, {"", "a b", "a:b", "\xc3\xa9"}},
        {SLC_FMT_PERMISSION, {"*", "teams:*", "teams:read"}, {"", "teams", "teams:fly", "**"}},
        {SLC_FMT_CERTS_PEM,
         {NULL},
         {"", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}},
        {SLC_FMT_KEY_PEM, {NULL}, {"", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t j = 0; j < 5 && cases[i].good[j] != NULL; j++)
            ck_assert_msg(matches(cases[i].id, cases[i].good[j]), "%d %s", cases[i].id, cases[i].good[j]);
        for (size_t j = 0; j < 7 && cases[i].bad[j] != NULL; j++)
            ck_assert_msg(!matches(cases[i].id, cases[i].bad[j]), "%d %s", cases[i].id, cases[i].bad[j]);
    }
}
END_TEST

/* A reference to a team, or to something that belongs to one, that is there from the start. */
static bool leads_to_a_team(const slc_field *field)
{
    if (field->type != SLC_F_REF || (field->flags & SLC_F_REQUIRED) == 0 || field->ref == NULL)
        return false;
    return strcmp(field->ref, "teams") == 0 || slc_kind_find(field->ref)->team_through != NULL;
}

START_TEST(what_leads_to_a_team_belongs_to_it)
{
    for (const slc_kind *const *kind = slc_kinds(); *kind != NULL; kind++) {
        const char *through = (*kind)->team_through;
        const slc_field *field = through != NULL ? slc_field_find((*kind)->fields, through) : NULL;
        ck_assert_msg(through == NULL || field != NULL, "%s has no %s", (*kind)->name, through);
        /* A webhook may be everybody's: then it is for those who write for all teams. */
        ck_assert_msg(field == NULL || field->type == SLC_F_OBJECT || leads_to_a_team(field) ||
                          strcmp((*kind)->name, "webhooks") == 0,
                      "%s", (*kind)->name);
        for (field = (*kind)->fields; field->name != NULL; field++) {
            /* A grant is about a team, and not its own. */
            if (leads_to_a_team(field) && strcmp((*kind)->name, "grants") != 0)
                ck_assert_msg(through != NULL, "%s refers to a team by %s", (*kind)->name, field->name);
        }
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("catalog/kind");
    TCase *tc = tcase_create("table");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, t_setup, t_teardown);
    tcase_add_test(tc, fields_are_declared_completely);
    tcase_add_test(tc, every_stored_field_has_a_column);
    tcase_add_test(tc, every_kind_that_can_be_created_has_a_sample);
    tcase_add_test(tc, what_leads_to_a_team_belongs_to_it);
    tcase_add_test(tc, permissions_cover_what_they_say);
    tcase_add_test(tc, built_in_roles_grant_known_permissions);
    tcase_add_test(tc, durations_go_both_ways);
    tcase_add_test(tc, formats_accept_and_refuse);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
