/* What limits a native session: which are taken, and what happens when there are no places for connections. */
#include <check.h>
#include <string.h>

#include "asker.h"
#include "dataplane/policy/native_limits.h"
#include "tests/unit/common/unit.h"

static struct asker *asker;
static slc_principal principal;
static char *exposures[1] = {(char *)"kafka"};
static char why[200];

static void setup(void)
{
    asker = asker_new();
    asker->maker->api[0].exposures = exposures;
    asker->maker->api[0].n_exposures = 1;
    memset(&principal, 0, sizeof principal);
    snprintf(principal.application_id, sizeof principal.application_id, "app-1");
    principal.authenticated = true;
}

static bool take(bool is_in, slc_native_limits *limits)
{
    if (asker->snapshot == NULL)
        asker_rebuild(asker);
    const slc_access_subject subject = {.vcluster = slc_snapshot_vclusters(asker->snapshot, &(size_t){0})[0],
                                        .listener_id = "listener-1",
                                        .client_address = "192.0.2.1",
                                        .principal = &principal};
    return slc_native_limits_take(&subject, asker->snapshot, asker->limits, NULL, is_in, limits, why);
}

/* Else lowering a limit of connections would free those that are open from all other limits. */
START_TEST(who_is_in_stays_in_and_keeps_to_the_rates)
{
    slc_native_limits first, second;
    setup();
    asker_policy(asker, "few", "rate-limit", "{\"connections\":1,\"bytes_per_second\":1000}");
    ck_assert(take(false, &first));
    ck_assert_uint_eq(first.rates.count, 1);
    ck_assert(!take(false, &second));
    ck_assert_ptr_nonnull(strstr(why, "as many connections as may be"));
    ck_assert(take(true, &second));
    ck_assert_uint_eq(second.rates.count, 1);
    ck_assert_uint_eq(second.connections.count, 0);
    slc_native_limits_release(&second);
    slc_native_limits_release(&first);
    ck_assert(take(false, &first));
    slc_native_limits_release(&first);
    asker_free(asker);
}
END_TEST

START_TEST(what_cannot_be_evaluated_limits)
{
    static const struct {
        const char *condition;
        unsigned limits;
    } cases[] = {{"request.headers['x'] == 'y'", 1}, {"request.protocol == 'http'", 0}};
    slc_native_limits limits;
    for (size_t i = 0; i < 2; i++) {
        setup();
        asker_policy(asker, "some", "rate-limit", "{\"bytes_per_second\":1000}");
        asker->maker->policy[0].condition = (char *)cases[i].condition;
        ck_assert(take(false, &limits));
        ck_assert_uint_eq(limits.rates.count, cases[i].limits);
        slc_native_limits_release(&limits);
        asker_free(asker);
    }
}
END_TEST

/* An event API that is deployed on a topic while the session is open counts what it does there. */
START_TEST(limits_of_topics_follow_the_event_apis)
{
    slc_native_limits limits;
    const uint8_t *topic;
    size_t len;
    setup();
    asker_policy(asker, "each", "rate-limit", "{\"events_per_second\":1,\"per\":\"event-api\"}");
    asker->maker->api[1].topic = (char *)"others";
    ck_assert(take(false, &limits));
    ck_assert_ptr_nonnull(limits.topics);
    asker->maker->apis = 2;
    asker_rebuild(asker);
    const slc_event_api *added = slc_snapshot_event_api_by_id(asker->snapshot, "api-2");
    topic = (const uint8_t *)added->backend_topic;
    len = strlen(added->backend_topic);
    ck_assert_int_eq(slc_topic_limits_pay(limits.topics, topic, len, 1, 100, 100, slc_limits_now_ns()), 0);
    slc_topic_limits_follow(limits.topics, asker->snapshot);
    ck_assert_int_gt(slc_topic_limits_pay(limits.topics, topic, len, 1, 100, 100, slc_limits_now_ns()), 0);
    static const uint8_t odd[] =
        "others\0with more behind it than a text of this name has"; /* as clients send it */
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(slc_topic_limits_pay(limits.topics, odd, sizeof odd, 1, 100, 100, slc_limits_now_ns()),
                         0);
    slc_native_limits_release(&limits);
    asker_free(asker);
}
END_TEST

UNIT_MAIN("native limits", limits_of_topics_follow_the_event_apis, who_is_in_stays_in_and_keeps_to_the_rates,
          what_cannot_be_evaluated_limits)
