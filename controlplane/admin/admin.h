/* The admin API: HTTP in, catalog transactions, HTTP out. Everything runs on the loop that it was made with,
 * except the routes' own functions, which run on the catalog's threads.
 */
#ifndef SLC_CONTROLPLANE_ADMIN_ADMIN_H
#define SLC_CONTROLPLANE_ADMIN_ADMIN_H

#include <jansson.h>
#include <stdint.h>

#include "catalog/catalog.h"
#include "common/error.h"
#include "common/httpd.h"
#include "common/loop.h"
#include "controlplane/grpc/grpc.h"

typedef struct slc_admin slc_admin;

typedef struct slc_admin_options {
    const char *address;
    const char *tls_certificate_file; /* NULL: plain HTTP */
    const char *tls_key_file;
    int64_t tls_reload_ms; /* how often the certificate's file is looked at; 0: only when told */
    slc_httpd_limits limits;
    int64_t export_rows;      /* of a CSV file */
    int64_t kept_bytes;       /* of large answers that are kept by Idempotency-Key */
    const char *portal_url;   /* where browsers find the portal, for links; NULL: there is none */
    unsigned explained;       /* groups whose configuration is kept in memory for POST /v1/explain */
    size_t pages, page_bytes; /* of the catalog that are kept in memory; 0: none */
} slc_admin_options;

/* Registers the metrics of this module; once, before threads start. */
void slc_admin_register_metrics(void);
/* Reads the certificate of HTTPS anew: for connections from now on. One that is not good is logged, and the old
 * one stays. It also happens by itself, when the file has changed (admin-tls.reload). The loop's thread. */
void slc_admin_reload_certificate(slc_admin *admin);

/* Opens the listener. `catalog` and `grpc` (which composes join strings) must outlive it. */
slc_admin *slc_admin_new(slc_loop *loop, slc_catalog *catalog, slc_control_grpc *grpc,
                         const slc_admin_options *options, slc_error *err) SLC_CHECKED;
uint16_t slc_admin_port(const slc_admin *admin);
/* Stops accepting; calls done(arg) on the loop when the last request has been answered, or after grace_ms. */
void slc_admin_drain(slc_admin *admin, int64_t grace_ms, void (*done)(void *arg), void *arg);
/* On the loop's thread or after it ended, and after the catalog has no work of it left. */
void slc_admin_free(slc_admin *admin);

struct slc_call;
/* Ends a call that its route's `after` has kept; on the loop. */
void slc_admin_resume(struct slc_call *call, bool ok, const slc_error *err);
const char *slc_admin_portal_url(const slc_admin *admin); /* NULL: there is no portal */
int64_t slc_admin_kept_bytes(const slc_admin *admin);
int64_t slc_admin_export_rows(const slc_admin *admin);
slc_loop *slc_admin_loop(const slc_admin *admin);
slc_catalog *slc_admin_catalog(const slc_admin *admin);
slc_control_grpc *slc_admin_grpc(const slc_admin *admin);
struct slc_explain_groups;
struct slc_explain_groups *slc_admin_explained(const slc_admin *admin);
struct slc_kept_pages;
struct slc_kept_pages *slc_admin_pages(const slc_admin *admin); /* NULL: none are kept */

/* The OpenAPI 3.1 document, from the tables of routes and kinds: new reference. */
json_t *slc_openapi_document(void);

#endif
