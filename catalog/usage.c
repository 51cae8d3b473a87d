/* Storing what gateways count: the difference to what is known of it, added by hour, day and month. */
#include "catalog/usage.h"

#include <string.h>
#include <time.h>

#include "catalog/store.h"

#define DAY_MS     86400000LL
#define NUMBER_MAX 9007199254740991LL /* what JSON numbers hold exactly; sums stop there */
#define PRUNE_STEP 24                 /* periods removed at a time, and processes */

enum period { PERIOD_HOUR, PERIOD_DAY, PERIOD_MONTH, PERIODS };

const char *slc_usage_operation_name(int64_t operation)
{
    static const char *const names[SLC_USAGE_OPERATIONS] = {"publish", "read", "stream", "kafka-produce",
                                                            "kafka-fetch"};
    return operation >= 0 && operation < SLC_USAGE_OPERATIONS ? names[operation] : NULL;
}

/* ---- what is known ---- */

/* The first hour that still counts; 0 for a process that is not known yet. */
static bool first_hour(slc_txn *txn, const char *node_id, const char *boot_id, int64_t *hour, slc_error *err)
{
    static const char sql[] = "SELECT oldest_hour FROM usage_boots WHERE node_id = ?1 AND boot_id = ?2";
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "ss", node_id, boot_id);
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    *hour = rc == 1 ? sqlite3_column_int64(stmt, 0) : 0;
    slc_txn_finish(txn, stmt);
    return rc >= 0;
}

static bool note_boot(slc_txn *txn, const char *node_id, const char *boot_id, int64_t oldest_hour,
                      slc_error *err)
{
    static const char sql[] =
        "INSERT INTO usage_boots (node_id, boot_id, oldest_hour, told_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT "
        "DO UPDATE SET oldest_hour = max(oldest_hour, excluded.oldest_hour), told_at = excluded.told_at";
    static const char settle[] = "DELETE FROM usage_counters WHERE node_id = ?1 AND boot_id = ?2 AND hour < ?3";
    return slc_txn_exec(txn, err, sql, "ssii", node_id, boot_id, oldest_hour, slc_txn_now_ms(txn)) &&
           slc_txn_exec(txn, err, settle, "ssi", node_id, boot_id, oldest_hour);
}

static bool known_numbers(slc_txn *txn, const char *node_id, const char *boot_id, const slc_usage_told *count,
                          int64_t known[SLC_USAGE_NUMBERS], slc_error *err)
{
    static const char sql[] =
        "SELECT requests, events, bytes, errors, throttled FROM usage_counters WHERE node_id = ?1 AND boot_id "
        "= ?2 AND hour = ?3 AND application_id = ?4 AND event_api_id = ?5 AND virtual_cluster_id = ?6 AND "
        "operation = ?7";
    sqlite3_stmt *stmt =
        slc_txn_query(txn, err, sql, "ssisssi", node_id, boot_id, count->hour, count->application_id,
                      count->event_api_id, count->virtual_cluster_id, count->operation);
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    for (int i = 0; i < SLC_USAGE_NUMBERS; i++)
        known[i] = rc == 1 ? sqlite3_column_int64(stmt, i) : 0;
    slc_txn_finish(txn, stmt);
    return rc >= 0;
}

static bool remember(slc_txn *txn, const char *node_id, const char *boot_id, const slc_usage_told *count,
                     const int64_t numbers[SLC_USAGE_NUMBERS], slc_error *err)
{
    static const char sql[] =
        "INSERT INTO usage_counters (node_id, boot_id, hour, application_id, event_api_id, virtual_cluster_id, "
        "operation, requests, events, bytes, errors, throttled) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
        "?10, ?11, ?12) ON CONFLICT DO UPDATE SET requests = excluded.requests, events = excluded.events, "
        "bytes = excluded.bytes, errors = excluded.errors, throttled = excluded.throttled";
    return slc_txn_exec(txn, err, sql, "ssisssiiiiii", node_id, boot_id, count->hour, count->application_id,
                        count->event_api_id, count->virtual_cluster_id, count->operation, numbers[0],
                        numbers[1], numbers[2], numbers[3], numbers[4]);
}

/* ---- adding up ---- */

static int64_t month_of(int64_t at_ms)
{
    time_t seconds = at_ms / 1000;
    struct tm tm;
    gmtime_r(&seconds, &tm);
    tm.tm_mday = 1;
    tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
    return (int64_t)timegm(&tm) * 1000;
}

static bool add(slc_txn *txn, int64_t hour, const slc_usage_told *count,
                const int64_t numbers[SLC_USAGE_NUMBERS], slc_error *err)
{
#define PLUS(number) number " = min(" number " + excluded." number ", 9007199254740991)"
    static const char sql[] =
        "INSERT INTO usage_sums (period, at, application_id, event_api_id, virtual_cluster_id, operation, "
        "requests, events, bytes, errors, throttled) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON "
        "CONFLICT DO UPDATE SET " PLUS("requests") ", " PLUS("events") ", " PLUS("bytes") ", " PLUS(
            "errors") ", " PLUS("throttled");
#undef PLUS
    int64_t at_ms = hour * SLC_USAGE_HOUR_MS;
    const int64_t at[PERIODS] = {at_ms, at_ms - at_ms % DAY_MS, month_of(at_ms)};
    for (int64_t period = 0; period < PERIODS; period++)
        if (!slc_txn_exec(txn, err, sql, "iisssiiiiii", period, at[period], count->application_id,
                          count->event_api_id, count->virtual_cluster_id, count->operation, numbers[0],
                          numbers[1], numbers[2], numbers[3], numbers[4]))
            return false;
    return true;
}

static bool store_one(slc_txn *txn, const char *node_id, const char *boot_id, const slc_usage_told *count,
                      slc_error *err)
{
    int64_t known[SLC_USAGE_NUMBERS], more[SLC_USAGE_NUMBERS], now = slc_txn_now_ms(txn) / SLC_USAGE_HOUR_MS;
    bool grown = false;
    if (!known_numbers(txn, node_id, boot_id, count, known, err))
        return false;
    for (int i = 0; i < SLC_USAGE_NUMBERS; i++) {
        int64_t told = count->numbers[i] < NUMBER_MAX ? (int64_t)count->numbers[i] : NUMBER_MAX;
        more[i] = told > known[i] ? told - known[i] : 0;
        known[i] += more[i];
        grown = grown || more[i] > 0;
    }
    return !grown || (remember(txn, node_id, boot_id, count, known, err) &&
                      add(txn, count->hour < now ? count->hour : now, count, more, err));
}

bool slc_usage_store(slc_txn *txn, const char *node_id, const char *boot_id, int64_t oldest_hour,
                     const slc_usage_told *counts, size_t count, slc_error *err)
{
    int64_t first;
    if (!first_hour(txn, node_id, boot_id, &first, err))
        return false;
    for (size_t i = 0; i < count; i++)
        if (counts[i].hour >= first && !store_one(txn, node_id, boot_id, &counts[i], err))
            return false;
    return note_boot(txn, node_id, boot_id, oldest_hour, err);
}

/* ---- what is old ---- */

static bool prune_sums(slc_txn *txn, enum period period, int64_t before_ms, bool *more, slc_error *err)
{
    static const char sql[] =
        "DELETE FROM usage_sums WHERE period = ?1 AND at = (SELECT min(at) FROM usage_sums "
        "WHERE period = ?1) AND at < ?2";
    for (int i = 0; i < PRUNE_STEP; i++) {
        if (!slc_txn_exec(txn, err, sql, "ii", (int64_t)period, before_ms))
            return false;
        if (slc_txn_changes(txn) == 0)
            return true;
    }
    *more = true;
    return true;
}

/* A process that still is the node's, as far as is known, may come back after any time. */
static int next_boot(slc_txn *txn, int64_t before_ms, char node_id[64], char boot_id[64], slc_error *err)
{
    static const char sql[] =
        "SELECT b.node_id, b.boot_id FROM usage_boots AS b WHERE b.told_at < ?1 AND NOT EXISTS (SELECT 1 FROM "
        "node_status AS s WHERE s.node_id = b.node_id AND s.boot_id = b.boot_id) LIMIT 1";
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "i", before_ms);
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    if (rc == 1) {
        snprintf(node_id, 64, "%s", slc_column_text(stmt, 0));
        snprintf(boot_id, 64, "%s", slc_column_text(stmt, 1));
    }
    slc_txn_finish(txn, stmt);
    return rc;
}

static bool prune_boots(slc_txn *txn, int64_t before_ms, bool *more, slc_error *err)
{
    char node_id[64], boot_id[64];
    for (int i = 0; i < PRUNE_STEP; i++) {
        int rc = next_boot(txn, before_ms, node_id, boot_id, err);
        if (rc <= 0)
            return rc == 0;
        if (!slc_txn_exec(txn, err, "DELETE FROM usage_counters WHERE node_id = ?1 AND boot_id = ?2", "ss",
                          node_id, boot_id) ||
            !slc_txn_exec(txn, err, "DELETE FROM usage_boots WHERE node_id = ?1 AND boot_id = ?2", "ss",
                          node_id, boot_id))
            return false;
    }
    *more = true;
    return true;
}

bool slc_usage_prune(slc_txn *txn, const slc_usage_keep *keep, bool *more, slc_error *err)
{
    int64_t now_ms = slc_txn_now_ms(txn);
    *more = false;
    return prune_sums(txn, PERIOD_HOUR, now_ms - keep->hours_ms, more, err) &&
           prune_sums(txn, PERIOD_DAY, now_ms - keep->days_ms, more, err) &&
           prune_sums(txn, PERIOD_MONTH, now_ms - keep->months_ms, more, err) &&
           prune_boots(txn, now_ms - keep->boots_ms, more, err);
}
