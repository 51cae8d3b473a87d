/* What is visible to whom, in SQL. Private to catalog/discover*.c. */
#ifndef SLC_CATALOG_DISCOVER_PRIVATE_H
#define SLC_CATALOG_DISCOVER_PRIVATE_H

#include "catalog/discover.h"

/* ?1 is the JSON list of the viewer's teams; NULL for who sees everything. */
#define SLC_DISCOVER_TEAMS "(SELECT value FROM json_each(?1))"
/* Of the product p. */
#define SLC_DISCOVER_PRODUCT                                                                                   \
    "(?1 IS NULL OR p.team IN " SLC_DISCOVER_TEAMS " OR (p.lifecycle IN ('published', 'deprecated') AND "      \
    "(p.visibility <> 'teams' OR EXISTS (SELECT 1 FROM products_visible_to AS v WHERE v.owner_id = p.id AND "  \
    "v.target_id IN " SLC_DISCOVER_TEAMS "))))"
/* Of the event API e. */
#define SLC_DISCOVER_API                                                                                       \
    "(?1 IS NULL OR e.team IN " SLC_DISCOVER_TEAMS " OR (e.lifecycle IN ('published', 'deprecated') AND "      \
    "EXISTS (SELECT 1 FROM products_event_apis AS l JOIN products AS p ON p.id = l.owner_id WHERE "            \
    "l.target_id = e.id AND " SLC_DISCOVER_PRODUCT ")))"

/* New text for ?1, or NULL. */
char *slc_discover_teams(const struct slc_identity *viewer);

#endif
