/* One GET to a registry. No redirects: credentials go where the configuration says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/json.h"
#include "dataplane/schema/registry_private.h"

#define ANSWER_MAX (4u << 20)

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    return slc_buf_add(arg, data, size * count) ? size * count : 0;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const slc_schemas *schemas = arg;
    (void)a, (void)b, (void)c, (void)d;
    return atomic_load(&schemas->stopping) ? 1 : 0;
}

void slc_registry_path_add(slc_buf *path, const char *segment)
{
    for (const char *p = segment; *p != '\0'; p++) {
        uint8_t c = (uint8_t)*p;
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                     c == '.' || c == '_' || c == '~';
        if (plain)
            slc_buf_addc(path, (char)c);
        else
            slc_buf_addf(path, "%%%02X", c);
    }
}

static bool has(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static struct curl_blob blob_of(const char *text)
{
    return (struct curl_blob){.data = (char *)text, .len = strlen(text), .flags = CURL_BLOB_NOCOPY};
}

static void set_tls(CURL *curl, const slc_registry_options *options)
{
    if (has(options->ca_pem)) {
        struct curl_blob blob = blob_of(options->ca_pem);
        curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob);
    }
    if (has(options->certificate_pem) && has(options->key_pem)) {
        struct curl_blob certificate = blob_of(options->certificate_pem), key = blob_of(options->key_pem);
        curl_easy_setopt(curl, CURLOPT_SSLCERTTYPE, "PEM");
        curl_easy_setopt(curl, CURLOPT_SSLCERT_BLOB, &certificate);
        curl_easy_setopt(curl, CURLOPT_SSLKEYTYPE, "PEM");
        curl_easy_setopt(curl, CURLOPT_SSLKEY_BLOB, &key);
    }
}

static void set_options(CURL *curl, const slc_registry *registry, const char *url, slc_buf *body)
{
    const slc_registry_options *options = &registry->options;
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, registry->schemas);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "sluice");
    if (has(options->username)) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERNAME, options->username);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, has(options->password) ? options->password : "");
    }
    set_tls(curl, options);
}

/* What the registry says of it, if it says anything: {"error_code", "message"}. */
static void read_refusal(const slc_registry *registry, const char *path, long status, const slc_buf *body,
                         slc_error *err)
{
    slc_error unused;
    json_t *said =
        body->len > 0 ? slc_json_parse((const char *)body->data, body->len, ANSWER_MAX, &unused) : NULL;
    const char *message = json_string_value(json_object_get(said, "message"));
    bool credentials = status == 401 || status == 403;
    slc_fail(err, status == 404 ? SLC_NOT_FOUND : SLC_UNAVAILABLE, NULL,
             "the registry %.60s answers %.120s with status %ld%s%.100s%s", registry->options.name, path,
             status, message != NULL ? ": " : "", message != NULL ? message : "",
             credentials ? ": are its credentials right?" : "");
    json_decref(said);
}

static json_t *read_answer(const slc_registry *registry, const char *path, const slc_buf *body, slc_error *err)
{
    slc_error cause;
    json_t *answer = slc_json_parse((const char *)body->data, body->len, ANSWER_MAX, &cause);
    if (answer == NULL)
        slc_fail(err, SLC_UNAVAILABLE, NULL, "the registry %.60s answers %.120s with what is not JSON",
                 registry->options.name, path);
    return answer;
}

json_t *slc_registry_call(CURL *curl, const slc_registry *registry, const char *path, slc_error *err)
{
    const slc_registry_options *options = &registry->options;
    char detail[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers =
        curl_slist_append(NULL, "Accept: application/vnd.schemaregistry.v1+json, application/json");
    size_t len = strlen(options->url);
    char *url = slc_asprintf("%s%s%s", options->url, len > 0 && options->url[len - 1] == '/' ? "" : "/", path);
    json_t *answer = NULL;
    long status = 0;
    slc_buf body;
    slc_buf_init(&body, ANSWER_MAX);
    set_options(curl, registry, url, &body);
    if (has(options->token)) {
        char *line = slc_asprintf("Authorization: Bearer %s", options->token);
        headers = curl_slist_append(headers, line);
        slc_free_secret(line, strlen(line));
    }
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    CURLcode rc = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (body.overflow)
        slc_fail(err, SLC_TOO_LARGE, NULL, "the registry %.60s answers %.120s with more than %u bytes",
                 options->name, path, ANSWER_MAX);
    else if (rc != CURLE_OK)
        slc_fail(err, SLC_UNAVAILABLE, NULL, "the registry %.60s: %s", options->name,
                 detail[0] != '\0' ? detail : curl_easy_strerror(rc));
    else if (status != 200)
        read_refusal(registry, path, status, &body, err);
    else
        answer = read_answer(registry, path, &body, err);
    curl_slist_free_all(headers);
    slc_buf_release(&body);
    free(url);
    return answer;
}
