/* What is visible to whom, in SQL. Private to catalog/. */
#ifndef SLC_CATALOG_DISCOVER_PRIVATE_H
#define SLC_CATALOG_DISCOVER_PRIVATE_H

#include "catalog/discover.h"
#include "catalog/token.h"

/* ?1 is the JSON list of the viewer's teams; NULL for who sees everything. ?20 is 1 for a visitor, who has no
 * teams. */
#define SLC_DISCOVER_VISITOR      20
#define SLC_DISCOVER_TEAMS(teams) "(SELECT value FROM json_each(" teams "))"
#define SLC_DISCOVER_ENOUGH(level, visitor)                                                                    \
    "(" level " = 'public' OR (" level " = 'signed-in' AND NOT " visitor "))"
/* Of the product p. */
#define SLC_DISCOVER_PRODUCT                                                                                   \
    "(?1 IS NULL OR p.team IN " SLC_DISCOVER_TEAMS(                                                            \
        "?1") " OR (p.lifecycle IN ('published', 'deprecated') "                                               \
              "AND (" SLC_DISCOVER_ENOUGH(                                                                     \
                  "p.visibility",                                                                              \
                  "?20") " OR EXISTS (SELECT 1 FROM products_visible_to AS v "                                 \
                         "WHERE v.owner_id = p.id AND v.target_id IN " SLC_DISCOVER_TEAMS("?1") "))))"
/* Of the event API e. */
#define SLC_DISCOVER_API                                                                                       \
    "(?1 IS NULL OR e.team IN " SLC_DISCOVER_TEAMS("?1") " OR (e.lifecycle IN ('published', 'deprecated') "    \
                                                         "AND EXISTS (SELECT 1 FROM products_event_apis AS l " \
                                                         "JOIN products AS p ON p.id = l.owner_id WHERE "      \
                                                         "l.target_id = e.id AND " SLC_DISCOVER_PRODUCT ")))"
/* Of the REST API `r`, by other names of these parameters. */
#define SLC_DISCOVER_REST(r, teams, visitor)                                                                   \
    "(" teams " IS NULL OR " r ".team IN " SLC_DISCOVER_TEAMS(                                                 \
        teams) " OR (" r ".lifecycle IN ('published', "                                                        \
               "'deprecated') AND (" SLC_DISCOVER_ENOUGH(                                                      \
                   r ".visibility",                                                                            \
                   visitor) " OR (" r ".visibility = 'teams' AND "                                             \
                            "EXISTS (SELECT 1 FROM rest_apis_visible_to AS v WHERE v.owner_id = " r            \
                            ".id AND v.target_id IN " SLC_DISCOVER_TEAMS(teams) ")))))"

/* New text for the parameter of teams, or NULL for everything. */
char *slc_discover_teams(const slc_discover_viewer *viewer);

#endif
