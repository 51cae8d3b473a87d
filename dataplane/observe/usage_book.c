#include "dataplane/observe/usage_book.h"

/* A row's state. */
#define GROWN  1u /* since it was told last */
#define IN_AIR 2u /* in the part under way */

void slc_usage_book_init(slc_usage_book *book, size_t max)
{
    *book = (slc_usage_book){.floor = 0};
    slc_usage_init(&book->rows, max);
}

void slc_usage_book_release(slc_usage_book *book)
{
    slc_usage_release(&book->rows);
}

static void note_grown(slc_usage_book *book, slc_usage_row *row)
{
    if ((row->state & GROWN) == 0)
        book->untold++;
    row->state |= GROWN;
}

void slc_usage_book_add(slc_usage_book *book, const slc_usage_table *counted)
{
    for (size_t i = 0; i < counted->slot_count; i++) {
        const slc_usage_row *from = counted->slots[i];
        if (from == NULL)
            continue;
        slc_usage_add(&book->rows, &from->key, &from->sum);
        note_grown(book, slc_usage_row_of(&book->rows, &from->key));
    }
}

/* What is stored and cannot grow any more. */
static int is_open(slc_usage_row *row, void *arg)
{
    const slc_usage_book *book = arg;
    return row->state != 0 || row->key.hour >= book->floor;
}

void slc_usage_book_settle(slc_usage_book *book, uint32_t hour)
{
    if (hour <= book->floor)
        return;
    book->floor = hour;
    slc_usage_sift(&book->rows, is_open, book);
}

static uint32_t oldest_hour(const slc_usage_book *book)
{
    uint32_t oldest = book->floor;
    for (size_t i = 0; i < book->rows.slot_count; i++)
        if (book->rows.slots[i] != NULL && book->rows.slots[i]->key.hour < oldest)
            oldest = book->rows.slots[i]->key.hour;
    return oldest;
}

size_t slc_usage_book_next(slc_usage_book *book, const slc_usage_row **rows, uint32_t *oldest)
{
    size_t count = 0;
    if (book->under_way || book->untold == 0)
        return 0;
    for (size_t i = 0; i < book->rows.slot_count && count < SLC_USAGE_PART_MAX; i++) {
        slc_usage_row *row = book->rows.slots[i];
        if (row == NULL || (row->state & GROWN) == 0)
            continue;
        row->state = IN_AIR;
        rows[count++] = row;
    }
    book->untold -= count;
    book->under_way = true;
    book->sequence++;
    *oldest = oldest_hour(book);
    return count;
}

bool slc_usage_book_acknowledged(slc_usage_book *book, uint64_t sequence)
{
    if (!book->under_way || sequence != book->sequence)
        return false;
    for (size_t i = 0; i < book->rows.slot_count; i++)
        if (book->rows.slots[i] != NULL)
            book->rows.slots[i]->state &= ~IN_AIR;
    book->under_way = false;
    slc_usage_sift(&book->rows, is_open, book);
    return true;
}

void slc_usage_book_again(slc_usage_book *book)
{
    for (size_t i = 0; book->under_way && i < book->rows.slot_count; i++) {
        slc_usage_row *row = book->rows.slots[i];
        if (row == NULL || (row->state & IN_AIR) == 0)
            continue;
        row->state &= ~IN_AIR;
        note_grown(book, row);
    }
    book->under_way = false;
}

bool slc_usage_book_is_told(const slc_usage_book *book)
{
    return !book->under_way && book->untold == 0;
}
