/* SASL OAUTHBEARER for librdkafka. Its own way to fetch tokens is not in every build (Debian's has none), so it
 * asks us, on its background thread, where we may block. */
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"
#include "dataplane/broker/kafka_private.h"

#define FETCH_MS 5000

static bool is_oauth(const slc_backend *backend)
{
    return backend->msg->mechanism != NULL && strcmp(backend->msg->mechanism, "OAUTHBEARER") == 0;
}

static bool set_token(rd_kafka_t *rk, slc_kafka_handle *handle, slc_error *err)
{
    char text[256];
    int64_t expires_ms;
    char *token = slc_kafka_tokens_get(handle->tokens, handle->backend, slc_monotonic_ms() + FETCH_MS, -1,
                                       &expires_ms, err);
    if (token == NULL)
        return false;
    rd_kafka_resp_err_t code = rd_kafka_oauthbearer_set_token(
        rk, token, expires_ms, handle->backend->msg->client_id, NULL, 0, text, sizeof text);
    slc_free_secret(token, strlen(token));
    return code == RD_KAFKA_RESP_ERR_NO_ERROR || slc_fail(err, SLC_INVALID, NULL, "librdkafka: %s", text);
}

/* librdkafka asks again by itself after a failure, and before the token expires. */
static void on_refresh(rd_kafka_t *rk, const char *config, void *opaque)
{
    slc_error err;
    (void)config;
    if (set_token(rk, opaque, &err))
        return;
    slc_log_error(SLC_LOG_WARN, "no access token for a backend", &err);
    rd_kafka_oauthbearer_set_token_failure(rk, err.message);
}

void slc_kafka_oauth_prepare(rd_kafka_conf_t *conf, const slc_backend *backend)
{
    if (!is_oauth(backend))
        return;
    rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, on_refresh);
    rd_kafka_conf_enable_sasl_queue(conf, 1);
}

void slc_kafka_oauth_start(slc_kafka_handle *handle)
{
    if (is_oauth(handle->backend))
        rd_kafka_error_destroy(rd_kafka_sasl_background_callbacks_enable(handle->rk));
}
