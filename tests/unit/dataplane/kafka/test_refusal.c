/* Refusals: for every key and version, the answer is well formed and says the error wherever it can. */
#include "dataplane/kafka/decode.h"
#include "dataplane/kafka/refusal.h"
#include "message.h"

#define CODE 30
/* Its answer is nested in another way than its request; no errors means "nothing was moved". */
#define ALTER_REPLICA_LOG_DIRS 34
#define DESCRIBE_LOG_DIRS      35 /* old versions are silent in Kafka, too */

static slc_buf in, out;
static int partitions;

static void setup(void)
{
    slc_buf_clear(&in);
    slc_buf_clear(&out);
}

static void write_node(const slc_kafka_node *node, int version, bool flexible);

static void write_value(const slc_kafka_field *field, int version, bool flexible)
{
    switch (field->type) {
    case SLC_KAFKA_STRUCT:
        if (slc_kafka_within(field->null_in, version) && (field->flags & SLC_KAFKA_FIELD_ARRAY) == 0)
            slc_kafka_add_int8(&in, -1);
        else
            write_node(&slc_kafka_nodes[field->node], version, flexible);
        break;
    case SLC_KAFKA_STRING:
        text(&in, flexible, "name");
        break;
    case SLC_KAFKA_BYTES:
    case SLC_KAFKA_RECORDS:
        slc_kafka_add_bytes(&in, flexible, (const uint8_t *)"bytes", 5);
        break;
    default:
        ck_assert_ptr_nonnull(slc_buf_extend(&in, slc_kafka_type_size(field->type)));
        memset(in.data + in.len - slc_kafka_type_size(field->type), 7, slc_kafka_type_size(field->type));
    }
}

/* Every array has two elements. */
static void write_node(const slc_kafka_node *node, int version, bool flexible)
{
    for (uint16_t i = node->first; i < node->first + node->count; i++) {
        const slc_kafka_field *field = &slc_kafka_fields[i];
        if (!slc_kafka_within(field->in, version) || slc_kafka_within(field->tagged_in, version))
            continue;
        bool array = (field->flags & SLC_KAFKA_FIELD_ARRAY) != 0;
        if (array)
            slc_kafka_add_count(&in, flexible, 2);
        for (int n = 0; n < (array ? 2 : 1); n++)
            write_value(field, version, flexible);
    }
    if (flexible)
        slc_kafka_add_no_tags(&in);
}

struct seen {
    int errors, names, wrong;
};

static bool look(void *ctx, const slc_kafka_event *ev, slc_error *err)
{
    struct seen *seen = ctx;
    (void)err;
    if (ev->kind != SLC_KAFKA_EV_VALUE)
        return true;
    if (ev->field->role == SLC_KAFKA_ROLE_ERROR_CODE) {
        seen->errors++;
        seen->wrong += ev->number != CODE;
    }
    if (ev->field->role == SLC_KAFKA_ROLE_ERROR_TEXT)
        seen->wrong += ev->len != 2;
    bool name = ev->field->role == SLC_KAFKA_ROLE_TOPIC || ev->field->role == SLC_KAFKA_ROLE_GROUP ||
                ev->field->role == SLC_KAFKA_ROLE_TXN_ID;
    if (name && ev->data != NULL) {
        seen->names++;
        seen->wrong += ev->len != 4;
    }
    if (strncmp(ev->field->name, "Partition", 9) == 0 && ev->field->type == SLC_KAFKA_INT32)
        partitions++;
    return true;
}

static struct seen refused(int key, int version, const char *why)
{
    slc_error err = {0};
    struct seen seen = {0};
    slc_kafka_request_header header = {.key = (int16_t)key, .version = (int16_t)version, .correlation_id = 9};
    const slc_kafka_refusal refusal = {.code = CODE, .text = why};
    header.message = message_of(key, version, SLC_KAFKA_REQUEST);
    ck_assert_msg(slc_kafka_refuse(&out, &header, in.data, in.len, &refusal, &err), "%s %d: %s",
                  slc_kafka_apis[key].name, version, err.message);
    ck_assert_msg(slc_kafka_response_decode(key, version, 9, out.data + 4, out.len - 4, look, &seen, &err),
                  "%s %d: %s", slc_kafka_apis[key].name, version, err.message);
    return seen;
}

START_TEST(every_key_and_version_can_be_refused)
{
    int cases = 0;
    for (int key = 0; key < SLC_KAFKA_KEYS; key++) {
        const slc_kafka_api *api = &slc_kafka_apis[key];
        for (int version = api->served.since; version <= api->served.until; version++, cases++) {
            setup();
            write_node(&slc_kafka_nodes[api->request->node], version,
                       slc_kafka_within(api->request->flexible_in, version));
            struct seen seen = refused(key, version, "no");
            bool silent = key == ALTER_REPLICA_LOG_DIRS || (key == DESCRIBE_LOG_DIRS && version < 3);
            ck_assert_msg((seen.errors > 0) == !silent, "%s %d says no error", api->name, version);
            ck_assert_msg(seen.wrong == 0, "%s %d: %d", api->name, version, seen.wrong);
        }
    }
    ck_assert_int_gt(cases, 200);
}
END_TEST

static void request_of(int key, int version)
{
    setup();
    write_node(&slc_kafka_nodes[slc_kafka_apis[key].request->node], version,
               slc_kafka_within(slc_kafka_apis[key].request->flexible_in, version));
}

START_TEST(names_and_partitions_are_repeated_where_errors_are_below_them)
{
    request_of(0, 9); /* Produce: two topics of two partitions */
    ck_assert_int_eq(refused(0, 9, "no").errors, 4);
    request_of(8, 9); /* OffsetCommit */
    struct seen seen = refused(8, 9, NULL);
    ck_assert(seen.errors == 4 && seen.names == 2);
    request_of(8, 10);
    ck_assert_int_eq(refused(8, 10, NULL).errors, 4);
    request_of(9, 1); /* OffsetFetch: partitions are an array of numbers */
    partitions = 0;
    ck_assert(refused(9, 1, NULL).errors == 4 && partitions == 4);
    request_of(9, 8); /* from here on each group has an error, and no topics then */
    seen = refused(9, 8, NULL);
    ck_assert(seen.errors == 2 && seen.names == 2);
    request_of(24, 3); /* AddPartitionsToTxn */
    ck_assert_int_eq(refused(24, 3, NULL).errors, 4);
    request_of(42, 2); /* DeleteGroups: strings */
    seen = refused(42, 2, NULL);
    ck_assert(seen.errors == 2 && seen.names == 2);
    request_of(11, 9); /* JoinGroup: one error for all */
    seen = refused(11, 9, NULL);
    ck_assert(seen.errors == 1 && seen.names == 0);
    request_of(44, 1); /* IncrementalAlterConfigs */
    ck_assert_int_eq(refused(44, 1, "no").errors, 2);
}
END_TEST

START_TEST(a_malformed_request_is_not_repeated)
{
    slc_error err = {0};
    slc_kafka_request_header header = {.key = 0, .version = 9, .correlation_id = 9};
    const slc_kafka_refusal refusal = {.code = CODE};
    request_of(0, 9);
    header.message = message_of(0, 9, SLC_KAFKA_REQUEST);
    slc_buf_addc(&out, 'x');
    ck_assert(!slc_kafka_refuse(&out, &header, in.data, in.len / 2, &refusal, &err));
    ck_assert_int_eq(err.code, SLC_INVALID);
    ck_assert_uint_eq(out.len, 1);
}
END_TEST

static int init_and_run(const TTest *const *tests, size_t count)
{
    slc_buf_init(&in, MESSAGE_MAX);
    slc_buf_init(&out, MESSAGE_MAX);
    int status = run_tests("refusal", tests, count);
    slc_buf_release(&in);
    slc_buf_release(&out);
    return status;
}

int main(void)
{
    const TTest *const tests[] = {every_key_and_version_can_be_refused,
                                  names_and_partitions_are_repeated_where_errors_are_below_them,
                                  a_malformed_request_is_not_repeated};
    return init_and_run(tests, sizeof tests / sizeof tests[0]);
}
