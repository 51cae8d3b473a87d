/* Columns as wide as their widest cell; the last is not filled up. */
#include <stdio.h>
#include <string.h>

#include "common/utf8.h"
#include "controlplane/ctl/output.h"

#define COLUMNS_MAX 16
#define GAP         3

/* Positions that a text takes: characters, which is near enough. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static size_t head_size(const char *const *head)
{
    size_t count = 0;
    while (head[count] != NULL && count < COLUMNS_MAX)
        count++;
    return count;
}

void slc_table_init(slc_table *table, const char *const *head)
{
    table->rows = json_array();
    json_t *row = json_array();
    for (size_t i = 0; i < head_size(head); i++)
        json_array_append_new(row, json_string(head[i]));
    json_array_append_new(table->rows, row);
}

/* A cell is one line and commands nothing to a terminal. */
static json_t *cell_of(const char *text)
{
    char cell[256];
    snprintf(cell, sizeof cell, "%s", text);
    slc_utf8_clean(cell);
    for (char *c = cell; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    return json_string(cell);
}

void slc_table_add(slc_table *table, const char *const *cells)
{
    size_t count = json_array_size(json_array_get(table->rows, 0));
    json_t *row = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(row, cell_of(cells[i] != NULL && cells[i][0] != '\0' ? cells[i] : "-"));
    json_array_append_new(table->rows, row);
}

void slc_table_print(slc_table *table)
{
    size_t widths[COLUMNS_MAX] = {0}, i, column, count = json_array_size(json_array_get(table->rows, 0));
    json_t *row;
    json_array_foreach (table->rows, i, row) {
        for (column = 0; column < count; column++) {
            size_t width = width_of(json_string_value(json_array_get(row, column)));
            widths[column] = width > widths[column] ? width : widths[column];
        }
    }
    json_array_foreach (table->rows, i, row) {
        for (column = 0; column < count; column++) {
            const char *text = json_string_value(json_array_get(row, column));
            fputs(text, stdout);
            size_t fill = column + 1 < count ? widths[column] - width_of(text) + GAP : 0;
            while (fill-- > 0)
                fputc(' ', stdout);
        }
        fputc('\n', stdout);
    }
    json_decref(table->rows);
    table->rows = NULL;
}
