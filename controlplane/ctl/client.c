/* One libcurl handle, used again for every request so that the connection stays. */
#include "controlplane/ctl/client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/version.h"
#include "controlplane/ctl/secret.h"

#define FIRST_WAIT_MS 200
#define MOST_WAIT_MS  10000
#define IDEMPOTENCY   20 /* characters of the key */

struct slc_ctl_client {
    CURL *curl;
    slc_ctl_client_options options; /* strings are own copies */
    char why[CURL_ERROR_SIZE];
};

/* One try: where its answer goes. */
struct
try {
    const slc_ctl_request *request;
    slc_ctl_answer *answer;
    CURL *curl;
    bool handed_on, refused, too_large;
};

static char *copy(const char *text)
{
    return text != NULL ? slc_strdup(text) : NULL;
}

slc_ctl_client *slc_client_new(const slc_ctl_client_options *options, slc_error *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        slc_fail(err, SLC_INTERNAL, NULL, "libcurl cannot be used");
        return NULL;
    }
    slc_ctl_client *client = slc_calloc(1, sizeof *client);
    client->options = *options;
    client->options.server = copy(options->server);
    client->options.token = copy(options->token);
    client->options.ca_file = copy(options->ca_file);
    client->options.client_certificate_file = copy(options->client_certificate_file);
    client->options.client_key_file = copy(options->client_key_file);
    client->curl = curl_easy_init();
    SLC_BUG_ON(client->curl == NULL);
    return client;
}

void slc_client_free(slc_ctl_client *client)
{
    if (client == NULL)
        return;
    curl_easy_cleanup(client->curl);
    free((char *)client->options.server);
    slc_secret_free((char *)client->options.token);
    free((char *)client->options.ca_file);
    free((char *)client->options.client_certificate_file);
    free((char *)client->options.client_key_file);
    free(client);
    curl_global_cleanup();
}

void slc_answer_release(slc_ctl_answer *answer)
{
    slc_buf_release(&answer->body);
}

/* ---- what comes back ---- */

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct try *try = arg;
    long status = 0;
    size_t len = size * count;
    curl_easy_getinfo(try->curl, CURLINFO_RESPONSE_CODE, &status);
    if (try->request->sink != NULL && status >= 200 && status < 300) {
        try->handed_on = true;
        try->refused = !try->request->sink(try->request->sink_arg, data, len);
        return try->refused ? CURL_WRITEFUNC_ERROR : len;
    }
    try->too_large = !slc_buf_add(&try->answer->body, data, len);
    return try->too_large ? CURL_WRITEFUNC_ERROR : len;
}

/* The value of the field when the line is its, trimmed, in `out`. */
static bool take_field(const char *line, size_t len, const char *name, char *out, size_t size)
{
    size_t name_len = strlen(name);
    if (len <= name_len || strncasecmp(line, name, name_len) != 0 || line[name_len] != ':')
        return false;
    line += name_len + 1;
    len -= name_len + 1;
    while (len > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        len--;
    }
    while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == '\n' || line[len - 1] == ' '))
        len--;
    snprintf(out, size, "%.*s", (int)(len < 1024 ? len : 1024), line);
    return true;
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    struct try *try = arg;
    slc_ctl_answer *answer = try->answer;
    size_t len = size * count;
    char retry[32];
    if (take_field(data, len, "Content-Type", answer->content_type, sizeof answer->content_type) ||
        take_field(data, len, "ETag", answer->etag, sizeof answer->etag) ||
        take_field(data, len, "Sluice-Version", answer->version, sizeof answer->version) ||
        take_field(data, len, "X-Request-Id", answer->request_id, sizeof answer->request_id))
        return len;
    if (take_field(data, len, "Retry-After", retry, sizeof retry)) {
        char *end;
        long seconds = strtol(retry, &end, 10);
        if (end != retry && *end == '\0' && seconds >= 0 && seconds < 86400)
            answer->retry_after_ms = seconds * 1000L;
    }
    return len;
}

/* ---- one try ---- */

static void set_identity(slc_ctl_client *client)
{
    const slc_ctl_client_options *options = &client->options;
    if (options->ca_file != NULL) {
        curl_easy_setopt(client->curl, CURLOPT_CAINFO, options->ca_file);
        curl_easy_setopt(client->curl, CURLOPT_CAPATH, NULL);
    }
    if (options->client_certificate_file != NULL)
        curl_easy_setopt(client->curl, CURLOPT_SSLCERT, options->client_certificate_file);
    if (options->client_key_file != NULL)
        curl_easy_setopt(client->curl, CURLOPT_SSLKEY, options->client_key_file);
}

static void set_request(slc_ctl_client *client, const slc_ctl_request *request, const char *url)
{
    CURL *curl = client->curl;
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "sluicectl/" SLC_VERSION);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->why);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)client->options.connect_timeout_ms);
    if (request->endless) {
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)(client->options.timeout_ms / 1000 + 1));
    } else {
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
                         (long)(request->timeout_ms > 0 ? request->timeout_ms : client->options.timeout_ms));
    }
    set_identity(client);
    if (request->body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
    size_t size = strlen(name) + strlen(value) + 3;
    char *line = slc_malloc(size);
    snprintf(line, size, "%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(list, line);
    slc_secret_free(line);
    SLC_BUG_ON(longer == NULL);
    return longer;
}

static struct curl_slist *headers_of(const slc_ctl_client *client, const slc_ctl_request *request,
                                     const char *idempotency_key)
{
    struct curl_slist *list = NULL;
    list = add_header(list, "Accept", request->accept != NULL ? request->accept : "application/json");
    list = add_header(list, "Expect", ""); /* no round trip before a large body */
    if (request->body != NULL)
        list = add_header(list, "Content-Type",
                          request->content_type != NULL ? request->content_type : "application/json");
    if (idempotency_key[0] != '\0')
        list = add_header(list, "Idempotency-Key", idempotency_key);
    for (const char *const *header = request->headers; header != NULL && *header != NULL; header++)
        list = curl_slist_append(list, *header);
    if (client->options.token != NULL) {
        size_t size = strlen(client->options.token) + sizeof "Bearer ";
        char *bearer = slc_malloc(size);
        snprintf(bearer, size, "Bearer %s", client->options.token);
        list = add_header(list, "Authorization", bearer);
        slc_secret_free(bearer);
    }
    return list;
}

static CURLcode perform(slc_ctl_client *client, struct try *try, const char *url, const char *idempotency_key)
{
    slc_buf_clear(&try->answer->body);
    try->answer->status = 0;
    try->answer->retry_after_ms = -1;
    client->why[0] = '\0';
    struct curl_slist *headers = headers_of(client, try->request, idempotency_key);
    set_request(client, try->request, url);
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, try);
    curl_easy_setopt(client->curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(client->curl, CURLOPT_HEADERDATA, try);
    CURLcode code = curl_easy_perform(client->curl);
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &try->answer->status);
    curl_slist_free_all(headers);
    return code;
}

/* ---- tries ---- */

/* Before the request can have been read nothing was done; afterwards it depends on the request. */
static bool worth_another(CURLcode code, const struct try *try, bool safe)
{
    if (try->request->once || try->handed_on)
        return false;
    switch (code) {
    case CURLE_OK:
        return try->answer->status == 503 ||
               (safe && (try->answer->status == 502 || try->answer->status == 504));
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
        return true;
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
        return safe;
    default:
        return false;
    }
}

static void pause_for(int64_t ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&wait, NULL);
}

static void wait_for_next(const slc_ctl_client *client, const struct try *try, CURLcode code, unsigned tries)
{
    int64_t ms = FIRST_WAIT_MS << (tries < 6 ? tries : 6);
    char why[CURL_ERROR_SIZE + 32];
    if (code == CURLE_OK && try->answer->retry_after_ms > ms)
        ms = try->answer->retry_after_ms;
    ms = slc_jitter_ms(ms < MOST_WAIT_MS ? ms : MOST_WAIT_MS, 20);
    if (code == CURLE_OK)
        snprintf(why, sizeof why, "it answers %ld", try->answer->status);
    else
        snprintf(why, sizeof why, "%s", client->why[0] != '\0' ? client->why : curl_easy_strerror(code));
    if (client->options.waiting != NULL)
        client->options.waiting(client->options.arg, why, ms);
    pause_for(ms);
}

static bool fail_with(const slc_ctl_client *client, const struct try *try, CURLcode code, unsigned tries,
                      slc_error *err)
{
    const char *server = client->options.server,
               *why = client->why[0] != '\0' ? client->why : curl_easy_strerror(code);
    if (try->too_large)
        return slc_fail(err, SLC_TOO_LARGE, NULL, "the answer of %s is larger than %u MiB", server,
                        SLC_ANSWER_MAX_BYTES >> 20);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return slc_fail(err, SLC_TIMEOUT, NULL, "%s did not answer in time: %s (tries: %u)", server, why,
                        tries);
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
        return slc_fail(err, SLC_DENIED, NULL,
                        "the certificate of %s cannot be trusted: %s; name its authority with --ca-file",
                        server, why);
    if (code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CONNECT_ERROR)
        return slc_fail(err, SLC_DENIED, NULL, "no TLS connection to %s: %s", server, why);
    return slc_fail(err, SLC_UNAVAILABLE, NULL, "%s cannot be reached: %s (tries: %u)", server, why, tries);
}

bool slc_client_send(slc_ctl_client *client, const slc_ctl_request *request, slc_ctl_answer *answer,
                     slc_error *err)
{
    char key[IDEMPOTENCY + 1] = "";
    size_t url_size = strlen(client->options.server) + strlen(request->path) + 1;
    char *url = slc_malloc(url_size);
    struct try try = {.request = request, .answer = answer, .curl = client->curl};
    bool safe = request->repeatable || strcmp(request->method, "GET") == 0;
    CURLcode code;
    unsigned tries = 0;

    memset(answer, 0, sizeof *answer);
    slc_buf_init(&answer->body, SLC_ANSWER_MAX_BYTES);
    snprintf(url, url_size, "%s%s", client->options.server, request->path);
    if (!safe && !request->once && !request->unsafe) {
        slc_random_id(key, IDEMPOTENCY);
        safe = true;
    }
    for (;;) {
        code = perform(client, &try, url, key);
        tries++;
        if (tries > client->options.retries || !worth_another(code, &try, safe))
            break;
        wait_for_next(client, &try, code, tries - 1);
    }
    free(url);
    if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && try.refused))
        return true;
    return fail_with(client, &try, code, tries, err);
}
