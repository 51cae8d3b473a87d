#include "catalog/conflicts.h"

#include <string.h>

#include "catalog/entity.h"
#include "catalog/read.h"
#include "common/alloc.h"
#include "common/glob.h"

#define ALIAS     "alias"
#define EXTRA     "extra-topic"
#define NAMESPACE "namespace"
#define SAME_NAME "same-name"
#define TWO_NAMES "two-names"
#define SHARED    "shared"

struct look {
    const json_t *aliases, *extras;
    const char *prefix;
    bool hide;
    json_t *found;
};

struct meeting {
    const char *kind, *name, *topic, *winner, *loser, *other;
};

/* `detail` is stolen. */
static void add(struct look *look, const struct meeting *met, char *detail)
{
    if (json_array_size(look->found) < SLC_CATALOG_CONFLICTS_MAX)
        json_array_append_new(look->found,
                              json_pack("{s:s, s:s, s:s, s:s*, s:s*, s:s*, s:s}", "kind", met->kind, "name",
                                        met->name, "topic", met->topic, "winner", met->winner, "loser",
                                        met->loser, "virtual_cluster", met->other, "detail", detail));
    free(detail);
}

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* May the topic, or one that the glob describes, lie in the namespace? Decided by what stands before the first
 * wildcard. */
static bool may_lie_in(const char *glob, const char *prefix)
{
    size_t fixed = strcspn(glob, "*?");
    return fixed < strlen(glob) && fixed < strlen(prefix) ? strncmp(glob, prefix, fixed) == 0
                                                          : begins(glob, prefix);
}

static const char *extra_that_matches(const struct look *look, const char *name)
{
    size_t i;
    json_t *extra;
    json_array_foreach (look->extras, i, extra) {
        if (slc_glob_match(json_string_value(extra), name, strlen(name)))
            return json_string_value(extra);
    }
    return NULL;
}

static void look_at_alias(struct look *look, const char *name, const char *topic)
{
    const char *extra = extra_that_matches(look, name);
    if (extra != NULL && strcmp(name, topic) != 0)
        add(look, &(struct meeting){SAME_NAME, name, name, ALIAS, EXTRA, NULL},
            slc_asprintf("%s is the alias of %s, so the backend's topic of that name, which the extra topic %s "
                         "means, is "
                         "invisible",
                         name, topic, extra));
    if ((extra = extra_that_matches(look, topic)) != NULL && strcmp(name, topic) != 0)
        add(look, &(struct meeting){TWO_NAMES, name, topic, ALIAS, EXTRA, NULL},
            slc_asprintf("%s is an extra topic by %s as well; answers call it %s", topic, extra, name));
    if (begins(topic, look->prefix))
        add(look, &(struct meeting){TWO_NAMES, name, topic, ALIAS, NAMESPACE, NULL},
            slc_asprintf("%s is a topic of the namespace as well; answers call it %s", topic, name));
}

static void look_at_extra(struct look *look, const char *extra)
{
    if (!may_lie_in(extra, look->prefix))
        return;
    if (look->hide)
        add(look, &(struct meeting){TWO_NAMES, extra, extra, EXTRA, NAMESPACE, NULL},
            slc_asprintf(
                "%s may describe topics of the namespace; answers call them by the backend's name, prefix "
                "included",
                extra));
    else
        add(look, &(struct meeting){SAME_NAME, extra, extra, EXTRA, NAMESPACE, NULL},
            slc_asprintf(
                "%s may describe topics of the namespace, which then cannot be created, deleted or configured",
                extra));
}

static void look_at_itself(struct look *look)
{
    size_t i;
    json_t *item;
    json_array_foreach (look->aliases, i, item) {
        look_at_alias(look, slc_get_text(item, "name"), slc_get_text(item, "topic"));
    }
    json_array_foreach (look->extras, i, item) {
        look_at_extra(look, json_string_value(item));
    }
}

static void look_at_other(struct look *look, const char *other, const char *prefix)
{
    size_t i;
    json_t *item;
    json_array_foreach (look->aliases, i, item) {
        const char *name = slc_get_text(item, "name"), *topic = slc_get_text(item, "topic");
        if (begins(topic, prefix))
            add(look, &(struct meeting){SHARED, name, topic, NULL, NULL, other},
                slc_asprintf("%s is a topic of virtual cluster %s", topic, other));
    }
    json_array_foreach (look->extras, i, item) {
        const char *extra = json_string_value(item);
        if (may_lie_in(extra, prefix))
            add(look, &(struct meeting){SHARED, extra, extra, NULL, NULL, other},
                slc_asprintf("%s may describe topics of virtual cluster %s", extra, other));
    }
}

static bool look_at_others(slc_txn *txn, struct look *look, const json_t *vcluster, slc_error *err)
{
    static const char sql[] = "SELECT key, json_extract(namespace, '$.prefix') FROM virtual_clusters WHERE "
                              "backend_cluster = ?1 AND json_extract(namespace, '$.prefix') <> ?2 ORDER BY key";
    int rc;
    sqlite3_stmt *stmt =
        slc_txn_query(txn, err, sql, "ss", slc_get_text(vcluster, "backend_cluster"), look->prefix);
    if (stmt == NULL)
        return false;
    while ((rc = slc_txn_step(txn, stmt, err)) == 1)
        look_at_other(look, slc_column_text(stmt, 0), slc_column_text(stmt, 1));
    slc_txn_finish(txn, stmt);
    return rc == 0;
}

json_t *slc_catalog_conflicts(slc_txn *txn, const json_t *vcluster, slc_error *err)
{
    const json_t *namespace = json_object_get(vcluster, "namespace");
    struct look look = {.aliases = json_object_get(namespace, "aliases"),
                        .extras = json_object_get(vcluster, "extra_topics"),
                        .prefix = slc_get_text(namespace, "prefix"),
                        .hide = strcmp(slc_get_text(namespace, "mode"), "hide") == 0,
                        .found = json_array()};
    if (look.prefix == NULL) /* no namespace */
        return look.found;
    look_at_itself(&look);
    if (look_at_others(txn, &look, vcluster, err))
        return look.found;
    json_decref(look.found);
    return NULL;
}
