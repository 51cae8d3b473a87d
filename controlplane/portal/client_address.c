/* Whose address a request counts for: the connection's peer, or whom a trusted proxy says that it speaks for.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "controlplane/portal/portal_private.h"

#define PROXIES_MAX   64
#define ADDRESS_CHARS 46

bool slc_portal_read_proxies(slc_portal *portal, const char *text, slc_error *err)
{
    slc_network all[PROXIES_MAX];
    size_t count = 0;
    for (const char *p = text != NULL ? text : ""; *p != '\0';) {
        char one[64];
        p += strspn(p, ", ");
        size_t len = strcspn(p, ", ");
        if (len == 0)
            break;
        snprintf(one, sizeof one, "%.*s", (int)(len < sizeof one ? len : sizeof one - 1), p);
        if (count == PROXIES_MAX || len >= sizeof one || !slc_network_parse(one, &all[count++]))
            return slc_fail(
                err, SLC_INVALID, "portal.trusted-proxies",
                "portal.trusted-proxies must be at most %d networks such as 10.0.0.0/8, with commas; %s is "
                "none",
                PROXIES_MAX, one);
        p += len;
    }
    portal->proxies = count > 0 ? slc_memdup(all, count * sizeof all[0]) : NULL;
    portal->proxy_count = count;
    return true;
}

static bool parse(const char *text, struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
        v4->sin_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
        v6->sin6_family = AF_INET6;
    return out->ss_family != 0;
}

static bool is_proxy(const slc_portal *portal, const char *address)
{
    struct sockaddr_storage parsed;
    bool found = false;
    if (!parse(address, &parsed))
        return false;
    for (size_t i = 0; i < portal->proxy_count && !found; i++)
        found = slc_network_contains(&portal->proxies[i], (const struct sockaddr *)&parsed);
    return found;
}

/* The last of the list, which is taken off it; false: there is none, or it is no address. */
static bool take_last(const char *list, size_t *len, char out[ADDRESS_CHARS])
{
    struct sockaddr_storage parsed;
    size_t end = *len, start;
    while (end > 0 && strchr(" \t,", list[end - 1]) != NULL)
        end--;
    for (start = end; start > 0 && list[start - 1] != ','; start--)
        ;
    *len = start > 0 ? start - 1 : 0;
    while (start < end && (list[start] == ' ' || list[start] == '\t'))
        start++;
    if (start == end || end - start >= ADDRESS_CHARS)
        return false;
    memcpy(out, list + start, end - start);
    out[end - start] = '\0';
    return parse(out, &parsed);
}

/* From the right, since whoever sends it may have begun the list with anything: the first that is no proxy of
 * ours. */
void slc_portal_client_address(const slc_portal *portal, const char *forwarded_for, char *address, size_t size)
{
    char hop[ADDRESS_CHARS];
    size_t len = forwarded_for != NULL ? strlen(forwarded_for) : 0;
    while (len > 0 && is_proxy(portal, address)) {
        if (!take_last(forwarded_for, &len, hop))
            return;
        snprintf(address, size, "%s", hop);
    }
}
