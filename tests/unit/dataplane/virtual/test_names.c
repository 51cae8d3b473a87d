/* The map of names: total, reversible, and with one winner where two collide. */
#include <stdio.h>

#include "../kafka/message.h"
#include "common/glob.h"
#include "dataplane/virtual/names.h"

#define HIDE    SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_HIDE
#define ENFORCE SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_ENFORCE

static char *extras[] = {"shared-*", "fixed"};
static Sluice__Snapshot__V1__TopicAlias alias_message = {.name = "orders", .topic = "legacy.orders"};
static Sluice__Snapshot__V1__TopicAlias *aliases[] = {&alias_message};
static Sluice__Snapshot__V1__VirtualCluster msg;
static slc_names *names;

static void with(Sluice__Snapshot__V1__NamespaceMode mode, bool outside)
{
    msg = (Sluice__Snapshot__V1__VirtualCluster){.mode = mode, .prefix = "a.", .name = "a"};
    if (outside) {
        msg.extra_topics = extras;
        msg.n_extra_topics = 2;
        msg.aliases = aliases;
        msg.n_aliases = 1;
    }
    names = slc_names_new(&msg);
    ck_assert_ptr_nonnull(names);
}

static const char *mapped(enum slc_name_kind kind, const char *client, bool *visible)
{
    static char text[400];
    slc_name name;
    slc_names_map(names, kind, (const uint8_t *)client, strlen(client), &name);
    snprintf(text, sizeof text, "%.*s%.*s", (int)name.head.len,
             name.head.len > 0 ? (const char *)name.head.data : "", (int)name.body.len,
             name.body.len > 0 ? (const char *)name.body.data : "");
    *visible = name.visible;
    return text;
}

static const char *unmapped(enum slc_name_kind kind, const char *backend)
{
    static char text[400];
    slc_kafka_span name;
    if (!slc_names_unmap(names, kind, (const uint8_t *)backend, strlen(backend), &name))
        return NULL;
    snprintf(text, sizeof text, "%.*s", (int)name.len, (const char *)name.data);
    return text;
}

static void expect(enum slc_name_kind kind, const char *client, const char *backend, bool visible)
{
    bool is;
    ck_assert_str_eq(mapped(kind, client, &is), backend);
    ck_assert_msg(is == visible, "%s", client);
    ck_assert_msg(unmapped(kind, backend) != NULL, "%s has no way back", backend);
    ck_assert_str_eq(unmapped(kind, backend), client);
}

static void hidden(enum slc_name_kind kind, const char *backend)
{
    ck_assert_msg(unmapped(kind, backend) == NULL, "%s is visible", backend);
}

START_TEST(hide_puts_every_name_into_the_namespace)
{
    with(HIDE, false);
    expect(SLC_NAME_TOPIC, "orders", "a.orders", true);
    expect(SLC_NAME_TOPIC, "a.orders", "a.a.orders", true);
    expect(SLC_NAME_TOPIC, "b.orders", "a.b.orders", true);
    expect(SLC_NAME_TOPIC, "__consumer_offsets", "a.__consumer_offsets", true);
    expect(SLC_NAME_GROUP, "g\xff\xfe", "a.g\xff\xfe", true);
    expect(SLC_NAME_TXN_ID, ".", "a..", true);
    for (int kind = SLC_NAME_TOPIC; kind <= SLC_NAME_TXN_ID; kind++) {
        expect((enum slc_name_kind)kind, "", "a.\x1f", false);
        expect((enum slc_name_kind)kind, "\x1fx", "a.\x1f\x1fx", false);
        hidden((enum slc_name_kind)kind, "b.orders");
        hidden((enum slc_name_kind)kind, "a");
        hidden((enum slc_name_kind)kind, "");
        hidden((enum slc_name_kind)kind, "__consumer_offsets");
        hidden((enum slc_name_kind)kind, "xa.orders");
    }
    expect(SLC_NAME_TOPIC, ".", "a.\x1f.", false);
    expect(SLC_NAME_TOPIC, "..", "a.\x1f..", false);
    slc_names_free(names);
}
END_TEST

START_TEST(enforce_takes_names_of_the_namespace_alone)
{
    with(ENFORCE, false);
    expect(SLC_NAME_TOPIC, "a.orders", "a.orders", true);
    expect(SLC_NAME_GROUP, "a.", "a.", true);
    expect(SLC_NAME_TOPIC, "b.orders",
           "a.\x1f"
           "b.orders",
           false);
    expect(SLC_NAME_GROUP, "", "a.\x1f", false);
    expect(SLC_NAME_TXN_ID, "a.\x1fx",
           "a.\x1f"
           "a.\x1fx",
           false);
    hidden(SLC_NAME_TOPIC, "b.orders");
    slc_names_free(names);
}
END_TEST

START_TEST(extra_topics_and_aliases_win_over_the_namespace)
{
    with(HIDE, true);
    expect(SLC_NAME_TOPIC, "orders", "legacy.orders", true);
    hidden(SLC_NAME_TOPIC, "a.orders");
    expect(SLC_NAME_TOPIC, "shared-x", "shared-x", true);
    hidden(SLC_NAME_TOPIC, "a.shared-x");
    ck_assert(slc_names_shadowed(names, (const uint8_t *)"a.shared-x", 10, &(slc_conflict_found){0}));
    ck_assert(slc_names_shadowed(names, (const uint8_t *)"a.orders", 8, &(slc_conflict_found){0}));
    ck_assert(!slc_names_shadowed(names, (const uint8_t *)"a.other", 7, &(slc_conflict_found){0}));
    ck_assert(!slc_names_shadowed(names, (const uint8_t *)"shared-x", 8, &(slc_conflict_found){0}));
    ck_assert(!slc_names_shadowed(names, (const uint8_t *)"b.shared-x", 10, &(slc_conflict_found){0}));
    expect(SLC_NAME_TOPIC, "fixed", "fixed", true);
    expect(SLC_NAME_TOPIC, "legacy.orders", "a.legacy.orders", true);
    expect(SLC_NAME_GROUP, "orders", "a.orders", true); /* for topics alone */
    expect(SLC_NAME_GROUP, "shared-x", "a.shared-x", true);
    slc_name name;
    slc_names_map(names, SLC_NAME_TOPIC, (const uint8_t *)"shared-x", 8, &name);
    ck_assert(name.visible && !name.owned);
    slc_names_map(names, SLC_NAME_TOPIC, (const uint8_t *)"other", 5, &name);
    ck_assert(name.visible && name.owned);
    slc_names_free(names);
}
END_TEST

START_TEST(the_loser_of_a_name_is_told)
{
    slc_conflict_found found;
    slc_conflict list[SLC_CONFLICTS_MAX];
    with(HIDE, true);
    ck_assert(slc_names_shadowed(names, (const uint8_t *)"a.shared-1", 10, &found));
    ck_assert(!found.alias && found.name_len == 8 && memcmp(found.name, "shared-1", 8) == 0);
    slc_conflicts_note(&found, 1000);
    ck_assert(slc_names_shadowed(names, (const uint8_t *)"a.orders", 8, &found));
    ck_assert(found.alias);
    slc_conflicts_note(&found, 2000);
    slc_conflicts_note(&found, 3000);
    ck_assert(!slc_names_shadowed(names, (const uint8_t *)"a.other", 7, &found));
    ck_assert(!slc_names_shadowed(names, (const uint8_t *)"orders", 6, &found));
    ck_assert_uint_eq(slc_conflicts_list(list, 0), 2);
    ck_assert_uint_eq(slc_conflicts_list(list, 2500), 1);
    ck_assert_str_eq(list[0].topic, "a.orders");
    ck_assert_str_eq(list[0].name, "orders");
    for (int i = 0; i < SLC_CONFLICTS_MAX; i++) {
        char topic[16];
        snprintf(topic, sizeof topic, "a.t%d", i);
        found.topic = (const uint8_t *)topic;
        found.topic_len = strlen(topic);
        slc_conflicts_note(&found, 4000 + i);
    }
    ck_assert_uint_eq(slc_conflicts_list(list, 0), SLC_CONFLICTS_MAX);
    ck_assert_uint_eq(slc_conflicts_list(list, 4000), SLC_CONFLICTS_MAX); /* the oldest made room */
    slc_names_free(names);
}
END_TEST

START_TEST(internal_topics_are_no_extra_topics)
{
    static char *all[] = {"*"};
    with(HIDE, false);
    msg.extra_topics = all;
    msg.n_extra_topics = 1;
    slc_names_free(names);
    names = slc_names_new(&msg);
    expect(SLC_NAME_TOPIC, "b.orders", "b.orders", true);
    hidden(SLC_NAME_TOPIC, "__consumer_offsets");
    hidden(SLC_NAME_TOPIC, "__transaction_state");
    slc_names_free(names);
}
END_TEST

START_TEST(filters_leave_the_rest_in_the_void)
{
    static char *topics[] = {"public-*"}, *groups[] = {"team-?"};
    with(HIDE, false);
    msg.topic_filter = topics;
    msg.n_topic_filter = 1;
    msg.group_filter = groups;
    msg.n_group_filter = 1;
    expect(SLC_NAME_TOPIC, "public-1", "a.public-1", true);
    expect(SLC_NAME_TOPIC, "secret", "a.\x1fsecret", false);
    hidden(SLC_NAME_TOPIC, "a.secret");
    expect(SLC_NAME_GROUP, "team-1", "a.team-1", true);
    hidden(SLC_NAME_GROUP, "a.secret");
    expect(SLC_NAME_TXN_ID, "secret", "a.secret", true);
    slc_names_free(names);
}
END_TEST

START_TEST(two_aliases_of_one_topic_have_one_winner)
{
    static Sluice__Snapshot__V1__TopicAlias second = {.name = "again", .topic = "legacy.orders"};
    static Sluice__Snapshot__V1__TopicAlias *both[] = {&alias_message, &second};
    bool visible;
    with(HIDE, false);
    msg.aliases = both;
    msg.n_aliases = 2;
    slc_names_free(names);
    names = slc_names_new(&msg);
    expect(SLC_NAME_TOPIC, "orders", "legacy.orders", true);
    ck_assert_str_eq(mapped(SLC_NAME_TOPIC, "again", &visible), "legacy.orders");
    slc_names_free(names);
}
END_TEST

static void says(const char *broker, const char *client)
{
    slc_buf out;
    slc_buf_init(&out, 1000);
    slc_names_text(names, (const uint8_t *)broker, strlen(broker), &out);
    ck_assert_str_eq(out.len > 0 ? (const char *)out.data : "", client);
    slc_buf_release(&out);
}

START_TEST(texts_lose_the_prefix)
{
    with(HIDE, true);
    says("", "");
    says("Topic 'a.x' already exists.", "Topic 'x' already exists.");
    says("a.x-0, a.y-1", "x-0, y-1");
    says("Topic name is illegal: a.\x1f.", "Topic name is illegal: .");
    says("legacy.orders-0", "legacy.orders-0"); /* another word */
    says("topic legacy.orders is gone", "topic orders is gone");
    says("data.x", "data.x");
    slc_names_free(names);
    with(ENFORCE, false);
    says("Topic 'a.x', 'a.\x1f"
         "b.x'",
         "Topic 'a.x', 'b.x'");
    slc_names_free(names);
}
END_TEST

START_TEST(globs_match_whole_names)
{
    static const struct {
        const char *glob, *text;
        bool matches;
    } cases[] = {
        {"*", "", true},      {"a*c", "abbc", true},  {"a?c", "abc", true},
        {"a?c", "ac", false}, {"a*c", "abcd", false}, {"*a*b*", "xxaxxbxx", true},
        {"abc", "ab", false}, {"", "a", false},       {"ab", "abc", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_assert_msg(slc_glob_match(cases[i].glob, cases[i].text, strlen(cases[i].text)) == cases[i].matches,
                      "%s %s", cases[i].glob, cases[i].text);
    ck_assert(!slc_glob_match("a", "a\0b", 3));
    ck_assert(slc_glob_is_exact("a.b") && !slc_glob_is_exact("a?"));
}
END_TEST

TEST_MAIN("names", hide_puts_every_name_into_the_namespace, enforce_takes_names_of_the_namespace_alone,
          extra_topics_and_aliases_win_over_the_namespace, internal_topics_are_no_extra_topics,
          the_loser_of_a_name_is_told, filters_leave_the_rest_in_the_void,
          two_aliases_of_one_topic_have_one_winner, texts_lose_the_prefix, globs_match_whole_names)
