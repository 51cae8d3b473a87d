/* What policies make of native clients' records: whose rules hold for which topic, and what cannot be done. */
#include "asker.h"
#include "bench/allocations.h"
#include "common/metrics.h"
#include "dataplane/policy/record_rules.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/dataplane/records/build_batch.h"

#define STAMP                                                                                                  \
    "{\"rules\":[{\"in\":\"publish\",\"action\":\"set\",\"name\":\"who\",\"value\":\"${application.name}\"}]}"
#define HIDE "{\"rules\":[{\"in\":\"read\",\"action\":\"remove\",\"name\":\"secret\"}]}"

#define BEFORE "of another partition"

static const struct build_record two[] = {{.key = "k", .value = "v", .headers = "a=1;secret=2"},
                                          {.value = "w"}};

static struct asker *asker;
static slc_principal principal;
static slc_access *access_;
static slc_record_work work;
static slc_record_rules rules;
static slc_buf in, made;
static unsigned denials;

static void on_denied(void *ctx, const slc_access_denial *denial)
{
    (void)ctx, (void)denial;
    denials++;
}

static void setup(const char *config)
{
    asker = asker_new();
    if (config != NULL)
        asker_policy(asker, "h", "headers", config);
    slc_record_work_init(&work, &SLC_COMPRESSION_DEFAULTS, BUILD_MAX);
    slc_buf_init(&in, BUILD_MAX);
    slc_buf_init(&made, BUILD_MAX);
    put_batch(&in, &(struct build_batch){.attributes = SLC_CODEC_ZSTD}, two, 2);
    denials = 0;
}

/* After the policy was bent. */
static bool begin(void)
{
    asker_rebuild(asker);
    const slc_access_subject subject = {.vcluster = slc_snapshot_vclusters(asker->snapshot, &(size_t){0})[0],
                                        .listener_id = "listener-1",
                                        .client_address = "192.0.2.1",
                                        .principal = &principal,
                                        .denied = on_denied};
    memset(&principal, 0, sizeof principal);
    snprintf(principal.application_id, sizeof principal.application_id, "app-1");
    snprintf(principal.application_name, sizeof principal.application_name, "shop");
    principal.authenticated = true;
    access_ = slc_access_new(&subject, asker->snapshot);
    return slc_record_rules_init(&rules, access_, &work, NULL);
}

static void teardown(void)
{
    slc_record_work_release(&work);
    slc_access_free(access_);
    access_ = NULL;
    asker_free(asker);
    slc_buf_release(&in);
    slc_buf_release(&made);
}

static enum slc_kafka_verdict map(bool produce, const char *topic, slc_kafka_value *out,
                                  slc_view_failure *failure)
{
    *out = (slc_kafka_value){0};
    *failure = (slc_view_failure){0};
    const slc_view_batches batches = {.produce = produce,
                                      .topic = topic,
                                      .backend = topic,
                                      .from_offset = INT64_MIN,
                                      .data = {in.data, in.len},
                                      .made = &made};
    slc_buf_clear(&made);
    slc_buf_adds(&made, BEFORE);
    enum slc_kafka_verdict verdict = rules.hook.map(&rules.hook, &batches, out, failure);
    size_t len = sizeof BEFORE - 1;
    if (memcmp(made.data, BEFORE, len) != 0 || made.overflow || made.max != BUILD_MAX ||
        (out->made ? verdict != SLC_KAFKA_REPLACE || out->made_from != len : made.len != len))
        ck_abort_msg("what was there before was touched"); /* libcheck allocates when it is asked more */
    if (out->made)
        out->body = (slc_kafka_span){made.data + len, made.len - len};
    return verdict;
}

static void expect(const slc_kafka_value *out, const char *first, const char *second)
{
    const struct build_record records[] = {{.key = "k", .value = "v", .headers = first},
                                           {.value = "w", .headers = second}};
    slc_buf expected;
    slc_buf_init(&expected, BUILD_MAX);
    put_batch(&expected, &(struct build_batch){.attributes = SLC_CODEC_ZSTD}, records, 2);
    ck_assert_uint_eq(out->body.len, expected.len);
    ck_assert_mem_eq(out->body.data, expected.data, expected.len);
    slc_buf_release(&expected);
}

START_TEST(records_are_held_where_a_policy_changes_them_alone)
{
    setup(NULL);
    ck_assert(!begin());
    teardown();
    setup("{\"rules\":[{\"in\":\"response\",\"action\":\"remove\",\"name\":\"x\"}]}");
    ck_assert(!begin());
    teardown();
    setup(STAMP);
    ck_assert(begin() && rules.hook.produce && !rules.hook.fetch);
    teardown();
    setup(HIDE);
    ck_assert(begin() && !rules.hook.produce && rules.hook.fetch);
    teardown();
    setup(STAMP);
    asker->maker->policy[0].dry_run = true;
    ck_assert(!begin());
    teardown();
}
END_TEST

START_TEST(headers_are_changed_in_the_batch)
{
    slc_kafka_value out;
    slc_view_failure failure;
    setup(STAMP);
    ck_assert(begin());
    ck_assert_int_eq(map(true, "orders", &out, &failure), SLC_KAFKA_REPLACE);
    expect(&out, "a=1;secret=2;who=shop", "who=shop");
    slc_record_work_trim(&work);
    teardown();
    setup(HIDE);
    ck_assert(begin());
    ck_assert_int_eq(map(false, "orders", &out, &failure), SLC_KAFKA_REPLACE);
    expect(&out, "a=1", NULL);
    in.len -= 1; /* what is cut off at the end of an answer is not shown */
    ck_assert_int_eq(map(false, "orders", &out, &failure), SLC_KAFKA_REPLACE);
    ck_assert_uint_eq(out.body.len, 0);
    teardown();
}
END_TEST

START_TEST(rules_of_an_event_api_are_for_its_topic)
{
    slc_kafka_value out;
    slc_view_failure failure;
    setup(STAMP);
    asker->maker->policy[0].scope = SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_EVENT_API;
    asker->maker->policy[0].scope_id = (char *)"api-1";
    ck_assert(begin());
    ck_assert_int_eq(map(true, "orders", &out, &failure), SLC_KAFKA_REPLACE);
    ck_assert_int_eq(map(true, "others", &out, &failure), SLC_KAFKA_KEEP);
    teardown();
}
END_TEST

START_TEST(a_condition_chooses_and_fails_what_it_cannot_judge)
{
    slc_kafka_value out;
    slc_view_failure failure;
    setup(STAMP);
    asker->maker->policy[0].condition = (char *)"client.address == '192.0.2.9'";
    ck_assert(begin());
    ck_assert_int_eq(map(true, "orders", &out, &failure), SLC_KAFKA_KEEP);
    teardown();
    setup(STAMP);
    asker->maker->policy[0].condition = (char *)"request.method == 'GET'"; /* which Kafka has not */
    ck_assert(begin());
    ck_assert_int_eq(map(true, "orders", &out, &failure), SLC_KAFKA_REFUSE);
    ck_assert_int_eq(failure.code, SLC_KAFKA_TOPIC_AUTHORIZATION_FAILED);
    ck_assert_uint_eq(denials, 1);
    teardown();
}
END_TEST

START_TEST(damaged_batches_are_refused_both_ways)
{
    slc_kafka_value out;
    slc_view_failure failure;
    for (int produce = 0; produce <= 1; produce++) {
        setup(produce ? STAMP : HIDE);
        ck_assert(begin());
        in.data[in.len - 1] ^= 1;
        ck_assert_int_eq(map(produce, "orders", &out, &failure), SLC_KAFKA_REFUSE);
        ck_assert_int_eq(failure.code, SLC_KAFKA_CORRUPT_MESSAGE);
        ck_assert_ptr_nonnull(strstr(failure.why, "checksum"));
        ck_assert_uint_eq(denials, 1);
        teardown();
    }
}
END_TEST

#define MANY 1000

/* Of every third the filter says no, and no two are alike. */
static void put_many(void)
{
    static struct build_record many[MANY];
    static char values[MANY][64];
    for (int i = 0; i < MANY; i++) {
        snprintf(values[i], sizeof values[i], "{\"n\": %d, \"card\": \"4111-%04d\", \"lines\": [{\"p\": 1}]}",
                 i % 3, i);
        many[i] = (struct build_record){.key = "k", .value = values[i], .headers = "a=1;secret=2"};
    }
    slc_buf_clear(&in);
    put_batch(&in, &(struct build_batch){.attributes = SLC_CODEC_LZ4}, many, MANY);
}

START_TEST(nothing_is_allocated_for_a_record)
{
    slc_kafka_value out;
    slc_view_failure failure;
    setup(NULL);
    asker_policy(asker, "f", "filter",
                 "{\"expression\":\"record.value.n != 0 && application.name == 'shop'\"}");
    asker_policy(asker, "m", "mask",
                 "{\"fields\":[{\"path\":\"/card\",\"action\":\"keep-last\"},{\"path\":\"/lines/*/p\"}]}");
    ck_assert(begin());
    put_many();
    for (int round = 0; round < 3; round++) {
        uint64_t before = allocations_so_far();
        enum slc_kafka_verdict verdict = map(false, "orders", &out, &failure);
        uint64_t allocated = allocations_so_far() - before; /* before libcheck, which allocates */
        ck_assert_int_eq(verdict, SLC_KAFKA_REPLACE);
        ck_assert_msg(round == 0 || allocated == 0, "%d in round %d", (int)allocated, round);
    }
    teardown();
}
END_TEST

START_TEST(what_fails_is_told_by_an_error_that_fits)
{
    slc_kafka_value out;
    slc_view_failure failure;
    setup(NULL); /* its values are no JSON */
    asker_policy(asker, "m", "mask", "{\"keep_only\":[\"/n\"],\"not_json\":\"refuse\"}");
    asker_policy(asker, "w", "mask", "{\"keep_only\":[\"/n\"],\"on\":\"publish\"}");
    ck_assert(begin() && rules.hook.produce && rules.hook.fetch);
    ck_assert_int_eq(map(false, "orders", &out, &failure), SLC_KAFKA_REFUSE);
    ck_assert_int_eq(failure.code, SLC_KAFKA_CORRUPT_MESSAGE);
    ck_assert_ptr_nonnull(strstr(failure.why, "policy m, record at offset 0: the value is not JSON"));
    ck_assert_int_eq(map(true, "orders", &out, &failure), SLC_KAFKA_REFUSE);
    ck_assert_int_eq(failure.code, SLC_KAFKA_INVALID_RECORD);
    teardown();
    setup(NULL);
    unsetenv("SLUICE_UNIT_NO_KEY"); /* what is not there may come */
    asker_policy(
        asker, "m", "mask",
        "{\"fields\":[{\"path\":\"/n\",\"action\":\"hash\"}],\"hash_key\":{\"env\":\"SLUICE_UNIT_NO_KEY\"}}");
    asker_policy(
        asker, "w", "mask",
        "{\"fields\":[{\"path\":\"/n\",\"action\":\"hash\"}],\"hash_key\":{\"env\":\"SLUICE_UNIT_NO_KEY\"},"
        "\"on\":\"publish\"}");
    ck_assert(begin());
    ck_assert_int_eq(map(false, "orders", &out, &failure), SLC_KAFKA_REFUSE);
    ck_assert_int_eq(failure.code, SLC_KAFKA_STORAGE_ERROR);
    ck_assert_int_eq(map(true, "orders", &out, &failure), SLC_KAFKA_REFUSE);
    ck_assert_int_eq(failure.code, SLC_KAFKA_NOT_ENOUGH_REPLICAS);
    teardown();
}
END_TEST

static unsigned letters;

static void put_letter(slc_dead_letters *to, const slc_dead_letter *letter)
{
    (void)to, (void)letter;
    letters++;
}

static int64_t rejected(void)
{
    const char *const labels[] = {"m", "rejected"};
    return slc_series_value(slc_metrics_series("sluice_policy_records_total", labels));
}

/* One partition of a message, whose records the policy rejects. */
static void reject_at(size_t at)
{
    slc_kafka_value out = {0};
    slc_view_failure failure = {0};
    const slc_view_batches batches = {.produce = true,
                                      .topic = "orders",
                                      .backend = "orders",
                                      .from_offset = INT64_MIN,
                                      .at = at,
                                      .data = {in.data, in.len},
                                      .made = &made};
    ck_assert_int_eq(rules.hook.map(&rules.hook, &batches, &out, &failure), SLC_KAFKA_REFUSE);
    ck_assert_int_eq(failure.code, SLC_KAFKA_INVALID_RECORD);
}

START_TEST(a_message_that_comes_again_is_told_and_counted_once)
{
    slc_record_pause pauses[2] = {0};
    slc_dead_letters sink = {put_letter};
    slc_record_metrics_register();
    setup(NULL);
    asker_policy(asker, "m", "mask",
                 "{\"keep_only\":[\"/n\"],\"on\":\"publish\",\"dead_letter_topic\":\"dead\"}");
    ck_assert(begin());
    ck_assert(slc_record_rules_init(&rules, access_, &work, pauses));
    work.letters = &sink;
    letters = 0;
    reject_at(10);
    reject_at(900);
    ck_assert(letters == 2 && rejected() == 2 && denials == 2);
    reject_at(10); /* what comes behind them had to wait */
    reject_at(900);
    ck_assert(letters == 2 && rejected() == 2 && denials == 2);
    reject_at(2000);
    ck_assert(letters == 3 && rejected() == 3 && denials == 3);
    slc_record_pause_end(&pauses[true]); /* another message */
    reject_at(10);
    ck_assert(letters == 4 && rejected() == 4 && denials == 4);
    teardown();
}
END_TEST

/* Where it had to wait in the middle of a partition. */
START_TEST(records_before_the_one_that_waited_were_told)
{
    slc_record_pause pauses[2] = {0};
    slc_record_metrics_register();
    setup(NULL);
    asker_policy(asker, "m", "mask", "{\"keep_only\":[\"/n\"],\"on\":\"publish\"}");
    ck_assert(begin());
    ck_assert(slc_record_rules_init(&rules, access_, &work, pauses));
    pauses[true].told_at = 10;
    pauses[true].told_offset = 1; /* the first one */
    reject_at(10);
    ck_assert(rejected() == 0 &&
              denials == 1); /* the first one is the one that is refused; the batch was not told */
    pauses[true].told_at = 10;
    pauses[true].told_offset = 0;
    reject_at(10);
    ck_assert(rejected() == 1 && denials == 2);
    teardown();
}
END_TEST

UNIT_MAIN("record rules", a_message_that_comes_again_is_told_and_counted_once,
          records_before_the_one_that_waited_were_told, nothing_is_allocated_for_a_record,
          what_fails_is_told_by_an_error_that_fits, records_are_held_where_a_policy_changes_them_alone,
          headers_are_changed_in_the_batch, rules_of_an_event_api_are_for_its_topic,
          a_condition_chooses_and_fails_what_it_cannot_judge, damaged_batches_are_refused_both_ways)
