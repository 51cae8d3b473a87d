#include "dataplane/observe/trace.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "common/metrics.h"
#include "tests/unit/common/unit.h"

#define TRACE     "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT    "00f067aa0ba902b7"
#define SAMPLED   "00-" TRACE "-" PARENT "-01"
#define UNSAMPLED "00-" TRACE "-" PARENT "-00"

/* Nobody listens on port 1: what is sent fails at once. */
static slc_trace_options options(int64_t per_mille, int64_t queue, int64_t batch)
{
    return (slc_trace_options){.endpoint = "http://127.0.0.1:1/v1/traces",
                               .service_name = "test",
                               .per_mille = per_mille,
                               .queue = queue,
                               .batch = batch,
                               .interval_ms = 600000,
                               .timeout_ms = 1000};
}

static slc_tracer *start(int64_t per_mille, int64_t queue, int64_t batch)
{
    static bool registered;
    slc_trace_options all = options(per_mille, queue, batch);
    slc_error err = {0};
    slc_tracer *tracer = NULL;
    if (!registered)
        slc_trace_register_metrics();
    registered = true;
    ck_assert(slc_tracer_new(&all, &tracer, &err));
    ck_assert_ptr_nonnull(tracer);
    return tracer;
}

static int64_t spans(const char *outcome)
{
    return slc_series_value(slc_metrics_series("sluice_trace_spans_total", &outcome));
}

static void end(slc_span *span)
{
    slc_span_facts facts = {.method = "POST", .path = "/orders/v1/events", .status = 201};
    slc_span_end(span, &facts);
}

START_TEST(a_sampled_parent_has_a_child)
{
    slc_tracer *tracer = start(0, 10, 10);
    slc_span *span = slc_span_begin(tracer, SAMPLED, "vendor=a");
    ck_assert_ptr_nonnull(span);
    const char *context = slc_span_traceparent(span);
    ck_assert_uint_eq(strlen(context), strlen(SAMPLED));
    ck_assert_int_eq(strncmp(context, "00-" TRACE "-", 36), 0);
    ck_assert_int_ne(strncmp(context + 36, PARENT, 16), 0);
    ck_assert_str_eq(context + 52, "-01");
    ck_assert_str_eq(slc_span_tracestate(span), "vendor=a");
    ck_assert_str_eq(slc_span_trace_id(span), TRACE);
    end(span);
    slc_tracer_free(tracer);
}
END_TEST

START_TEST(an_unsampled_parent_is_handed_on)
{
    slc_tracer *tracer = start(1000, 10, 10);
    slc_span *span = slc_span_begin(tracer, UNSAMPLED, NULL);
    ck_assert_str_eq(slc_span_traceparent(span), UNSAMPLED);
    ck_assert_ptr_null(slc_span_trace_id(span));
    ck_assert_ptr_null(slc_span_tracestate(span));
    end(span);
    slc_tracer_free(tracer);
    ck_assert_int_eq(spans("failed") + spans("dropped") + spans("exported"), 0);
}
END_TEST

START_TEST(what_is_no_context_is_none)
{
    static const char *const bad[] = {
        NULL,
        "",
        "0",
        "00-",
        "00-" TRACE,
        "00-" TRACE "-" PARENT,
        "00-" TRACE "-" PARENT "-",
        "00-" TRACE "-" PARENT "-1",
        "00-" TRACE "-" PARENT "-011",
        "00-" TRACE "-" PARENT "-01-00",
        "00-" TRACE "_" PARENT "-01",
        "ff-" TRACE "-" PARENT "-01",
        "0x-" TRACE "-" PARENT "-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01",
        "00-00000000000000000000000000000000-" PARENT "-01",
        "00-" TRACE "-0000000000000000-01",
        "01-" TRACE "-" PARENT "-01x",
    };
    slc_tracer *tracer = start(0, 10, 10);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(slc_span_begin(tracer, bad[i], NULL) == NULL, "%s is taken for a context",
                      bad[i] != NULL ? bad[i] : "NULL");
    slc_span *span = slc_span_begin(tracer, "01-" TRACE "-" PARENT "-01-more", NULL);
    ck_assert_ptr_nonnull(span);
    end(span);
    slc_tracer_free(tracer);
}
END_TEST

START_TEST(roots_are_sampled_as_often_as_the_setting_says)
{
    slc_tracer *tracer = start(250, 10, 10);
    int sampled = 0;
    for (int i = 0; i < 4000; i++) {
        slc_span *span = slc_span_begin(tracer, NULL, NULL);
        sampled += span != NULL;
        if (span != NULL)
            end(span);
    }
    ck_assert_int_gt(sampled, 800); /* 1,000, and 27 of them are its standard deviation */
    ck_assert_int_lt(sampled, 1200);
    slc_tracer_free(tracer);
}
END_TEST

START_TEST(what_does_not_fit_is_dropped_and_counted_and_nobody_waits)
{
    slc_tracer *tracer = start(1000, 2, 1000);
    for (int i = 0; i < 5; i++)
        end(slc_span_begin(tracer, NULL, NULL));
    ck_assert_int_eq(spans("dropped"), 3);
    slc_tracer_free(tracer);
    ck_assert_int_eq(spans("failed"), 2);
    ck_assert_int_eq(spans("exported"), 0);
}
END_TEST

START_TEST(links_are_bounded)
{
    char context[] = SAMPLED;
    slc_tracer *tracer = start(1000, 10, 10);
    slc_span *span = slc_span_begin(tracer, NULL, NULL);
    for (int i = 0; i < 10 * SLC_SPAN_LINKS; i++) {
        context[3] = "0123456789abcdef"[i % 16];
        context[4] = "0123456789abcdef"[i / 16 % 16];
        slc_span_link(span, context, strlen(context));
        slc_span_link(span, context, strlen(context) - 1);
        slc_span_link(span, "", 0);
    }
    end(span);
    slc_tracer_free(tracer);
    ck_assert_int_eq(spans("failed"), 1);
}
END_TEST

static void *end_many(void *arg)
{
    for (int i = 0; i < 200; i++)
        end(slc_span_begin(arg, i % 2 == 0 ? SAMPLED : NULL, NULL));
    return NULL;
}

START_TEST(threads_lose_no_count)
{
    pthread_t threads[4];
    slc_tracer *tracer = start(1000, 64, 16);
    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, end_many, tracer), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    slc_tracer_free(tracer);
    ck_assert_int_eq(spans("failed") + spans("dropped") + spans("exported"), 800);
}
END_TEST

START_TEST(an_endpoint_is_a_url_or_absent)
{
    slc_trace_options all = options(0, 10, 10);
    slc_error err = {0};
    slc_tracer *tracer = (slc_tracer *)&all;
    all.endpoint = NULL;
    ck_assert(slc_tracer_new(&all, &tracer, &err));
    ck_assert_ptr_null(tracer);
    all.endpoint = "collector:4318";
    ck_assert(!slc_tracer_new(&all, &tracer, &err));
    ck_assert_str_eq(err.field, "tracing.endpoint");
    slc_tracer_free(NULL);
    slc_span_end(NULL, NULL);
}
END_TEST

UNIT_MAIN("trace", a_sampled_parent_has_a_child, an_unsampled_parent_is_handed_on, what_is_no_context_is_none,
          roots_are_sampled_as_often_as_the_setting_says,
          what_does_not_fit_is_dropped_and_counted_and_nobody_waits, links_are_bounded, threads_lose_no_count,
          an_endpoint_is_a_url_or_absent)
