#include "dataplane/crypt/http_call.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/json.h"

#define ANSWER_MAX 65536

struct slc_http_client {
    CURL *curl;
    const atomic_bool *stopping;
};

slc_http_client *slc_http_client_new(const atomic_bool *stopping)
{
    slc_http_client *client = slc_calloc(1, sizeof *client);
    client->curl = curl_easy_init();
    client->stopping = stopping;
    return client;
}

void slc_http_client_free(slc_http_client *client)
{
    if (client != NULL)
        curl_easy_cleanup(client->curl);
    free(client);
}

void slc_json_wipe(json_t *value)
{
    const char *name;
    size_t i;
    json_t *inner;
    if (json_is_string(value))
        OPENSSL_cleanse((char *)json_string_value(value), json_string_length(value));
    json_object_foreach (value, name, inner)
        slc_json_wipe(inner);
    json_array_foreach (value, i, inner)
        slc_json_wipe(inner);
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    return slc_buf_add(arg, data, size * count) ? size * count : 0;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const slc_http_client *client = arg;
    (void)a, (void)b, (void)c, (void)d;
    return client->stopping != NULL && atomic_load(client->stopping) ? 1 : 0;
}

static void set_options(slc_http_client *client, const slc_http_call *call, slc_buf *answer)
{
    CURL *curl = client->curl;
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, call->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, client);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "sluice");
    if (call->ca_pem != NULL) {
        struct curl_blob blob = {
            .data = (char *)call->ca_pem, .len = strlen(call->ca_pem), .flags = CURL_BLOB_COPY};
        curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob);
    }
    if (call->sigv4 != NULL) {
        curl_easy_setopt(curl, CURLOPT_AWS_SIGV4, call->sigv4);
        curl_easy_setopt(curl, CURLOPT_USERPWD, call->credentials);
    }
}

static json_t *read_answer(const slc_http_call *call, const slc_buf *answer, long status, slc_error *err)
{
    slc_error why = {0};
    json_t *object = answer->len > 0 ? slc_json_parse((const char *)answer->data, answer->len, ANSWER_MAX, &why)
                                     : json_object();
    if (object == NULL && status >= 400)
        return json_object(); /* a balancer's page: the status says enough */
    if (object == NULL)
        slc_fail(err, SLC_UNAVAILABLE, NULL, "%s: the answer is not JSON", call->url);
    return object;
}

json_t *slc_http_post(slc_http_client *client, const slc_http_call *call, long *status, slc_error *err)
{
    char detail[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    json_t *object = NULL;
    slc_buf answer;
    size_t len;
    char *body = slc_json_print(call->body, &len);
    *status = 0;
    slc_buf_init(&answer, ANSWER_MAX);
    slc_buf_reserve(&answer, ANSWER_MAX); /* so that it never moves and leaves a copy behind */
    for (const char *const *header = call->headers; *header != NULL; header++)
        headers = curl_slist_append(headers, *header);
    set_options(client, call, &answer);
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(client->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
    curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, detail);
    CURLcode rc = curl_easy_perform(client->curl);
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, status);
    if (rc != CURLE_OK)
        slc_fail(err, SLC_UNAVAILABLE, NULL, "%s: %s", call->url,
                 detail[0] != '\0' ? detail : curl_easy_strerror(rc));
    else
        object = read_answer(call, &answer, *status, err);
    curl_slist_free_all(headers);
    if (answer.data != NULL)
        OPENSSL_cleanse(answer.data, answer.len);
    slc_buf_release(&answer);
    slc_free_secret(body, len);
    return object;
}
