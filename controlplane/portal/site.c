#include "controlplane/portal/site.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/crypto.h"
#include "common/httpd.h"
#include "controlplane/portal/portal_private.h"

#define INDEX        "index.html"
#define ASSETS       "/assets/"
#define PLACEHOLDER  ASSETS "_/"
#define DIGEST_CHARS 16
#define GZIP_LEAST   256 /* bytes; less is not worth it */

/* Nothing but what is ours, and no script or style inside a page. What a page talks to is this host, and the
 * gateways. */
#define POLICY                                                                                                 \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "         \
    "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; connect-src 'self'"
#define POLICY_MAX_BYTES 8192

struct asset {
    const char *path;
    const char *type;
    char *data, *gzip; /* gzip NULL: not smaller */
    size_t len, gzip_len;
    char etag[SLC_SHA256_BYTES + 3]; /* half of the digest, in quotes */
};

struct slc_site {
    char digest[DIGEST_CHARS + 1];
    struct asset *assets;
    size_t count;
};

static const char *type_of(const char *path)
{
    static const struct {
        const char *suffix, *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".json", "application/json"},
        {".woff2", "font/woff2"},
        {".png", "image/png"},
        {".webmanifest", "application/manifest+json"},
        {".txt", "text/plain; charset=utf-8"},
    };
    size_t len = strlen(path);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        size_t suffix = strlen(types[i].suffix);
        if (len > suffix && strcmp(path + len - suffix, types[i].suffix) == 0)
            return types[i].type;
    }
    return "application/octet-stream";
}

/* ---- making ---- */

static void digest_all(char out[DIGEST_CHARS + 1])
{
    uint8_t sums[2 * SLC_SHA256_BYTES] = {0};
    for (const slc_site_file *file = slc_site_files; file->path != NULL; file++) {
        uint8_t parts[3 * SLC_SHA256_BYTES];
        memcpy(parts, sums, SLC_SHA256_BYTES);
        slc_sha256(file->path, strlen(file->path), parts + SLC_SHA256_BYTES);
        slc_sha256(file->data, file->len, parts + 2 * SLC_SHA256_BYTES);
        slc_sha256(parts, sizeof parts, sums);
    }
    slc_hex_encode(sums, DIGEST_CHARS / 2, out);
}

static void compress_asset(struct asset *asset)
{
    z_stream stream = {0};
    if (asset->len < GZIP_LEAST ||
        deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        return;
    size_t room = deflateBound(&stream, asset->len);
    char *out = slc_malloc(room);
    stream.next_in = (unsigned char *)asset->data;
    stream.avail_in = (unsigned)asset->len;
    stream.next_out = (unsigned char *)out;
    stream.avail_out = (unsigned)room;
    bool ok = deflate(&stream, Z_FINISH) == Z_STREAM_END && stream.total_out < asset->len;
    asset->gzip_len = stream.total_out;
    deflateEnd(&stream);
    asset->gzip = ok ? out : NULL;
    if (!ok)
        free(out);
}

/* With the digest in the place of each placeholder. */
static void fill_index(struct asset *asset, const char *digest)
{
    const char *from = asset->data, *place;
    size_t room = asset->len + 1;
    for (const char *p = from; (p = strstr(p, PLACEHOLDER)) != NULL; p++)
        room += DIGEST_CHARS;
    char *out = slc_malloc(room), *to = out;
    while ((place = strstr(from, PLACEHOLDER)) != NULL) {
        to += snprintf(to, room - (size_t)(to - out), "%.*s" ASSETS "%s/", (int)(place - from), from, digest);
        from = place + strlen(PLACEHOLDER);
    }
    to += snprintf(to, room - (size_t)(to - out), "%s", from);
    free(asset->data);
    asset->data = out;
    asset->len = (size_t)(to - out);
}

static void make_asset(const slc_site *site, const slc_site_file *file, struct asset *asset)
{
    uint8_t sum[SLC_SHA256_BYTES];
    char hex[2 * SLC_SHA256_BYTES + 1];
    asset->path = file->path;
    asset->type = type_of(file->path);
    asset->len = file->len;
    asset->data = slc_malloc(file->len + 1);
    memcpy(asset->data, file->data, file->len);
    asset->data[file->len] = '\0';
    if (strcmp(file->path, INDEX) == 0)
        fill_index(asset, site->digest);
    slc_sha256(asset->data, asset->len, sum);
    slc_hex_encode(sum, sizeof sum, hex);
    snprintf(asset->etag, sizeof asset->etag, "\"%.*s\"", SLC_SHA256_BYTES, hex);
    compress_asset(asset);
}

slc_site *slc_site_new(void)
{
    slc_site *site = slc_calloc(1, sizeof *site);
    digest_all(site->digest);
    while (slc_site_files[site->count].path != NULL)
        site->count++;
    site->assets = slc_calloc(site->count, sizeof *site->assets);
    for (size_t i = 0; i < site->count; i++)
        make_asset(site, &slc_site_files[i], &site->assets[i]);
    return site;
}

void slc_site_free(slc_site *site)
{
    if (site == NULL)
        return;
    for (size_t i = 0; i < site->count; i++) {
        free(site->assets[i].data);
        free(site->assets[i].gzip);
    }
    free(site->assets);
    free(site);
}

/* ---- serving ---- */

static const struct asset *find(const slc_site *site, const char *path)
{
    for (size_t i = 0; i < site->count; i++)
        if (strcmp(site->assets[i].path, path) == 0)
            return &site->assets[i];
    return NULL;
}

/* `*forever`: the path names this very version. */
static const struct asset *resolve(const slc_site *site, const char *path, bool *forever)
{
    *forever = false;
    if (strncmp(path, ASSETS, strlen(ASSETS)) == 0) {
        const char *version = path + strlen(ASSETS), *file = strchr(version, '/');
        if (file == NULL || strcmp(file + 1, INDEX) == 0)
            return NULL;
        *forever = (size_t)(file - version) == DIGEST_CHARS && memcmp(version, site->digest, DIGEST_CHARS) == 0;
        return find(site, file + 1);
    }
    if (strcmp(path, "/favicon.ico") == 0)
        return find(site, "icon.svg");
    const char *last = strrchr(path, '/');
    return last != NULL && strchr(last, '.') == NULL ? find(site, INDEX) : NULL;
}

/* Does a field's list have the word, with or without parameters? "gzip;q=0" is rare enough to be taken for no.
 */
static bool lists(const char *value, const char *word)
{
    size_t len = strlen(word);
    for (const char *p = value; p != NULL && *p != '\0'; p += *p == ',') {
        p += strspn(p, " \t");
        size_t item = strcspn(p, ",");
        size_t name = strcspn(p, "; \t,");
        bool refused = memmem(p, item, "q=0", 3) != NULL && memmem(p, item, "q=0.", 4) == NULL;
        if (name == len && strncmp(p, word, len) == 0 && !refused)
            return true;
        p += item;
    }
    return false;
}

static bool is_known(const char *if_none_match, const char *etag)
{
    for (const char *p = if_none_match; p != NULL && *p != '\0'; p += *p == ',') {
        p += strspn(p, " \t");
        p += strncmp(p, "W/", 2) == 0 ? 2 : 0;
        if (*p == '*' || strncmp(p, etag, strlen(etag)) == 0)
            return true;
        p += strcspn(p, ",");
    }
    return false;
}

static void send_asset(struct evhttp_request *req, const struct asset *asset, bool forever)
{
    struct evkeyvalq *in = evhttp_request_get_input_headers(req);
    struct evkeyvalq *out = evhttp_request_get_output_headers(req);
    bool gzip = asset->gzip != NULL && lists(evhttp_find_header(in, "Accept-Encoding"), "gzip");
    evhttp_add_header(out, "ETag", asset->etag);
    evhttp_add_header(out, "Vary", "Accept-Encoding");
    evhttp_add_header(out, "Cache-Control", forever ? "public, max-age=31536000, immutable" : "no-cache");
    if (is_known(evhttp_find_header(in, "If-None-Match"), asset->etag)) {
        slc_http_send(req, 304, NULL, NULL, 0);
        return;
    }
    if (gzip)
        evhttp_add_header(out, "Content-Encoding", "gzip");
    slc_http_send(req, 200, asset->type, gzip ? asset->gzip : asset->data, gzip ? asset->gzip_len : asset->len);
}

static void add_policy(struct evhttp_request *req, const char *gateways)
{
    char policy[POLICY_MAX_BYTES];
    snprintf(policy, sizeof policy, "%s%s", POLICY, gateways);
    evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Security-Policy", policy);
}

void slc_site_serve(const slc_site *site, struct evhttp_request *req, const char *path, bool secure,
                    const char *gateways)
{
    bool forever;
    const struct asset *asset = resolve(site, path, &forever);
    enum evhttp_cmd_type method = evhttp_request_get_command(req);
    slc_portal_guard_headers(req, secure);
    add_policy(req, gateways);
    if (asset == NULL) {
        slc_http_problem(req, 404, "not-found", "No such page", NULL, NULL);
        return;
    }
    if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
        evhttp_add_header(evhttp_request_get_output_headers(req), "Allow", "GET, HEAD");
        slc_http_problem(req, 405, "method-not-allowed", "Method not allowed here", NULL, NULL);
        return;
    }
    send_asset(req, asset, forever);
}
