/* The configuration as it was at a version, brought back as a new revision. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/changeset.h"
#include "catalog/history.h"
#include "catalog/sealed.h"
#include "catalog/store.h"
#include "catalog/versions_private.h"
#include "common/alloc.h"
#include "common/json.h"

struct rollback {
    slc_txn *txn;
    const slc_rollback_options *options;
    slc_rollback_refusal *refusal;
    json_t *between; /* {kind: {ref: {from: what there is now, to: what there was}}} */
    json_t *skipped;
    slc_changeset set;
    slc_error *err;
};

/* ---- what vanishes ---- */

/* `from` has what should go. In the opposite order of dependency. */
static bool unwant_all(struct rollback *r)
{
    json_t *referrers = json_array();
    bool ok = true;
    size_t count = 0;
    while (slc_kinds()[count] != NULL)
        count++;
    while (ok && count-- > 0) {
        const slc_kind *kind = slc_kinds()[count];
        const char *ref;
        json_t *pair;
        json_object_foreach (json_object_get(r->between, kind->name), ref, pair) {
            const char *id = slc_get_text(json_object_get(pair, "from"), "id");
            if (json_object_get(pair, "to") != NULL)
                continue;
            slc_changeset_unwant(&r->set, kind, id, ref);
            ok = ok && slc_lasting_referrers(r->txn, kind, id, referrers, r->err);
        }
    }
    const json_t *first = json_array_get(referrers, 0);
    if (ok && first != NULL) {
        r->refusal->why = SLC_VERSION_REFERRED;
        r->refusal->referrers = json_incref(referrers);
        ok = slc_fail(r->err, SLC_CONFLICT, NULL,
                      "%s would vanish, but %s/%s refers to it (%zu such in all), and that never rolls back: "
                      "delete or move it first",
                      slc_get_text(first, "refers_to"), slc_get_text(first, "kind"), slc_get_text(first, "key"),
                      json_array_size(referrers));
    }
    json_decref(referrers);
    return ok;
}

/* ---- secrets ---- */

struct place {
    struct rollback *r;
    char pointer[SLC_POINTER_CHARS];
};

static void problem(struct place *place, const char *name, const char *detail)
{
    size_t len = strlen(place->pointer);
    slc_json_pointer_push(place->pointer, sizeof(place->pointer), name);
    slc_txn_problem(place->r->txn, place->pointer, place->r->err, "%s", detail);
    place->pointer[len] = '\0';
}

static void check_given(struct place *place, const slc_field *fields, const json_t *body, const json_t *given)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)given, name, value) {
        const slc_field *field = slc_field_find(fields, name);
        bool inner = field != NULL && field->type == SLC_F_OBJECT;
        if (inner && !json_is_object(json_object_get(body, name)))
            problem(place, name, "was not there in that version");
        else if (inner && !json_is_object(value))
            problem(place, name, "must be an object of secrets");
        else if (field == NULL || (!inner && (field->flags & SLC_F_SECRET) == 0))
            problem(place, name, "is not a secret of this entity");
    }
}

static void fill_secret(struct place *place, const slc_field *field, json_t *body, const json_t *before,
                        const json_t *given)
{
    const json_t *then = json_object_get(body, field->name);
    const json_t *now = json_object_get(before, field->name);
    if (given != NULL) {
        json_object_set(body, field->name, (json_t *)given);
    } else if (then == NULL) {
        json_object_set_new(body, field->name, json_null()); /* absent would keep what there is */
    } else if (json_object_get(then, "sealed_at") != NULL) {
        json_object_del(body, field->name);
        if (json_object_get(now, "sealed") == NULL || slc_secret_is_forgotten(now)) {
            place->r->refusal->why = SLC_VERSION_SECRETS;
            problem(place, field->name,
                    "must be supplied: versions never hold secrets, and there is none now that "
                    "could be kept");
        }
    }
}

/* Makes the state's secrets what validation takes: given ones, or absent for those that are kept. */
static void fill_secrets(struct place *place, const slc_field *fields, json_t *body, const json_t *before,
                         const json_t *given)
{
    check_given(place, fields, body, given);
    for (const slc_field *field = fields; field->name != NULL; field++) {
        json_t *value = json_object_get(body, field->name);
        if ((field->flags & SLC_F_SECRET) != 0) {
            fill_secret(place, field, body, before, json_object_get(given, field->name));
        } else if (field->type == SLC_F_OBJECT && value != NULL) {
            size_t len = strlen(place->pointer);
            slc_json_pointer_push(place->pointer, sizeof(place->pointer), field->name);
            fill_secrets(place, field->fields, value, json_object_get(before, field->name),
                         json_object_get(given, field->name));
            place->pointer[len] = '\0';
        }
    }
}

/* ---- what comes back ---- */

/* A policy on an application, or a grant to a team, has nothing to apply to when that is gone. */
static bool is_moot(struct rollback *r, const slc_kind *kind, const json_t *body)
{
    const json_t *scope = json_object_get(body, "scope");
    const char *subject_kind = NULL, *subject = NULL;
    char id[SLC_ID_CHARS + 1];
    if (strcmp(kind->name, "grants") == 0) {
        subject_kind = "teams";
        subject = slc_get_text(body, "team");
    } else if (strcmp(kind->name, "policies") == 0 && strcmp(slc_get_text(scope, "kind"), "application") == 0) {
        subject_kind = "applications";
        subject = slc_get_text(scope, "ref");
    }
    return subject != NULL && slc_row_resolve(r->txn, slc_kind_find(subject_kind), subject, id, NULL) == 0;
}

static bool want_one(struct rollback *r, const slc_kind *kind, const char *ref, const json_t *pair)
{
    const json_t *from = json_object_get(pair, "from"), *to = json_object_get(pair, "to");
    char name[SLC_REF_CHARS + 64];
    struct place place = {.r = r, .pointer = "/secrets"};
    if (is_moot(r, kind, json_object_get(to, "body"))) {
        json_array_append_new(r->skipped, json_pack("{s:s, s:s, s:s}", "kind", kind->name, "key", ref, "reason",
                                                    "what it applies to is gone, and never rolls back"));
        return true;
    }
    json_t *before = from == NULL ? NULL : slc_entity_load(r->txn, kind, slc_get_text(from, "id"), r->err);
    if (from != NULL && before == NULL)
        return false;
    json_t *body = json_deep_copy(json_object_get(to, "body"));
    char *manager = slc_strdup(slc_get_text(body, "manager"));
    json_object_del(body, "manager");
    snprintf(name, sizeof(name), "%s/%s", kind->name, ref);
    slc_json_pointer_push(place.pointer, sizeof(place.pointer), name);
    fill_secrets(&place, kind->fields, body, before, json_object_get(r->options->secrets, name));
    snprintf(place.pointer, sizeof(place.pointer), "/%s", kind->name);
    slc_json_pointer_push(place.pointer, sizeof(place.pointer), ref);
    slc_wish wish = {.kind = kind,
                     .ref = ref,
                     .body = body,
                     .pointer = place.pointer,
                     .id = slc_get_text(to, "id"),
                     .manager = manager};
    slc_changeset_want(&r->set, &wish);
    free(manager);
    json_decref(body);
    json_decref(before);
    return true;
}

/* A secret for something that this rollback does not touch is a mistake of the caller. */
static void check_names(struct rollback *r)
{
    struct place place = {.r = r, .pointer = "/secrets"};
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)r->options->secrets, name, value) {
        char kind[64];
        const char *slash = strchr(name, '/');
        snprintf(kind, sizeof(kind), "%.*s", slash != NULL ? (int)(slash - name) : 0, name);
        const json_t *pair = json_object_get(json_object_get(r->between, kind), slash != NULL ? slash + 1 : "");
        if (json_object_get(pair, "to") == NULL)
            problem(&place, name, "is nothing that this rollback makes or changes");
        else if (!json_is_object(value))
            problem(&place, name, "must be an object of secrets");
    }
}

static bool want_all(struct rollback *r)
{
    slc_txn_clear_problems(r->txn);
    check_names(r);
    for (const slc_kind *const *kind = slc_kinds(); *kind != NULL; kind++) {
        const char *ref;
        json_t *pair;
        json_object_foreach (json_object_get(r->between, (*kind)->name), ref, pair) {
            if (json_object_get(pair, "to") != NULL && !want_one(r, *kind, ref, pair))
                return false;
        }
    }
    return json_array_size(slc_txn_problems(r->txn)) == 0;
}

/* ---- the whole ---- */

static bool audit(struct rollback *r, const char *id, uint64_t revision)
{
    if (r->options->dry_run || json_array_size(r->set.changes) == 0)
        return true;
    json_t *what =
        json_pack("{s:{s:I, s:s*}}", "rollback", "version", (json_int_t)revision, "reason", r->options->reason);
    bool ok = slc_audit(r->txn, "rollback", "config-versions", id, id, what, r->err);
    json_decref(what);
    return ok;
}

static bool run(struct rollback *r)
{
    slc_error *err = r->err;
    if (!unwant_all(r) || !want_all(r))
        return false;
    if (slc_changeset_run(&r->set, r->options->dry_run, err))
        return true;
    if (err->code == SLC_INVALID)
        err->code = SLC_CONFLICT; /* with what there is now; the request itself is fine */
    if (r->set.referrers != NULL)
        r->refusal->referrers = json_incref(r->set.referrers);
    return false;
}

json_t *slc_version_rollback(slc_txn *txn, const char *id, const slc_rollback_options *options,
                             slc_rollback_refusal *refusal, slc_error *err)
{
    struct rollback r = {.txn = txn, .options = options, .refusal = refusal, .err = err};
    uint64_t now = slc_catalog_revision(txn), then;
    json_t *out = NULL;
    *refusal = (slc_rollback_refusal){.why = SLC_VERSION_OK};
    json_t *version = slc_version_find(txn, id, &then, &refusal->why, err);
    if (version == NULL)
        return NULL;
    slc_changeset_init(&r.set, txn);
    r.set.restoring = true;
    r.skipped = json_array();
    r.between = slc_history_between(txn, now, then, err);
    if (r.between != NULL && run(&r) && audit(&r, id, then))
        out =
            json_pack("{s:I, s:b, s:O, s:O, s:O}", "revision", (json_int_t)slc_catalog_revision(txn), "dry_run",
                      (int)options->dry_run, "to", version, "changes", r.set.changes, "skipped", r.skipped);
    json_decref(r.between);
    json_decref(r.skipped);
    json_decref(version);
    slc_changeset_release(&r.set);
    return out;
}
