/* Rules: backend clusters, virtual clusters and what else holds credentials of other systems. */
#include <stdio.h>
#include <string.h>

#include "catalog/entity.h"
#include "catalog/namespace.h"
#include "catalog/store.h"

struct requirement {
    const char *when;      /* the mechanism or provider */
    const char *fields[4]; /* that must be there then */
};

/* `object` at `pointer` must have what its `selector` value requires. */
static bool check_required(slc_txn *txn, const json_t *object, const char *value, const char *pointer,
                           const struct requirement *requirements, slc_error *err)
{
    for (const struct requirement *rule = requirements; rule->when != NULL; rule++) {
        if (value == NULL || strcmp(rule->when, value) != 0)
            continue;
        for (const char *const *field = rule->fields; *field != NULL; field++) {
            char place[SLC_POINTER_CHARS];
            snprintf(place, sizeof(place), "%s/%s", pointer, *field);
            const json_t *found = json_object_get(object, *field);
            if (found == NULL || (json_is_string(found) && json_string_length(found) == 0))
                return slc_txn_problem(txn, place, err, "is required for %s", value);
        }
    }
    return true;
}

static const struct requirement mechanism_requirements[] = {
    {"PLAIN", {"username", "password"}},
    {"SCRAM-SHA-256", {"username", "password"}},
    {"SCRAM-SHA-512", {"username", "password"}},
    {"OAUTHBEARER", {"token_url", "client_id", "client_secret"}},
    {NULL, {NULL}},
};

static bool check_backend(slc_txn *txn, slc_change *change, slc_error *err)
{
    const json_t *authentication = json_object_get(change->next, "authentication");
    if (!check_required(txn, authentication, slc_get_text(authentication, "mechanism"), "/authentication",
                        mechanism_requirements, err))
        return false;
    const json_t *tls = json_object_get(change->next, "tls");
    bool certificate = json_object_get(tls, "client_certificate_pem") != NULL;
    bool key = json_object_get(tls, "client_key_pem") != NULL;
    if (certificate != key)
        return slc_txn_problem(txn, key ? "/tls/client_certificate_pem" : "/tls/client_key_pem", err,
                               "is required: a certificate and its key come together");
    return true;
}

const struct slc_kind_rules slc_rules_backend_cluster = {.check = check_backend};

/* ---- virtual clusters ---- */

/* Does one begin with the other? Dots and underscores are the same to a broker that checks whether topics'
 * metrics would collide, and it names the other topic when they do. */
static bool overlap(const char *a, const char *b)
{
    for (; *a != '\0' && *b != '\0'; a++, b++) {
        char x = *a == '_' ? '.' : *a, y = *b == '_' ? '.' : *b;
        if (x != y)
            return false;
    }
    return true;
}

/* No namespace of a backend lies inside another's. The same prefix is the same namespace, seen twice. */
static bool check_overlap(slc_txn *txn, const slc_change *change, const char *prefix, slc_error *err)
{
    static const char sql[] = "SELECT key, json_extract(namespace, '$.prefix') FROM virtual_clusters "
                              "WHERE backend_cluster = ?1 AND id <> ?2 AND json_extract(namespace, '$.prefix') "
                              "IS NOT NULL";
    sqlite3_stmt *stmt =
        slc_txn_query(txn, err, sql, "ss", slc_get_text(change->next, "backend_cluster"), change->id);
    if (stmt == NULL)
        return false;
    int rc;
    bool ok = true;
    while (ok && (rc = slc_txn_step(txn, stmt, err)) == 1) {
        const char *other = slc_column_text(stmt, 1);
        if (strcmp(prefix, other) != 0 && overlap(prefix, other))
            ok = slc_fail(err, SLC_CONFLICT, "/namespace/prefix",
                          "%s overlaps with %s of virtual cluster %s on the same backend ('.' and '_' count as "
                          "the same); choose one that does not begin with the other",
                          prefix, other, slc_column_text(stmt, 0));
    }
    slc_txn_finish(txn, stmt);
    return ok && rc == 0;
}

/* What a namespace has besides its prefix. */
static bool check_names(slc_txn *txn, const json_t *namespace, bool none, slc_error *err)
{
    static const char *const lists[] = {"aliases", "topic_filter", "group_filter"};
    const json_t *aliases = json_object_get(namespace, "aliases");
    for (size_t i = 0; none && i < sizeof lists / sizeof lists[0]; i++) {
        char place[SLC_POINTER_CHARS];
        snprintf(place, sizeof place, "/namespace/%s", lists[i]);
        if (json_array_size(json_object_get(namespace, lists[i])) > 0)
            return slc_txn_problem(txn, place, err, "has no meaning with mode none");
    }
    if (none && json_object_get(namespace, "limits") != NULL)
        return slc_txn_problem(txn, "/namespace/limits", err, "has no meaning with mode none");
    for (size_t i = 0; i < json_array_size(aliases); i++) {
        char topic_place[SLC_POINTER_CHARS];
        snprintf(topic_place, sizeof topic_place, "/namespace/aliases/%zu/topic", i);
        if (slc_namespace_is_internal(slc_get_text(json_array_get(aliases, i), "topic")))
            return slc_txn_problem(txn, topic_place, err,
                                   "is a topic of Kafka's own, which tells of all its clients");
        for (size_t j = 0; j < i; j++) {
            const json_t *a = json_array_get(aliases, i), *b = json_array_get(aliases, j);
            bool name = strcmp(slc_get_text(a, "name"), slc_get_text(b, "name")) == 0;
            char place[SLC_POINTER_CHARS];
            snprintf(place, sizeof place, "/namespace/aliases/%zu/%s", i, name ? "name" : "topic");
            if (name || strcmp(slc_get_text(a, "topic"), slc_get_text(b, "topic")) == 0)
                return slc_txn_problem(txn, place, err, "is another alias' already");
        }
    }
    return true;
}

/* Principals belong to the backend and to no namespace. */
static bool check_admin_apis(slc_txn *txn, const json_t *namespace, bool none, slc_error *err)
{
    const json_t *opened = json_object_get(namespace, "admin_apis");
    for (size_t i = 0; !none && i < json_array_size(opened); i++) {
        const char *name = json_string_value(json_array_get(opened, i));
        char place[SLC_POINTER_CHARS];
        snprintf(place, sizeof place, "/namespace/admin_apis/%zu", i);
        if (strcmp(name, "acls") != 0 && strcmp(name, "client-metrics") != 0)
            return slc_txn_problem(txn, place, err,
                                   "%s is about principals of the whole backend; it needs mode none", name);
    }
    return true;
}

/* "b7-shop.<suffix>" is broker 7 of shop. */
static bool names_a_broker(const char *name)
{
    size_t digits = name[0] == 'b' ? strspn(name + 1, "0123456789") : 0;
    return digits > 0 && name[1 + digits] == '-';
}

static bool check_virtual_cluster(slc_txn *txn, slc_change *change, slc_error *err)
{
    if (change->before == NULL && names_a_broker(slc_get_text(change->next, "name")))
        return slc_txn_problem(txn, "/name", err,
                               "looks like a broker of another virtual cluster to listeners that route by sni");
    const json_t *namespace = json_object_get(change->next, "namespace");
    bool none = strcmp(slc_get_text(namespace, "mode"), "none") == 0;
    bool prefix = json_object_get(namespace, "prefix") != NULL;
    if (none && prefix)
        return slc_txn_problem(txn, "/namespace/prefix", err, "has no meaning with mode none");
    if (!none && !prefix)
        return slc_txn_problem(txn, "/namespace/prefix", err, "is required for mode %s",
                               slc_get_text(namespace, "mode"));
    if (!none && slc_namespace_holds_internal(slc_get_text(namespace, "prefix")))
        return slc_txn_problem(txn, "/namespace/prefix", err,
                               "is how topics of Kafka's own begin, which tell of all its clients");
    if (none && json_array_size(json_object_get(change->next, "extra_topics")) > 0)
        return slc_txn_problem(txn, "/extra_topics", err,
                               "has no meaning with mode none: every topic is visible");
    if (!check_names(txn, namespace, none, err) || !check_admin_apis(txn, namespace, none, err) ||
        (!none && !check_overlap(txn, change, slc_get_text(namespace, "prefix"), err)))
        return false;
    const json_t *accepted = json_object_get(change->next, "client_authentication");
    if (slc_has_text(accepted, "passthrough") && json_array_size(accepted) > 1)
        return slc_txn_problem(txn, "/client_authentication", err,
                               "passthrough cannot be combined with others");
    return true;
}

/* A gateway takes no configuration in which a deployment's topic has no name. */
static bool virtual_cluster_settled(slc_txn *txn, const slc_change *change, slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_query(
        txn, err, "SELECT key, topic FROM deployments WHERE virtual_cluster = ?1", "s", change->id);
    int rc = stmt == NULL ? -1 : 1;
    bool named = true;
    while (named && rc == 1 && (rc = slc_txn_step(txn, stmt, err)) == 1) {
        named = slc_namespace_has_topic(change->next, slc_column_text(stmt, 1));
        if (!named)
            slc_fail(
                err, SLC_CONFLICT, "/namespace",
                "deployment %s has the topic %s, which is not one of these names: change or delete it first",
                slc_column_text(stmt, 0), slc_column_text(stmt, 1));
    }
    slc_txn_finish(txn, stmt);
    return named && rc == 0;
}

const struct slc_kind_rules slc_rules_virtual_cluster = {.check = check_virtual_cluster,
                                                         .settled = virtual_cluster_settled};
