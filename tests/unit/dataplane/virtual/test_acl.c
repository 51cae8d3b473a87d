/* Resources of ACLs: the namespace's alone, both ways, and nothing of it by way of a filter that says too
 * little. */
#include <stdio.h>

#include "../kafka/message.h"
#include "dataplane/virtual/acl.h"

#define HIDE    SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_HIDE
#define ENFORCE SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_ENFORCE
#define TOPIC   SLC_KAFKA_ACL_TOPIC
#define GROUP   SLC_KAFKA_ACL_GROUP
#define TXN     SLC_KAFKA_ACL_TXN_ID
#define CLUSTER SLC_KAFKA_ACL_CLUSTER
#define LITERAL SLC_ACL_LITERAL
#define PREFIX  SLC_ACL_PREFIXED
#define ANY     SLC_ACL_ANY
#define MATCH   SLC_ACL_MATCH

static Sluice__Snapshot__V1__TopicAlias alias_message = {.name = "alias", .topic = "legacy"};
static Sluice__Snapshot__V1__TopicAlias *aliases[] = {&alias_message};
static char *extras[] = {"shared-*"}, *filter[] = {"pub*"};
static Sluice__Snapshot__V1__VirtualCluster msg;
static slc_names *names;
static char said[300];

static void open_names(Sluice__Snapshot__V1__NamespaceMode mode)
{
    msg = (Sluice__Snapshot__V1__VirtualCluster){.mode = mode, .prefix = "a."};
    names = slc_names_new(&msg);
}

static slc_acl_resource resource(int type, int pattern, const char *name)
{
    return (slc_acl_resource){(int16_t)type, (int16_t)pattern, {name, name != NULL ? strlen(name) : 0}};
}

static const char *say(const slc_acl_mapped *mapped)
{
    snprintf(said, sizeof said, "%.*s%.*s %d", (int)mapped->head.len,
             mapped->head.len > 0 ? (const char *)mapped->head.data : "", (int)mapped->body.len,
             mapped->body.len > 0 ? (const char *)mapped->body.data : "", mapped->pattern);
    return said;
}

static const char *mapped(int type, int pattern, const char *name)
{
    slc_acl_resource from = resource(type, pattern, name);
    slc_acl_mapped to;
    return slc_acl_map(names, &from, &to) ? say(&to) : "refused";
}

static const char *filtered(int type, int pattern, const char *name)
{
    slc_acl_resource from = resource(type, pattern, name);
    slc_acl_mapped to;
    slc_acl_map_filter(names, &from, &to);
    return say(&to);
}

static const char *unmapped(int type, int pattern, const char *name)
{
    slc_acl_resource from = resource(type, pattern, name);
    slc_acl_mapped to;
    return slc_acl_unmap(names, &from, &to) ? say(&to) : "hidden";
}

static bool narrow(int type, int pattern, const char *name)
{
    slc_acl_resource from = resource(type, pattern, name);
    return slc_acl_is_narrow(&from);
}

START_TEST(hide_puts_every_resource_into_the_namespace)
{
    static const int types[] = {TOPIC, GROUP, TXN};
    open_names(HIDE);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_str_eq(mapped(types[i], LITERAL, "x"), "a.x 3");
        ck_assert_str_eq(mapped(types[i], PREFIX, "x"), "a.x 4");
        ck_assert_str_eq(mapped(types[i], LITERAL, "b.x"), "a.b.x 3");
        ck_assert_str_eq(mapped(types[i], LITERAL, "*"), "a. 4");
        ck_assert_str_eq(mapped(types[i], PREFIX, "*"), "a.* 4");
        ck_assert_str_eq(mapped(types[i], LITERAL, ""), " 3");
        ck_assert_str_eq(mapped(types[i], PREFIX, ""), " 4");
        ck_assert_str_eq(mapped(types[i], PREFIX, "\x1fx"), "refused");
        ck_assert_str_eq(mapped(types[i], LITERAL, "\x1fx"), "refused");
    }
    ck_assert_str_eq(mapped(CLUSTER, LITERAL, "kafka-cluster"), "refused");
    ck_assert_str_eq(mapped(6, LITERAL, "token"), "refused");
    ck_assert_str_eq(mapped(7, LITERAL, "User:x"), "refused");
    ck_assert_str_eq(mapped(1, LITERAL, "x"), "refused");
    slc_names_free(names);
}
END_TEST

START_TEST(hide_shows_the_namespace_alone)
{
    open_names(HIDE);
    ck_assert_str_eq(unmapped(TOPIC, LITERAL, "a.x"), "x 3");
    ck_assert_str_eq(unmapped(GROUP, PREFIX, "a.x"), "x 4");
    ck_assert_str_eq(unmapped(TXN, PREFIX, "a."), "* 3");
    ck_assert_str_eq(unmapped(TOPIC, PREFIX, "a"), "hidden");
    ck_assert_str_eq(unmapped(TOPIC, LITERAL, "*"), "hidden");
    ck_assert_str_eq(unmapped(TOPIC, PREFIX, ""), "hidden");
    ck_assert_str_eq(unmapped(TOPIC, LITERAL, "a."), "hidden");
    ck_assert_str_eq(unmapped(TOPIC, LITERAL, "a.\x1fx"), "hidden");
    ck_assert_str_eq(unmapped(TOPIC, LITERAL, "b.x"), "hidden");
    ck_assert_str_eq(unmapped(CLUSTER, LITERAL, "a.x"), "hidden");
    ck_assert_str_eq(unmapped(7, LITERAL, "a.x"), "hidden");
    slc_names_free(names);
}
END_TEST

START_TEST(enforce_wants_the_prefix)
{
    open_names(ENFORCE);
    ck_assert_str_eq(mapped(TOPIC, LITERAL, "a.x"), "a.x 3");
    ck_assert_str_eq(mapped(TOPIC, PREFIX, "a."), "a. 4");
    ck_assert_str_eq(mapped(TOPIC, PREFIX, "a"), "refused");
    ck_assert_str_eq(mapped(TOPIC, LITERAL, "b.x"), "refused");
    ck_assert_str_eq(mapped(GROUP, LITERAL, "*"), "refused");
    ck_assert_str_eq(unmapped(TOPIC, PREFIX, "a."), "a. 4");
    ck_assert_str_eq(unmapped(TOPIC, LITERAL, "a.x"), "a.x 3");
    ck_assert_str_eq(unmapped(TOPIC, LITERAL, "b.x"), "hidden");
    ck_assert_str_eq(filtered(TOPIC, LITERAL, "*"), "a.\x1f* 3");
    ck_assert_str_eq(filtered(TOPIC, MATCH, "b.x"), "a.\x1f"
                                                    "b.x 2");
    slc_names_free(names);
}
END_TEST

START_TEST(topics_that_are_not_the_namespaces_have_no_acls)
{
    open_names(HIDE);
    msg.aliases = aliases;
    msg.extra_topics = extras;
    msg.topic_filter = filter;
    msg.n_aliases = msg.n_extra_topics = msg.n_topic_filter = 1;
    slc_names_free(names);
    names = slc_names_new(&msg);
    ck_assert_str_eq(mapped(TOPIC, LITERAL, "alias"), "refused");
    ck_assert_str_eq(mapped(TOPIC, LITERAL, "shared-1"), "refused");
    ck_assert_str_eq(mapped(TOPIC, LITERAL, "secret"), "refused");
    ck_assert_str_eq(mapped(TOPIC, LITERAL, "public"), "a.public 3");
    ck_assert_str_eq(mapped(GROUP, LITERAL, "alias"), "a.alias 3");
    ck_assert_str_eq(filtered(TOPIC, LITERAL, "alias"), "a.\x1f"
                                                        "alias 3");
    ck_assert_str_eq(unmapped(TOPIC, LITERAL, "legacy"), "hidden");
    ck_assert_str_eq(unmapped(TOPIC, LITERAL, "shared-1"), "hidden");
    ck_assert_str_eq(unmapped(TOPIC, LITERAL, "a.alias"), "hidden");
    ck_assert_str_eq(unmapped(TOPIC, LITERAL, "a.secret"), "hidden");
    slc_names_free(names);
}
END_TEST

START_TEST(filters_find_the_namespace_alone)
{
    open_names(HIDE);
    ck_assert_str_eq(filtered(TOPIC, LITERAL, "x"), "a.x 3");
    ck_assert_str_eq(filtered(TOPIC, LITERAL, "*"), "a. 4");
    ck_assert_str_eq(filtered(GROUP, ANY, "*"), "a. 1");
    ck_assert_str_eq(filtered(GROUP, MATCH, "x"), "a.x 2");
    ck_assert_str_eq(filtered(1, MATCH, "x"), "a.x 2");
    ck_assert_str_eq(filtered(1, LITERAL, "*"), "a. 4");
    ck_assert_str_eq(filtered(TXN, PREFIX, ""), "a.\x1f 4");
    ck_assert_str_eq(filtered(CLUSTER, LITERAL, "kafka-cluster"), "kafka-cluster 3");
    ck_assert(narrow(TOPIC, LITERAL, "x") && narrow(GROUP, PREFIX, "x") && narrow(TXN, ANY, "x"));
    ck_assert(!narrow(TOPIC, LITERAL, NULL) && !narrow(TOPIC, MATCH, "x") && !narrow(1, LITERAL, "x"));
    ck_assert(!narrow(CLUSTER, LITERAL, "kafka-cluster"));
    slc_names_free(names);
}
END_TEST

TEST_MAIN("virtual_acl", hide_puts_every_resource_into_the_namespace, hide_shows_the_namespace_alone,
          enforce_wants_the_prefix, topics_that_are_not_the_namespaces_have_no_acls,
          filters_find_the_namespace_alone)
