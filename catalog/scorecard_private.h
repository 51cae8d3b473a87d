/* What a scorecard is made of: facts about one event API, and compiled rules. Private to catalog/scorecard*.c.
 */
#ifndef SLC_CATALOG_SCORECARD_PRIVATE_H
#define SLC_CATALOG_SCORECARD_PRIVATE_H

#include "catalog/discover_private.h"
#include "catalog/read.h"
#include "catalog/scorecard.h"
#include "common/buf.h"

/* In the order of slc_scorecard_attributes, and of the columns that slc_facts_sql reads. */
enum slc_fact {
    SLC_FACT_KIND,
    SLC_FACT_NAME,
    SLC_FACT_VERSION,
    SLC_FACT_TITLE,
    SLC_FACT_DESCRIPTION,
    SLC_FACT_CHANGELOG,
    SLC_FACT_LIFECYCLE,
    SLC_FACT_TAGS,
    SLC_FACT_LABELS,
    SLC_FACT_OPERATIONS,
    SLC_FACT_EXPOSURES,
    SLC_FACT_KEY,
    SLC_FACT_SCHEMA,
    SLC_FACT_EXAMPLES,
    SLC_FACT_MAX_EVENT_BYTES,
    SLC_FACT_DEPRECATED_AT,
    SLC_FACT_SUNSET_AT,
    SLC_FACT_ENVIRONMENTS,
    SLC_FACT_PRODUCTS,
    SLC_FACT_PLANS,
    SLC_FACT_POLICIES,
    SLC_FACT_TEAM_NAME,
    SLC_FACT_TEAM_TITLE,
    SLC_FACT_TEAM_OWNERS,
    SLC_FACT_NOW,
    SLC_FACTS,
};

/* Of one row. Texts are SQLite's, until the next step. */
typedef struct slc_facts {
    slc_cel_value values[SLC_FACTS];
    bool known[SLC_FACTS];
    json_t *parsed[SLC_FACTS];       /* own; lists and maps */
    slc_cel_value *items[SLC_FACTS]; /* own; of lists */
    const char *id, *key, *team_id;
} slc_facts;

/* Adds "SELECT <columns> FROM event_apis AS e ... WHERE <visible>" with the parameters of discover_private.h;
 * of REST APIs the same, with e for them. */
void slc_facts_sql(slc_buf *sql, const slc_kind *kind);
/* "event-apis" or "rest-apis". */
const char *slc_facts_kind(const slc_facts *facts);
void slc_facts_read(slc_facts *facts, sqlite3_stmt *stmt, int64_t now_ms);
void slc_facts_release(slc_facts *facts);
/* Of a fact that is a text: "" when there is none. */
const char *slc_facts_text(const slc_facts *facts, enum slc_fact fact);
/* As if it were in this state (static text). */
void slc_facts_suppose(slc_facts *facts, const char *lifecycle);

/* Is the condition of a rule (stored form) one? Notes a problem. */
bool slc_scorecard_check(slc_txn *txn, const json_t *rule, slc_error *err) SLC_CHECKED;

enum slc_verdict { SLC_RULE_FOREIGN, SLC_RULE_MET, SLC_RULE_FAILED };

typedef struct slc_card_rule {
    json_t *stored; /* own */
    slc_cel *cel;   /* NULL: it does not compile (any more) */
    int level;
    int64_t points;
    bool blocking;
    /* Of the last evaluation. */
    enum slc_verdict verdict;
    char detail[160]; /* why it cannot be evaluated; empty: it can */
} slc_card_rule;

typedef struct slc_card {
    slc_card_rule rules[SLC_SCORECARD_RULES_MAX];
    size_t count;
} slc_card;

/* Those in force, by name. False with an empty card. */
bool slc_card_load(slc_txn *txn, slc_card *card, slc_error *err) SLC_CHECKED;
/* Takes the stored form over. */
void slc_card_add(slc_card *card, json_t *stored);
void slc_card_release(slc_card *card);
/* Fills in the verdicts. */
void slc_card_evaluate(slc_card *card, const slc_facts *facts);

#endif
