/* Optimal string alignment distance over short words. */
#include "controlplane/ctl/suggest.h"

#include <ctype.h>
#include <string.h>

#define WORD_MAX 64

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned char folded(char c)
{
    return c == '-' ? '_' : (unsigned char)tolower((unsigned char)c);
}

static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned rows[3][WORD_MAX + 1], *before = rows[0], *last = rows[1], *row = rows[2], *spare;
    for (size_t j = 0; j <= b_len; j++)
        last[j] = (unsigned)j;
    memset(before, 0, sizeof rows[0]);
    for (size_t i = 1; i <= a_len; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned char x = folded(a[i - 1]), y = folded(b[j - 1]);
            row[j] = least(least(last[j] + 1, row[j - 1] + 1), last[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == folded(b[j - 2]) && folded(a[i - 2]) == y)
                row[j] = least(row[j], before[j - 2] + 1);
        }
        spare = before;
        before = last;
        last = row;
        row = spare;
    }
    return last[b_len];
}

slc_suggestion slc_suggestion_for(const char *typed)
{
    return (slc_suggestion){.typed = typed, .best = NULL, .distance = WORD_MAX};
}

void slc_suggest(slc_suggestion *suggestion, const char *word)
{
    size_t typed_len = strlen(suggestion->typed), len = strlen(word);
    if (typed_len == 0 || typed_len > WORD_MAX || len > WORD_MAX)
        return;
    unsigned found = distance(suggestion->typed, typed_len, word, len);
    unsigned enough = typed_len <= 3 ? 1 : (unsigned)(typed_len + 2) / 3;
    if (found <= enough && found < suggestion->distance) {
        suggestion->best = word;
        suggestion->distance = found;
    }
}
