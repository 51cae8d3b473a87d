/* What Accept and Prefer ask for. */
#include <check.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "dataplane/mediation/mediation.h"

static enum slc_read_kind kind_of(const char *first, const char *second)
{
    struct evkeyvalq fields;
    TAILQ_INIT(&fields);
    if (first != NULL)
        evhttp_add_header(&fields, "Accept", first);
    if (second != NULL)
        evhttp_add_header(&fields, "accept", second);
    enum slc_read_kind kind = slc_read_kind_of(&fields, true, true);
    evhttp_clear_headers(&fields);
    return kind;
}

START_TEST(accept_is_a_list_with_weights)
{
    static const struct {
        const char *accept;
        enum slc_read_kind kind;
    } cases[] = {
        {NULL, SLC_READ_PAGE},
        {"*/*", SLC_READ_PAGE},
        {"application/json", SLC_READ_PAGE},
        {"Application/JSON; charset=utf-8", SLC_READ_PAGE},
        {"application/*", SLC_READ_PAGE},
        {"text/event-stream", SLC_READ_STREAM},
        {" Text/Event-Stream ;q=1.0", SLC_READ_STREAM},
        {"text/*", SLC_READ_STREAM},
        {"text/event-stream, application/json", SLC_READ_STREAM},
        {"application/json, text/event-stream", SLC_READ_STREAM},
        {"application/json, text/event-stream;q=0.9", SLC_READ_PAGE},
        {"application/json;q=0.1,text/event-stream;q=0.2", SLC_READ_STREAM},
        {"text/event-stream;q=0", SLC_READ_NEITHER},
        {"text/event-stream;q=0, */*", SLC_READ_PAGE},
        {"application/json;q=0, */*", SLC_READ_NEITHER},
        {"text/event-stream, */*;q=0.1", SLC_READ_STREAM},
        {"text/html, application/xhtml+xml, */*;q=0.8", SLC_READ_PAGE},
        {"text/html", SLC_READ_NEITHER},
        {"text/event-streams", SLC_READ_NEITHER},
        {"x/y;note=\"text/event-stream, application/json\"", SLC_READ_NEITHER},
        {"x/y;note=\"a\\\",b\";q=1, application/json", SLC_READ_PAGE},
        {"application/json;q=2", SLC_READ_PAGE},
        {",,;,", SLC_READ_PAGE},
        {"", SLC_READ_PAGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_msg(kind_of(cases[i].accept, NULL) == cases[i].kind, "%s: %d", cases[i].accept,
                      kind_of(cases[i].accept, NULL));
    ck_assert_int_eq(kind_of("text/html", "text/event-stream"), SLC_READ_STREAM);
    ck_assert_int_eq(kind_of("", "text/html"), SLC_READ_NEITHER);
    ck_assert_int_eq(kind_of("application/json;q=0.5", "text/event-stream;q=0.4"), SLC_READ_PAGE);
}
END_TEST

/* What is not offered is not chosen, and does not stand in the way of what is. */
START_TEST(what_is_offered_decides_too)
{
    static const struct {
        const char *accept;
        enum slc_read_kind pages, streams;
    } cases[] = {
        {NULL, SLC_READ_PAGE, SLC_READ_STREAM},
        {"*/*", SLC_READ_PAGE, SLC_READ_STREAM},
        {"text/event-stream, application/json", SLC_READ_PAGE, SLC_READ_STREAM},
        {"application/json, text/event-stream;q=0.1", SLC_READ_PAGE, SLC_READ_STREAM},
        {"application/json", SLC_READ_PAGE, SLC_READ_NEITHER},
        {"text/event-stream", SLC_READ_NEITHER, SLC_READ_STREAM},
        {"text/event-stream;q=0, */*", SLC_READ_PAGE, SLC_READ_NEITHER},
        {"text/html", SLC_READ_NEITHER, SLC_READ_NEITHER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct evkeyvalq fields;
        TAILQ_INIT(&fields);
        if (cases[i].accept != NULL)
            evhttp_add_header(&fields, "Accept", cases[i].accept);
        ck_assert_int_eq(slc_read_kind_of(&fields, true, false), cases[i].pages);
        ck_assert_int_eq(slc_read_kind_of(&fields, false, true), cases[i].streams);
        ck_assert_int_eq(slc_read_kind_of(&fields, false, false), SLC_READ_NEITHER);
        evhttp_clear_headers(&fields);
    }
}
END_TEST

static bool prefers(const char *first, const char *second)
{
    struct evkeyvalq fields;
    TAILQ_INIT(&fields);
    evhttp_add_header(&fields, "Prefer", first);
    if (second != NULL)
        evhttp_add_header(&fields, "Prefer", second);
    bool found = slc_prefers(&fields, "respond-async");
    evhttp_clear_headers(&fields);
    return found;
}

START_TEST(preferences_are_whole_words)
{
    ck_assert(prefers("respond-async", NULL));
    ck_assert(prefers("Respond-Async", NULL));
    ck_assert(prefers("wait=10, respond-async", NULL));
    ck_assert(prefers("respond-async; x=1", NULL));
    ck_assert(prefers("return=minimal", "respond-async"));
    ck_assert(!prefers("no-respond-async", NULL));
    ck_assert(!prefers("respond-async-later", NULL));
    ck_assert(!prefers("note=\"x, respond-async\"", NULL));
    ck_assert(!prefers("", NULL));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("accept");
    TCase *tcase = tcase_create("fields");
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, accept_is_a_list_with_weights);
    tcase_add_test(tcase, what_is_offered_decides_too);
    tcase_add_test(tcase, preferences_are_whole_words);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
