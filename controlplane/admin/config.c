/* The configuration as a whole: declarative documents, dumps, and kept versions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/declare.h"
#include "catalog/read.h"
#include "catalog/versions.h"
#include "common/json.h"
#include "controlplane/admin/handlers.h"

#define YAML_MAX_BYTES    (256u << 20)
#define REASON_MAX_CHARS  300
#define LOCATED_PROBLEMS  5
#define LOCATED_MAX_BYTES (256u << 10) /* each place is looked for in the whole text */

/* ---- dump ---- */

bool slc_route_config_dump(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const parameters[] = {"manager", NULL};
    if (!slc_call_query_only(call, parameters, err))
        return false;
    json_t *document = slc_catalog_dump(txn, slc_call_query(call, "manager"), err);
    if (document == NULL)
        return false;
    call->etag = (int64_t)slc_catalog_revision(txn);
    if (!call->wants_yaml) {
        call->answer = document;
        return true;
    }
    call->text = slc_yaml_print(document, YAML_MAX_BYTES, &call->text_len, err);
    call->text_type = "application/yaml";
    json_decref(document);
    return call->text != NULL;
}

/* ---- problems ---- */

/* Where in the YAML text: people look for lines, not for the 37th item of a list. */
static void locate(const slc_call *call, json_t *errors)
{
    for (size_t i = 0; i < json_array_size(errors) && i < LOCATED_PROBLEMS; i++) {
        json_t *problem = json_array_get(errors, i);
        const char *pointer = json_string_value(json_object_get(problem, "pointer"));
        size_t line, column;
        if (!slc_yaml_locate(call->body_text, call->body_len, pointer, &line, &column))
            continue;
        json_object_set_new(problem, "line", json_integer((json_int_t)line));
        json_object_set_new(problem, "column", json_integer((json_int_t)column));
    }
}

/* All fields at fault, and who stands in the way (stolen, may be NULL). Returns false. */
static bool keep_problems(slc_txn *txn, slc_call *call, json_t *referrers, const slc_error *err)
{
    const json_t *problems = slc_txn_problems(txn);
    json_t *errors = json_array();
    if (json_array_size(problems) > 0)
        json_array_extend(errors, (json_t *)problems);
    else if (err->field[0] != '\0')
        json_array_append_new(errors, json_pack("{s:s, s:s}", "pointer", err->field, "detail", err->message));
    if (call->body_is_yaml && call->body_len <= LOCATED_MAX_BYTES)
        locate(call, errors);
    if (err->code == SLC_INVALID)
        call->status = 422;
    call->problem = json_object();
    if (slc_call_problems_type(problems) != NULL)
        call->problem_type = slc_call_problems_type(problems);
    if (json_array_size(errors) > 0)
        json_object_set(call->problem, "errors", errors);
    if (referrers != NULL)
        json_object_set_new(call->problem, "referrers", referrers);
    json_decref(errors);
    return false;
}

/* ---- rights ---- */

/* False when the permission to write the kind is missing; `missing` then has it, once. */
static bool may_write(const slc_call *call, const char *kind, json_t *missing)
{
    char permission[80];
    size_t index;
    json_t *known;
    snprintf(permission, sizeof permission, "%s:write", kind);
    if (slc_identity_may(&call->identity, permission))
        return true;
    json_array_foreach (missing, index, known)
        if (strcmp(json_string_value(known), permission) == 0)
            return false;
    json_array_append_new(missing, json_string(permission));
    return false;
}

/* Whoever changes much at once may do what they may do singly. All that is missing is in the problem. */
static bool check_permissions(slc_call *call, const json_t *answer, slc_error *err)
{
    json_t *missing = json_array();
    const json_t *first = NULL;
    size_t index;
    json_t *change;
    json_array_foreach (json_object_get(answer, "changes"), index, change)
        if (!may_write(call, json_string_value(json_object_get(change, "kind")), missing) && first == NULL)
            first = change;
    if (first == NULL) {
        json_decref(missing);
        return true;
    }
    slc_fail(err, SLC_DENIED, NULL,
             "the token lacks the permission %s, which the change of %s/%s needs (%zu in all)",
             json_string_value(json_array_get(missing, 0)), json_string_value(json_object_get(first, "kind")),
             json_string_value(json_object_get(first, "key")), json_array_size(missing));
    call->problem = json_pack("{s:o}", "missing", missing);
    return false;
}

/* ---- apply ---- */

bool slc_route_config_apply(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const parameters[] = {"dry_run", "prune", "adopt", NULL};
    json_t *referrers = NULL;
    slc_declare_options options = {.referrers = &referrers,
                                   .if_revision = call->if_match == 0  ? -1
                                                  : call->if_match > 0 ? call->if_match
                                                                       : 0};
    if (!slc_call_query_only(call, parameters, err) ||
        !slc_call_query_bool(call, "dry_run", &options.dry_run, err) ||
        !slc_call_query_bool(call, "prune", &options.prune, err) ||
        !slc_call_query_bool(call, "adopt", &options.adopt, err))
        return false;
    call->answer = slc_catalog_apply(txn, call->body, &options, err);
    if (call->answer == NULL)
        return keep_problems(txn, call, referrers, err);
    if (!check_permissions(call, call->answer, err))
        return false;
    call->etag = (int64_t)slc_catalog_revision(txn);
    return true;
}

/* ---- versions ---- */

static void keep_refusal(slc_call *call, enum slc_version_refusal why)
{
    if (why == SLC_VERSION_TOO_OLD) {
        call->status = 410;
        call->problem_type = "version-too-old";
    } else if (why == SLC_VERSION_SECRETS) {
        call->problem_type = "secrets-needed";
    }
}

bool slc_route_version_diff(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const parameters[] = {"to", NULL};
    enum slc_version_refusal refusal;
    const char *to = slc_call_query(call, "to");
    if (!slc_call_query_only(call, parameters, err))
        return false;
    call->answer = slc_version_diff(txn, call->target.key, to != NULL ? to : "current", &refusal, err);
    if (call->answer == NULL)
        keep_refusal(call, refusal);
    return call->answer != NULL;
}

static bool read_rollback(slc_call *call, slc_rollback_options *options, slc_error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach (call->body, name, value) {
        char pointer[160] = "";
        slc_json_pointer_push(pointer, sizeof pointer, name);
        if (strcmp(name, "reason") == 0 && json_is_string(value) &&
            json_string_length(value) <= REASON_MAX_CHARS)
            options->reason = json_string_value(value);
        else if (strcmp(name, "reason") == 0)
            return slc_fail(err, SLC_INVALID, pointer, "must be a string of at most %d bytes",
                            REASON_MAX_CHARS);
        else if (strcmp(name, "secrets") == 0 && json_is_object(value))
            options->secrets = value;
        else if (strcmp(name, "secrets") == 0)
            return slc_fail(err, SLC_INVALID, pointer, "must be an object by kind/key");
        else
            return slc_fail(err, SLC_INVALID, pointer, "is not a field of this object");
    }
    return true;
}

bool slc_route_version_rollback(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const parameters[] = {"dry_run", NULL};
    slc_rollback_options options = {.dry_run = false};
    slc_rollback_refusal refusal = {.why = SLC_VERSION_OK};
    if (!slc_call_query_only(call, parameters, err) ||
        !slc_call_query_bool(call, "dry_run", &options.dry_run, err))
        return false;
    if (!read_rollback(call, &options, err))
        return keep_problems(txn, call, NULL, err);
    call->answer = slc_version_rollback(txn, call->target.key, &options, &refusal, err);
    call->etag = (int64_t)slc_catalog_revision(txn);
    if (call->answer != NULL)
        return check_permissions(call, call->answer, err);
    keep_refusal(call, refusal.why);
    return err->code == SLC_NOT_FOUND ? false : keep_problems(txn, call, refusal.referrers, err);
}
