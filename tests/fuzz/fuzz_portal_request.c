/* What a browser's request to the portal says about who asks: the Cookie field and those about the page that
 * sent it, as they come from the network, one header field a line. Whatever comes, what is taken fits its
 * place, and a cookie that comes twice is nobody's. */
#include <event2/http.h>
#include <event2/http_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "controlplane/portal/portal_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_fields(struct evhttp_request *req, char *text)
{
    for (char *line = text, *end; line != NULL; line = end != NULL ? end + 1 : NULL) {
        end = strchr(line, '\n');
        if (end != NULL)
            *end = '\0';
        char *colon = strchr(line, ':');
        if (colon == NULL)
            continue;
        *colon = '\0';
        evhttp_add_header(evhttp_request_get_input_headers(req), line, colon + 1 + strspn(colon + 1, " "));
    }
}

static unsigned times(const char *header, const char *name)
{
    unsigned count = 0;
    char start[80];
    snprintf(start, sizeof start, "%s=", name);
    for (const char *p = header; p != NULL && *p != '\0'; p += *p == ';') {
        p += strspn(p, " \t");
        count += strncmp(p, start, strlen(start)) == 0;
        p += strcspn(p, ";");
    }
    return count;
}

static void check(const slc_call *call, const char *cookie, const char *name)
{
    const slc_call_browser *browser = &call->browser;
    SLC_BUG_ON(strlen(browser->session) >= sizeof browser->session);
    SLC_BUG_ON(strlen(browser->csrf) >= sizeof browser->csrf);
    SLC_BUG_ON(browser->session[0] != '\0' && times(cookie, name) != 1);
    SLC_BUG_ON(browser->session[0] != '\0' && strstr(cookie, browser->session) == NULL);
    SLC_BUG_ON(strchr(browser->session, ';') != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = slc_strndup((const char *)data, size);
    slc_error err = {0};
    slc_portal portal = {.magic = SLC_PORTAL_MAGIC, .secure = size % 2 == 1};
    slc_surface surface = {.arg = &portal};
    struct evhttp_request *req = evhttp_request_new(NULL, NULL);
    slc_call *call = slc_calloc(1, sizeof *call);
    portal.cookie_name = slc_portal_cookie_name(portal.secure);
    add_fields(req, text);
    call->magic = SLC_CALL_MAGIC;
    call->req = req;
    call->surface = &surface;
    call->file_fd = -1;
    TAILQ_INIT(&call->query);
    SLC_BUG_ON(!slc_portal_take(call, &err));
    check(call, evhttp_find_header(evhttp_request_get_input_headers(req), "Cookie"), portal.cookie_name);
    slc_call_free(call);
    evhttp_request_free(req);
    free(text);
    return 0;
}
