/* The settings of a policy are declared twice: for the catalog, which people talk to, and for the gateway,
 * which checks what it gets. A configuration that one takes and the other refuses would hold up a whole group,
 * so the two must agree: on types, names, limits, and on every case here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../catalog/fixture.h"
#include "catalog/policy_type.h"
#include "common/alloc.h"
#include "common/json.h"
#include "dataplane/policy/policy.h"

static void setup(void)
{
    t_setup();
    t_make_samples("policies");
    /* Names that the limits are tried with. */
    static const int lengths[] = {1, 2, 62, 63};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char body[200], name[64] = "";
        memset(name, 'a', (size_t)lengths[i]);
        snprintf(body, sizeof body,
                 "{'name': '%s', 'provider': 'aws-kms', 'config': {'region': 'r', 'key': 'k'}}", name);
        t_make("key-rings", body);
        snprintf(body, sizeof body, "{'name': '%s', 'url': 'http://registry.example'}", name);
        t_make("schema-registries", body);
    }
    t_make("schema-registries", "{'name': '1s', 'url': 'http://registry.example'}");
    t_make("key-rings", "{'name': '1s', 'provider': 'aws-kms', 'config': {'region': 'r', 'key': 'k'}}");
}

static const slc_policy_kind *kind_of(const char *name)
{
    const slc_policy_kind *kind = slc_policy_kinds();
    while (kind->name != NULL && strcmp(kind->name, name) != 0)
        kind++;
    return kind->name != NULL ? kind : NULL;
}

/* ---- asking both ---- */

static bool gateway_takes(const char *type_name, const json_t *config, slc_error *err)
{
    const slc_policy_type *type = slc_policy_type_find(type_name);
    void *compiled = NULL;
    ck_assert_ptr_nonnull(type);
    bool ok = type->compile(config, &compiled, err);
    if (ok && compiled != NULL)
        type->release(compiled);
    return ok;
}

struct asked {
    json_t *body;
    json_t *stored; /* the config as gateways get it */
    bool accepted;
    slc_error why;
};

/* Fails in any case, so that nothing of it stays. */
static bool ask_catalog(slc_txn *txn, void *arg, slc_error *err)
{
    struct asked *asked = arg;
    json_t *made = slc_entity_create(txn, slc_kind_find("policies"), asked->body, &asked->why);
    asked->accepted = made != NULL;
    if (made != NULL) {
        json_t *stored = slc_entity_load(txn, slc_kind_find("policies"), "asked", err);
        asked->stored = json_incref(json_object_get(stored, "config"));
        json_decref(stored);
    }
    json_decref(made);
    return slc_fail(err, SLC_CONFLICT, NULL, "only asked");
}

static json_t *scope_of(const slc_policy_kind *kind)
{
    static const struct {
        unsigned bit;
        const char *kind, *ref;
    } scopes[] = {{SLC_SCOPE_GROUP, "group", "dev"},
                  {SLC_SCOPE_LISTENER, "listener", "edge"},
                  {SLC_SCOPE_EVENT_API, "event-api", "orders.v1"},
                  {SLC_SCOPE_VIRTUAL_CLUSTER, "virtual-cluster", "local"},
                  {SLC_SCOPE_PLAN, "plan", "orders.free"},
                  {SLC_SCOPE_APPLICATION, "application", "demo"}};
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++)
        if ((kind->scopes & scopes[i].bit) != 0)
            return json_pack("{s:s, s:s}", "kind", scopes[i].kind, "ref", scopes[i].ref);
    ck_abort_msg("policy type %s has no scope", kind->name);
    return NULL;
}

static void ask(const slc_policy_kind *kind, const json_t *config, struct asked *asked)
{
    slc_error err;
    *asked = (struct asked){.body = json_pack("{s:s, s:s, s:o, s:O}", "name", "asked", "type", kind->name,
                                              "scope", scope_of(kind), "config", config)};
    ck_assert(!t_write(ask_catalog, asked, &err));
    ck_assert_str_eq(err.message, "only asked");
    json_decref(asked->body);
}

/* Both say the same; returns what. */
static bool agree(const slc_policy_kind *kind, const json_t *config)
{
    struct asked asked;
    slc_error why = {0};
    size_t len;
    char *text = slc_json_print(config, &len);
    ask(kind, config, &asked);
    bool taken = gateway_takes(kind->name, asked.accepted ? asked.stored : config, &why);
    ck_assert_msg(asked.accepted == taken, "%s %.300s: the catalog %s (%s %s), the gateway %s (%s %s)",
                  kind->name, text, asked.accepted ? "takes it" : "refuses", asked.why.field, asked.why.message,
                  taken ? "takes it" : "refuses", why.field, why.message);
    if (!taken) /* both below /config */
        ck_assert_msg(strncmp(asked.why.field, "/config", 7) == 0 && strncmp(why.field, "/config", 7) == 0,
                      "%s %.300s: %s, %s", kind->name, text, asked.why.field, why.field);
    json_decref(asked.stored);
    free(text);
    return taken;
}

/* ---- the declarations ---- */

START_TEST(both_have_the_same_types)
{
    size_t count = 0;
    for (const slc_policy_type *const *type = slc_policy_types(); *type != NULL; type++, count++)
        ck_assert_msg(kind_of((*type)->name) != NULL, "the catalog has no policy type %s", (*type)->name);
    for (const slc_policy_kind *kind = slc_policy_kinds(); kind->name != NULL; kind++, count--)
        ck_assert_msg(slc_policy_type_find(kind->name) != NULL, "the gateway has no policy type %s",
                      kind->name);
    ck_assert_uint_eq(count, 0);
}
END_TEST

static const char *type_name(const slc_field *field)
{
    switch (field->type) {
    case SLC_F_INT:
        return "integer";
    case SLC_F_BOOL:
        return "boolean";
    case SLC_F_STRING_LIST:
    case SLC_F_ENUM_LIST:
    case SLC_F_REF_LIST:
    case SLC_F_OBJECT_LIST:
        return "array";
    case SLC_F_OBJECT:
    case SLC_F_MAP:
    case SLC_F_JSON:
        return "object";
    default:
        return "string";
    }
}

static int64_t limit_of(const json_t *schema, const char *name, int64_t absent)
{
    const json_t *value = json_object_get(schema, name);
    return value != NULL ? json_integer_value(value) : absent;
}

static void same_limits(const char *where, const slc_field *field, const json_t *schema)
{
    int64_t min, max;
    const char *type = type_name(field);
    slc_field_bounds(field, &min, &max);
    if (strcmp(type, "integer") == 0) {
        ck_assert_msg(limit_of(schema, "minimum", -9007199254740991) == min, "%s: minimum", where);
        ck_assert_msg(limit_of(schema, "maximum", 9007199254740991) == max, "%s: maximum", where);
    } else if (strcmp(type, "array") == 0) {
        ck_assert_msg(limit_of(schema, "minItems", 0) == min, "%s: minItems", where);
        ck_assert_msg(limit_of(schema, "maxItems", -1) == max, "%s: maxItems", where);
    } else if (field->type == SLC_F_STRING) {
        ck_assert_msg(limit_of(schema, "minLength", 0) == min, "%s: minLength", where);
        ck_assert_msg(limit_of(schema, "maxLength", -1) == max, "%s: maxLength", where);
    }
    if (field->type == SLC_F_STRING_LIST)
        ck_assert_msg(limit_of(json_object_get(schema, "items"), "maxLength", -1) == field->item_max,
                      "%s: maxLength of items", where);
}

static bool lists(const json_t *array, const char *text)
{
    size_t i;
    json_t *item;
    json_array_foreach ((json_t *)array, i, item) {
        if (strcmp(json_string_value(item), text) == 0)
            return true;
    }
    return false;
}

START_TEST(both_declare_the_same_settings)
{
    for (const slc_policy_kind *kind = slc_policy_kinds(); kind->name != NULL; kind++) {
        const char *text = slc_policy_type_find(kind->name)->config_schema;
        slc_error err;
        json_t *schema = slc_json_parse(text, strlen(text), 1 << 20, &err);
        ck_assert_msg(schema != NULL, "%s: %s", kind->name, err.message);
        json_t *properties = json_object_get(schema, "properties");
        size_t count = 0;
        ck_assert(json_is_false(json_object_get(schema, "additionalProperties")));
        for (const slc_field *field = kind->fields; field->name != NULL; field++, count++) {
            char where[128];
            json_t *property = json_object_get(properties, field->name);
            snprintf(where, sizeof where, "%s/%s", kind->name, field->name);
            ck_assert_msg(property != NULL, "%s is not in the gateway's schema", where);
            ck_assert_str_eq(json_string_value(json_object_get(property, "type")), type_name(field));
            ck_assert_msg(lists(json_object_get(schema, "required"), field->name) ==
                              ((field->flags & SLC_F_REQUIRED) != 0),
                          "%s: required", where);
            same_limits(where, field, property);
        }
        ck_assert_msg(json_object_size(properties) == count, "%s: the gateway's schema has more", kind->name);
        json_decref(schema);
    }
}
END_TEST

/* ---- cases by hand ---- */

static const struct {
    const char *type, *config;
    bool good;
} cases[] = {
    {"key-auth", "{}", true},
    {"key-auth", "{'header': 'X-Key'}", true},
    {"key-auth", "{'header': 'x!#$%&*+.^_`|~9'}", true},
    {"key-auth", "{'header': ''}", false},
    {"key-auth", "{'header': 'X Key'}", false},
    {"key-auth", "{'header': 'X-Key:'}", false},
    {"key-auth", "{'header': 'X-K\u00e9y'}", false},
    {"key-auth", "{'header': 5}", false},
    {"key-auth", "{'header': null}", true},
    {"key-auth", "{'basic': false}", true},
    {"key-auth", "{'basic': 'no'}", false},
    {"key-auth", "{'basic': null}", true},
    {"key-auth", "{'other': 1}", false},
    {"basic-auth", "{}", true},
    {"basic-auth", "{'header': 'X-Key'}", false},
    {"subscription", "{}", true},
    {"subscription", "{'other': 1}", false},
    {"oidc", "{}", true},
    {"oidc", "{'issuers': ['login', 'partner-2'], 'scopes': ['orders:read', 'https://x.example/w']}", true},
    {"oidc", "{'issuers': null, 'scopes': null}", true},
    {"oidc", "{'issuers': []}", false},
    {"oidc", "{'issuers': ['Login']}", false},
    {"oidc", "{'issuers': ['login', 'login']}", false},
    {"oidc", "{'issuers': 'login'}", false},
    {"oidc", "{'scopes': []}", false},
    {"oidc", "{'scopes': ['a b']}", false},
    {"oidc", "{'scopes': [1]}", false},
    {"oidc", "{'audience': 'x'}", false},
    {"mtls", "{}", true},
    {"mtls", "{'subject': 'CN=x'}", false},
    {"ip-restriction", "{'allow': ['192.0.2.0/24']}", true},
    {"ip-restriction", "{'deny': ['192.0.2.7', '2001:db8::/32']}", true},
    {"ip-restriction", "{}", false},
    {"ip-restriction", "{'allow': null}", false},
    {"ip-restriction", "{'allow': []}", false},
    {"ip-restriction", "{'allow': ['192.0.2.1/24']}", false},
    {"ip-restriction", "{'allow': ['10.0.0.0/8', '10.0.0.0/8']}", false},
    {"ip-restriction", "{'allow': ['everywhere']}", false},
    {"acl", "{'rules': [{'operations': ['read'], 'topics': ['orders.*', '${application.name}-?', 'a\\\\*']}]}",
     true},
    {"acl", "{'rules': [{'effect': 'deny', 'operations': ['all'], 'cluster': true, 'groups': ['*']}]}", true},
    {"acl", "{'rules': [{'operations': ['write', 'idempotent-write'], 'transactional_ids': ['t']}]}", true},
    {"acl", "{}", false},
    {"acl", "{'rules': []}", false},
    {"acl", "{'rules': [{'operations': ['read']}]}", false},
    {"acl", "{'rules': [{'topics': ['a']}]}", false},
    {"acl", "{'rules': [{'operations': ['fetch'], 'topics': ['a']}]}", false},
    {"acl", "{'rules': [{'operations': [], 'topics': ['a']}]}", false},
    {"acl", "{'rules': [{'effect': 'maybe', 'operations': ['read'], 'topics': ['a']}]}", false},
    {"acl", "{'rules': [{'operations': ['read'], 'topics': ['${request.path}']}]}", false},
    {"acl", "{'rules': [{'operations': ['read'], 'topics': ['${application.name']}]}", false},
    {"acl", "{'rules': [{'operations': ['read'], 'topics': ['a\\\\']}]}", false},
    {"acl", "{'rules': [{'operations': ['read'], 'topics': ['a', 'a']}]}", false},
    {"acl", "{'rules': [{'operations': ['read'], 'topics': ['a'], 'users': ['b']}]}", false},
    {"headers",
     "{'rules': [{'in': 'request', 'action': 'set', 'name': 'X-A', 'value': 'a'}, {'in': 'publish', 'action': "
     "'add', 'name': 'caf\u00e9', 'value': '${application.name} ${request.id}'}]}",
     true},
    {"headers", "{'rules': [{'in': 'read', 'action': 'rename', 'name': 'a', 'to': 'b'}]}", true},
    {"headers", "{'rules': [{'in': 'response', 'action': 'remove', 'name': 'Server', 'value': null}]}", true},
    {"headers", "{}", false},
    {"headers", "{'rules': []}", false},
    {"headers", "{'rules': [{'action': 'remove', 'name': 'a'}]}", false},
    {"headers", "{'rules': [{'in': 'body', 'action': 'remove', 'name': 'a'}]}", false},
    {"headers", "{'rules': [{'in': 'read', 'action': 'drop', 'name': 'a'}]}", false},
    {"headers", "{'rules': [{'in': 'read', 'action': 'remove'}]}", false},
    {"headers", "{'rules': [{'in': 'read', 'action': 'remove', 'name': ''}]}", false},
    {"headers", "{'rules': [{'in': 'read', 'action': 'remove', 'name': 'a', 'value': 'b'}]}", false},
    {"headers", "{'rules': [{'in': 'read', 'action': 'set', 'name': 'a'}]}", false},
    {"headers", "{'rules': [{'in': 'read', 'action': 'set', 'name': 'a', 'value': 'b', 'to': 'c'}]}", false},
    {"headers", "{'rules': [{'in': 'read', 'action': 'set', 'name': 'a', 'value': '${request.id}'}]}", false},
    {"headers", "{'rules': [{'in': 'publish', 'action': 'set', 'name': 'a', 'value': '${time}'}]}", false},
    {"headers", "{'rules': [{'in': 'publish', 'action': 'set', 'name': 'a', 'value': '${request.id'}]}", false},
    {"headers", "{'rules': [{'in': 'publish', 'action': 'set', 'name': 'a\\n', 'value': 'b'}]}", false},
    {"headers", "{'rules': [{'in': 'request', 'action': 'set', 'name': 'X A', 'value': 'b'}]}", false},
    {"headers", "{'rules': [{'in': 'request', 'action': 'set', 'name': 'content-LENGTH', 'value': '1'}]}",
     false},
    {"headers", "{'rules': [{'in': 'request', 'action': 'rename', 'name': 'Authorization', 'to': 'ce-a'}]}",
     false},
    {"headers", "{'rules': [{'in': 'request', 'action': 'rename', 'name': 'X-A', 'to': 'Host'}]}", false},
    {"headers", "{'rules': [{'in': 'response', 'action': 'add', 'name': 'X', 'value': 'a\\r\\nB: c'}]}", false},
    {"headers", "{'rules': [{'in': 'response', 'action': 'add', 'name': 'X', 'value': 'caf\u00e9'}]}", false},
    {"headers", "{'rules': [{'in': 'response', 'action': 'add', 'name': 'X', 'value': ' a'}]}", false},
    {"headers", "{'rules': [{'in': 'read', 'action': 'rename', 'name': 'a'}]}", false},
    {"headers", "{'rules': [{'in': 'read', 'action': 'remove', 'name': 'a', 'when': 'b'}]}", false},
    {"kafka-requests",
     "{'max_partitions': 12, 'min_replication_factor': 2, 'max_replication_factor': 3, 'topic_configs': "
     "[{'name': "
     "'cleanup.policy', 'values': ['delete', 'compact,delete'], 'required': true}, {'name': 'retention.ms'}], "
     "'compression': ['zstd', 'lz4'], 'acks_all': true, 'idempotent': true, 'client_id': 'shop-[a-z]+'}",
     true},
    {"kafka-requests", "{'acks_all': true}", true},
    {"kafka-requests", "{}", false},
    {"kafka-requests", "{'acks_all': false, 'max_partitions': null}", false},
    {"kafka-requests", "{'max_partitions': 0}", false},
    {"kafka-requests", "{'min_replication_factor': 3, 'max_replication_factor': 2}", false},
    {"kafka-requests", "{'topic_configs': []}", false},
    {"kafka-requests", "{'topic_configs': [{'values': ['delete']}]}", false},
    {"kafka-requests", "{'topic_configs': [{'name': 'Cleanup Policy'}]}", false},
    {"kafka-requests", "{'topic_configs': [{'name': 'a', 'required': true}]}", false},
    {"kafka-requests", "{'topic_configs': [{'name': 'a', 'values': []}]}", false},
    {"kafka-requests", "{'topic_configs': [{'name': 'a', 'values': [' b']}]}", false},
    {"kafka-requests", "{'topic_configs': [{'name': 'a', 'values': ['b'], 'default': 'b'}]}", false},
    {"kafka-requests", "{'compression': ['brotli']}", false},
    {"kafka-requests", "{'compression': []}", false},
    {"kafka-requests", "{'client_id': '('}", false},
    {"kafka-requests", "{'client_id': ''}", false},
    {"filter", "{'expression': 'record.value.n > 1', 'dead_letter_topic': 'rejects'}", true},
    {"filter", "{'expression': 'has(record.key) && record.headers.a == application.name'}", true},
    {"filter", "{}", false},
    {"filter", "{'expression': ''}", false},
    {"filter", "{'expression': '1 +'}", false},
    {"filter", "{'expression': 'has(request.headers)'}", false},
    {"filter", "{'expression': '1'}", false},
    {"filter", "{'expression': 'true', 'dead_letter_topic': 'a b'}", false},
    {"filter", "{'expression': 'true', 'dead_letter_topic': '..'}", false},
    {"filter", "{'expression': 'true', 'dead_letter_topic': null}", true},
    {"mask",
     "{'on': 'publish', 'fields': [{'path': '/a/*/b', 'action': 'keep-last', 'keep': 2}, {'path': '/c', "
     "'action': 'hash'}], 'keep_only': ['/a', '/c'], 'hash_key': {'file': '/k'}, 'not_json': 'pass', "
     "'dead_letter_topic': 'x'}",
     true},
    {"mask", "{'fields': [{'path': '/a', 'replacement': 'caf\u00e9'}]}", true},
    {"mask", "{'keep_only': ['/a']}", true},
    {"mask", "{'keep_only': ['/a'], 'fields': null, 'hash_key': null}", true},
    {"mask", "{}", false},
    {"mask", "{'fields': []}", false},
    {"mask", "{'fields': [{'action': 'remove'}]}", false},
    {"mask", "{'fields': [{'path': 'a'}]}", false},
    {"mask", "{'fields': [{'path': '/'}]}", true}, /* the member without a name */
    {"mask", "{'fields': [{'path': ''}]}", false},
    {"mask", "{'fields': [{'path': '/a~2'}]}", false},
    {"mask", "{'fields': [{'path': '/a', 'action': 'burn'}]}", false},
    {"mask", "{'fields': [{'path': '/a', 'keep': 0}]}", false},
    {"mask", "{'fields': [{'path': '/a', 'replacement': ''}]}", false},
    {"mask", "{'fields': [{'path': '/a', 'replacement': 'a\\nb'}]}", false},
    {"mask", "{'fields': [{'path': '/a', 'action': 'hash'}]}", false},
    {"mask", "{'fields': [{'path': '/a', 'action': 'hash'}], 'hash_key': {}}", false},
    {"mask", "{'fields': [{'path': '/a', 'action': 'hash'}], 'hash_key': {'file': '/k', 'env': 'K'}}", false},
    {"mask", "{'fields': [{'path': '/a', 'action': 'hash'}], 'hash_key': 'literal'}", false},
    {"mask", "{'keep_only': []}", false},
    {"mask", "{'keep_only': ['a']}", false},
    {"mask", "{'keep_only': ['/a', '/a']}", false},
    {"mask", "{'keep_only': ['/a'], 'not_json': 'maybe'}", false},
    {"mask", "{'keep_only': ['/a'], 'on': 'both'}", false},
    {"encrypt", "{'key_ring': 'vault'}", true},
    {"encrypt",
     "{'key_ring': 'vault', 'key': 'orders-{topic}', 'read_keys': ['old', '{virtual_cluster}-k'], 'what': "
     "['fields', "
     "'key'], 'fields': ['/card/number', '/items/*/price', '/a~1b'], 'context': 'shop', 'bind_key': true, "
     "'decrypt_if': 'has(application.name)', 'others': 'ciphertext', 'plaintext': 'pass', 'plaintext_until': "
     "'2026-12-01T00:00:00Z'}",
     true},
    {"encrypt", "{'key_ring': 'vault', 'what': ['value', 'key']}", true},
    {"encrypt", "{}", false},
    {"encrypt", "{'key_ring': 'Vault'}", false},
    {"encrypt", "{'key_ring': ''}", false},
    {"encrypt", "{'key_ring': 'vault', 'key': 'a b'}", false},
    {"encrypt", "{'key_ring': 'vault', 'key': 'orders-{tenant}'}", false},
    {"encrypt", "{'key_ring': 'vault', 'key': 'orders-{topic'}", false},
    {"encrypt", "{'key_ring': 'vault', 'read_keys': []}", false},
    {"encrypt", "{'key_ring': 'vault', 'read_keys': ['{x}']}", false},
    {"encrypt", "{'key_ring': 'vault', 'what': []}", false},
    {"encrypt", "{'key_ring': 'vault', 'what': ['headers']}", false},
    {"encrypt", "{'key_ring': 'vault', 'what': ['value', 'value']}", false},
    {"encrypt", "{'key_ring': 'vault', 'what': ['value', 'fields'], 'fields': ['/a']}", false},
    {"encrypt", "{'key_ring': 'vault', 'what': ['fields']}", false},
    {"encrypt", "{'key_ring': 'vault', 'fields': ['/a']}", false},
    {"encrypt", "{'key_ring': 'vault', 'what': ['fields'], 'fields': ['a']}", false},
    {"encrypt", "{'key_ring': 'vault', 'what': ['fields'], 'fields': ['/a~2']}", false},
    {"encrypt", "{'key_ring': 'vault', 'what': ['fields'], 'fields': ['/']}", false},
    {"encrypt", "{'key_ring': 'vault', 'context': ''}", false},
    {"encrypt", "{'key_ring': 'vault', 'bind_key': 'yes'}", false},
    {"encrypt", "{'key_ring': 'vault', 'decrypt_if': 'application.'}", false},
    {"encrypt", "{'key_ring': 'vault', 'others': 'nothing'}", false},
    {"encrypt", "{'key_ring': 'vault', 'plaintext': 'keep'}", false},
    {"encrypt", "{'key_ring': 'vault', 'plaintext': 'pass', 'plaintext_until': 'tomorrow'}", false},
    {"encrypt", "{'key_ring': 'vault', 'passphrase': 'x'}", false},
    {"schema", "{'source': 'registry', 'registry': 'main'}", true},
    {"schema",
     "{'source': 'registry', 'registry': 'main', 'format': 'avro', 'subject': '{backend_topic}-{topic}', "
     "'check_subject': "
     "false, 'publish': 'mark', 'read': 'skip', 'convert': false, 'id_in': 'header', 'unions': 'tagged', "
     "'mark_header': "
     "'why', 'dead_letter_topic': 'rejects'}",
     true},
    {"schema", "{'source': 'event-api', 'publish': 'pass', 'read': 'fail', 'format': 'json_schema'}", true},
    {"schema", "{}", false},
    {"schema", "{'source': 'file'}", false},
    {"schema", "{'source': 'registry'}", false},
    {"schema", "{'source': 'event-api', 'registry': 'main'}", false},
    {"schema", "{'source': 'registry', 'registry': 'Main'}", false},
    {"schema", "{'source': 'event-api', 'format': 'protobuf'}", false},
    {"schema", "{'source': 'event-api', 'subject': '{tenant}'}", false},
    {"schema", "{'source': 'event-api', 'subject': 'a}'}", false},
    {"schema", "{'source': 'event-api', 'subject': ''}", false},
    {"schema", "{'source': 'event-api', 'check_subject': 'yes'}", false},
    {"schema", "{'source': 'event-api', 'publish': 'skip'}", false},
    {"schema", "{'source': 'event-api', 'read': 'reject'}", false},
    {"schema", "{'source': 'event-api', 'convert': 1}", false},
    {"schema", "{'source': 'event-api', 'id_in': 'key'}", false},
    {"schema", "{'source': 'event-api', 'unions': ''}", false},
    {"schema", "{'source': 'event-api', 'mark_header': ''}", false},
    {"schema", "{'source': 'event-api', 'dead_letter_topic': 'a/b'}", false},
    {"schema", "{'source': 'event-api', 'topic': 'x'}", false},
    {"rate-limit", "{'connections': 5}", true},
    {"rate-limit", "{'connections': 0}", false},
    {"request-size", "{'max_bytes': 1000}", true},
    {"request-size", "{}", false},
    {"request-size", "{'max_bytes': 0}", false},
    {"request-size", "{'max_bytes': null}", false},
    {"rate-limit", "{'requests_per_second': 10}", true},
    {"rate-limit", "{}", false},
    {"rate-limit", "{'burst': 5}", false},
    {"rate-limit", "{'streams': 3, 'per': 'address', 'burst': 60}", true},
    {"rate-limit", "{'events_per_second': 1, 'bytes_per_second': 1000000000000, 'per': 'all'}", true},
    {"rate-limit", "{'requests_per_second': 0}", false},
    {"rate-limit", "{'requests_per_second': 10, 'per': 'moon'}", false},
    {"rate-limit", "{'requests_per_second': 10, 'per': ''}", false},
    {"rate-limit", "{'requests_per_second': 10, 'store': 'redis'}", true},
    {"rate-limit", "{'requests_per_second': 10, 'store': 'redis', 'if_unavailable': 'refuse'}", true},
    {"rate-limit", "{'requests_per_second': 10, 'store': 'memcached'}", false},
    {"rate-limit", "{'requests_per_second': 10, 'if_unavailable': 'open'}", false},
    {"rate-limit", "{'requests_per_second': null, 'streams': 1}", true},
    {"rate-limit", "{'requests_per_second': null}", false},
    {"rate-limit", "{'requests_per_second': 1.5}", false},
    {"cors", "{}", false},
    {"cors", "{'origins': null}", false},
    {"cors", "{'origins': []}", false},
    {"cors", "{'origins': '*'}", false},
    {"cors", "{'origins': ['*']}", true},
    {"cors", "{'origins': ['https://shop.example']}", true},
    {"cors", "{'origins': ['http://127.0.0.1:3000', 'capacitor://localhost', 'https://[::1]:8443']}", true},
    {"cors", "{'origins': ['https://shop.example', 'https://shop.example']}", false},
    {"cors", "{'origins': ['']}", false},
    {"cors", "{'origins': ['null']}", false},
    {"cors", "{'origins': ['shop.example']}", false},
    {"cors", "{'origins': ['https://shop.example/']}", false},
    {"cors", "{'origins': ['https://']}", false},
    {"cors", "{'origins': ['https://a b']}", false},
    {"cors", "{'origins': ['https://a\\nb']}", false},
    {"cors", "{'origins': ['https://caf\u00e9.example']}", false},
    {"cors", "{'origins': [null]}", false},
    {"cors", "{'origins': [7]}", false},
    {"cors", "{'origins': ['*'], 'credentials': false}", true},
    {"cors", "{'origins': ['*'], 'credentials': null}", true},
    {"cors", "{'origins': ['*'], 'credentials': true}", false},
    {"cors", "{'origins': ['https://shop.example'], 'credentials': true}", true},
    {"cors", "{'origins': ['https://shop.example', '*'], 'credentials': true}", false},
    {"cors", "{'origins': ['*'], 'methods': ['GET', 'PATCH']}", true},
    {"cors", "{'origins': ['*'], 'methods': []}", true},
    {"cors", "{'origins': ['*'], 'methods': ['GET,POST']}", false},
    {"cors", "{'origins': ['*'], 'methods': ['']}", false},
    {"cors", "{'origins': ['*'], 'headers': ['X-A', 'X-B']}", true},
    {"cors", "{'origins': ['*'], 'headers': ['X-A', 'X-A']}", false},
    {"cors", "{'origins': ['*'], 'headers': ['X A']}", false},
    {"cors", "{'origins': ['*'], 'headers': null}", true},
    {"cors", "{'origins': ['*'], 'exposed_headers': ['X-\\r\\nSet-Cookie: a']}", false},
    {"cors", "{'origins': ['*'], 'max_age': 0}", true},
    {"cors", "{'origins': ['*'], 'max_age': 86400}", true},
    {"cors", "{'origins': ['*'], 'max_age': 86401}", false},
    {"cors", "{'origins': ['*'], 'max_age': -1}", false},
    {"cors", "{'origins': ['*'], 'max_age': 60.0}", true},
    {"cors", "{'origins': ['*'], 'max_age': 60.5}", false},
    {"cors", "{'origins': ['*'], 'max_age': '60'}", false},
    {"cors", "{'origins': ['*'], 'max_age': 99999999999}", false},
};

START_TEST(both_decide_each_case_alike)
{
    setup();
    for (const slc_policy_kind *kind = slc_policy_kinds(); kind->name != NULL; kind++) {
        size_t found = 0;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            if (strcmp(cases[i].type, kind->name) != 0)
                continue;
            json_t *config = t_json(cases[i].config);
            ck_assert_msg(agree(kind, config) == cases[i].good, "%s %s", kind->name, cases[i].config);
            json_decref(config);
            found++;
        }
        ck_assert_msg(found >= 2, "policy type %s needs cases here", kind->name);
    }
    t_teardown();
}
END_TEST

/* ---- cases from the declarations ---- */

/* The first good case by hand: what the others vary. */
static json_t *base_of(const slc_policy_kind *kind)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (cases[i].good && strcmp(cases[i].type, kind->name) == 0)
            return t_json(cases[i].config);
    ck_abort_msg("policy type %s needs a good case here", kind->name);
    return NULL;
}

static void vary(const slc_policy_kind *kind, const char *field, json_t *value)
{
    json_t *config = base_of(kind);
    json_object_set_new(config, field, value);
    (void)agree(kind, config);
    json_decref(config);
}

static json_t *text_of(int64_t characters)
{
    char *text = slc_malloc((size_t)characters + 1);
    memset(text, 'a', (size_t)characters);
    text[characters] = '\0';
    json_t *value = json_string(text);
    free(text);
    return value;
}

static json_t *list_of(int64_t items)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < items; i++)
        json_array_append_new(list, json_sprintf("a%lld", (long long)i));
    return list;
}

static void vary_around(const slc_policy_kind *kind, const slc_field *field, int64_t limit)
{
    for (int64_t n = limit - 1; n <= limit + 1; n++) {
        if (strcmp(type_name(field), "integer") == 0)
            vary(kind, field->name, json_integer(n));
        if (n < 0 || n > 100000)
            continue;
        if (strcmp(type_name(field), "string") == 0)
            vary(kind, field->name, text_of(n));
        if (strcmp(type_name(field), "array") == 0)
            vary(kind, field->name, list_of(n));
    }
}

START_TEST(both_have_the_same_limits)
{
    static const char *const values[] = {
        "null",   "true",    "false", "0",   "1",        "-1",       "1.5",        "1.0",         "''",
        "'a'",    "' '",     "'a,b'", "'A'", "'1s'",     "[]",       "['a']",      "['a', 'a']",  "[1]",
        "[null]", "[['a']]", "[{}]",  "{}",  "{'a': 1}", "'\u00e9'", "['\u00e9']", "'a\\u0001b'", "['a\\tb']"};
    setup();
    for (const slc_policy_kind *kind = slc_policy_kinds(); kind->name != NULL; kind++) {
        for (const slc_field *field = kind->fields; field->name != NULL; field++) {
            int64_t min, max;
            slc_field_bounds(field, &min, &max);
            vary_around(kind, field, min);
            vary_around(kind, field, max);
            for (size_t i = 0; i < sizeof values / sizeof *values; i++)
                vary(kind, field->name, t_json(values[i]));
            for (int64_t n = field->item_max - 1; field->item_max > 0 && n <= field->item_max + 1; n++)
                vary(kind, field->name, json_pack("[o]", text_of(n)));
        }
    }
    t_teardown();
}
END_TEST

/* Every header that is joined from a list at its largest must still be one that the gateway can send. */
START_TEST(the_longest_lists_fit)
{
    setup();
    const slc_policy_kind *kind = kind_of("cors");
    for (const slc_field *field = kind->fields; field->name != NULL; field++) {
        if (field->type != SLC_F_STRING_LIST)
            continue;
        json_t *config = t_json("{'origins': ['https://shop.example']}"), *list = json_array();
        const char *prefix = strcmp(field->name, "origins") == 0 ? "https://" : "x";
        for (int64_t i = 0; i < field->max; i++)
            json_array_append_new(list,
                                  json_sprintf("%s%0*lld", prefix,
                                               (int)(field->item_max - (int64_t)strlen(prefix)), (long long)i));
        json_object_set_new(config, field->name, list);
        ck_assert_msg(agree(kind, config), "%s", field->name);
        json_decref(config);
    }
    t_teardown();
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("policy settings");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, both_have_the_same_types);
    tcase_add_test(tcase, both_declare_the_same_settings);
    tcase_add_test(tcase, both_decide_each_case_alike);
    tcase_add_test(tcase, both_have_the_same_limits);
    tcase_add_test(tcase, the_longest_lists_fit);
    suite_add_tcase(suite, tcase);
    return suite;
}

TEST_MAIN(make_suite)
