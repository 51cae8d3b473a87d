/* What the drafts say, keyword by keyword: each case is a draft, a schema, a value and where it is wrong. */
#include "dataplane/schema/json_schema.h"

#include <stdio.h>
#include <string.h>

#include "common/alloc.h"
#include "tests/unit/common/unit.h"

#define D4    "http://json-schema.org/draft-04/schema#"
#define D6    "http://json-schema.org/draft-06/schema#"
#define D7    "http://json-schema.org/draft-07/schema#"
#define D19   "https://json-schema.org/draft/2019-09/schema"
#define D20   "https://json-schema.org/draft/2020-12/schema"
#define RIGHT NULL

struct example {
    const char *draft; /* NULL: none is said, so it is 7 */
    const char *schema, *value;
    const char *wrong; /* the pointer; NULL: it is right */
};

static const struct example examples[] = {
    {NULL, "{}", "[1]", RIGHT},
    {NULL, "true", "1", RIGHT},
    {NULL, "false", "1", ""},
    {D4, "{'type':'object','additionalProperties':false,'properties':{'a':{}}}", "{'a':1}", RIGHT},
    {D4, "{'type':'object','additionalProperties':false,'properties':{'a':{}}}", "{'a':1,'b':2}", "/b"},
    /* types */
    {NULL, "{'type':'integer'}", "1", RIGHT},
    {NULL, "{'type':'integer'}", "1.0", RIGHT},
    {NULL, "{'type':'integer'}", "1e2", RIGHT},
    {NULL, "{'type':'integer'}", "1.5", ""},
    {NULL, "{'type':'number'}", "1.5", RIGHT},
    {NULL, "{'type':'number'}", "'1'", ""},
    {NULL, "{'type':['string','null']}", "null", RIGHT},
    {NULL, "{'type':['string','null']}", "false", ""},
    {NULL, "{'type':'boolean'}", "false", RIGHT},
    {NULL, "{'properties':{'a/b':{'items':{'type':'string'}}}}", "{'a/b':['x',1]}", "/a~1b/1"},
    {NULL, "{'properties':{'\\u00e9':{'type':'string'}}}", "{'\\u00E9':1}", "/\xc3\xa9"},
    /* equality */
    {NULL, "{'enum':[1,'x',[1,{'a':null}]]}", "[1.0,{'a':null}]", RIGHT},
    {NULL, "{'enum':[1,'x',[1,{'a':null}]]}", "[1,{'a':false}]", ""},
    {NULL, "{'enum':[1]}", "true", ""},
    {NULL, "{'const':9007199254740993}", "9007199254740993", RIGHT},
    {NULL, "{'const':9007199254740993}", "9007199254740992", ""},
    {NULL, "{'const':0.1}", "0.10", RIGHT},
    {NULL, "{'const':{'a':1,'b':2}}", "{'b':2,'a':1}", RIGHT},
    {D4, "{'const':1}", "2", RIGHT},
    /* numbers */
    {NULL, "{'maximum':3}", "3", RIGHT},
    {NULL, "{'maximum':3}", "3.000000000000000001", ""},
    {NULL, "{'exclusiveMaximum':3}", "3", ""},
    {NULL, "{'minimum':-1.5}", "-1.5", RIGHT},
    {NULL, "{'minimum':-1.5}", "-1.51", ""},
    {NULL, "{'exclusiveMinimum':0}", "0", ""},
    {D4, "{'maximum':3,'exclusiveMaximum':true}", "3", ""},
    {D4, "{'maximum':3,'exclusiveMaximum':false}", "3", RIGHT},
    {NULL, "{'multipleOf':0.01}", "19.99", RIGHT},
    {NULL, "{'multipleOf':0.01}", "19.995", ""},
    {NULL, "{'multipleOf':7}", "-21", RIGHT},
    {NULL, "{'multipleOf':7}", "1e300", ""},
    /* strings */
    {NULL, "{'minLength':2,'maxLength':2}", "'\\u00e9\\ud83d\\ude00'", RIGHT},
    {NULL, "{'minLength':2}", "'\\ud83d\\ude00'", ""},
    {NULL, "{'maxLength':1}", "'ab'", ""},
    {NULL, "{'pattern':'^a+$'}", "'aaa'", RIGHT},
    {NULL, "{'pattern':'b'}", "'abc'", RIGHT},
    {NULL, "{'pattern':'^a+$'}", "'aab'", ""},
    {NULL, "{'pattern':'^a+$'}", "17", RIGHT},
    {NULL, "{'format':'email'}", "'no address'", RIGHT},
    /* arrays */
    {NULL, "{'items':{'type':'string'},'minItems':1,'maxItems':2}", "['a']", RIGHT},
    {NULL, "{'minItems':1}", "[]", ""},
    {NULL, "{'maxItems':2}", "[1,2,3]", ""},
    {NULL, "{'items':[{'type':'string'},{}],'additionalItems':{'type':'null'}}", "['a',1,null]", RIGHT},
    {NULL, "{'items':[{'type':'string'},{}],'additionalItems':{'type':'null'}}", "['a',1,2]", "/2"},
    {NULL, "{'items':[{'type':'string'}],'additionalItems':false}", "['a',1]", "/1"},
    {NULL, "{'items':{},'additionalItems':false}", "['a',1]", RIGHT},
    {D20, "{'prefixItems':[{'type':'string'}],'items':{'type':'null'}}", "['a',null]", RIGHT},
    {D20, "{'prefixItems':[{'type':'string'}],'items':{'type':'null'}}", "['a',1]", "/1"},
    {NULL, "{'contains':{'const':1}}", "[2,1]", RIGHT},
    {NULL, "{'contains':{'const':1}}", "[2]", ""},
    {D19, "{'contains':{'const':1},'minContains':2,'maxContains':2}", "[1,2,1]", RIGHT},
    {D19, "{'contains':{'const':1},'minContains':2,'maxContains':2}", "[1,1,1]", ""},
    {D20, "{'contains':{'const':1},'minContains':0}", "[]", RIGHT},
    {NULL, "{'uniqueItems':true}", "[1,'1',[1],{'a':1},true]", RIGHT},
    {NULL, "{'uniqueItems':true}", "[{'a':1,'b':2},3,{'b':2,'a':1.0}]", "/2"},
    {NULL, "{'uniqueItems':true}", "['\\u0061','a']", "/1"},
    {NULL, "{'uniqueItems':true}", "['\\u0000a','\\u0000\\u0062']", RIGHT},
    {NULL, "{'uniqueItems':true}", "[{'\\u0000a':1},{'\\u0000\\u0061':1}]", "/1"},
    {NULL, "{'uniqueItems':false}", "[1,1]", RIGHT},
    /* objects */
    {NULL, "{'required':['a','b']}", "{'a':1,'b':2}", RIGHT},
    {NULL, "{'required':['a','b']}", "{'a':1}", ""},
    {NULL, "{'minProperties':1,'maxProperties':1}", "{}", ""},
    {NULL, "{'minProperties':1,'maxProperties':1}", "{'a':1,'b':1}", ""},
    {NULL, "{'patternProperties':{'^x':{'type':'null'}},'additionalProperties':{'type':'string'}}",
     "{'xa':null,'b':'c'}", RIGHT},
    {NULL, "{'patternProperties':{'^x':{'type':'null'}},'additionalProperties':{'type':'string'}}",
     "{'xa':null,'b':1}", "/b"},
    {NULL, "{'patternProperties':{'^x':{'type':'null'}}}", "{'xa':1}", "/xa"},
    {NULL, "{'propertyNames':{'maxLength':2}}", "{'ab':1}", RIGHT},
    {NULL, "{'propertyNames':{'maxLength':2}}", "{'ab':1,'abc':1}", "/abc"},
    {NULL, "{'dependencies':{'a':['b'],'c':{'required':['d']}}}", "{'a':1,'b':1,'c':1,'d':1}", RIGHT},
    {NULL, "{'dependencies':{'a':['b']}}", "{'a':1}", ""},
    {NULL, "{'dependencies':{'c':{'required':['d']}}}", "{'c':1}", ""},
    {D19, "{'dependentRequired':{'a':['b']}}", "{'a':1}", ""},
    {D20, "{'dependentSchemas':{'a':{'required':['b']}}}", "{'a':1}", ""},
    {NULL, "{'dependentRequired':{'a':['b']}}", "{'a':1}", RIGHT},
    {NULL, "{'properties':{'a':{'type':'string'}}}", "{'a':'x','a':1}", "/a"},
    /* several schemas */
    {NULL, "{'allOf':[{'type':'string'},{'maxLength':1}]}", "'ab'", ""},
    {NULL, "{'anyOf':[{'type':'string'},{'type':'null'}]}", "null", RIGHT},
    {NULL, "{'anyOf':[{'type':'string'},{'type':'null'}]}", "1", ""},
    {NULL, "{'oneOf':[{'minimum':1},{'maximum':3}]}", "0", RIGHT},
    {NULL, "{'oneOf':[{'minimum':1},{'maximum':3}]}", "2", ""},
    {NULL, "{'not':{'type':'string'}}", "'a'", ""},
    {NULL, "{'not':{'type':'string'}}", "1", RIGHT},
    {NULL, "{'if':{'minimum':10},'then':{'multipleOf':10},'else':{'maximum':5}}", "20", RIGHT},
    {NULL, "{'if':{'minimum':10},'then':{'multipleOf':10},'else':{'maximum':5}}", "21", ""},
    {NULL, "{'if':{'minimum':10},'then':{'multipleOf':10},'else':{'maximum':5}}", "6", ""},
    {D6, "{'if':{'minimum':10},'then':false}", "20", RIGHT},
    /* what nobody looked at */
    {D19, "{'allOf':[{'properties':{'a':{}}}],'unevaluatedProperties':false}", "{'a':1}", RIGHT},
    {D19, "{'allOf':[{'properties':{'a':{}}}],'unevaluatedProperties':false}", "{'a':1,'b':1}", "/b"},
    {D20,
     "{'anyOf':[{'properties':{'a':{'type':'null'}}},{'properties':{'b':{}}}],'unevaluatedProperties':false}",
     "{'a':1,'b':1}", "/a"},
    {D20, "{'prefixItems':[{}],'contains':{'const':2},'unevaluatedItems':false}", "[1,2]", RIGHT},
    {D20, "{'prefixItems':[{}],'contains':{'const':2},'unevaluatedItems':false}", "[1,2,3]", "/2"},
    {D19, "{'items':[{}],'contains':{'const':2},'unevaluatedItems':false}", "[1,2]", "/1"},
    {D19, "{'if':{'properties':{'a':{'const':1}}},'unevaluatedProperties':false}", "{'a':1}", RIGHT},
    {D19, "{'if':{'properties':{'a':{'const':1}}},'unevaluatedProperties':false}", "{'a':2}", "/a"},
    /* references */
    {NULL, "{'$ref':'#/definitions/a','definitions':{'a':{'type':'null'}}}", "1", ""},
    {NULL, "{'$ref':'#/definitions/a~1b%25','definitions':{'a/b%':{'type':'null'}}}", "null", RIGHT},
    {NULL, "{'$ref':'#/definitions/a','type':'string','definitions':{'a':{'type':'null'}}}", "null", RIGHT},
    {D19, "{'$ref':'#/$defs/a','type':'string','$defs':{'a':{'maxLength':1}}}", "'ab'", ""},
    {D19, "{'$ref':'#/$defs/a','type':'string','$defs':{'a':{'maxLength':1}}}", "1", ""},
    {NULL, "{'properties':{'next':{'$ref':'#'}},'additionalProperties':false}", "{'next':{'next':{'x':1}}}",
     "/next/next/x"},
    {NULL,
     "{'$id':'http://x/a/b.json','$ref':'c.json#n','definitions':{'c':{'$id':'c.json','definitions':{'n':"
     "{'$id':'#n','type':'null'}}}}}",
     "1", ""},
    {D20,
     "{'$id':'http://x/a/b.json','$ref':'../c.json#n','$defs':{'c':{'$id':'/c.json','$defs':{'n':"
     "{'$anchor':'n','type':'null'}}}}}",
     "1", ""},
    {NULL, "{'enum':[{'$id':'x'}],'properties':{'$ref':{'type':'string'}}}", "{'$id':'x'}", RIGHT},
};

/* ' stands for ", which makes this readable. */
static char *quoted(const char *text)
{
    char *out = slc_strdup(text);
    for (char *p = out; *p != '\0'; p++)
        *p = *p == '\'' ? '"' : *p;
    return out;
}

static char *schema_text(const struct example *example)
{
    char *plain = quoted(example->schema), *all;
    if (example->draft == NULL || plain[0] != '{')
        return plain;
    all = slc_asprintf("{\"$schema\":\"%s\"%s%s", example->draft, plain[1] == '}' ? "" : ",", plain + 1);
    free(plain);
    return all;
}

static slc_json_schema *schema_of(const char *text, slc_error *err)
{
    slc_json_schema *schema = slc_json_schema_new(text, strlen(text), NULL, 0, err);
    ck_assert_msg((schema == NULL) == (err->code != SLC_OK), "%s: %s", text, err->message);
    return schema;
}

static bool check_text(const slc_json_schema *schema, const char *value, uint64_t steps,
                       slc_schema_fault *fault)
{
    slc_tape tape;
    slc_error err;
    slc_tape_init(&tape);
    ck_assert_msg(slc_tape_read(&tape, value, strlen(value), &err), "%s: %s", value, err.message);
    bool ok = slc_json_schema_check(schema, &tape, steps, fault);
    slc_tape_release(&tape);
    return ok;
}

START_TEST(every_keyword)
{
    const struct example *example = &examples[_i];
    char *text = schema_text(example), *value = quoted(example->value);
    slc_schema_fault fault;
    slc_error err;
    slc_json_schema *schema = schema_of(text, &err);
    ck_assert_msg(schema != NULL, "%s: %s", text, err.message);
    bool ok = check_text(schema, value, 1000, &fault);
    ck_assert_msg(ok == (example->wrong == NULL), "%s of %s: %s", value, text, ok ? "right" : fault.message);
    if (!ok) {
        ck_assert_msg(strcmp(fault.pointer, example->wrong) == 0, "%s of %s: at %s", value, text,
                      fault.pointer);
        ck_assert_int_eq(fault.code, SLC_INVALID);
        ck_assert_uint_gt(strlen(fault.message), 5);
    }
    slc_json_schema_free(schema);
    free(text);
    free(value);
}
END_TEST

static const struct {
    const char *schema, *message;
    enum slc_code code;
} refused[] = {
    {"{", "line 1", SLC_INVALID},
    {"[]", "neither an object nor a boolean", SLC_INVALID},
    {"{'properties':{'a':1}}", "neither an object nor a boolean", SLC_INVALID},
    {"{'$schema':'http://json-schema.org/draft-03/schema#'}", "drafts 4, 6, 7", SLC_UNSUPPORTED},
    {"{'$schema':7}", "drafts 4, 6, 7", SLC_UNSUPPORTED},
    {"{'$ref':'http://elsewhere/a.json'}", "nothing is fetched", SLC_INVALID},
    {"{'$ref':'http://json-schema.org/draft-07/schema#'}", "nothing is fetched", SLC_INVALID},
    {"{'$ref':'#/nowhere'}", "\"#/nowhere\"", SLC_INVALID},
    {"{'$ref':1}", "must be a string", SLC_INVALID},
    {"{'$schema':'" D20 "','$dynamicRef':'#a'}", "is not supported", SLC_UNSUPPORTED},
    {"{'$schema':'" D19 "','$recursiveRef':'#'}", "is not supported", SLC_UNSUPPORTED},
    {"{'type':'text'}", "must be one or some of", SLC_INVALID},
    {"{'pattern':'(?=a)'}", "RE2", SLC_INVALID},
    {"{'patternProperties':{'(':{}}}", "RE2", SLC_INVALID},
    {"{'multipleOf':0}", "above 0", SLC_INVALID},
    {"{'minLength':-1}", "whole number", SLC_INVALID},
    {"{'maxLength':1.5}", "whole number", SLC_INVALID},
    {"{'maximum':'3'}", "must be a number", SLC_INVALID},
    {"{'required':[1]}", "must list names", SLC_INVALID},
    {"{'allOf':[]}", "must have an element", SLC_INVALID},
    {"{'anyOf':{}}", "must be a list", SLC_INVALID},
    {"{'properties':[]}", "must be an object", SLC_INVALID},
};

START_TEST(what_is_no_schema_is_refused)
{
    char *text = quoted(refused[_i].schema);
    slc_error err;
    ck_assert_ptr_null(schema_of(text, &err));
    ck_assert_msg(strstr(err.message, refused[_i].message) != NULL, "%s: %s", text, err.message);
    ck_assert_int_eq(err.code, refused[_i].code);
    free(text);
}
END_TEST

START_TEST(references_come_with_the_schema)
{
    static const char root[] = "{\"properties\":{\"who\":{\"$ref\":\"person.json\"},\"at\":{\"$ref\":"
                               "\"http://x/place#/definitions/a\"}}}";
    static const char person[] = "{\"$ref\":\"http://x/place\"}", place[] =
                                                                      "{\"$id\":\"http://x/place\","
                                                                      "\"type\":\"string\",\"definitions\":{"
                                                                      "\"a\":{\"type\":\"null\"}}}";
    const slc_schema_reference references[] = {{"person.json", person, sizeof person - 1},
                                               {"place.json", place, sizeof place - 1}};
    slc_schema_fault fault;
    slc_error err;
    slc_json_schema *schema = slc_json_schema_new(root, sizeof root - 1, references, 2, &err);
    ck_assert_msg(schema != NULL, "%s", err.message);
    ck_assert(check_text(schema, "{\"who\":\"a\",\"at\":null}", 100, &fault));
    ck_assert(!check_text(schema, "{\"who\":1}", 100, &fault));
    ck_assert_str_eq(fault.pointer, "/who");
    ck_assert(!check_text(schema, "{\"at\":1}", 100, &fault));
    slc_json_schema_free(schema);
}
END_TEST

/* Neither schemas that lead to themselves nor values that make many steps take long. */
START_TEST(checking_is_bounded)
{
    static const struct {
        const char *schema, *value, *message;
    } cases[] = {
        {"{\"$ref\":\"#\"}", "1", "without end"},
        {"{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}", "1", "without end"},
        {"{\"not\":{\"not\":{\"$ref\":\"#\"}}}", "1", "without end"},
        {"{\"items\":{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"string\"}]}}", "[1,2,3,4,5,6,7,8,9]", NULL},
        {"{\"items\":{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"null\"},{\"type\":\"null\"},{}]}}",
         "[1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9]", "more steps"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        slc_schema_fault fault = {0};
        slc_error err;
        slc_json_schema *schema = schema_of(cases[i].schema, &err);
        ck_assert_ptr_nonnull(schema);
        uint64_t steps = i == 4 ? 50 : 100000;
        ck_assert(!check_text(schema, cases[i].value, steps, &fault));
        ck_assert_int_eq(fault.code, cases[i].message != NULL ? SLC_LIMIT : SLC_INVALID);
        if (cases[i].message != NULL)
            ck_assert_msg(strstr(fault.message, cases[i].message) != NULL, "%zu: %s", i, fault.message);
        slc_json_schema_free(schema);
    }
}
END_TEST

START_TEST(a_schema_of_many_parts_is_refused)
{
    slc_buf text;
    slc_error err;
    slc_buf_init(&text, SLC_JSON_SCHEMA_MAX_BYTES);
    slc_buf_adds(&text, "{\"allOf\":[");
    for (int i = 0; i < SLC_JSON_SCHEMA_MAX_PARTS; i++)
        slc_buf_adds(&text, i == 0 ? "{}" : ",{}");
    slc_buf_adds(&text, "]}");
    ck_assert_ptr_null(slc_json_schema_new((char *)text.data, text.len, NULL, 0, &err));
    ck_assert_int_eq(err.code, SLC_TOO_LARGE);
    slc_buf_release(&text);
}
END_TEST

START_TEST(the_tape_says_where_something_is)
{
    static const char text[] =
        " { \"a\" : [ 1 , { \"b/~\" : { } , \"\\u0063\" : \"x\\\"\\\\\" } , [ ] ] , \"d\" : true } ";
    char pointer[64], small[6];
    slc_tape tape;
    slc_error err;
    slc_tape_init(&tape);
    ck_assert(slc_tape_read(&tape, text, sizeof text - 1, &err));
    static const char *const pointers[] = {"", "/a", "/a/0", "/a/1", "/a/1/b~1~0", "/a/1/c", "/a/2", "/d"};
    ck_assert_uint_eq(tape.count, 8);
    for (uint32_t i = 0; i < 8; i++) {
        slc_tape_pointer(&tape, i, pointer, sizeof pointer);
        ck_assert_str_eq(pointer, pointers[i]);
    }
    slc_tape_pointer(&tape, 4, small, sizeof small);
    ck_assert_str_eq(small, "/a/1/");
    ck_assert(slc_text_is(slc_tape_string(&tape, 5), "x\"\\", 3));
    ck_assert_uint_eq(tape.nodes[0].count, 2);
    ck_assert_uint_eq(tape.nodes[1].count, 3);
    ck_assert(!slc_tape_read(&tape, "[1,]", 4, &err));
    ck_assert(strstr(err.message, "byte 3") != NULL);
    slc_tape_release(&tape);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json_schema");
    TCase *tcase = tcase_create("json_schema");
    tcase_set_timeout(tcase, UNIT_TIMEOUT_S);
    tcase_add_loop_test(tcase, every_keyword, 0, (int)(sizeof examples / sizeof examples[0]));
    tcase_add_loop_test(tcase, what_is_no_schema_is_refused, 0, (int)(sizeof refused / sizeof refused[0]));
    tcase_add_test(tcase, references_come_with_the_schema);
    tcase_add_test(tcase, checking_is_bounded);
    tcase_add_test(tcase, a_schema_of_many_parts_is_refused);
    tcase_add_test(tcase, the_tape_says_where_something_is);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
