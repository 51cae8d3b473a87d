/* The admin API's routes as data: dispatch, permissions and the OpenAPI document all follow from one table. */
#ifndef SLC_CONTROLPLANE_ADMIN_ROUTE_H
#define SLC_CONTROLPLANE_ADMIN_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "catalog/catalog.h"
#include "catalog/kind.h"
#include "common/error.h"

struct slc_call;

enum slc_route_access {
    SLC_ROUTE_READ,  /* a read transaction */
    SLC_ROUTE_WRITE, /* a write transaction; honours Idempotency-Key */
    SLC_ROUTE_TASK,  /* no transaction, but the caller's rights are checked in one; may take long */
    SLC_ROUTE_WORK,  /* a task that changes something; honours Idempotency-Key */
    SLC_ROUTE_FILE,  /* a task that answers with a file */
};

enum slc_route_body {
    SLC_ROUTE_NO_BODY = false,
    SLC_ROUTE_BODY = true,
    SLC_ROUTE_BODY_OPTIONAL,
};

typedef struct slc_route {
    const char *method;
    /* "/v1/{kind}/{key}": {kind} matches a kind's path name, {key} and {action} one segment each. */
    const char *pattern;
    /* What the caller must hold: "config:apply", or "*:read" where * is the kind's name. An action's own
     * permission takes precedence. "any" asks for a token and for no right in
     * particular; "open" is a route without a token, and says so. */
    const char *permission;
    enum slc_route_access access;
    enum slc_route_body has_body;
    int success; /* the status of a good answer */
    /* On a catalog thread; `txn` is NULL in a task. False fails the request with err. */
    bool (*run)(slc_txn *txn, struct slc_call *call, slc_error *err);
    const char *summary;
} slc_route;

/* A route with an empty permission does not compile. */
#define SLC_PERMISSION(text)                                                                                   \
    (&(text)[0 * sizeof(struct {                                                                               \
                 _Static_assert(sizeof(text) > 1, "every admin route declares a permission");                  \
                 char unused;                                                                                  \
             })])
#define SLC_PERMISSION_OPEN "open"
#define SLC_PERMISSION_ANY  "any"
/* Of a surface's own routes (surface.h): somebody who signed in, whatever their rights. */
#define SLC_PERMISSION_SESSION "session"

/* Ends with a NULL method. */
extern const slc_route slc_routes[];

typedef struct slc_route_target {
    const slc_kind *kind; /* NULL unless the path names one */
    char key[200];        /* decoded; empty when the path has none */
    char action[64];
} slc_route_target;

/* `path` is percent-decoded. NULL when nothing matches; `allow` then lists the methods that the path has
 * ("GET, PUT": 405), or is empty (404). */
const slc_route *slc_route_match(const char *method, const char *path, slc_route_target *target, char *allow,
                                 size_t allow_size);
/* The same in another table. */
const slc_route *slc_route_match_in(const slc_route *routes, const char *method, const char *path,
                                    slc_route_target *target, char *allow, size_t allow_size);

/* Does the kind take part in a route without an action? An append-only kind has no PUT, a read-only one no
 * POST. */
bool slc_route_serves(const slc_route *route, const slc_kind *kind);

/* The permission that this request needs, spelt out. */
void slc_route_permission(const slc_route *route, const slc_route_target *target, char *out, size_t size);

#endif
