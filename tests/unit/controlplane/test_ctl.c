/* sluicectl without a control plane: arguments, suggestions, schemas, server-sent events, fields. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "common/alloc.h"
#include "common/json.h"
#include "controlplane/ctl/bundle.h"
#include "controlplane/ctl/command.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/fields.h"
#include "controlplane/ctl/schema.h"
#include "controlplane/ctl/skew.h"
#include "controlplane/ctl/sse.h"
#include "controlplane/ctl/suggest.h"

static slc_args args;
static slc_error err;

static bool parse(const char *line)
{
    static char text[512];
    static char *argv[64];
    int argc = 0;
    snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = word;
    slc_error_clear(&err);
    return slc_args_parse(&args, argc, argv, &err);
}

START_TEST(options_and_words_come_in_any_order)
{
    ck_assert(parse("sluicectl -c dev get teams -l name=a --filter title=b -ojson x --limit=5"));
    ck_assert_str_eq(args.command->name, "get");
    ck_assert_int_eq(args.word_count, 2);
    ck_assert_str_eq(args.words[1], "x");
    ck_assert_str_eq(slc_args_get(&args, "context"), "dev");
    ck_assert_str_eq(slc_args_get(&args, "output"), "json");
    ck_assert_str_eq(slc_args_get(&args, "limit"), "5");
    ck_assert_str_eq(slc_args_nth(&args, "filter", 1), "title=b");
    ck_assert_ptr_null(slc_args_nth(&args, "filter", 2));
    ck_assert(parse("sluicectl context use -- -odd"));
    ck_assert_str_eq(args.command->name, "context use");
    ck_assert_str_eq(args.words[0], "-odd");
    ck_assert(parse("sluicectl apply -f - --prune"));
    ck_assert_str_eq(slc_args_get(&args, "file"), "-");
    ck_assert(slc_args_has(&args, "prune") && !slc_args_has(&args, "adopt"));
}
END_TEST

START_TEST(what_is_typed_wrongly_is_refused_with_a_suggestion)
{
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"sluicectl aply -f x", "did you mean \"apply\"?"},
        {"sluicectl node lst", "such as \"node list\""},
        {"sluicectl apply --dryrun", "did you mean --dry-run?"},
        {"sluicectl apply --manager", "--manager needs a value"},
        {"sluicectl apply --prune=yes", "--prune takes no value"},
        {"sluicectl dump -m a -m b", "--manager is given twice"},
        {"sluicectl get", "too few arguments: sluicectl get KIND [KEY...]"},
        {"sluicectl describe teams a b", "\"b\" is one argument too many"},
        {"sluicectl zzzzzz", "there is no command \"zzzzzz\" (see sluicectl help)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_msg(!parse(cases[i].line), "%s", cases[i].line);
        ck_assert_msg(strstr(err.message, cases[i].says) != NULL, "%s: %s", cases[i].line, err.message);
    }
}
END_TEST

START_TEST(the_table_of_commands_holds_together)
{
    for (const slc_command *command = slc_commands; command->name != NULL; command++) {
        size_t len = strlen(command->summary);
        ck_assert_msg(command->run != NULL && command->summary[len - 1] != '.', "%s", command->name);
        ck_assert(command->max_arguments < 0 || command->max_arguments >= command->min_arguments);
        ck_assert_msg((command->max_arguments == 0) == (command->arguments[0] == '\0'), "%s", command->name);
        for (const slc_command *other = slc_commands; other != command; other++)
            ck_assert_msg(strcmp(other->name, command->name) != 0, "%s twice", command->name);
        for (const slc_option *o = command->options; o != NULL && o->name != NULL; o++)
            ck_assert_msg(slc_command_option(NULL, o->name, strlen(o->name), 0) == NULL &&
                              (o->letter == 0 || slc_command_option(NULL, "", 0, o->letter) == NULL),
                          "%s: --%s hides an option of every command", command->name, o->name);
    }
}
END_TEST

START_TEST(suggestions_are_near)
{
    static const struct {
        const char *typed, *word;
        bool near;
    } cases[] = {{"operatons", "operations", true},
                 {"lsit", "list", true},
                 {"event_api", "event-api", true},
                 {"Name", "name", true},
                 {"title", "topic", false},
                 {"x", "y", true},
                 {"abc", "xyz", false},
                 {"", "name", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        slc_suggestion suggestion = slc_suggestion_for(cases[i].typed);
        slc_suggest(&suggestion, cases[i].word);
        ck_assert_msg((suggestion.best != NULL) == cases[i].near, "%s, %s", cases[i].typed, cases[i].word);
    }
    slc_suggestion best = slc_suggestion_for("operatins");
    slc_suggest(&best, "operator");
    slc_suggest(&best, "operations");
    slc_suggest(&best, "operation");
    ck_assert_str_eq(best.best, "operations");
}
END_TEST

/* Pointer and detail of every problem, one a line. */
static char *problems_of(const char *yaml)
{
    json_t *problems = json_array(), *problem, *document = slc_yaml_parse(yaml, strlen(yaml), 1 << 20, &err);
    static char all[4096];
    size_t i;
    ck_assert_msg(document != NULL, "%s", err.message);
    slc_schema_check(document, problems);
    all[0] = '\0';
    json_array_foreach (problems, i, problem)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s %s\n",
                 json_string_value(json_object_get(problem, "pointer")),
                 json_string_value(json_object_get(problem, "detail")));
    json_decref(problems);
    json_decref(document);
    return all;
}

START_TEST(documents_are_checked_offline)
{
    static const struct {
        const char *yaml, *says;
    } cases[] = {
        {"{manager: a, resources: {teams: [{name: shop}]}}", ""},
        {"{manager: a, resources: {teams: [{name: shop, title: null, revision: 4}], grants: null}}", ""},
        {"{resources: {}}", " the field \"manager\" is missing"},
        {"{manager: a, resources: {tams: []}}",
         "/resources/tams there is no kind \"tams\": did you mean \"teams\"?"},
        {"{manager: a, resources: {credentials: []}}", "/resources/credentials credentials cannot be declared"},
        {"{manager: a, resources: {teams: [{}]}}", "/resources/teams/0 the field \"name\" is missing"},
        {"{manager: a, resources: {teams: [{name: S}]}}", "/resources/teams/0/name must be 1 to 63 of a-z"},
        {"{manager: a, resources: {teams: [{name: a, titel: b}]}}",
         "/resources/teams/0/titel there is no field \"titel\" here: did you mean \"title\"?"},
        {"{manager: a, resources: {teams: [{name: a}, {name: a}]}}",
         "/resources/teams/1 teams/a is declared twice"},
        {"{manager: a, resources: {teams: [5]}}", "/resources/teams/0 must be an object"},
        {"{manager: a, resources: {teams: [{name: 5}]}}", "/resources/teams/0/name must be text, not a number"},
        {"{manager: a, resources: {gateway-groups: [{name: a, environment: dev, max_staleness: 5x}]}}",
         "/resources/gateway-groups/0/max_staleness does not have the form"},
        {"{manager: a, resources: {event-apis: [{name: a, major: 0, team: b, operations: [publish], exposures: "
         "[rest]}]}}",
         "/resources/event-apis/0/major must be at least 1"},
        {"{manager: a, resources: {event-apis: [{name: a, major: 1, team: b, operations: [publish, publish], "
         "exposures: [rset]}]}}",
         "/resources/event-apis/0/operations/1 stands in the list twice\n"
         "/resources/event-apis/0/exposures/0 must be one of: rest, sse, kafka; did you mean \"rest\"?"},
        {"{manager: a, resources: {backend-clusters: [{name: a, bootstrap_servers: [\"h:1\"], authentication: "
         "{mechanism: PLAIN, username: u, password: {flie: /x}}}]}}",
         "/resources/backend-clusters/0/authentication/password has none of the forms"},
        {"{manager: a, resources: {backend-clusters: [{name: a, bootstrap_servers: [\"h:1\"], authentication: "
         "{mechanism: PLAIN, username: u, password: {file: /x}}}]}}",
         ""},
        {"{manager: a, resources: {policies: [{name: a, type: key-auth, scope: {kind: listener, ref: b}, "
         "config: "
         "{headr: X}}]}}",
         "/resources/policies/0/config/headr there is no field \"headr\" here: did you mean \"header\"?"},
        {"{manager: a, resources: {virtual-clusters: [{name: a, backend_cluster: b, namespace: {mode: none}, "
         "extra_topics: [\"..\", \"a b\"]}]}}",
         "/resources/virtual-clusters/0/extra_topics/1 must be a topic name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = problems_of(cases[i].yaml);
        bool good = cases[i].says[0] == '\0' ? got[0] == '\0' : strstr(got, cases[i].says) != NULL;
        ck_assert_msg(good, "%s\n%s", cases[i].yaml, got);
    }
    slc_schema_forget();
}
END_TEST

/* A pattern that cannot be compiled is passed over when documents are checked: there is none. */
static void check_patterns(const json_t *schema)
{
    const char *name;
    json_t *value;
    size_t i;
    int code;
    PCRE2_SIZE at;
    json_array_foreach ((json_t *)schema, i, value)
        check_patterns(value);
    json_object_foreach ((json_t *)schema, name, value) {
        if (strcmp(name, "pattern") == 0 && json_is_string(value)) {
            pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)json_string_value(value), PCRE2_ZERO_TERMINATED,
                                                 PCRE2_UTF, &code, &at, NULL);
            ck_assert_msg(compiled != NULL, "%s", json_string_value(value));
            pcre2_code_free(compiled);
        }
        check_patterns(value);
    }
}

START_TEST(every_pattern_can_be_used)
{
    check_patterns(slc_schema_kinds());
    slc_schema_forget();
}
END_TEST

START_TEST(unknown_fields_that_the_server_names_get_a_suggestion)
{
    const char *yaml = "{resources: {listeners: [{tls: {certifcate_pem: x}}], policies: [{type: key-auth, "
                       "config: {headr: X}}]}}";
    json_t *document = slc_yaml_parse(yaml, strlen(yaml), 4096, &err);
    ck_assert_ptr_nonnull(document);
    ck_assert_str_eq(slc_schema_meant(document, "/resources/listeners/0/tls/certifcate_pem"),
                     "certificate_pem");
    ck_assert_str_eq(slc_schema_meant(document, "/resources/listeners/0/adress"), "address");
    ck_assert_str_eq(slc_schema_meant(document, "/resources/policies/0/config/headr"), "header");
    ck_assert_str_eq(slc_schema_meant(document, "/resources/listenrs"), "listeners");
    ck_assert_ptr_null(slc_schema_meant(document, "/resources/listeners/0/zzzzzzzz"));
    ck_assert_ptr_null(slc_schema_meant(document, "/manager"));
    ck_assert_ptr_null(slc_schema_meant(document, ""));
    json_decref(document);
    slc_schema_forget();
}
END_TEST

START_TEST(keys_are_those_of_the_api)
{
    static const struct {
        const char *kind, *item, *key;
    } cases[] = {{"teams", "{name: a}", "a"},
                 {"event-apis", "{name: a, major: 2}", "a.v2"},
                 {"plans", "{product: p, name: free}", "p.free"},
                 {"deployments", "{event_api: a.v1, gateway_group: dev}", "a.v1@dev"},
                 {"grants", "{team: a, virtual_cluster: b, topic: c}", "a/b/c"},
                 {"credentials", "{id: x}", "x"},
                 {"of-a-later-version", "{name: n}", "n"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char key[200];
        json_t *item = slc_yaml_parse(cases[i].item, strlen(cases[i].item), 4096, &err);
        slc_schema_key(cases[i].kind, item, key, sizeof key);
        ck_assert_str_eq(key, cases[i].key);
        json_decref(item);
    }
    slc_schema_forget();
}
END_TEST

static bool keep_event(void *arg, const char *type, const char *data, size_t len)
{
    char *all = arg;
    snprintf(all + strlen(all), 512 - strlen(all), "[%s:%.*s]", type, (int)len, data);
    return strcmp(type, "stop") != 0;
}

START_TEST(events_are_read_in_any_pieces)
{
    const char text[] =
        ": hello\r\nretry: 250\n\nid: 1\ndata: a\ndata:b\r\n\r\nevent: gap\rdata: {}\r\rid: 2\n\ndata: cut";
    for (size_t piece = 1; piece < sizeof text; piece++) {
        static slc_sse sse;
        char all[512] = "";
        slc_sse_init(&sse, keep_event, all);
        for (size_t at = 0; at < sizeof text - 1; at += piece)
            ck_assert(
                slc_sse_feed(&sse, text + at, at + piece < sizeof text - 1 ? piece : sizeof text - 1 - at));
        ck_assert_str_eq(all, "[message:a\nb][gap:{}]");
        ck_assert_str_eq(sse.id, "2");
        ck_assert_int_eq(sse.retry_ms, 250);
        slc_sse_restart(&sse);
        ck_assert(!slc_sse_feed(&sse, "event: stop\ndata: x\n\ndata: y\n\n", 31));
        ck_assert_str_eq(all, "[message:a\nb][gap:{}][stop:x]");
        slc_sse_release(&sse);
    }
}
END_TEST

START_TEST(fields_are_set_from_the_command_line)
{
    json_t *body = json_object(), *expected;
    const char *yaml =
        "{name: a, major: 1, tls: {enabled: true, names: [x, y]}, note: \"a: b: c\", empty: \"\", id: \"07\"}";
    static const char *const assignments[] = {"name=a",       "major=1", "tls.enabled=true", "tls.names=[x, y]",
                                              "note=a: b: c", "empty=",  "id=\"07\""};
    for (size_t i = 0; i < sizeof assignments / sizeof *assignments; i++)
        ck_assert(slc_field_set(body, assignments[i], &err));
    expected = slc_yaml_parse(yaml, strlen(yaml), 4096, &err);
    ck_assert(json_equal(body, expected));
    ck_assert(!slc_field_set(body, "nothing", &err));
    ck_assert(!slc_field_set(body, "=x", &err));
    ck_assert(!slc_field_set(body, "a=@/nonexistent/file", &err));
    json_decref(expected);
    json_decref(body);
}
END_TEST

START_TEST(secrets_are_replaced_wherever_they_stand)
{
    static const struct {
        const char *text, *redacted;
    } cases[] = {{"sla_abc_secret", "sla_abc_******"},
                 {"a slk_9f_Zz-_9, sluice-join-1.eyJh.bc!", "a slk_9f_*****, sluice-join-1.*******!"},
                 {"\"slc_x_y\"slc_x_y", "\"slc_x_*\"slc_x_*"},
                 {"tesla_model_s, sla_, sla__, sla_a", "tesla_model_s, sla_, sla__, sla_a"},
                 {"slt_k1_", "slt_k1_"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[128];
        snprintf(text, sizeof text, "%s", cases[i].text);
        slc_redact(text, strlen(text));
        ck_assert_str_eq(text, cases[i].redacted);
    }
}
END_TEST

START_TEST(versions_may_be_one_minor_release_apart)
{
    ck_assert(!slc_skew_too_far("1.4.0", "1.3.9") && !slc_skew_too_far("1.4.0", "1.5.0"));
    ck_assert(slc_skew_too_far("1.4.0", "1.2.0") && slc_skew_too_far("1.4.0", "2.4.0"));
    ck_assert(!slc_skew_too_far("1.4.0", "") && !slc_skew_too_far("1.4.0", "what"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ctl");
    TCase *tcase = tcase_create("ctl");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, options_and_words_come_in_any_order);
    tcase_add_test(tcase, what_is_typed_wrongly_is_refused_with_a_suggestion);
    tcase_add_test(tcase, the_table_of_commands_holds_together);
    tcase_add_test(tcase, suggestions_are_near);
    tcase_add_test(tcase, documents_are_checked_offline);
    tcase_add_test(tcase, every_pattern_can_be_used);
    tcase_add_test(tcase, unknown_fields_that_the_server_names_get_a_suggestion);
    tcase_add_test(tcase, keys_are_those_of_the_api);
    tcase_add_test(tcase, events_are_read_in_any_pieces);
    tcase_add_test(tcase, fields_are_set_from_the_command_line);
    tcase_add_test(tcase, secrets_are_replaced_wherever_they_stand);
    tcase_add_test(tcase, versions_may_be_one_minor_release_apart);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
