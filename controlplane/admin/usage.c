/* What applications use: for those whom it concerns, as JSON or as a CSV file. */
#include "catalog/usage.h"

#include <string.h>

#include "common/buf.h"
#include "common/clock.h"
#include "controlplane/admin/admin.h"
#include "controlplane/admin/handlers.h"

#define CSV_ROW_BYTES 640
#define CSV_TYPE      "text/csv; charset=utf-8"
#define FOR_EVER_MS   253402300800000LL /* the year 10000 */

static bool take_time(const slc_call *call, const char *name, int64_t otherwise, int64_t *ms, slc_error *err)
{
    const char *text = slc_call_query(call, name);
    *ms = otherwise;
    return text == NULL || slc_rfc3339_parse(text, strlen(text), ms) ||
           slc_fail(err, SLC_INVALID, name, "must be a time such as 2026-11-24T00:00:00Z");
}

static bool take_query(const slc_call *call, slc_usage_query *query, slc_error *err)
{
    const char *by = slc_call_query(call, "by");
    *query = (slc_usage_query){.by = by != NULL ? by : "day",
                               .application = slc_call_query(call, "application"),
                               .event_api = slc_call_query(call, "event_api"),
                               .virtual_cluster = slc_call_query(call, "virtual_cluster"),
                               .operation = slc_call_query(call, "operation"),
                               .cursor = slc_call_query(call, "cursor"),
                               .limit = slc_call_limit(call, err)};
    return query->limit >= 0 && take_time(call, "from", 0, &query->from_ms, err) &&
           take_time(call, "to", FOR_EVER_MS, &query->to_ms, err);
}

/* ---- CSV (RFC 4180) ---- */

/* Keys and ids hold nothing that needs quotes, nor what a spreadsheet would take for a formula. */
static void add_row(slc_buf *csv, const json_t *item)
{
    static const char *const texts[] = {"at", "application", "event_api", "virtual_cluster", "operation"};
    static const char *const numbers[] = {"requests", "events", "bytes", "errors", "throttled"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *text = json_string_value(json_object_get(item, texts[i]));
        slc_buf_adds(csv, i > 0 ? "," : "");
        slc_buf_adds(csv, text != NULL ? text : "");
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        slc_buf_addc(csv, ',');
        slc_buf_add_int(csv, json_integer_value(json_object_get(item, numbers[i])));
    }
    slc_buf_adds(csv, "\r\n");
}

static bool answer_csv(slc_call *call, const json_t *list, size_t limit, slc_error *err)
{
    const json_t *items = json_object_get(list, "items");
    size_t i;
    json_t *item;
    slc_buf csv;
    if (json_is_string(json_object_get(list, "next")))
        return slc_call_fail(
            call, 413, err, SLC_TOO_LARGE, NULL,
            "more than %zu rows (usage.export-limit): ask for a shorter time, or by day or month", limit);
    slc_buf_init(&csv, (json_array_size(items) + 1) * CSV_ROW_BYTES);
    slc_buf_adds(
        &csv, "at,application,event_api,virtual_cluster,operation,requests,events,bytes,errors,throttled\r\n");
    json_array_foreach (items, i, item)
        add_row(&csv, item);
    call->text = slc_buf_steal(&csv, &call->text_len);
    call->text_type = CSV_TYPE;
    return true;
}

/* ---- the route ---- */

/* Whose teams bound what is shown; NULL: nobody's. A machine's token has no teams, and only an administrator
 * makes one. */
static const slc_identity *viewer_of(const slc_call *call)
{
    const slc_identity *identity = &call->identity;
    return identity->user_id[0] == '\0' || slc_identity_may(identity, SLC_PERMISSION_ALL_TEAMS) ? NULL
                                                                                                : identity;
}

bool slc_route_usage(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const known[] = {"by",        "application", "event_api", "virtual_cluster",
                                        "operation", "from",        "to",        "limit",
                                        "cursor",    "format",      NULL};
    const char *format = slc_call_query(call, "format");
    bool csv = format != NULL && strcmp(format, "csv") == 0;
    slc_usage_query query;
    if (!slc_call_query_only(call, known, err) || !take_query(call, &query, err))
        return false;
    if (format != NULL && !csv && strcmp(format, "json") != 0)
        return slc_fail(err, SLC_INVALID, "format", "must be json or csv");
    if (csv)
        query.limit = (int)slc_admin_export_rows(call->admin);
    json_t *list = slc_usage_list(txn, &query, viewer_of(call), err);
    if (list == NULL)
        return false;
    if (!csv) {
        call->answer = list;
        return true;
    }
    bool ok = answer_csv(call, list, (size_t)query.limit, err);
    json_decref(list);
    return ok;
}
