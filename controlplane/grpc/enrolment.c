/* Enrolment: a token becomes a node with a certificate; a certificate becomes a newer one. Unary calls. */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/read.h"
#include "catalog/token.h"
#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "controlplane/ca/x509.h"
#include "controlplane/grpc/stream_private.h"
#include "proto/bounded.h"

#define ENROLMENT_MAGIC 0x51ce4501u
#define CLOCK_SKEW_MS   (10 * 60 * 1000LL)
#define RENEW_CONTEXT   "sluice-renew-v1"
#define ASK_WITHIN_S    10

/* One call and what it asks for. */
struct enrolment {
    unsigned magic;
    slc_control_grpc *grpc;
    slc_rpc_call *call; /* NULL once it has ended */
    unsigned refs;      /* the call's, and the catalog's */
    bool renewal;
    bool asked;
    struct event *ask_timer; /* the port is open to anyone: nobody may hold a call without asking */
    Sluice__Enrolment__V1__EnrolRequest *enrol;
    Sluice__Enrolment__V1__RenewRequest *renew;
    /* The outcome. */
    char node_id[SLC_NODE_ID_CHARS];
    char group_name[64];
    char *certificate_pem;
    int64_t not_after_ms;
};

static void on_message(slc_rpc_call *call, void *ctx, const uint8_t *data, size_t len);
static void on_sent(slc_rpc_call *call, void *ctx);
static void on_end(slc_rpc_call *call, void *ctx, enum slc_rpc_status status, const char *message);
static void on_decided(void *arg, bool ok, const slc_error *err);
static void on_not_asked(evutil_socket_t fd, short what, void *arg);

static const slc_rpc_call_ops ops = {.on_message = on_message, .on_sent = on_sent, .on_end = on_end};

static void begin(slc_rpc_call *call, slc_control_grpc *grpc, bool renewal)
{
    struct enrolment *self = slc_calloc(1, sizeof *self);
    SLC_CHECK_MAGIC(grpc, SLC_CONTROL_GRPC_MAGIC);
    self->magic = ENROLMENT_MAGIC;
    self->grpc = grpc;
    self->call = call;
    self->refs = 1;
    self->renewal = renewal;
    self->ask_timer = evtimer_new(slc_loop_base(grpc->loop), on_not_asked, self);
    SLC_BUG_ON(self->ask_timer == NULL);
    event_add(self->ask_timer, &(struct timeval){.tv_sec = ASK_WITHIN_S});
    slc_rpc_call_set(call, &ops, self);
    slc_rpc_call_read(call);
}

static void on_not_asked(evutil_socket_t fd, short what, void *arg)
{
    struct enrolment *self = arg;
    (void)fd, (void)what;
    SLC_CHECK_MAGIC(self, ENROLMENT_MAGIC);
    if (self->call != NULL)
        slc_rpc_call_finish(self->call, SLC_RPC_DEADLINE_EXCEEDED, "no request came");
}

void slc_enrolment_on_enrol(slc_rpc_call *call, void *grpc)
{
    begin(call, grpc, false);
}

void slc_enrolment_on_renew(slc_rpc_call *call, void *grpc)
{
    begin(call, grpc, true);
}

static void unref(struct enrolment *self)
{
    SLC_CHECK_MAGIC(self, ENROLMENT_MAGIC);
    if (--self->refs > 0)
        return;
    if (self->enrol != NULL)
        sluice__enrolment__v1__enrol_request__free_unpacked(self->enrol, NULL);
    if (self->renew != NULL)
        sluice__enrolment__v1__renew_request__free_unpacked(self->renew, NULL);
    free(self->certificate_pem);
    event_free(self->ask_timer);
    self->magic = 0;
    free(self);
}

/* ---- on a catalog thread ---- */

static bool issue(struct enrolment *self, const ProtobufCBinaryData *csr, char **serial, slc_error *err)
{
    self->certificate_pem = slc_ca_issue(self->grpc->ca, self->group_name, self->node_id, csr->data, csr->len,
                                         &self->not_after_ms, err);
    X509 *certificate = self->certificate_pem != NULL ? slc_x509_read_cert(self->certificate_pem, err) : NULL;
    if (certificate == NULL)
        return false;
    *serial = slc_x509_serial(certificate);
    X509_free(certificate);
    return true;
}

static bool group_name_of(slc_txn *txn, const char *group_id, struct enrolment *self, slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_query(txn, err, "SELECT name FROM gateway_groups WHERE id = ?", "s", group_id);
    int row = stmt != NULL ? slc_txn_step(txn, stmt, err) : -1;
    if (row == 1)
        snprintf(self->group_name, sizeof self->group_name, "%s", slc_column_text(stmt, 0));
    else if (row == 0)
        slc_fail(err, SLC_NOT_FOUND, NULL, "the token's gateway group is gone");
    slc_txn_finish(txn, stmt);
    return row == 1;
}

/* The token is used up first, in the same transaction: a failure afterwards gives the use back. */
static bool enrol(slc_txn *txn, void *arg, slc_error *err)
{
    struct enrolment *self = arg;
    char group_id[SLC_TOKEN_ID_CHARS + 1];
    char *serial = NULL;
    if (!slc_catalog_enrolment_consume(txn, self->enrol->token, group_id, err) ||
        !group_name_of(txn, group_id, self, err))
        return false;
    slc_node_new_id(self->node_id);
    if (!issue(self, &self->enrol->csr_der, &serial, err))
        return false;
    slc_node_certificate certificate = {serial, self->not_after_ms};
    const char *name = self->enrol->node_name[0] != '\0' ? self->enrol->node_name : NULL;
    bool ok = slc_node_register(txn, self->node_id, group_id, name, false, &certificate, err);
    free(serial);
    return ok;
}

static bool check_proof(struct enrolment *self, slc_ca_node *node, slc_error *err)
{
    const Sluice__Enrolment__V1__RenewRequest *request = self->renew;
    size_t context_len = strlen(RENEW_CONTEXT), len = context_len + 8 + request->csr_der.len;
    int64_t skew = request->signed_at_ms - slc_wall_ms();
    if (skew > CLOCK_SKEW_MS || skew < -CLOCK_SKEW_MS)
        return slc_fail(err, SLC_UNAUTHENTICATED, NULL,
                        "the request was signed %lld s away from this clock: set the node's clock",
                        (long long)(skew / 1000));
    uint8_t *data = slc_malloc(len);
    memcpy(data, RENEW_CONTEXT, context_len);
    for (unsigned i = 0; i < 8; i++)
        data[context_len + i] = (uint8_t)((uint64_t)request->signed_at_ms >> (56 - 8 * i));
    memcpy(data + context_len + 8, request->csr_der.data, request->csr_der.len);
    bool ok = slc_ca_check_renewal(self->grpc->ca, request->certificate_pem, SLC_CA_RENEWAL_WINDOW_MS, data,
                                   len, request->signature.data, request->signature.len, node, err);
    free(data);
    return ok;
}

static bool renew(slc_txn *txn, void *arg, slc_error *err)
{
    struct enrolment *self = arg;
    slc_ca_node node;
    slc_node_info info;
    char *serial = NULL;
    if (!check_proof(self, &node, err) || !slc_node_find(txn, node.node_id, &info, err))
        return false;
    if (info.revoked)
        return slc_fail(err, SLC_DENIED, NULL, "the node was revoked: enrol it again with a new token");
    snprintf(self->node_id, sizeof self->node_id, "%s", node.node_id);
    snprintf(self->group_name, sizeof self->group_name, "%s", info.group_name);
    if (!issue(self, &self->renew->csr_der, &serial, err))
        return false;
    slc_node_certificate certificate = {serial, self->not_after_ms};
    bool ok = slc_node_renewed(txn, self->node_id, &certificate, err);
    free(serial);
    return ok;
}

/* ---- on the loop ---- */

static void count(const struct enrolment *self, const char *result)
{
    const char *labels[] = {self->renewal ? "renew" : "enrol", result};
    slc_series_add(slc_metrics_series("sluice_control_enrolments_total", labels), 1);
}

/* The peer's address without its port: "addr:ipv4:127.0.0.1". */
static const char *peer_of(const struct enrolment *self, char out[SLC_PEER_CHARS])
{
    const char *address = self->call != NULL ? slc_rpc_call_peer_address(self->call) : "gone";
    const char *port = strrchr(address, ':');
    snprintf(out, SLC_PEER_CHARS, "addr:%.*s", (int)(port != NULL ? port - address : (long)strlen(address)),
             address);
    return out;
}

/* Those who guess, and those who never stop: one line in a while for each address. */
static void note_outcome(struct enrolment *self, bool ok, const slc_error *err)
{
    char id[SLC_PEER_CHARS];
    int64_t unlogged = 0;
    count(self, ok ? "granted" : "refused");
    peer_of(self, id);
    if (!ok && !self->renewal)
        (void)slc_guard_may(self->grpc, id, self->grpc->options.enrolment_burst, true);
    if (ok || slc_guard_log(self->grpc, id, &unlogged))
        slc_log(ok ? SLC_LOG_INFO : SLC_LOG_WARN, self->renewal ? "node certificate renewal" : "node enrolment",
                LB("granted", ok), LS("node", self->node_id), LS("group", self->group_name),
                LS("peer", id + strlen("addr:")), LS("error", ok ? NULL : err->message),
                LI("not_logged_before", unlogged));
}

static bool decode(struct enrolment *self, const uint8_t *data, size_t len)
{
    if (self->renewal)
        self->renew = (Sluice__Enrolment__V1__RenewRequest *)slc_unpack_bounded(
            &sluice__enrolment__v1__renew_request__descriptor, data, len);
    else
        self->enrol = (Sluice__Enrolment__V1__EnrolRequest *)slc_unpack_bounded(
            &sluice__enrolment__v1__enrol_request__descriptor, data, len);
    return self->renew != NULL || self->enrol != NULL;
}

static void on_message(slc_rpc_call *call, void *ctx, const uint8_t *data, size_t len)
{
    struct enrolment *self = ctx;
    slc_actor actor = {.kind = "node", .id = "enrolment", .name = slc_rpc_call_peer_address(call)};
    char id[SLC_PEER_CHARS];
    SLC_CHECK_MAGIC(self, ENROLMENT_MAGIC);
    if (self->asked || !decode(self, data, len)) {
        slc_rpc_call_finish(call, SLC_RPC_INVALID_ARGUMENT, "the request does not decode");
        return;
    }
    self->asked = true;
    event_del(self->ask_timer);
    if (!self->renewal && self->enrol->token[0] == '\0') {
        slc_rpc_call_finish(call, SLC_RPC_UNAUTHENTICATED,
                            "enrol with a join token: this control plane takes no service-account tokens");
        return;
    }
    if (!self->renewal &&
        !slc_guard_may(self->grpc, peer_of(self, id), self->grpc->options.enrolment_burst, false)) {
        count(self, "limited");
        slc_rpc_call_finish(call, SLC_RPC_RESOURCE_EXHAUSTED,
                            "too many failed enrolments from this address: wait, and check the join string");
        return;
    }
    self->refs++;
    self->grpc->pending++;
    slc_catalog_write(self->grpc->catalog, self->grpc->loop, &actor, self->renewal ? renew : enrol, on_decided,
                      self);
}

static void answer(struct enrolment *self)
{
    Sluice__Enrolment__V1__Identity identity = SLUICE__ENROLMENT__V1__IDENTITY__INIT;
    Sluice__Enrolment__V1__EnrolResponse enrolled = SLUICE__ENROLMENT__V1__ENROL_RESPONSE__INIT;
    Sluice__Enrolment__V1__RenewResponse renewed = SLUICE__ENROLMENT__V1__RENEW_RESPONSE__INIT;
    identity.node_id = self->node_id;
    identity.group = self->group_name;
    identity.certificate_pem = self->certificate_pem;
    identity.trust_bundle_pem = (char *)slc_ca_bundle_pem(self->grpc->ca);
    identity.config_endpoint = self->grpc->config_endpoint;
    identity.not_after_ms = self->not_after_ms;
    identity.server_name = (char *)SLC_CA_SERVER_NAME;
    enrolled.identity = renewed.identity = &identity;
    slc_rpc_bytes *bytes = slc_pack_bytes(self->renewal ? &renewed.base : &enrolled.base);
    slc_rpc_call_send(self->call, bytes);
    slc_rpc_bytes_unref(bytes);
}

static void on_decided(void *arg, bool ok, const slc_error *err)
{
    struct enrolment *self = arg;
    SLC_CHECK_MAGIC(self, ENROLMENT_MAGIC);
    self->grpc->pending--;
    note_outcome(self, ok, err);
    if (self->call != NULL && ok)
        answer(self);
    else if (self->call != NULL)
        slc_rpc_call_finish(self->call, slc_code_rpc_status(err->code), err->message);
    unref(self);
}

static void on_sent(slc_rpc_call *call, void *ctx)
{
    (void)ctx;
    slc_rpc_call_finish(call, SLC_RPC_OK, NULL);
}

static void on_end(slc_rpc_call *call, void *ctx, enum slc_rpc_status status, const char *message)
{
    struct enrolment *self = ctx;
    (void)call, (void)status, (void)message;
    self->call = NULL;
    event_del(self->ask_timer);
    unref(self);
}
