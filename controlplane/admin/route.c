/* Matching a request's method and path against the table of routes. */
#include "controlplane/admin/route.h"

#include <stdio.h>
#include <string.h>

/* What a pattern's placeholders matched. */
struct match {
    const slc_kind *kind;
    char key[200];
    char action[64];
};

static bool take(char *out, size_t size, const char *segment, size_t len)
{
    if (len == 0 || len >= size)
        return false;
    memcpy(out, segment, len);
    out[len] = '\0';
    return true;
}

static bool match_segment(const char *pattern, size_t pattern_len, const char *segment, size_t len,
                          struct match *match)
{
    char name[64];
    if (pattern[0] != '{')
        return pattern_len == len && memcmp(pattern, segment, len) == 0;
    if (strncmp(pattern, "{kind}", 6) == 0) {
        match->kind = take(name, sizeof name, segment, len) ? slc_kind_find(name) : NULL;
        return match->kind != NULL;
    }
    if (strncmp(pattern, "{key}", 5) == 0)
        return take(match->key, sizeof match->key, segment, len);
    return take(match->action, sizeof match->action, segment, len);
}

static bool match_pattern(const char *pattern, const char *path, struct match *match)
{
    memset(match, 0, sizeof *match);
    while (*pattern == '/' && *path == '/') {
        pattern++, path++;
        size_t pattern_len = strcspn(pattern, "/"), len = strcspn(path, "/");
        if (!match_segment(pattern, pattern_len, path, len, match))
            return false;
        pattern += pattern_len, path += len;
    }
    return *pattern == '\0' && *path == '\0';
}

bool slc_route_serves(const slc_route *route, const slc_kind *kind)
{
    static const struct {
        const char *method;
        unsigned flag;
    } needs[] = {{"POST", SLC_KIND_CREATE},
                 {"PUT", SLC_KIND_UPDATE},
                 {"PATCH", SLC_KIND_UPDATE},
                 {"DELETE", SLC_KIND_DELETE}};
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
        if (strcmp(route->method, needs[i].method) == 0)
            return (kind->flags & needs[i].flag) != 0;
    return true;
}

static bool serves(const slc_route *route, const struct match *match)
{
    if (match->kind == NULL)
        return true;
    if (match->action[0] != '\0')
        return slc_kind_action(match->kind, match->action) != NULL;
    return slc_route_serves(route, match->kind);
}

static void note_method(char *allow, size_t size, const char *method)
{
    size_t used = strlen(allow);
    snprintf(allow + used, size - used, "%s%s", used > 0 ? ", " : "", method);
}

const slc_route *slc_route_match(const char *method, const char *path, slc_route_target *target, char *allow,
                                 size_t allow_size)
{
    return slc_route_match_in(slc_routes, method, path, target, allow, allow_size);
}

const slc_route *slc_route_match_in(const slc_route *routes, const char *method, const char *path,
                                    slc_route_target *target, char *allow, size_t allow_size)
{
    allow[0] = '\0';
    for (const slc_route *route = routes; route->method != NULL; route++) {
        struct match match;
        if (!match_pattern(route->pattern, path, &match) || !serves(route, &match))
            continue;
        if (strcmp(route->method, method) == 0) {
            target->kind = match.kind;
            memcpy(target->key, match.key, sizeof target->key);
            memcpy(target->action, match.action, sizeof target->action);
            return route;
        }
        note_method(allow, allow_size, route->method);
    }
    return NULL;
}

void slc_route_permission(const slc_route *route, const slc_route_target *target, char *out, size_t size)
{
    const slc_action *action = target->kind != NULL && target->action[0] != '\0'
                                   ? slc_kind_action(target->kind, target->action)
                                   : NULL;
    if (action != NULL)
        snprintf(out, size, "%s", action->permission);
    else if (target->kind != NULL && route->permission[0] == '*')
        snprintf(out, size, "%s%s", target->kind->name, route->permission + 1);
    else
        snprintf(out, size, "%s", route->permission);
}
