/* The portal's pages: the files of controlplane/portal/site/, which are part of the program.
 *
 * A path under /assets/ is a file; any other path without a dot in its last part is a page and gets index.html,
 * which shows what the path is about. In index.html "/assets/_/" stands for "/assets/<digest of all files>/": a
 * browser may keep what is under it for ever, and a new version is another digest. Modules refer to each other
 * by relative paths, so they are all of one version. On the loop.
 */
#ifndef SLC_CONTROLPLANE_PORTAL_SITE_H
#define SLC_CONTROLPLANE_PORTAL_SITE_H

#include <event2/http.h>
#include <stdbool.h>
#include <stddef.h>

/* Generated from the folder; ends with a NULL path. */
typedef struct slc_site_file {
    const char *path; /* "index.html", "shell/api.js" */
    const unsigned char *data;
    size_t len;
} slc_site_file;
extern const slc_site_file slc_site_files[];

typedef struct slc_site slc_site;

slc_site *slc_site_new(void);
void slc_site_free(slc_site *site); /* NULL is fine */

/* Answers GET and HEAD; `path` is as it came, not decoded. `secure`: browsers come by TLS. `gateways`: sources
 * that pages may connect to, as slc_connect_sources has them. */
void slc_site_serve(const slc_site *site, struct evhttp_request *req, const char *path, bool secure,
                    const char *gateways);

#endif
