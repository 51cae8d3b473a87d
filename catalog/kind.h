/* What the catalog knows about entities, as data: one table of kinds, each with its fields, limits, references
 * and actions. Storage, validation, JSON in and out, referrers, dumps and the OpenAPI schemas are derived from
 * it.
 *
 * Everything here is constant and may be read from any thread.
 */
#ifndef SLC_CATALOG_KIND_H
#define SLC_CATALOG_KIND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* Limits in characters. */
#define SLC_KEY_CHARS            160 /* of a natural key, with its end */
#define SLC_MAP_KEY_MAX          100
#define SLC_MAP_VALUE_MAX        500
#define SLC_SECRET_REFERENCE_MAX 500 /* path or variable name */

typedef struct slc_kind slc_kind;
typedef struct slc_field slc_field;

/* The JSON form is what the API shows; the stored form is what SQLite and slc_txn readers see. */
enum slc_field_type {
    SLC_F_STRING,      /* one line; min..max characters; `format` */
    SLC_F_TEXT,        /* many lines; min..max characters; `format` */
    SLC_F_INT,         /* min..max */
    SLC_F_BOOL,        /* stored as 0 or 1 */
    SLC_F_ENUM,        /* one of `values` */
    SLC_F_DURATION,    /* "500ms", "15s", "10m", "24h", "30d" within min..max ms; stored as milliseconds */
    SLC_F_TIMESTAMP,   /* RFC 3339; stored as milliseconds since 1970 */
    SLC_F_REF,         /* an id or a key of `ref`; shown as the key, stored as the id */
    SLC_F_REF_LIST,    /* the same, min..max items, distinct; stored in the link table "<table>_<field>" */
    SLC_F_STRING_LIST, /* min..max items, distinct, each at most item_max characters and of `format`; stored as
                          JSON */
    SLC_F_ENUM_LIST,   /* min..max items of `values`, distinct; stored as JSON */
    SLC_F_OBJECT,      /* `fields`; stored as JSON whose values have the stored form */
    SLC_F_OBJECT_LIST, /* min..max items with `fields`; stored as JSON */
    SLC_F_MAP,         /* string to string, at most max entries; stored as JSON */
    SLC_F_JSON,        /* any JSON object of at most max bytes; stored as JSON, without members that are null */
};

enum slc_field_flag {
    SLC_F_REQUIRED = 1 << 0,  /* must be given at creation */
    SLC_F_IMMUTABLE = 1 << 1, /* cannot change afterwards */
    SLC_F_READ_ONLY = 1 << 2, /* made by the catalog; accepted in an update only when unchanged */
    SLC_F_SECRET = 1 << 3, /* a string, or {"file": path} or {"env": name} that the gateway resolves; shown as
                              {"set": true} or as the reference; stored sealed (secret.h) */
    SLC_F_WRITE_ONLY = 1 << 4, /* an argument of the creation: never stored or shown */
    SLC_F_FILTERABLE = 1 << 5, /* usable as ?field=value */
    SLC_F_UNIQUE = 1 << 6,
    SLC_F_ONCE = 1 << 7,      /* in the answer of the creation only: a generated secret */
    SLC_F_HIDDEN = 1 << 8,    /* a column that JSON never shows */
    SLC_F_OWNED = 1 << 9,     /* a reference to the owner: deleting the owner deletes this entity too */
    SLC_F_COMPUTED = 1 << 10, /* shown, but not a column: the kind's rules make it */
    SLC_F_VOLATILE = 1 << 11, /* read-only, and changes with every change: whatever an update says is ignored,
                                 so that one that is sent again is the same one */
    SLC_F_BULKY = 1 << 12,    /* large: lists leave it out, and the audit trail has its digest */
};

/* What a string must look like beyond its length. */
enum slc_format_id {
    SLC_FMT_ANY,
    SLC_FMT_NAME,      /* [a-z0-9]([a-z0-9-]{0,61}[a-z0-9])? */
    SLC_FMT_TOPIC,     /* Kafka: 1..249 of [a-zA-Z0-9._-], not "." or ".." */
    SLC_FMT_PREFIX,    /* the start of a topic name */
    SLC_FMT_GLOB,      /* a topic name with * and ? */
    SLC_FMT_URL,       /* http:// or https:// */
    SLC_FMT_HOST,      /* DNS name or IP address */
    SLC_FMT_HOST_PORT, /* host:port, [v6]:port */
    SLC_FMT_ADDRESS,   /* to listen on: as HOST_PORT, or :port for all addresses */
    SLC_FMT_EMAIL,
    SLC_FMT_CERTS_PEM,  /* one or more PEM certificates */
    SLC_FMT_KEY_PEM,    /* one PEM private key */
    SLC_FMT_PERMISSION, /* "kind:verb", "kind:*" or "*" that some route knows */
    SLC_FMT_POINTER,    /* RFC 6901 */
    SLC_FMT_HEADER,     /* an HTTP field name */
    SLC_FMT_SHA256_HEX,
    SLC_FMT_NETWORK, /* IP addresses in CIDR notation */
    SLC_FMT_ORIGIN,  /* "*", or scheme://host[:port] */
    SLC_FMT_SCOPE,   /* OAuth: RFC 6749, section 3.3 */
    SLC_FMT_COUNT
};

typedef struct slc_format {
    const char *name;    /* for messages: "a name of lower-case letters, digits and dashes" */
    const char *pattern; /* anchored regular expression that JSON Schema understands; NULL: none */
    bool (*check)(const char *text, size_t len);
} slc_format;

const slc_format *slc_format_get(enum slc_format_id id);

/* A reference whose kind depends on a sibling field ("kind" in a policy's scope). */
typedef struct slc_ref_choice {
    const char *value; /* of the sibling */
    const char *kind;
} slc_ref_choice;

struct slc_field {
    const char *name;
    enum slc_field_type type;
    unsigned flags;
    const char *help; /* one sentence, for the OpenAPI document */
    int64_t min, max; /* both 0: the type's own bounds (slc_field_bounds) */
    int64_t item_max;
    enum slc_format_id format;
    const char *default_json;      /* JSON text; NULL: absent */
    const char *const *values;     /* ENUM, ENUM_LIST: ends with NULL */
    const char *ref;               /* REF, REF_LIST: the kind's name; NULL with choices */
    const slc_ref_choice *choices; /* REF inside an object: by the sibling "kind"; ends with a NULL value */
    const slc_field *fields;       /* OBJECT, OBJECT_LIST: ends with a NULL name */
    const char *column;            /* NULL: as the name */
};

/* An action is POST /v1/{kind}/{id}/{name}. */
typedef struct slc_action {
    const char *name;
    const char *permission;
    const char *help;
    const slc_field *fields;  /* of its body; NULL: takes none */
    const char *team_through; /* as slc_kind.team_through, when another team decides than the one that writes */
} slc_action;

enum slc_key_rule {
    SLC_KEY_NAME,       /* name */
    SLC_KEY_ID,         /* the id only */
    SLC_KEY_EVENT_API,  /* name.vMAJOR */
    SLC_KEY_PLAN,       /* product.name */
    SLC_KEY_DEPLOYMENT, /* eventapi@group */
};

enum slc_kind_flag {
    SLC_KIND_CREATE = 1 << 0,
    SLC_KIND_UPDATE = 1 << 1,
    SLC_KIND_DELETE = 1 << 2,
    SLC_KIND_DECLARATIVE = 1 << 3, /* part of PUT /v1/config and of dumps */
    SLC_KIND_ROLLBACK = 1 << 4,    /* configuration: goes back with a rollback (people and access never do) */
    SLC_KIND_LOG = 1 << 5,         /* rows are only appended; no revision, manager, labels; newest first */
};
#define SLC_KIND_CRUD (SLC_KIND_CREATE | SLC_KIND_UPDATE | SLC_KIND_DELETE)

struct slc_kind_rules; /* rules.h: what a table cannot say */

struct slc_kind {
    const char *name;     /* in paths: "gateway-groups" */
    const char *singular; /* for people: "gateway group" */
    const char *schema;   /* for schemas: "GatewayGroup" */
    const char *table;    /* "gateway_groups" */
    const char *help;     /* one sentence */
    unsigned flags;
    enum slc_key_rule key;
    const char *const
        *identity; /* SLC_KEY_ID in a declarative document: the fields that tell which one; NULL: none */
    /* The field that leads to the team that it belongs to: a reference to it, or to what belongs to it in turn.
     * NULL: to no team; then the permission alone says who writes it. */
    const char *team_through;
    const slc_field *fields;   /* without the common ones; ends with a NULL name */
    const slc_action *actions; /* ends with a NULL name; NULL: none */
    const struct slc_kind_rules *rules;
    /* Who may know of the row t, in SQL over ?40, the JSON list of ids of their teams, or NULL for who sees
     * everything. NULL: whoever may read the kind. */
    const char *visible;
};

/* All kinds in order of dependency: what a kind refers to comes before it. Ends with NULL. */
const slc_kind *const *slc_kinds(void);
const slc_kind *slc_kind_find(const char *name); /* NULL when there is none */
/* The fields that every kind has too: id, revision, manager, labels, created_at, updated_at (of a SLC_KIND_LOG
 * kind: id and created_at). */
const slc_field *slc_kind_common_fields(const slc_kind *kind);
bool slc_kind_has_labels(const slc_kind *kind);
const slc_field *slc_field_find(const slc_field *fields, const char *name); /* NULL when there is none */
const slc_action *slc_kind_action(const slc_kind *kind, const char *name);  /* NULL when there is none */
/* The bounds that hold, with the type's own filled in. Characters, value, milliseconds, items or bytes by type.
 */
void slc_field_bounds(const slc_field *field, int64_t *min, int64_t *max);

/* Permissions: "<kind>:read", "<kind>:write", each action's, and a few that no kind has (config:apply, ...). */
bool slc_permission_known(const char *permission);
/* To write what belongs to teams that one is no member of. */
#define SLC_PERMISSION_ALL_TEAMS "all-teams:write"
/* Does a granted scope ("*", "teams:*", "teams:read") cover the permission? */
bool slc_permission_covers(const char *scope, const char *permission);
/* Does one of the array's strings? */
bool slc_permission_granted(const json_t *scopes, const char *permission);
/* Every permission there is: new array of strings. */
json_t *slc_permissions(void);

/* "15s" and so on to milliseconds and back (the largest unit that divides it). `out` holds SLC_DURATION_CHARS.
 */
#define SLC_DURATION_CHARS 24
bool slc_duration_parse(const char *text, int64_t *ms) SLC_CHECKED;
void slc_duration_format(int64_t ms, char out[SLC_DURATION_CHARS]);

#endif
