/* redact: which texts hold a key, and what is left of them. */
#include <check.h>
#include <string.h>

#include "common/redact.h"
#include "unit.h"

#define ID     "0123456789abcdef"
#define SECRET "qrstvwxyz0123456789abcdefghjkmnp"

START_TEST(secrets_go_and_all_else_stays)
{
    static const struct {
        const char *text, *left;
    } cases[] = {
        {"/orders/slk_" ID "_" SECRET "/v1?x=1", "/orders/slk_" ID "_***/v1?x=1"},
        {"slc_" ID "_" SECRET, "slc_" ID "_***"},
        {"a slk_" ID "_" SECRET " b sla_" ID "_" SECRET " c", "a slk_" ID "_*** b sla_" ID "_*** c"},
        {"/slk%5F" ID "%5f" SECRET "/v1", "/slk%5F" ID "%5f***/v1"},
        {"/%73lk_%30123456789abcdef_%71" SECRET "-", "/%73lk_%30123456789abcdef_***-"},
        {"/SLK_" ID "_" SECRET, "/SLK_" ID "_***"},
        {"/sslk_" ID "_q", "/sslk_" ID "_*"}, /* cut off */
        {"slk_slk_" ID "_" SECRET, "slk_slk_" ID "_***"},
        {"/slk_" ID "_", "/slk_" ID "_"},
        {"/slk_0123456789_" SECRET, "/slk_0123456789_" SECRET},
        {"/slk-" ID "-" SECRET, "/slk-" ID "-" SECRET},
        {"slc_policy_request_of", "slc_policy_request_of"},
        {"100%", "100%"},
        {"%s", "%s"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        strcpy(text, cases[i].text);
        size_t len = slc_redact(text, strlen(text));
        text[len] = '\0';
        ck_assert_str_eq(text, cases[i].left);
    }
}
END_TEST

UNIT_MAIN("redact", secrets_go_and_all_else_stays)
