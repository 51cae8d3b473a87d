/* "Did you mean ...?": the nearest of the words that there are. */
#ifndef SLC_CONTROLPLANE_CTL_SUGGEST_H
#define SLC_CONTROLPLANE_CTL_SUGGEST_H

typedef struct slc_suggestion {
    const char *typed; /* borrowed */
    const char *best;  /* borrowed from what was offered; NULL while nothing is near enough */
    unsigned distance; /* of best: insertions, deletions, changes and swaps of neighbours */
} slc_suggestion;

slc_suggestion slc_suggestion_for(const char *typed);
/* Offers a word: taken when it is nearer than those before, and near enough for the length of what was typed.
 */
void slc_suggest(slc_suggestion *suggestion, const char *word);

#endif
