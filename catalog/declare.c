#include "catalog/declare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/changeset.h"
#include "catalog/store.h"
#include "common/alloc.h"
#include "common/json.h"

struct apply {
    slc_txn *txn;
    const slc_declare_options *options;
    const char *manager;
    json_t *wanted; /* {kind: {ref: index}} */
    slc_changeset set;
    slc_error *err;
};

/* ---- the document ---- */

static bool check_kind(const char *name, const json_t *list, slc_error *err)
{
    char pointer[SLC_POINTER_CHARS] = "/resources";
    slc_json_pointer_push(pointer, sizeof(pointer), name);
    const slc_kind *kind = slc_kind_find(name);
    if (kind == NULL)
        return slc_fail(err, SLC_INVALID, pointer, "there is no kind %.60s", name);
    if ((kind->flags & SLC_KIND_DECLARATIVE) == 0)
        return slc_fail(err, SLC_INVALID, pointer, "%s cannot be declared", kind->name);
    if (!json_is_array(list))
        return slc_fail(err, SLC_INVALID, pointer, "must be a list");
    return true;
}

static bool is_manager(const char *name)
{
    return name != NULL && slc_format_get(SLC_FMT_NAME)->check(name, strlen(name)) &&
           strcmp(name, "system") != 0;
}

static bool check_document(const json_t *document, slc_error *err)
{
    const char *name;
    json_t *value;
    if (!json_is_object(document))
        return slc_fail(err, SLC_INVALID, "", "must be an object with manager and resources");
    json_object_foreach ((json_t *)document, name, value) {
        if (strcmp(name, "manager") != 0 && strcmp(name, "base_revision") != 0 &&
            strcmp(name, "resources") != 0) {
            char pointer[SLC_POINTER_CHARS] = "";
            slc_json_pointer_push(pointer, sizeof(pointer), name);
            return slc_fail(err, SLC_INVALID, pointer, "is not a field of this object");
        }
    }
    const char *manager = slc_get_text(document, "manager");
    if (!is_manager(manager))
        return slc_fail(err, SLC_INVALID, "/manager", "must be %s, and not system",
                        slc_format_get(SLC_FMT_NAME)->name);
    const json_t *base = json_object_get(document, "base_revision");
    if (base != NULL && !json_is_integer(base))
        return slc_fail(err, SLC_INVALID, "/base_revision", "must be an integer");
    const json_t *resources = json_object_get(document, "resources");
    if (!json_is_object(resources))
        return slc_fail(err, SLC_INVALID, "/resources", "must be an object of lists by kind");
    json_object_foreach ((json_t *)resources, name, value) {
        if (!check_kind(name, value, err))
            return false;
    }
    return true;
}

/* ---- what it comes to ---- */

/* An object may name another manager than the document's, as in the dump of a whole catalog: it is made that
 * manager's, and changed with `adopt` only. */
static void want_one(struct apply *a, const slc_kind *kind, const char *ref, const json_t *body,
                     const char *pointer)
{
    const json_t *own = json_object_get(body, "manager");
    json_t *rest = own != NULL ? json_copy((json_t *)body) : json_incref((json_t *)body);
    slc_wish wish = {.kind = kind, .ref = ref, .body = rest, .pointer = pointer, .manager = a->manager};
    if (own != NULL) {
        json_object_del(rest, "manager");
        wish.manager = json_string_value(own);
    }
    if (is_manager(wish.manager)) {
        slc_changeset_want(&a->set, &wish);
    } else {
        char place[SLC_POINTER_CHARS];
        snprintf(place, sizeof(place), "%.140s/manager", pointer);
        slc_txn_problem(a->txn, place, a->err, "must be %s, and not system",
                        slc_format_get(SLC_FMT_NAME)->name);
    }
    json_decref(rest);
}

static bool want_kind(struct apply *a, const slc_kind *kind, const json_t *list)
{
    json_t *refs = json_object();
    size_t index;
    json_t *body;
    json_object_set_new(a->wanted, kind->name, refs);
    json_array_foreach (list, index, body) {
        char ref[SLC_REF_CHARS], pointer[SLC_POINTER_CHARS];
        bool known = slc_declared_ref(a->txn, kind, body, ref);
        snprintf(pointer, sizeof(pointer), "/resources/%s/%zu", kind->name, index);
        const json_t *first = known ? json_object_get(refs, ref) : NULL;
        if (first != NULL) {
            slc_txn_problem(a->txn, pointer, a->err, "%s %.100s is in the document twice, first at %lld",
                            kind->singular, ref, (long long)json_integer_value(first));
            continue;
        }
        if (known)
            json_object_set_new(refs, ref, json_integer((json_int_t)index));
        want_one(a, kind, known ? ref : NULL, body, pointer);
    }
    return json_array_size(slc_txn_problems(a->txn)) == 0;
}

/* What the manager owns and the document does not have. */
static bool unwant_kind(struct apply *a, const slc_kind *kind)
{
    const json_t *refs = json_object_get(a->wanted, kind->name);
    sqlite3_stmt *stmt = slc_txn_prepare(a->txn, slc_row_select(kind), a->err);
    int rc = stmt == NULL ? -1 : 1;
    while (rc == 1 && (rc = slc_txn_step(a->txn, stmt, a->err)) == 1) {
        json_t *stored = slc_row_read(kind, stmt);
        char ref[SLC_REF_CHARS];
        snprintf(ref, sizeof(ref), "%s", slc_column_text(stmt, slc_row_width(kind) - 1));
        bool known = kind->key != SLC_KEY_ID || slc_declared_ref(a->txn, kind, stored, ref);
        if (known && strcmp(slc_get_text(stored, "manager"), a->manager) == 0 &&
            json_object_get(refs, ref) == NULL)
            slc_changeset_unwant(&a->set, kind, slc_get_text(stored, "id"), ref);
        json_decref(stored);
    }
    slc_txn_finish(a->txn, stmt);
    return rc == 0;
}

/* Those that depend on others first. */
static bool unwant_all(struct apply *a)
{
    size_t count = 0;
    while (slc_kinds()[count] != NULL)
        count++;
    while (count-- > 0)
        if ((slc_kinds()[count]->flags & SLC_KIND_DECLARATIVE) != 0 && !unwant_kind(a, slc_kinds()[count]))
            return false;
    return true;
}

static bool run(struct apply *a, const json_t *document)
{
    const json_t *resources = json_object_get(document, "resources");
    slc_txn_clear_problems(a->txn);
    for (const slc_kind *const *kind = slc_kinds(); *kind != NULL; kind++)
        if (!want_kind(a, *kind, json_object_get(resources, (*kind)->name)))
            return false;
    return (!a->options->prune || unwant_all(a)) && slc_changeset_run(&a->set, a->options->dry_run, a->err);
}

static bool check_base(slc_txn *txn, const json_t *document, int64_t if_revision, slc_error *err)
{
    const json_t *base = json_object_get(document, "base_revision");
    int64_t revision = (int64_t)slc_catalog_revision(txn);
    int64_t wanted = base != NULL ? json_integer_value(base) : if_revision;
    bool agree = base == NULL || if_revision == 0 || if_revision == wanted;
    if ((base == NULL && if_revision == 0) || (agree && wanted == revision))
        return true;
    return slc_fail(err, SLC_STALE, "/base_revision",
                    "the catalog is at revision %lld, not %lld: read it again and redo the change",
                    (long long)revision, (long long)(agree ? wanted : if_revision));
}

json_t *slc_catalog_apply(slc_txn *txn, const json_t *document, const slc_declare_options *options,
                          slc_error *err)
{
    slc_error own;
    err = err != NULL ? err : &own;
    if (!check_document(document, err) || !check_base(txn, document, options->if_revision, err))
        return NULL;
    struct apply a = {.txn = txn,
                      .options = options,
                      .manager = slc_get_text(document, "manager"),
                      .wanted = json_object(),
                      .err = err};
    slc_changeset_init(&a.set, txn);
    a.set.manager = a.manager;
    a.set.adopt = options->adopt;
    json_t *out = NULL;
    if (run(&a, document))
        out = json_pack("{s:I, s:b, s:O}", "revision", (json_int_t)slc_catalog_revision(txn), "dry_run",
                        (int)options->dry_run, "changes", a.set.changes);
    if (options->referrers != NULL)
        *options->referrers = out == NULL ? json_incref(a.set.referrers) : NULL;
    slc_changeset_release(&a.set);
    json_decref(a.wanted);
    return out;
}
