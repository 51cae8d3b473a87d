/* Writes docs/metrics.md from what the two programs register, or checks that it is so: metrics_doc [--check]
 * FILE. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/file.h"
#include "common/metrics.h"
#include "controlplane/control.h"
#include "dataplane/gateway.h"

#define MAX_BYTES (1 << 20)

static const char intro[] =
    "# Metrics\n"
    "\n"
    "In Prometheus' text format: of a gateway at `/metrics` on `observe-address` (port 8100), of the control "
    "plane at\n"
    "`/metrics` of the admin API (port 8001). This page is generated from the code (`metrics_doc "
    "docs/metrics.md`).\n"
    "\n"
    "Names end with their unit; `_timestamp_seconds` is a Unix time, `_total` a counter. Histograms of seconds "
    "have the\n"
    "buckets 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30.\n"
    "\n"
    "Nobody outside can make the number of series grow: label values are names that were configured, or from "
    "fixed\n"
    "lists, and a metric that has as many series as the table says counts all others under the label value "
    "`_other`;\n"
    "`sluice_metric_series_dropped_total` says which metric.\n";

/* A process has one set of metrics: each program's in a child of its own. */
static bool describe(void (*register_all)(void), slc_buf *out)
{
    int ends[2], status = 0;
    char piece[4096];
    if (pipe(ends) != 0)
        return false;
    pid_t child = fork();
    if (child == 0) {
        slc_buf text;
        register_all();
        slc_buf_init(&text, MAX_BYTES);
        slc_metrics_describe(&text);
        bool ok = write(ends[1], text.data, text.len) == (ssize_t)text.len;
        _exit(ok && !text.overflow ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    close(ends[1]);
    for (ssize_t n; (n = read(ends[0], piece, sizeof piece)) > 0;)
        slc_buf_add(out, piece, (size_t)n);
    close(ends[0]);
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static int check(const slc_buf *out, const char *path)
{
    slc_error err = {0};
    size_t len = 0;
    char *text = slc_file_read(path, MAX_BYTES, &len, &err);
    bool same = text != NULL && len == out->len && memcmp(text, out->data, len) == 0;
    if (!same)
        fprintf(stderr, "%s is not what the programs register %s: write it with `metrics_doc FILE`\n", path,
                err.message);
    free(text);
    return same ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int write_file(const slc_buf *out, const char *path)
{
    slc_error err = {0};
    if (slc_file_write_atomic(path, (const char *)out->data, out->len, 0644, &err))
        return EXIT_SUCCESS;
    fprintf(stderr, "%s\n", err.message);
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    slc_buf out;
    bool checks = argc == 3 && strcmp(argv[1], "--check") == 0;
    if (argc != 2 && !checks) {
        fprintf(stderr, "usage: metrics_doc [--check] FILE\n");
        return EXIT_FAILURE;
    }
    slc_buf_init(&out, MAX_BYTES);
    slc_buf_adds(&out, intro);
    slc_buf_adds(&out, "\n## Gateway\n\n");
    bool ok = describe(slc_gateway_register_metrics, &out);
    slc_buf_adds(&out, "\n## Control plane\n\n");
    ok = describe(slc_control_register_metrics, &out) && ok && !out.overflow;
    int status = !ok ? EXIT_FAILURE : checks ? check(&out, argv[2]) : write_file(&out, argv[1]);
    slc_buf_release(&out);
    return status;
}
