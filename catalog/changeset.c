#include "catalog/changeset.h"

#include <stdlib.h>
#include <string.h>

#include "catalog/access.h"
#include "catalog/store.h"
#include "common/alloc.h"
#include "common/json.h"

/* Every round must settle something; chains of dependency are much shorter than this. */
#define ROUNDS_MAX 20

struct failure {
    slc_error err;
    json_t *problems; /* own reference, or NULL */
};

struct slc_wanted {
    slc_wish wish; /* own texts and body */
    bool done;
    char changed[SLC_ID_CHARS + 1]; /* the entity's id when something was written */
    struct failure *failure;        /* of the last try */
};

struct slc_unwanted {
    const slc_kind *kind;
    char id[SLC_ID_CHARS + 1];
    char *ref;
    bool done;
};

/* ---- putting it together ---- */

void slc_changeset_init(slc_changeset *set, slc_txn *txn)
{
    *set = (slc_changeset){.txn = txn, .changes = json_array(), .identities = json_object()};
}

static void clear_failure(struct slc_wanted *wanted)
{
    if (wanted->failure != NULL)
        json_decref(wanted->failure->problems);
    free(wanted->failure);
    wanted->failure = NULL;
}

void slc_changeset_release(slc_changeset *set)
{
    for (size_t i = 0; i < set->wanted_count; i++) {
        slc_wish *wish = &set->wanted[i].wish;
        clear_failure(&set->wanted[i]);
        free((char *)wish->ref);
        free((char *)wish->pointer);
        free((char *)wish->id);
        free((char *)wish->manager);
        json_decref((json_t *)wish->body);
    }
    for (size_t i = 0; i < set->unwanted_count; i++)
        free(set->unwanted[i].ref);
    free(set->wanted);
    free(set->unwanted);
    json_decref(set->changes);
    json_decref(set->referrers);
    json_decref(set->identities);
}

static void *make_room(void *array, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return array;
    *room = *room == 0 ? 64 : 2 * *room;
    return slc_realloc(array, *room * size);
}

static char *copy(const char *text)
{
    return text != NULL ? slc_strdup(text) : NULL;
}

void slc_changeset_want(slc_changeset *set, const slc_wish *wish)
{
    set->wanted = make_room(set->wanted, set->wanted_count, &set->wanted_room, sizeof(*set->wanted));
    set->wanted[set->wanted_count++] = (struct slc_wanted){.wish = {.kind = wish->kind,
                                                                    .ref = copy(wish->ref),
                                                                    .body = json_incref((json_t *)wish->body),
                                                                    .pointer = copy(wish->pointer),
                                                                    .id = copy(wish->id),
                                                                    .manager = copy(wish->manager)}};
}

void slc_changeset_unwant(slc_changeset *set, const slc_kind *kind, const char *id, const char *ref)
{
    set->unwanted = make_room(set->unwanted, set->unwanted_count, &set->unwanted_room, sizeof(*set->unwanted));
    struct slc_unwanted *unwanted = &set->unwanted[set->unwanted_count++];
    *unwanted = (struct slc_unwanted){.kind = kind, .ref = copy(ref)};
    snprintf(unwanted->id, sizeof(unwanted->id), "%s", id);
}

/* ---- finding ---- */

/* Kinds without a key have no index for what tells them apart: they are read once. */
static bool load_identities(slc_changeset *set, const slc_kind *kind, json_t **out, slc_error *err)
{
    json_t *ids = json_object();
    sqlite3_stmt *stmt = slc_txn_prepare(set->txn, slc_row_select(kind), err);
    int rc = stmt == NULL ? -1 : 1;
    while (rc == 1 && (rc = slc_txn_step(set->txn, stmt, err)) == 1) {
        json_t *stored = slc_row_read(kind, stmt);
        char ref[SLC_REF_CHARS];
        if (slc_declared_ref(set->txn, kind, stored, ref))
            json_object_set(ids, ref, json_object_get(stored, "id"));
        json_decref(stored);
    }
    slc_txn_finish(set->txn, stmt);
    json_object_set_new(set->identities, kind->name, ids);
    *out = ids;
    return rc == 0;
}

static json_t *identities_of(slc_changeset *set, const slc_kind *kind)
{
    return kind->key == SLC_KEY_ID ? json_object_get(set->identities, kind->name) : NULL;
}

/* 1 found, 0 not, -1 error. */
static int find(slc_changeset *set, const slc_wish *wish, char id[SLC_ID_CHARS + 1], slc_error *err)
{
    if (wish->ref == NULL)
        return 0;
    if (wish->kind->key != SLC_KEY_ID)
        return slc_row_resolve(set->txn, wish->kind, wish->ref, id, err);
    json_t *ids = identities_of(set, wish->kind);
    if (ids == NULL && !load_identities(set, wish->kind, &ids, err))
        return -1;
    const char *known = slc_get_text(ids, wish->ref);
    if (known != NULL)
        snprintf(id, SLC_ID_CHARS + 1, "%s", known);
    return known != NULL;
}

/* ---- one object ---- */

static void note_change(slc_changeset *set, const char *action, const slc_kind *kind, const char *ref,
                        json_t *changes)
{
    /* Of a dry run they would be made up, and a document has none. */
    json_object_del(changes, "id");
    json_object_del(changes, "created_at");
    json_array_append_new(set->changes, json_pack("{s:s, s:s, s:s?, s:o}", "action", action, "kind", kind->name,
                                                  "key", ref, "changes", changes));
}

static const char *free_id(slc_changeset *set, const slc_wish *wish)
{
    char id[SLC_ID_CHARS + 1];
    bool usable = wish->id != NULL && slc_row_resolve(set->txn, wish->kind, wish->id, id, NULL) == 0;
    return usable ? wish->id : NULL;
}

static bool create(slc_changeset *set, struct slc_wanted *wanted, slc_error *err)
{
    const slc_wish *wish = &wanted->wish;
    json_t *changes = NULL;
    json_t *stored = slc_entity_make(set->txn, wish->kind, free_id(set, wish), wish->body, &changes, err);
    if (stored == NULL)
        return false;
    json_t *ids = identities_of(set, wish->kind);
    if (ids != NULL && wish->ref != NULL)
        json_object_set(ids, wish->ref, json_object_get(stored, "id"));
    snprintf(wanted->changed, sizeof(wanted->changed), "%s", slc_get_text(stored, "id"));
    json_decref(stored);
    note_change(set, "create", wish->kind, wish->ref, changes);
    return true;
}

/* What a manager may do to its own, it needs `adopt` for with others' objects, and to give its own away. That
 * an object names its owner itself changes nothing about that; it makes a dump of everything one that can be
 * applied again. */
static bool may_change(const slc_changeset *set, const char *owner, const slc_wish *wish)
{
    if (set->restoring || (set->adopt && strcmp(owner, "system") != 0))
        return true;
    return strcmp(owner, wish->manager) == 0 && (set->manager == NULL || strcmp(owner, set->manager) == 0);
}

static bool fail_foreign(const slc_changeset *set, const char *owner, const slc_wish *wish, slc_error *err)
{
    slc_txn_clear_problems(set->txn);
    return slc_fail(err, SLC_CONFLICT, "", "the %s %s belongs to manager %s", wish->kind->singular, wish->ref,
                    owner);
}

static bool update(slc_changeset *set, struct slc_wanted *wanted, const json_t *before, slc_error *err)
{
    const slc_wish *wish = &wanted->wish;
    const slc_kind *kind = wish->kind;
    const char *owner = slc_get_text(before, "manager");
    bool foreign = strcmp(owner, wish->manager) != 0, may = may_change(set, owner, wish);
    if (foreign && !may)
        return fail_foreign(set, owner, wish, err);
    json_t *next = slc_body_read(set->txn, kind, slc_get_text(before, "id"), wish->body, before,
                                 set->restoring ? SLC_BODY_RESTORE : SLC_BODY_REPLACE, NULL, err);
    if (next == NULL)
        return false;
    if (!may && !slc_entity_unchanged(set->txn, kind, before, next)) {
        json_decref(next);
        return fail_foreign(set, owner, wish, err);
    }
    if (foreign)
        json_object_set_new(next, "manager", json_string(wish->manager));
    const char *action = foreign && !set->restoring ? "adopt" : "update";
    json_t *changes = NULL;
    bool ok = (json_equal(before, next) || slc_access_write(set->txn, kind, before, next, err)) &&
              slc_entity_save(set->txn, kind, action, before, next, &changes, err);
    if (ok && json_object_size(changes) > 0) {
        snprintf(wanted->changed, sizeof(wanted->changed), "%s", slc_get_text(before, "id"));
        note_change(set, action, kind, wish->ref, changes);
    } else {
        json_decref(changes);
    }
    json_decref(next);
    return ok;
}

static bool fulfil(slc_changeset *set, struct slc_wanted *wanted, slc_error *err)
{
    const slc_wish *wish = &wanted->wish;
    char id[SLC_ID_CHARS + 1];
    int rc = find(set, wish, id, err);
    if (rc <= 0)
        return rc == 0 && create(set, wanted, err);
    json_t *before = slc_entity_load(set->txn, wish->kind, id, err);
    bool ok = before != NULL && update(set, wanted, before, err);
    json_decref(before);
    return ok;
}

/* What another change may still cure; the rest ends everything. */
static bool may_pass_later(const slc_error *err)
{
    return err->code == SLC_INVALID || err->code == SLC_CONFLICT || err->code == SLC_DENIED;
}

static void keep_failure(slc_changeset *set, struct slc_wanted *wanted, const slc_error *failure)
{
    wanted->failure = slc_calloc(1, sizeof(*wanted->failure));
    wanted->failure->err = *failure;
    wanted->failure->problems = json_deep_copy(slc_txn_problems(set->txn));
}

/* A try that fails has written nothing: rules look first, and what they look for afterwards is put off until
 * all is settled. Should it have all the same, it is not tried again and the whole fails. */
static bool try_wanted(slc_changeset *set, struct slc_wanted *wanted, slc_error *err)
{
    slc_txn *txn = set->txn;
    const char *manager = txn->actor.manager;
    int changes = sqlite3_total_changes(slc_conn_db(txn->conn));
    slc_error failure = {0};
    clear_failure(wanted);
    slc_txn_clear_problems(txn);
    txn->actor.manager = wanted->wish.manager;
    wanted->done = fulfil(set, wanted, &failure);
    txn->actor.manager = manager;
    if (!wanted->done)
        keep_failure(set, wanted, &failure);
    bool clean = sqlite3_total_changes(slc_conn_db(txn->conn)) == changes;
    if (wanted->done || (clean && may_pass_later(&failure)))
        return true;
    *err = failure;
    snprintf(err->field, sizeof(err->field), "%.80s%.70s", wanted->wish.pointer, failure.field);
    return false;
}

/* What refers to it is looked for before anything is written. */
static bool remove_one(slc_changeset *set, struct slc_unwanted *unwanted, slc_error *err)
{
    json_t *before = slc_entity_load(set->txn, unwanted->kind, unwanted->id, err);
    if (before == NULL) /* gone with its owner */
        return unwanted->done = err->code == SLC_NOT_FOUND;
    json_t *changes = slc_changes(set->txn, unwanted->kind, before, NULL, err);
    json_t *referrers = NULL;
    json_decref(before);
    if (changes == NULL)
        return false;
    unwanted->done = slc_entity_delete(set->txn, unwanted->kind, unwanted->id, -1, &referrers, err);
    json_decref(set->referrers);
    set->referrers = referrers;
    if (!unwanted->done) {
        json_decref(changes);
        return referrers != NULL;
    }
    json_t *ids = identities_of(set, unwanted->kind);
    if (ids != NULL)
        json_object_del(ids, unwanted->ref);
    note_change(set, "delete", unwanted->kind, unwanted->ref, changes);
    return true;
}

/* ---- all of them ---- */

/* Removals come first, so that what is new may take the place of what goes. Counts what is left. */
static bool round_of(slc_changeset *set, size_t *left, slc_error *removal_err, slc_error *err)
{
    *left = 0;
    for (size_t i = 0; i < set->unwanted_count; i++) {
        slc_error failure = {0};
        if (set->unwanted[i].done)
            continue;
        if (!remove_one(set, &set->unwanted[i], &failure)) {
            *err = failure;
            return false;
        }
        if (!set->unwanted[i].done) {
            *removal_err = failure;
            ++*left;
        }
    }
    for (size_t i = 0; i < set->wanted_count; i++) {
        if (set->wanted[i].done)
            continue;
        if (!try_wanted(set, &set->wanted[i], err))
            return false;
        *left += !set->wanted[i].done;
    }
    return true;
}

/* The text at a pointer, or NULL. */
static const char *text_at(const json_t *value, const char *pointer)
{
    while (*pointer == '/' && value != NULL) {
        char token[SLC_POINTER_CHARS];
        size_t len = strcspn(++pointer, "/");
        snprintf(token, sizeof(token), "%.*s", (int)len, pointer);
        value = json_is_array(value) ? json_array_get(value, strtoul(token, NULL, 10))
                                     : json_object_get(value, token);
        pointer += len;
    }
    return json_string_value(value);
}

/* Of a scorecard rule that stands in the way. */
static void keep_rule(slc_txn *txn, const json_t *problem)
{
    const json_t *problems = slc_txn_problems(txn);
    if (json_object_get(problem, "rule") != NULL)
        json_object_set(json_array_get(problems, json_array_size(problems) - 1), "rule",
                        json_object_get(problem, "rule"));
}

static void report_one(slc_changeset *set, json_t *failed, const struct slc_wanted *wanted, slc_error *err)
{
    const slc_wish *wish = &wanted->wish;
    const slc_error *first = &wanted->failure->err;
    json_t *problems = wanted->failure->problems;
    json_t *own = problems == NULL
                      ? json_pack("[{s:s, s:s}]", "pointer", first->field, "detail", first->message)
                      : json_incref(problems);
    size_t index;
    json_t *problem;
    json_array_foreach (own, index, problem) {
        const char *pointer = slc_get_text(problem, "pointer");
        const char *text = text_at(wish->body, pointer);
        /* A reference to something that failed itself is no news. */
        if (problems != NULL && text != NULL && json_object_get(failed, text) != NULL)
            continue;
        char place[SLC_POINTER_CHARS * 2];
        snprintf(place, sizeof(place), "%s%s", wish->pointer, pointer);
        slc_txn_problem(set->txn, place, err, "%s", slc_get_text(problem, "detail"));
        keep_rule(set->txn, problem);
        if (err->code == SLC_INVALID && json_array_size(slc_txn_problems(set->txn)) == 1)
            err->code = first->code;
    }
    json_decref(own);
    if (wish->ref != NULL)
        json_object_set_new(failed, wish->ref, json_true());
}

static bool report(slc_changeset *set, const slc_error *removal_err, slc_error *err)
{
    json_t *failed = json_object();
    bool any = false;
    slc_txn_clear_problems(set->txn);
    for (size_t i = 0; i < set->wanted_count; i++) {
        if (set->wanted[i].failure == NULL)
            continue;
        any = true;
        report_one(set, failed, &set->wanted[i], err);
    }
    json_decref(failed);
    if (any) {
        json_decref(set->referrers);
        set->referrers = NULL;
    } else {
        *err = *removal_err;
    }
    return false;
}

/* Rules between entities, now that everything is there. */
static bool settle_all(slc_changeset *set, slc_error *err)
{
    bool ok = true;
    set->txn->unsettled = false;
    for (size_t i = 0; i < set->wanted_count; i++) {
        struct slc_wanted *wanted = &set->wanted[i];
        slc_error failure = {0};
        slc_txn_clear_problems(set->txn);
        if (wanted->changed[0] == '\0' ||
            slc_entity_settle(set->txn, wanted->wish.kind, wanted->changed, &failure))
            continue;
        if (!may_pass_later(&failure)) {
            *err = failure;
            return false;
        }
        keep_failure(set, wanted, &failure);
        ok = false;
    }
    return ok || report(set, NULL, err);
}

static bool run_rounds(slc_changeset *set, slc_error *err)
{
    slc_error removal_err = {0};
    size_t left = set->wanted_count + set->unwanted_count, before;
    for (int i = 0; i < ROUNDS_MAX && left > 0; i++) {
        before = left;
        if (!round_of(set, &left, &removal_err, err))
            return false;
        if (left == before)
            break;
    }
    return left == 0 ? settle_all(set, err) : report(set, &removal_err, err);
}

bool slc_changeset_run(slc_changeset *set, bool dry_run, slc_error *err)
{
    slc_txn *txn = set->txn;
    uint64_t revision = txn->revision;
    if (!slc_txn_exec(txn, err, "SAVEPOINT changeset", ""))
        return false;
    txn->restoring = set->restoring;
    txn->unsettled = true;
    bool ok = run_rounds(set, err);
    txn->restoring = txn->unsettled = false;
    if (ok && !dry_run)
        return slc_txn_exec(txn, err, "RELEASE changeset", "");
    slc_error undone;
    uint64_t reached = txn->revision;
    txn->revision = revision; /* nothing was changed after all */
    if (!slc_conn_run(txn->conn, "ROLLBACK TO changeset; RELEASE changeset", &undone)) {
        txn->revision = reached;
        if (ok)
            *err = undone;
        return false;
    }
    return ok;
}
