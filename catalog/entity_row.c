/* Entities as rows: SQL made from the table of kinds, once per kind. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/entity.h"
#include "common/alloc.h"
#include "common/assert.h"
#include "common/buf.h"

#define SQL_MAX_BYTES 16384

/* ---- SQL ---- */

struct kind_sql {
    char *select; /* without a condition */
    char *brief;  /* the same, with NULL for what is bulky */
    char *by_id, *insert, *update, *remove, *resolve, *key_of;
    int width;
};

static struct kind_sql *all_sql;
static pthread_once_t sql_once = PTHREAD_ONCE_INIT;

bool slc_field_stored(const slc_field *field)
{
    return field->type != SLC_F_REF_LIST &&
           (field->flags & (SLC_F_WRITE_ONLY | SLC_F_ONCE | SLC_F_COMPUTED)) == 0;
}

const char *slc_field_column(const slc_field *field)
{
    return field->column != NULL ? field->column : field->name;
}

/* Calls fn for every field of the kind, common ones first. */
static void each_field(const slc_kind *kind,
                       void (*fn)(void *arg, const slc_kind *kind, const slc_field *field), void *arg)
{
    for (const slc_field *field = slc_kind_common_fields(kind); field->name != NULL; field++)
        fn(arg, kind, field);
    for (const slc_field *field = kind->fields; field->name != NULL; field++)
        fn(arg, kind, field);
}

static void select_field(void *arg, const slc_kind *kind, const slc_field *field)
{
    if (slc_field_stored(field))
        slc_buf_addf(arg, "t.\"%s\", ", slc_field_column(field));
    else if (field->type == SLC_F_REF_LIST)
        slc_buf_addf(
            arg,
            "(SELECT json_group_array(target_id) FROM (SELECT target_id FROM \"%s_%s\" WHERE owner_id = t.id "
            "ORDER BY position)), ",
            kind->table, slc_field_column(field));
}

static void select_brief_field(void *arg, const slc_kind *kind, const slc_field *field)
{
    if (slc_field_stored(field) && (field->flags & SLC_F_BULKY) != 0)
        slc_buf_adds(arg, "NULL, ");
    else
        select_field(arg, kind, field);
}

static void insert_column(void *arg, const slc_kind *kind, const slc_field *field)
{
    (void)kind;
    if (slc_field_stored(field))
        slc_buf_addf(arg, ", \"%s\"", slc_field_column(field));
}

static void insert_value(void *arg, const slc_kind *kind, const slc_field *field)
{
    (void)kind;
    if (slc_field_stored(field))
        slc_buf_addf(arg, ", :%s", field->name);
}

static void update_column(void *arg, const slc_kind *kind, const slc_field *field)
{
    (void)kind;
    slc_buf *sql = arg;
    if (slc_field_stored(field) && strcmp(field->name, "id") != 0)
        slc_buf_addf(sql, "%s\"%s\" = :%s", sql->data[sql->len - 1] == ' ' ? "" : ", ", slc_field_column(field),
                     field->name);
}

static char *finish_sql(slc_buf *sql)
{
    SLC_BUG_ON(sql->overflow);
    return slc_buf_steal(sql, NULL);
}

static void count_column(void *arg, const slc_kind *kind, const slc_field *field)
{
    (void)kind;
    *(int *)arg += slc_field_stored(field) || field->type == SLC_F_REF_LIST;
}

static char *make_select(const slc_kind *kind,
                         void (*add)(void *arg, const slc_kind *kind, const slc_field *field))
{
    slc_buf sql;
    slc_buf_init(&sql, SQL_MAX_BYTES);
    slc_buf_adds(&sql, "SELECT ");
    each_field(kind, add, &sql);
    slc_buf_addf(&sql, "t.%s FROM \"%s\" AS t", (kind->flags & SLC_KIND_LOG) != 0 ? "id" : "key", kind->table);
    return finish_sql(&sql);
}

static void make_kind_sql(struct kind_sql *out, const slc_kind *kind)
{
    slc_buf sql;
    slc_buf_init(&sql, SQL_MAX_BYTES);
    out->select = make_select(kind, select_field);
    out->brief = make_select(kind, select_brief_field);
    out->by_id = slc_asprintf("%s WHERE t.id = ?1", out->select);
    out->width = 1;
    each_field(kind, count_column, &out->width);
    if ((kind->flags & SLC_KIND_LOG) != 0) {
        out->resolve = slc_asprintf("SELECT id FROM \"%s\" WHERE id = ?1", kind->table);
        out->key_of = slc_asprintf("SELECT id FROM \"%s\" WHERE id = ?1", kind->table);
        return;
    }
    slc_buf_addf(&sql, "INSERT INTO \"%s\" (key", kind->table);
    each_field(kind, insert_column, &sql);
    slc_buf_adds(&sql, ") VALUES (:natural_key");
    each_field(kind, insert_value, &sql);
    slc_buf_adds(&sql, ")");
    out->insert = finish_sql(&sql);
    slc_buf_addf(&sql, "UPDATE \"%s\" SET ", kind->table);
    each_field(kind, update_column, &sql);
    slc_buf_adds(&sql, " WHERE id = :id");
    out->update = finish_sql(&sql);
    out->remove = slc_asprintf("DELETE FROM \"%s\" WHERE id = ?1", kind->table);
    /* An id wins over a key that looks the same. */
    out->resolve =
        slc_asprintf("SELECT id FROM \"%s\" WHERE id = ?1 UNION ALL SELECT id FROM \"%s\" WHERE key = ?1 "
                     "LIMIT 1",
                     kind->table, kind->table);
    out->key_of = slc_asprintf("SELECT key FROM \"%s\" WHERE id = ?1", kind->table);
}

static void make_sql(void)
{
    size_t count = 0;
    while (slc_kinds()[count] != NULL)
        count++;
    all_sql = slc_calloc(count, sizeof(*all_sql));
    for (size_t i = 0; i < count; i++)
        make_kind_sql(&all_sql[i], slc_kinds()[i]);
}

static const struct kind_sql *sql_of(const slc_kind *kind)
{
    pthread_once(&sql_once, make_sql);
    size_t i = 0;
    while (slc_kinds()[i] != kind)
        i++;
    return &all_sql[i];
}

const char *slc_row_select(const slc_kind *kind)
{
    return sql_of(kind)->select;
}

const char *slc_row_select_brief(const slc_kind *kind)
{
    return sql_of(kind)->brief;
}

int slc_row_width(const slc_kind *kind)
{
    return sql_of(kind)->width;
}

/* ---- reading ---- */

static json_t *read_column(const slc_field *field, sqlite3_stmt *stmt, int column)
{
    if (sqlite3_column_type(stmt, column) == SQLITE_NULL)
        return NULL;
    switch (field->type) {
    case SLC_F_STRING:
    case SLC_F_TEXT:
        return (field->flags & SLC_F_SECRET) != 0 ? slc_column_json(stmt, column)
                                                  : json_string(slc_column_text(stmt, column));
    case SLC_F_ENUM:
    case SLC_F_REF:
        return json_string(slc_column_text(stmt, column));
    case SLC_F_BOOL:
        return json_boolean(sqlite3_column_int(stmt, column) != 0);
    case SLC_F_INT:
    case SLC_F_DURATION:
    case SLC_F_TIMESTAMP:
        return json_integer(sqlite3_column_int64(stmt, column));
    default:
        return slc_column_json(stmt, column);
    }
}

struct row_reader {
    sqlite3_stmt *stmt;
    json_t *out;
    int column;
};

static void read_field(void *arg, const slc_kind *kind, const slc_field *field)
{
    (void)kind;
    struct row_reader *reader = arg;
    if (!slc_field_stored(field) && field->type != SLC_F_REF_LIST)
        return;
    json_t *value = read_column(field, reader->stmt, reader->column++);
    if (field->type == SLC_F_REF_LIST && json_array_size(value) == 0) {
        json_decref(value); /* an empty list is stored as no rows; absent is the same */
        return;
    }
    if (value != NULL)
        json_object_set_new(reader->out, field->name, value);
}

json_t *slc_row_read(const slc_kind *kind, sqlite3_stmt *stmt)
{
    struct row_reader reader = {.stmt = stmt, .out = json_object()};
    each_field(kind, read_field, &reader);
    return reader.out;
}

int slc_row_resolve(slc_txn *txn, const slc_kind *kind, const char *id_or_key, char id[SLC_ID_CHARS + 1],
                    slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql_of(kind)->resolve, "s", id_or_key);
    if (stmt == NULL)
        return -1;
    int rc = slc_txn_step(txn, stmt, err);
    if (rc == 1)
        snprintf(id, SLC_ID_CHARS + 1, "%s", slc_column_text(stmt, 0));
    slc_txn_finish(txn, stmt);
    return rc;
}

json_t *slc_entity_load(slc_txn *txn, const slc_kind *kind, const char *key, slc_error *err)
{
    char id[SLC_ID_CHARS + 1];
    int rc = slc_row_resolve(txn, kind, key, id, err);
    if (rc == 0)
        slc_fail(err, SLC_NOT_FOUND, NULL, "there is no %s %.100s", kind->singular, key);
    sqlite3_stmt *stmt = rc == 1 ? slc_txn_query(txn, err, sql_of(kind)->by_id, "s", id) : NULL;
    if (stmt == NULL)
        return NULL;
    json_t *stored = slc_txn_step(txn, stmt, err) == 1 ? slc_row_read(kind, stmt) : NULL;
    slc_txn_finish(txn, stmt);
    return stored;
}

void slc_key_of(slc_txn *txn, const char *kind, const char *id, char out[SLC_KEY_CHARS])
{
    snprintf(out, SLC_KEY_CHARS, "?");
    sqlite3_stmt *stmt = slc_txn_query(txn, NULL, sql_of(slc_kind_find(kind))->key_of, "s", id);
    if (stmt != NULL && slc_txn_step(txn, stmt, NULL) == 1)
        snprintf(out, SLC_KEY_CHARS, "%s", slc_column_text(stmt, 0));
    slc_txn_finish(txn, stmt);
}

/* ---- writing ---- */

struct row_writer {
    sqlite3_stmt *stmt;
    const json_t *stored;
};

static void bind_field(void *arg, const slc_kind *kind, const slc_field *field)
{
    (void)kind;
    struct row_writer *writer = arg;
    if (!slc_field_stored(field))
        return;
    char name[64];
    snprintf(name, sizeof(name), ":%s", field->name);
    int index = sqlite3_bind_parameter_index(writer->stmt, name);
    const json_t *value = json_object_get(writer->stored, field->name);
    if (index == 0 || value == NULL)
        return; /* unbound is NULL */
    if (json_is_boolean(value)) {
        sqlite3_bind_int(writer->stmt, index, json_is_true(value));
    } else if (json_is_integer(value)) {
        sqlite3_bind_int64(writer->stmt, index, json_integer_value(value));
    } else if (json_is_string(value)) {
        sqlite3_bind_text(writer->stmt, index, json_string_value(value), (int)json_string_length(value),
                          SQLITE_TRANSIENT);
    } else {
        char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        sqlite3_bind_text(writer->stmt, index, text, -1, SQLITE_TRANSIENT);
        free(text);
    }
}

static bool write_links(slc_txn *txn, const slc_kind *kind, const slc_field *field, const json_t *stored,
                        slc_error *err)
{
    const char *id = slc_get_text(stored, "id");
    char sql[256];
    snprintf(sql, sizeof(sql), "DELETE FROM \"%s_%s\" WHERE owner_id = ?1", kind->table,
             slc_field_column(field));
    if (!slc_txn_exec(txn, err, sql, "s", id))
        return false;
    snprintf(sql, sizeof(sql), "INSERT INTO \"%s_%s\" (owner_id, target_id, position) VALUES (?1, ?2, ?3)",
             kind->table, slc_field_column(field));
    size_t index;
    json_t *target;
    json_array_foreach (json_object_get(stored, field->name), index, target) {
        if (!slc_txn_exec(txn, err, sql, "ssi", id, json_string_value(target), (int64_t)index))
            return false;
    }
    return true;
}

static bool write_changed_links(slc_txn *txn, const slc_kind *kind, const json_t *before, const json_t *stored,
                                slc_error *err)
{
    for (const slc_field *field = kind->fields; field->name != NULL; field++) {
        if (field->type != SLC_F_REF_LIST)
            continue;
        const json_t *old = json_object_get(before, field->name);
        const json_t *new = json_object_get(stored, field->name);
        bool same = old == NULL || new == NULL ? old == new : json_equal(old, new);
        if (!same && !write_links(txn, kind, field, stored, err))
            return false;
    }
    return true;
}

bool slc_row_insert(slc_txn *txn, const slc_kind *kind, const char *key, const json_t *stored, slc_error *err)
{
    struct row_writer writer = {.stmt = slc_txn_prepare(txn, sql_of(kind)->insert, err), .stored = stored};
    if (writer.stmt == NULL)
        return false;
    sqlite3_bind_text(writer.stmt, sqlite3_bind_parameter_index(writer.stmt, ":natural_key"), key, -1,
                      SQLITE_TRANSIENT);
    each_field(kind, bind_field, &writer);
    int rc = slc_txn_step(txn, writer.stmt, err);
    slc_txn_finish(txn, writer.stmt);
    return rc == 0 && write_changed_links(txn, kind, NULL, stored, err);
}

bool slc_row_update(slc_txn *txn, const slc_kind *kind, const json_t *before, const json_t *stored,
                    slc_error *err)
{
    struct row_writer writer = {.stmt = slc_txn_prepare(txn, sql_of(kind)->update, err), .stored = stored};
    if (writer.stmt == NULL)
        return false;
    each_field(kind, bind_field, &writer);
    int rc = slc_txn_step(txn, writer.stmt, err);
    slc_txn_finish(txn, writer.stmt);
    return rc == 0 && write_changed_links(txn, kind, before, stored, err);
}

bool slc_row_delete(slc_txn *txn, const slc_kind *kind, const char *id, slc_error *err)
{
    return slc_txn_exec(txn, err, sql_of(kind)->remove, "s", id);
}
