#include "controlplane/portal/connect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/read.h"
#include "common/alloc.h"
#include "common/buf.h"
#include "common/log.h"

/* Header fields have limits on their way, and a policy with more sources than this is none any more. */
#define SOURCES_MAX_BYTES 4096

struct slc_connect {
    bool reading;
    slc_loop *loop;
    slc_catalog *catalog;
    char *sources, *next; /* `next`: the catalog thread's while a read is under way */
};

/* What a source may not be made of could end it, and the directive: ';', ',', quotes. A host in brackets (IPv6)
 * is none that the policy knows. */
bool slc_connect_source(const char *url, char out[SLC_CONNECT_SOURCE_CHARS])
{
    const char *host = strncmp(url, "https://", 8) == 0  ? url + 8
                       : strncmp(url, "http://", 7) == 0 ? url + 7
                                                         : NULL;
    size_t len =
        host != NULL ? strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:") : 0;
    bool ended = len > 0 && host[0] != ':' && (host[len] == '\0' || host[len] == '/' || host[len] == '?');
    size_t all = ended ? (size_t)(host - url) + len : 0;
    if (all == 0 || all >= SLC_CONNECT_SOURCE_CHARS)
        return false;
    memcpy(out, url, all);
    out[all] = '\0';
    return true;
}

/* ---- on a catalog thread ---- */

static bool read_sources(slc_txn *txn, void *arg, slc_error *err)
{
    slc_connect *connect = arg;
    sqlite3_stmt *stmt = slc_txn_prepare(
        txn, "SELECT DISTINCT rest_url FROM gateway_groups WHERE rest_url IS NOT NULL ORDER BY rest_url", err);
    slc_buf text;
    int row = stmt != NULL ? 1 : -1;
    slc_buf_init(&text, SOURCES_MAX_BYTES);
    while (row == 1 && (row = slc_txn_step(txn, stmt, err)) == 1) {
        char source[SLC_CONNECT_SOURCE_CHARS];
        if (slc_connect_source(slc_column_text(stmt, 0), source) &&
            text.len + strlen(source) + 2 < SOURCES_MAX_BYTES)
            slc_buf_addf(&text, " %s", source);
    }
    slc_txn_finish(txn, stmt);
    connect->next = slc_strndup(text.len > 0 ? (const char *)text.data : "", text.len);
    slc_buf_release(&text);
    return row == 0;
}

/* ---- on the loop ---- */

static void take_sources(void *arg, bool ok, const slc_error *err)
{
    slc_connect *connect = arg;
    connect->reading = false;
    if (ok) {
        free(connect->sources);
        connect->sources = connect->next;
        connect->next = NULL;
    } else {
        slc_log(SLC_LOG_WARN, "cannot read the addresses of gateway groups", LS("error", err->message));
    }
    free(connect->next);
    connect->next = NULL;
}

void slc_connect_refresh(slc_connect *connect)
{
    if (connect->reading)
        return;
    connect->reading = true;
    slc_catalog_read_own(connect->catalog, connect->loop, read_sources, take_sources, connect);
}

slc_connect *slc_connect_new(slc_loop *loop, slc_catalog *catalog)
{
    slc_connect *connect = slc_calloc(1, sizeof *connect);
    *connect = (slc_connect){.loop = loop, .catalog = catalog, .sources = slc_strdup("")};
    slc_connect_refresh(connect);
    return connect;
}

void slc_connect_free(slc_connect *connect)
{
    if (connect == NULL)
        return;
    free(connect->sources);
    free(connect->next);
    free(connect);
}

const char *slc_connect_sources(const slc_connect *connect)
{
    return connect->sources;
}
