/* The generated table as its users see it. */
#include "message.h"

START_TEST(every_key_is_there_and_absent_ones_have_no_messages)
{
    for (int key = 0; key < SLC_KAFKA_KEYS; key++) {
        const slc_kafka_api *api = slc_kafka_api_find(key);
        ck_assert_int_eq(api->key, key);
        bool absent = api->disposition == SLC_KAFKA_DO_ABSENT;
        ck_assert_int_eq(absent, api->request == NULL);
        ck_assert_int_eq(absent, api->response == NULL);
    }
    ck_assert_ptr_null(slc_kafka_api_find(-1));
    ck_assert_ptr_null(slc_kafka_api_find(SLC_KAFKA_KEYS));
}
END_TEST

START_TEST(a_refused_key_serves_no_version)
{
    for (int key = 0; key < SLC_KAFKA_KEYS; key++) {
        const slc_kafka_api *api = slc_kafka_api_find(key);
        bool refused = api->disposition == SLC_KAFKA_DO_REFUSE || api->disposition == SLC_KAFKA_DO_ABSENT;
        ck_assert_int_eq(refused, api->served.since > api->served.until);
    }
}
END_TEST

START_TEST(what_only_brokers_and_controllers_speak_is_refused)
{
    static const int keys[] = {27, 52, 53, 54, 56, 57, 58, 59, 62, 63, 64, 67,
                               70, 73, 80, 81, 82, 83, 84, 85, 86, 87, 94};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        ck_assert_int_eq(slc_kafka_api_find(keys[i])->disposition, SLC_KAFKA_DO_REFUSE);
}
END_TEST

START_TEST(an_unknown_key_or_version_is_an_error)
{
    slc_error err = {0};
    ck_assert_ptr_null(slc_kafka_message_find(95, 0, SLC_KAFKA_REQUEST, &err));
    ck_assert_int_eq(err.code, SLC_UNSUPPORTED);
    ck_assert_ptr_null(slc_kafka_message_find(4, 0, SLC_KAFKA_REQUEST, &err));
    ck_assert_ptr_null(slc_kafka_message_find(0, 2, SLC_KAFKA_REQUEST, &err)); /* KIP-896 */
    ck_assert_ptr_null(slc_kafka_message_find(3, 14, SLC_KAFKA_RESPONSE, &err));
    ck_assert_str_eq(err.message, "MetadataResponse has no version 14; it has 0 to 13.");
}
END_TEST

START_TEST(header_versions_follow_flexibility_but_for_api_versions_answers)
{
    ck_assert_int_eq(slc_kafka_header_version(message_of(3, 8, SLC_KAFKA_REQUEST), 8), 1);
    ck_assert_int_eq(slc_kafka_header_version(message_of(3, 9, SLC_KAFKA_REQUEST), 9), 2);
    ck_assert_int_eq(slc_kafka_header_version(message_of(3, 8, SLC_KAFKA_RESPONSE), 8), 0);
    ck_assert_int_eq(slc_kafka_header_version(message_of(3, 9, SLC_KAFKA_RESPONSE), 9), 1);
    ck_assert_int_eq(slc_kafka_header_version(message_of(18, 3, SLC_KAFKA_REQUEST), 3), 2);
    ck_assert_int_eq(slc_kafka_header_version(message_of(18, 3, SLC_KAFKA_RESPONSE), 3), 0);
    ck_assert_int_eq(slc_kafka_header_version(message_of(17, 1, SLC_KAFKA_REQUEST), 1), 1);
}
END_TEST

START_TEST(roles_depend_on_the_version)
{
    uint64_t v12 = slc_kafka_message_roles(message_of(0, 12, SLC_KAFKA_REQUEST), 12);
    uint64_t v13 = slc_kafka_message_roles(message_of(0, 13, SLC_KAFKA_REQUEST), 13);
    ck_assert(v12 & SLC_KAFKA_WANT(SLC_KAFKA_ROLE_TOPIC));
    ck_assert(!(v12 & SLC_KAFKA_WANT(SLC_KAFKA_ROLE_TOPIC_ID)));
    ck_assert(v13 & SLC_KAFKA_WANT(SLC_KAFKA_ROLE_TOPIC_ID));
    ck_assert(!(v13 & SLC_KAFKA_WANT(SLC_KAFKA_ROLE_TOPIC)));
    uint64_t fetched = slc_kafka_message_roles(message_of(1, 16, SLC_KAFKA_RESPONSE), 16);
    ck_assert(fetched & SLC_KAFKA_WANT(SLC_KAFKA_ROLE_HOST)); /* in the trailing tag, KIP-951 */
    ck_assert_uint_eq(slc_kafka_message_roles(message_of(60, 0, SLC_KAFKA_REQUEST), 0), 0);
}
END_TEST

START_TEST(every_role_has_a_name)
{
    for (int role = 0; role < SLC_KAFKA_ROLES; role++)
        ck_assert_str_ne(slc_kafka_role_name((enum slc_kafka_role)role), "unknown");
}
END_TEST

TEST_MAIN("kafka-table", every_key_is_there_and_absent_ones_have_no_messages, a_refused_key_serves_no_version,
          what_only_brokers_and_controllers_speak_is_refused, an_unknown_key_or_version_is_an_error,
          header_versions_follow_flexibility_but_for_api_versions_answers, roles_depend_on_the_version,
          every_role_has_a_name)
