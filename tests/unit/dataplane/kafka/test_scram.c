/* SCRAM, the client's side, against the examples of the RFCs. */
#include <check.h>
#include <string.h>

#include "dataplane/kafka/scram_client.h"
#include "tests/unit/common/unit.h"

#define NONCE "rOprNGfwEbeRWgbNEkqO"
#define FIRST "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"

static slc_scram_client client;
static slc_buf out;
static slc_error err;

static void setup(void)
{
    slc_buf_init(&out, 4096);
    slc_scram_client_init(&client, false, NONCE);
    ck_assert(slc_scram_client_first(&client, "user", &out, &err));
}

static void teardown(void)
{
    slc_buf_release(&out);
    slc_scram_client_release(&client);
}

static bool answer(const char *text)
{
    slc_buf_clear(&out);
    return slc_scram_client_final(&client, "pencil", 6, (const uint8_t *)text, strlen(text), &out, &err);
}

static bool verify(const char *text)
{
    return slc_scram_client_verify(&client, (const uint8_t *)text, strlen(text), &err);
}

/* RFC 7677 section 3. */
START_TEST(the_example_of_the_rfc)
{
    setup();
    ck_assert_str_eq((const char *)out.data, "n,,n=user,r=" NONCE);
    ck_assert_msg(answer(FIRST), "%s", err.message);
    ck_assert_str_eq((const char *)out.data, "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                                             "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    ck_assert_msg(verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), "%s", err.message);
    teardown();
}
END_TEST

START_TEST(a_server_that_does_not_know_the_password_is_found_out)
{
    setup();
    ck_assert(answer(FIRST));
    ck_assert(!verify("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    ck_assert_int_eq(err.code, SLC_DENIED);
    ck_assert(!verify("e=invalid-proof"));
    ck_assert_ptr_nonnull(strstr(err.message, "invalid-proof"));
    ck_assert(!verify(""));
    ck_assert(!verify("v="));
    teardown();
}
END_TEST

START_TEST(bad_challenges_are_refused)
{
    setup();
    static const char *const bad[] = {
        "",
        "r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", /* nothing of the server's */
        "r=another,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=" NONCE "x,s=,i=4096",
        "r=" NONCE "x,s=!,i=4096",
        "r=" NONCE "x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0",
        "r=" NONCE "x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1000001",
        "r=" NONCE "x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=99999999999999999999",
        "r=" NONCE "x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=-1",
        "r=" NONCE "x,i=4096,s=W22ZaJ0SNY7soEsUEjb6gQ==",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_msg(!answer(bad[i]), "%s", bad[i]);
        ck_assert_int_eq(err.code, SLC_INVALID);
    }
    teardown();
}
END_TEST

START_TEST(names_are_escaped)
{
    setup();
    slc_scram_client other;
    slc_buf_clear(&out);
    slc_scram_client_init(&other, true, "n");
    ck_assert(slc_scram_client_first(&other, "a=b,c", &out, &err));
    ck_assert_str_eq((const char *)out.data, "n,,n=a=3Db=2Cc,r=n");
    slc_scram_client_release(&other);
    teardown();
}
END_TEST

UNIT_MAIN("scram", the_example_of_the_rfc, a_server_that_does_not_know_the_password_is_found_out,
          bad_challenges_are_refused, names_are_escaped)
