/* What a control plane may send, as a gateway handles it: the whole config client without gRPC. The input is
 * messages, each after its length in two bytes. Whatever comes, the client takes it, refuses it or cuts the
 * stream, and what it hands to the gateway has been built and checked. */
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "controlplane/ca/x509.h"
#include "dataplane/config/client_private.h"
#include "fake_rpc.h"

#define MESSAGES_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/slc-fuzz-node-XXXXXX";
static slc_identity *identity;
static _Atomic(slc_config_client *) client;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void clean_up(void)
{
    slc_identity_free(identity);
    nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* A key and a certificate that names a node. */
static void make_certificate(void)
{
    slc_error err;
    slc_x509_spec spec = {.common_name = "node-1",
                          .subject_alt_name = "URI:spiffe://sluice/group/dev/node/node-1",
                          .usage = "clientAuth",
                          .not_before_ms = slc_wall_ms() - 60000,
                          .not_after_ms = slc_wall_ms() + 86400000};
    EVP_PKEY *key = slc_x509_new_key();
    X509 *certificate = slc_x509_sign(&spec, key, NULL, key, &err);
    SLC_BUG_ON(certificate == NULL);
    identity->key_pem = slc_x509_key_pem(key);
    identity->certificate_pem = slc_x509_cert_pem(certificate);
    identity->bundle_pem = slc_x509_cert_pem(certificate);
    identity->not_before_ms = spec.not_before_ms;
    identity->not_after_ms = spec.not_after_ms;
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void start(void)
{
    slc_error err;
    slc_log_init("fuzz", SLC_LOG_ERROR + 1, true);
    slc_config_client_register_metrics();
    SLC_BUG_ON(mkdtemp(dir) == NULL);
    identity = slc_calloc(1, sizeof *identity);
    identity->node_id = slc_strdup("node-1");
    identity->group = slc_strdup("dev");
    make_certificate();
    identity->config_endpoint = slc_strdup("127.0.0.1:1");
    identity->enrolment_endpoint = slc_strdup("127.0.0.1:1");
    identity->server_name = slc_strdup("sluice-control");
    SLC_BUG_ON(!slc_identity_save(identity, dir, &err));
    atexit(clean_up);
}

/* ---- the gateway's side ---- */

static bool apply(void *arg, slc_snapshot *snapshot, slc_error *err)
{
    (void)arg;
    size_t count;
    SLC_BUG_ON(slc_snapshot_group(snapshot) == NULL);
    slc_snapshot_listeners(snapshot, &count);
    if (count % 2 == 1) /* some are refused, and tried again */
        return slc_fail(err, SLC_UNAVAILABLE, "listener/edge", "the address is in use");
    while (client == NULL)
        usleep(100);
    slc_config_client_applied(client, slc_snapshot_version(snapshot));
    return true;
}

static void stale(void *arg, bool is_stale)
{
    (void)arg, (void)is_stale;
}

static void status(void *arg, slc_config_status *out)
{
    (void)arg;
    out->connections = 1;
}

static void list(void *arg, const char *id, size_t limit)
{
    (void)arg;
    slc_connection_list none = {.total = limit};
    slc_config_client_listed(client, id, &none);
}

/* ---- on the client's loop ---- */

struct turn {
    const uint8_t *data;
    size_t len;
};

static void connect_here(void *arg)
{
    (void)arg;
    slc_client_connect(client);
}

static void deliver(void *arg)
{
    const struct turn *turn = arg;
    if (fake_client_call != NULL)
        fake_call_deliver(fake_client_call, turn->data, turn->len);
}

/* Refused configurations are tried at once instead of later. */
static void retry(void *arg)
{
    (void)arg;
    slc_client_retry(client);
}

static void end_call(void *arg)
{
    (void)arg;
    if (fake_client_call != NULL)
        fake_call_end(fake_client_call);
}

static void feed(const uint8_t *data, size_t size)
{
    struct turn turn;
    for (unsigned i = 0; i < MESSAGES_MAX && size >= 2; i++) {
        size_t len = (size_t)data[0] << 8 | data[1];
        data += 2, size -= 2;
        turn.len = len < size ? len : size;
        turn.data = data;
        slc_loop_call_sync(client->loop, deliver, &turn);
        if ((i & 3) == 3)
            slc_loop_call_sync(client->loop, retry, NULL);
        data += turn.len, size -= turn.len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slc_config_gateway gateway = {.apply = apply, .stale = stale, .status = status, .list = list};
    slc_config_client_options options = {.state_dir = dir,
                                         .build = "fuzz",
                                         .reconnect_min_ms = 3600000,
                                         .reconnect_max_ms = 3600000,
                                         .retry_apply_min_ms = 3600000,
                                         .retry_apply_max_ms = 3600000};
    slc_error err;
    if (identity == NULL)
        start();
    client = NULL;
    client = slc_config_client_new(&options, &gateway, &err);
    SLC_BUG_ON(client == NULL);
    slc_loop_call_sync(client->loop, connect_here, NULL);
    feed(data, size);
    slc_loop_call_sync(client->loop, end_call, NULL);
    slc_config_client_free(client);
    return 0;
}
