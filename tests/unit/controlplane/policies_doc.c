/* Writes docs/policies.md from the policy modules, the catalog's scopes and the table of what conditions may
 * speak of.
 *
 *   policies_doc FILE           writes it
 *   policies_doc --check FILE   status 1 unless it is what would be written */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/policy_type.h"
#include "common/buf.h"
#include "common/cel/record_attributes.h"
#include "common/file.h"
#include "common/json.h"
#include "dataplane/policy/policy.h"

#define MAX_BYTES (1 << 20)

static const char intro[] =
    "# Policies\n\n"
    "Generated from the policy modules; `policies_doc docs/policies.md` in the build folder writes it anew.\n\n"
    "A policy is attached to one scope: a gateway group, listener, virtual cluster, event API, plan or "
    "application. For a "
    "request\nall that concern it are asked, wide scopes before narrow ones, then by `order`, then by name: "
    "first "
    "those that answer by\nthemselves or look at the address, then until one authenticates, then until one "
    "grants, then all "
    "that limit or restrict.\nNothing is allowed unless some policy allows it; a subscription that is missing "
    "refuses nobody whom an `acl` allows.\n`key-auth`, `oidc`, `mtls` and `subscription` are there "
    "without being configured.\nA policy that says how clients authenticate (`key-auth`, `basic-auth`, `oidc`, "
    "`mtls`) "
    "replaces the first three, one of type\n`subscription` the last. When the way in that something "
    "came by is gone, or takes its token no more, what is\nopen ends: streams, requests that wait, native "
    "sessions; who came by a ticket stays. The "
    "limits of plans always hold. With "
    "`dry_run` a policy "
    "changes nothing, on any protocol: the log says what it would\nhave refused, once in "
    "`policy.dry-run-interval`, and `sluice_policy_decisions_total` counts it. Who is refused is not told by "
    "which\npolicy; the access log has it, and `POST /v1/explain` ([admin API](admin-api.md)).\n\n"
    "`sluice_policy_decisions_total{policy,outcome}` counts what each configured policy said: `allowed` (it "
    "granted, or took part and let\nthrough), `denied`, `dry_run_denied`, `error` (its condition could not be "
    "evaluated, which denies). A native session remembers what it may\ndo with each name, and what it "
    "remembers "
    "is not counted again; of a `rate-limit` what it slows down there is `sluice_kafka_throttled_total`.\n\n"
    "On native Kafka `acl` and `subscription` take part, all of them for each operation: one that denies "
    "outweighs "
    "those that\nallow. See [virtual clusters](virtual-clusters.md#what-applications-may-do). `ip-restriction` "
    "and "
    "`rate-limit` hold there too, `kafka-requests`\nonly there; what `headers` says of records is done to "
    "native "
    "clients' batches. At most 16 limits count one\nnative session, those of policies before those of plans; "
    "on "
    "HTTP whatever more than 16 would count is refused. `filter`, "
    "`mask` and what `headers` says of records go\nthrough one chain on every protocol: "
    "[records](records.md).\n\n"
    "## Conditions\n\n"
    "`condition` is an expression of CEL, the [Common Expression Language](https://cel.dev), of at most 1,000 "
    "bytes. The "
    "policy\ntakes part in requests for which it is true. It is looked at when the request begins; a stream "
    "that is open is "
    "not asked\nagain. A policy whose condition is false still replaces what is built in: with a conditional "
    "`subscription` "
    "nobody else\ngrants anything. When it cannot be evaluated (a header that is not there, a text that is no "
    "number) the "
    "request is refused\nwith 403 `denied` and counted in `sluice_policy_condition_errors_total`; `has(x)` and "
    "`'name' in map` "
    "ask first.\n\n"
    "```\n"
    "request.method == 'POST' && request.headers['x-tenant'] in ['shop', 'bank']\n"
    "has(credential.expires) && credential.expires - time < duration('24h')\n"
    "request.path.matches('^/orders/v[0-9]+/') && !client.address.startsWith('10.')\n"
    "time.getDayOfWeek('Europe/Berlin') in [1, 2, 3, 4, 5] && time.getHours('Europe/Berlin') >= 8\n"
    "```\n\n"
    "There are null, bool, int, uint, double, string, bytes, lists, maps, timestamps and durations with CEL's "
    "literals "
    "and\noperators, `in`, `[]`, `.`, `?:`, `has()`, `size`, `startsWith`, `endsWith`, `contains`, `matches` "
    "(RE2; the "
    "pattern is\nwritten in the expression), the conversions (`int()`, `string()`, `timestamp()`, "
    "`duration()`, ...), and the "
    "parts of a\ntimestamp in UTC, or in a time zone that is written in the expression (`Europe/Berlin`, "
    "`+02:00`). There "
    "are no loops (`all`,\n`exists`, `map`, `filter`), messages or types as values.\n\n"
    "| variable | kind | what |\n| --- | --- | --- |\n";

static void add_variables(slc_buf *out)
{
    for (const slc_cel_variable *variable = slc_attributes; variable->name != NULL; variable++)
        slc_buf_addf(out, "| `%s` | %s | %s |\n", variable->name, slc_cel_kind_name(variable->kind),
                     variable->help);
}

/* What the expressions of filters may speak of. */
static void add_record_variables(slc_buf *out)
{
    slc_buf_adds(out, "\n| variable | kind | what |\n| --- | --- | --- |\n");
    for (const slc_cel_variable *variable = slc_record_attributes; variable->name != NULL; variable++)
        slc_buf_addf(out, "| `%s` | %s | %s |\n", variable->name, slc_cel_kind_name(variable->kind),
                     variable->help);
}

static void add_scopes(slc_buf *out, const char *type)
{
    static const char *const names[] = {"gateway group", "listener", "virtual cluster",
                                        "event API",     "plan",     "application"};
    const slc_policy_kind *kind = slc_policy_kinds();
    const char *comma = "";
    while (strcmp(kind->name, type) != 0)
        kind++;
    slc_buf_adds(out, "\n\nMay be attached to: ");
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if ((kind->scopes & 1u << i) == 0)
            continue;
        slc_buf_addf(out, "%s%s", comma, names[i]);
        comma = ", ";
    }
    slc_buf_adds(out, ".\n\n");
}

static void add_limits(slc_buf *out, const json_t *schema)
{
    static const char *const names[] = {"minimum",  "maximum",  "minLength", "maxLength",
                                        "minItems", "maxItems", "enum",      "default"};
    static const char *const words[] = {"from ",     "to ",      "at least ", "at most ",
                                        "at least ", "at most ", "one of ",   "default "};
    const char *comma = "";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *value = json_object_get(schema, names[i]);
        if (value == NULL)
            continue;
        char *text = json_dumps(value, JSON_ENCODE_ANY);
        slc_buf_addf(out, "%s%s`%s`", comma, words[i], text);
        free(text);
        comma = ", ";
    }
}

static void add_rows(slc_buf *out, const json_t *schema, const char *above)
{
    const char *name;
    json_t *property;
    json_object_foreach (json_object_get(schema, "properties"), name, property) {
        const char *help = json_string_value(json_object_get(property, "description"));
        const json_t *items = json_object_get(property, "items");
        slc_buf_addf(out, "| `%s%s` | %s: ", above, name, json_string_value(json_object_get(property, "type")));
        add_limits(out, json_object_get(items, "enum") != NULL ? items : property);
        slc_buf_addf(out, " | %s |\n", help != NULL ? help : "");
        if (json_object_get(items, "properties") != NULL) {
            char path[128];
            snprintf(path, sizeof path, "%s%s[].", above, name);
            add_rows(out, items, path);
        }
    }
}

static void add_settings(slc_buf *out, const json_t *schema)
{
    if (json_object_size(json_object_get(schema, "properties")) == 0) {
        slc_buf_adds(out, "It has no settings.\n");
        return;
    }
    slc_buf_adds(out, "| setting | kind | what |\n| --- | --- | --- |\n");
    add_rows(out, schema, "");
}

static bool add_types(slc_buf *out)
{
    for (const slc_policy_type *const *type = slc_policy_types(); *type != NULL; type++) {
        slc_error err;
        json_t *schema =
            slc_json_parse((*type)->config_schema, strlen((*type)->config_schema), MAX_BYTES, &err);
        if (schema == NULL)
            return false;
        slc_buf_addf(out, "\n## %s\n\n%s", (*type)->name, (*type)->summary);
        add_scopes(out, (*type)->name);
        add_settings(out, schema);
        if (strcmp((*type)->name, "filter") == 0)
            add_record_variables(out);
        json_decref(schema);
    }
    return !out->overflow;
}

static int check(const slc_buf *out, const char *path)
{
    slc_error err = {0};
    size_t len = 0;
    char *text = slc_file_read(path, MAX_BYTES, &len, &err);
    bool same = text != NULL && len == out->len && memcmp(text, out->data, len) == 0;
    if (!same)
        fprintf(stderr, "%s is not what the policies say %s: write it with `policies_doc FILE`\n", path,
                err.message);
    free(text);
    return same ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int write_file(const slc_buf *out, const char *path)
{
    FILE *file = fopen(path, "w");
    bool ok = file != NULL && fwrite(out->data, 1, out->len, file) == out->len;
    ok = file != NULL && fclose(file) == 0 && ok;
    if (!ok)
        perror(path);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    slc_buf out;
    bool checks = argc == 3 && strcmp(argv[1], "--check") == 0;
    if (argc != 2 && !checks) {
        fprintf(stderr, "usage: policies_doc [--check] FILE\n");
        return EXIT_FAILURE;
    }
    slc_buf_init(&out, MAX_BYTES);
    slc_buf_adds(&out, intro);
    add_variables(&out);
    int status = !add_types(&out) ? EXIT_FAILURE : checks ? check(&out, argv[2]) : write_file(&out, argv[1]);
    slc_buf_release(&out);
    return status;
}
