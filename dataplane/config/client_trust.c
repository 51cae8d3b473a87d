/* Which authorities of the node CA to trust: they change while streams are open. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"
#include "dataplane/config/client_private.h"
#include "dataplane/config/keys.h"

#define BUNDLE_MAX_CHARS 65536
#define WITHIN_MAX_MS    (7 * 24 * 3600 * 1000LL)
#define CLOCK_WARN_MS    60000

void slc_client_follow_authority(slc_config_client *client)
{
    const slc_identity *identity = client->identity;

    if (client->told_authority &&
        !slc_key_issued_by(identity->certificate_pem, identity->bundle_pem, client->authority))
        slc_client_renew_within(client, client->renew_within_ms);
}

/* In memory it counts at once, whatever becomes of the file: what was taken away is no longer trusted. */
static void keep_bundle(slc_config_client *client, const char *bundle_pem)
{
    slc_identity *identity = client->identity;
    slc_error err;

    if (strcmp(identity->bundle_pem, bundle_pem) == 0)
        return;
    free(identity->bundle_pem);
    identity->bundle_pem = slc_strdup(bundle_pem);
    if (!slc_identity_save(identity, client->state_dir, &err))
        slc_log_error(SLC_LOG_ERROR, "the new list of trusted authorities cannot be kept on disk", &err);
    else
        slc_log(SLC_LOG_INFO, "the control plane's trusted authorities have changed");
}

void slc_client_trust(slc_config_client *client, const Sluice__Config__V1__TrustBundle *message)
{
    slc_error err;

    if (message == NULL)
        return;
    if (message->authority_sha256.len != SLC_SHA256_BYTES || strlen(message->bundle_pem) > BUNDLE_MAX_CHARS) {
        slc_log(SLC_LOG_ERROR, "the control plane's list of trusted authorities is malformed: it is ignored");
        return;
    }
    if (!slc_key_check_bundle(message->bundle_pem, message->authority_sha256.data, &err)) {
        slc_log_error(SLC_LOG_ERROR, "the control plane's list of trusted authorities is ignored", &err);
        return;
    }
    client->told_authority = true;
    memcpy(client->authority, message->authority_sha256.data, SLC_SHA256_BYTES);
    client->renew_within_ms =
        message->renew_within_ms < WITHIN_MAX_MS ? (int64_t)message->renew_within_ms : WITHIN_MAX_MS;
    keep_bundle(client, message->bundle_pem);
    slc_client_follow_authority(client);
}

void slc_client_compare_clock(slc_config_client *client, int64_t now_ms)
{
    int64_t ahead_ms = slc_wall_ms() - now_ms;

    if (now_ms <= 0)
        return;
    slc_series_set(client->m_clock, ahead_ms / 1000);
    if (ahead_ms > CLOCK_WARN_MS || ahead_ms < -CLOCK_WARN_MS)
        slc_log(SLC_LOG_WARN, "this node's clock and the control plane's differ: set the one that is wrong",
                LI("ahead_ms", ahead_ms));
}
