/* Avro's binary encoding, as its specification has it: each case is a schema, a value in JSON and its bytes in
 * hex. */
#include "dataplane/schema/avro.h"

#include <stdio.h>
#include <string.h>

#include "common/alloc.h"
#include "tests/unit/common/unit.h"

#define ORDER                                                                                                  \
    "{'type':'record','name':'Order','namespace':'shop','fields':[{'name':'id','type':'long'},"                \
    "{'name':'who','type':['null','string'],'default':null},{'name':'tags','type':{'type':'array','items':"    \
    "'string'},'default':[]}]}"

struct example {
    const char *schema, *json, *hex;
    const char *taken; /* other JSON that is taken for the same; NULL: none */
};

static const struct example examples[] = {
    {"'null'", "null", "", NULL},
    {"'boolean'", "true", "01", NULL},
    {"{'type':'boolean'}", "false", "00", NULL},
    {"'int'", "-1", "01", "-1.0"},
    {"'int'", "-2147483648", "ffffffff0f", NULL},
    {"'int'", "64", "8001", "6.4e1"},
    {"'long'", "9223372036854775807", "feffffffffffffffff01", NULL},
    {"'long'", "-9223372036854775808", "ffffffffffffffffff01", NULL},
    {"{'type':'long','logicalType':'timestamp-millis'}", "1700000000000", "80a0abfef962", NULL},
    {"'float'", "1.5", "0000c03f", NULL},
    {"'float'", "0.1", "cdcccc3d", NULL},
    {"'float'", "'NaN'", "0000c07f", NULL},
    {"'double'", "0.1", "9a9999999999b93f", NULL},
    {"'double'", "3.0", "0000000000000840", "3"},
    {"'double'", "1e+300", "9c7500883ce4377e", "1e300"},
    {"'double'", "'-Infinity'", "000000000000f0ff", NULL},
    {"'string'", "'f\xc3\xb6o \\\"'", "0c66c3b66f2022", "'\\u0066\\u00f6o \\u0022'"},
    {"'bytes'", "'\\u0000a\xc3\xbf'", "060061ff", "'\\u0000\\u0061\\u00ff'"},
    {"'bytes'", "''", "00", NULL},
    {"{'type':'fixed','name':'F','size':2}", "'ab'", "6162", NULL},
    {"{'type':'enum','name':'E','symbols':['A','B']}", "'B'", "02", NULL},
    {"{'type':'array','items':'int'}", "[1,2]", "04020400", NULL},
    {"{'type':'array','items':'int'}", "[]", "00", NULL},
    {"{'type':'map','values':'boolean'}", "{'a':true,'b':false}", "0402610102620000", NULL},
    {"{'type':'map','values':'int'}", "{}", "00", NULL},
    {"['null','string']", "null", "00", NULL},
    {"['null','string']", "'a'", "020261", "{'string':'a'}"},
    {"['string','int','double']", "7", "020e", NULL},
    {"['string','int','double']", "7.5", "040000000000001e40", "{'double':7.5}"},
    {"['null',{'type':'map','values':'string'}]", "{'string':'x'}", "02020c737472696e67027800", NULL},
    {"['null',{'type':'map','values':'int'}]", "{'a':1}", "020202610200", "{'map':{'a':1}}"},
    {ORDER, "{'id':1,'who':'x','tags':['a']}", "0202027802026100",
     "{'tags':['a'],'who':{'string':'x'},'id':1}"},
    {ORDER, "{'id':1,'who':null,'tags':[]}", "020000", "{'id':1}"},
    {"[{'type':'record','name':'A','fields':[{'name':'a','type':'int'}]},"
     "{'type':'record','name':'n.B','fields':[{'name':'b','type':'A'}]}]",
     "{'b':{'a':1}}", "0202", "{'n.B':{'b':{'a':1}}}"},
    {"{'type':'record','name':'n.L','fields':[{'name':'v','type':'int'},{'name':'next','type':['null','L']}]}",
     "{'v':1,'next':{'v':2,'next':null}}", "02020400", NULL},
    {"{'type':'record','name':'R','fields':[{'name':'a','type':{'type':'enum','name':'E','symbols':['X','Y']},"
     "'default':'Y'},{'name':'b','type':'E'}]}",
     "{'a':'Y','b':'X'}", "0200", "{'b':'X'}"},
    {"{'type':'record','name':'R','fields':[]}", "{}", "", NULL},
};

static char *quoted(const char *text)
{
    char *out = slc_strdup(text);
    for (char *p = out; *p != '\0'; p++)
        *p = *p == '\'' ? '"' : *p;
    return out;
}

static slc_avro *avro_of(const char *schema, slc_error *err)
{
    char *text = quoted(schema);
    slc_avro *avro = slc_avro_new(text, strlen(text), NULL, 0, err);
    free(text);
    return avro;
}

/* The bytes, as hex, or NULL with `fault`. New. */
static char *encode_text(const slc_avro *avro, const char *json, uint64_t steps, slc_schema_fault *fault)
{
    char *text = quoted(json), *hex = NULL;
    slc_avro_work work = {0};
    slc_tape tape;
    slc_error err;
    slc_buf out;
    slc_tape_init(&tape);
    slc_buf_init(&out, 4096);
    ck_assert_msg(slc_tape_read(&tape, text, strlen(text), &err), "%s: %s", text, err.message);
    if (slc_avro_encode(avro, &tape, steps, &work, &out, fault)) {
        hex = slc_calloc(2 * out.len + 1, 1);
        for (size_t i = 0; i < out.len; i++)
            snprintf(hex + 2 * i, 3, "%02x", out.data[i]);
    }
    slc_avro_work_release(&work);
    slc_buf_release(&out);
    slc_tape_release(&tape);
    free(text);
    return hex;
}

/* The JSON, or NULL with `fault`. New. */
static char *decode_hex(const slc_avro *avro, const char *hex, bool tagged, uint64_t steps,
                        slc_schema_fault *fault)
{
    size_t len = strlen(hex) / 2;
    uint8_t *data = slc_malloc(len > 0 ? len : 1); /* of that size, so that a read beyond it is seen */
    for (size_t i = 0; i < len; i++) {
        unsigned byte;
        ck_assert_int_eq(sscanf(hex + 2 * i, "%2x", &byte), 1);
        data[i] = (uint8_t)byte;
    }
    slc_buf out;
    slc_buf_init(&out, 4096);
    bool ok = slc_avro_decode(avro, data, len, tagged, steps, &out, fault);
    char *text = ok ? slc_strndup((char *)out.data, out.len) : NULL;
    ck_assert(slc_avro_decode(avro, data, len, tagged, steps, NULL, fault) == ok ||
              fault->code == SLC_TOO_LARGE);
    slc_buf_release(&out);
    free(data);
    return text;
}

START_TEST(both_ways)
{
    const struct example *example = &examples[_i];
    slc_schema_fault fault;
    slc_error err;
    slc_avro *avro = avro_of(example->schema, &err);
    ck_assert_msg(avro != NULL, "%s: %s", example->schema, err.message);
    const char *texts[] = {example->json, example->taken};
    for (size_t i = 0; i < 2 && texts[i] != NULL; i++) {
        char *hex = encode_text(avro, texts[i], 1000, &fault);
        ck_assert_msg(hex != NULL, "%s of %s: %s", texts[i], example->schema, fault.message);
        ck_assert_msg(strcmp(hex, example->hex) == 0, "%s of %s: %s", texts[i], example->schema, hex);
        free(hex);
    }
    char *json = decode_hex(avro, example->hex, false, 1000, &fault), *wanted = quoted(example->json);
    ck_assert_msg(json != NULL, "%s: %s", example->schema, fault.message);
    ck_assert_msg(strcmp(json, wanted) == 0, "%s of %s: %s", example->hex, example->schema, json);
    /* Tagged, it is taken for the same again. */
    char *tagged = decode_hex(avro, example->hex, true, 1000, &fault),
         *hex = encode_text(avro, tagged, 1000, &fault);
    if (strstr(example->schema, "'map','values':'string'") == NULL) /* where tags are ambiguous */
        ck_assert_msg(hex != NULL && strcmp(hex, example->hex) == 0, "%s: %s", tagged, hex);
    free(tagged);
    free(hex);
    free(json);
    free(wanted);
    slc_avro_free(avro);
}
END_TEST

static const struct {
    const char *schema, *json, *pointer, *message;
} misfits[] = {
    {ORDER, "{'who':'x'}", "", "lacks the member \"id\""},
    {ORDER, "{'id':1,'other':2}", "/other", "is no field of shop.Order"},
    {ORDER, "{'id':'1'}", "/id", "is no Avro long"},
    {ORDER, "{'id':1,'id':2}", "/id", "is there twice"},
    {ORDER, "{'id':1,'who':5}", "/who", "fits none of the 2 types"},
    {ORDER, "{'id':1,'tags':['a',null]}", "/tags/1", "is no Avro string"},
    {ORDER, "[]", "", "is no Avro shop.Order"},
    {"'int'", "2147483648", "", "32 bits"},
    {"'long'", "9223372036854775808", "", "64 bits"},
    {"'long'", "1.5", "", "64 bits"},
    {"'float'", "1e39", "", "beyond"},
    {"'double'", "1e999", "", "beyond"},
    {"'bytes'", "'\\u0100'", "", "beyond U+00FF"},
    {"{'type':'fixed','name':'F','size':2}", "'abc'", "", "has 3 bytes; F has 2"},
    {"{'type':'enum','name':'E','symbols':['A','B']}", "'C'", "", "is no symbol of E"},
    {"['null',{'type':'record','name':'R','fields':[{'name':'a','type':'int'}]}]", "{'a':'x'}", "/a",
     "is no Avro int"},
};

START_TEST(what_does_not_fit_is_told_with_its_place)
{
    slc_schema_fault fault = {0};
    slc_error err;
    slc_avro *avro = avro_of(misfits[_i].schema, &err);
    ck_assert_ptr_nonnull(avro);
    ck_assert_ptr_null(encode_text(avro, misfits[_i].json, 1000, &fault));
    ck_assert_msg(strcmp(fault.pointer, misfits[_i].pointer) == 0, "%s: at %s", misfits[_i].json,
                  fault.pointer);
    ck_assert_msg(strstr(fault.message, misfits[_i].message) != NULL, "%s: %s", misfits[_i].json,
                  fault.message);
    ck_assert_int_eq(fault.code, SLC_INVALID);
    slc_avro_free(avro);
}
END_TEST

static const struct {
    const char *schema, *hex, *pointer, *message;
    enum slc_code code;
} damaged[] = {
    {"'null'", "00", "", "1 bytes too many", SLC_INVALID},
    {"'boolean'", "02", "", "a boolean of 2", SLC_INVALID},
    {"'boolean'", "", "", "to have 1 bytes, of which 0", SLC_INVALID},
    {"'long'", "80", "", "within a number", SLC_INVALID},
    {"'long'", "ffffffffffffffffff7f", "", "more than 64 bits", SLC_INVALID},
    {"'int'", "8080808010", "", "more than 32 bits", SLC_INVALID},
    {"'string'", "feffffff0f", "", "2147483647 bytes, of which 0", SLC_INVALID},
    {"'string'", "01", "", "below zero", SLC_INVALID},
    {"'string'", "02ff", "", "not UTF-8", SLC_INVALID},
    {ORDER, "0204", "/who", "type number 2, which has 2", SLC_INVALID},
    {ORDER, "02000402616a", "/tags/1", "53 bytes", SLC_INVALID},
    {"{'type':'map','values':'int'}", "020261", "/a", "within a number", SLC_INVALID},
    {"{'type':'enum','name':'E','symbols':['A','B']}", "04", "", "symbol number 2 of 2", SLC_INVALID},
    {"{'type':'fixed','name':'F','size':2147483647}", "00", "", "of which 1", SLC_INVALID},
    /* bombs: few bytes that say that they are many values, or that are nested without end */
    {"{'type':'array','items':'null'}", "feffffffffffffffff01", "", "more values", SLC_LIMIT},
    {"{'type':'array','items':'null'}", "ffffffffffffffffff0100", "", "too large", SLC_INVALID},
    {"{'type':'record','name':'R','fields':[{'name':'r','type':'R'}]}", "", "", "nested", SLC_LIMIT},
};

START_TEST(damaged_bytes_are_told_with_their_place)
{
    slc_schema_fault fault = {0};
    slc_error err;
    slc_avro *avro = avro_of(damaged[_i].schema, &err);
    ck_assert_msg(avro != NULL, "%s", err.message);
    ck_assert_ptr_null(decode_hex(avro, damaged[_i].hex, false, 500, &fault));
    ck_assert_msg(strstr(fault.message, damaged[_i].message) != NULL, "%s: %s", damaged[_i].hex, fault.message);
    ck_assert_int_eq(fault.code, damaged[_i].code);
    if (fault.code == SLC_INVALID)
        ck_assert_str_eq(fault.pointer, damaged[_i].pointer);
    slc_avro_free(avro);
}
END_TEST

static const struct {
    const char *schema, *message;
} refused[] = {
    {"{", "line 1"},
    {"1", "must be a name, a list or an object"},
    {"{}", "needs a type"},
    {"'text'", "names the type \"text\""},
    {"{'type':'record','name':'R'}", "needs a list of fields"},
    {"{'type':'record','fields':[]}", "needs a name"},
    {"{'type':'record','name':'R x','fields':[]}", "needs a name"},
    {"{'type':'record','name':'R','fields':[{'name':'a','type':'int'},{'name':'a','type':'int'}]}", "twice"},
    {"{'type':'record','name':'R','fields':[{'name':'a','type':{'type':'fixed','name':'R','size':1}}]}",
     "a second time"},
    {"{'type':'enum','name':'E','symbols':['A','A']}", "twice"},
    {"{'type':'enum','name':'E','symbols':['a\\\"b']}", "a symbol that is no name"},
    {"{'type':'fixed','name':'F','size':-1}", "needs a size"},
    {"['int','int']", "twice in a union"},
    {"['null',['int']]", "a union in a union"},
    {"[]", "a union of nothing"},
};

START_TEST(what_is_no_schema_is_refused)
{
    slc_error err;
    ck_assert_ptr_null(avro_of(refused[_i].schema, &err));
    ck_assert_msg(strstr(err.message, refused[_i].message) != NULL, "%s: %s", refused[_i].schema, err.message);
    ck_assert_int_eq(err.code, SLC_INVALID);
}
END_TEST

START_TEST(references_define_types)
{
    static const char a[] =
        "{\"type\":\"record\",\"name\":\"n.A\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"}]}";
    static const char b[] = "{\"type\":\"array\",\"items\":\"n.A\"}";
    const slc_schema_reference reference = {"n.A", a, sizeof a - 1};
    slc_schema_fault fault;
    slc_error err;
    slc_avro *avro = slc_avro_new(b, sizeof b - 1, &reference, 1, &err);
    ck_assert_msg(avro != NULL, "%s", err.message);
    char *json = decode_hex(avro, "020200", false, 100, &fault);
    ck_assert_str_eq(json, "[{\"x\":1}]");
    free(json);
    slc_avro_free(avro);
    ck_assert_ptr_null(slc_avro_new(b, sizeof b - 1, NULL, 0, &err));
    ck_assert(strstr(err.message, "n.A") != NULL);
}
END_TEST

/* Each level may be meant for any of the union's types: that is tried, for a bounded time. */
START_TEST(trying_types_is_bounded)
{
    static const char schema[] = "['null',{'type':'record','name':'A','fields':[{'name':'n','type':['null','A',"
                                 "{'type':'record','name':'B',"
                                 "'fields':[{'name':'n','type':['null','A','B']}]}]}]},'B']";
    slc_schema_fault fault = {0};
    slc_buf text;
    slc_error err;
    slc_avro *avro = avro_of(schema, &err);
    ck_assert_msg(avro != NULL, "%s", err.message);
    slc_buf_init(&text, 4096);
    for (int i = 0; i < 60; i++)
        slc_buf_adds(&text, "{'n':");
    slc_buf_adds(&text, "1");
    for (int i = 0; i < 60; i++)
        slc_buf_adds(&text, "}");
    ck_assert_ptr_null(encode_text(avro, (char *)text.data, 10000, &fault));
    ck_assert_int_eq(fault.code, SLC_LIMIT);
    slc_buf_release(&text);
    slc_avro_free(avro);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("avro");
    TCase *tcase = tcase_create("avro");
    tcase_set_timeout(tcase, UNIT_TIMEOUT_S);
    tcase_add_loop_test(tcase, both_ways, 0, (int)(sizeof examples / sizeof examples[0]));
    tcase_add_loop_test(tcase, what_does_not_fit_is_told_with_its_place, 0,
                        (int)(sizeof misfits / sizeof misfits[0]));
    tcase_add_loop_test(tcase, damaged_bytes_are_told_with_their_place, 0,
                        (int)(sizeof damaged / sizeof damaged[0]));
    tcase_add_loop_test(tcase, what_is_no_schema_is_refused, 0, (int)(sizeof refused / sizeof refused[0]));
    tcase_add_test(tcase, references_define_types);
    tcase_add_test(tcase, trying_types_is_bounded);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
