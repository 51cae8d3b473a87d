/* Enrolment: a token becomes a node with a certificate; a certificate becomes a newer one. Unary calls. */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/read.h"
#include "catalog/token.h"
#include "common/alloc.h"
#include "common/assert.h"
#include "common/log.h"
#include "common/metrics.h"
#include "controlplane/grpc/stream_private.h"
#include "proto/bounded.h"

#define ENROLMENT_MAGIC 0x51ce4501u
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
    slc_account account; /* when it asks with a service account's token */
    /* The outcome. */
    char node_id[SLC_NODE_ID_CHARS];
    char group_name[64];
    slc_ca_leaf leaf;
};

static void on_message(slc_rpc_call *call, void *ctx, const uint8_t *data, size_t len);
static void on_sent(slc_rpc_call *call, void *ctx);
static void on_end(slc_rpc_call *call, void *ctx, enum slc_rpc_status status, const char *message);
static void on_decided(void *arg, bool ok, const slc_error *err);
static void on_account(void *arg, const slc_account *account, const slc_error *err);
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
    free(self->leaf.pem);
    event_free(self->ask_timer);
    self->magic = 0;
    free(self);
}

/* ---- on a catalog thread ---- */

static bool issue(struct enrolment *self, const ProtobufCBinaryData *csr, slc_node_certificate *certificate,
                  slc_error *err)
{
    if (!slc_ca_issue(self->grpc->ca, self->group_name, self->node_id, csr->data, csr->len, &self->leaf, err))
        return false;
    *certificate = (slc_node_certificate){self->leaf.serial, self->leaf.authority, self->leaf.not_after_ms};
    return true;
}

/* A certificate that the node takes for expired, or for one of the future, helps nobody: say so at once. */
static bool check_clock(struct enrolment *self, int64_t node_ms, slc_error *err)
{
    int64_t ahead_ms = node_ms - slc_ca_now_ms(self->grpc->ca), allowed_ms = slc_ca_skew_ms(self->grpc->ca);
    int64_t off_s = (ahead_ms < 0 ? -ahead_ms : ahead_ms) / 1000;
    if (ahead_ms <= allowed_ms && ahead_ms >= -allowed_ms)
        return true;
    return slc_fail(
        err, SLC_UNAUTHENTICATED, NULL,
        "the clocks differ: the node's is %lld min %lld s %s the control plane's, and at most %lld s are "
        "allowed (node.clock-skew): set the clock that is wrong, by NTP for example",
        (long long)(off_s / 60), (long long)(off_s % 60), ahead_ms < 0 ? "behind" : "ahead of",
        (long long)(allowed_ms / 1000));
}

static bool group_name_of(slc_txn *txn, const char *group_id, struct enrolment *self, slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_query(txn, err, "SELECT name FROM gateway_groups WHERE id = ?", "s", group_id);
    int row = stmt != NULL ? slc_txn_step(txn, stmt, err) : -1;
    if (row == 1)
        snprintf(self->group_name, sizeof self->group_name, "%s", slc_column_text(stmt, 0));
    else if (row == 0)
        slc_fail(err, SLC_NOT_FOUND, NULL, "the gateway group is gone");
    slc_txn_finish(txn, stmt);
    return row == 1;
}

/* The token is used up first, in the same transaction: a failure afterwards gives the use back. */
static bool enrol(slc_txn *txn, void *arg, slc_error *err)
{
    struct enrolment *self = arg;
    char group_id[SLC_TOKEN_ID_CHARS + 1];
    slc_node_certificate certificate;
    if (self->enrol->sent_at_ms != 0 && !check_clock(self, self->enrol->sent_at_ms, err))
        return false;
    if (!slc_catalog_enrolment_consume(txn, self->enrol->token, group_id, err) ||
        !group_name_of(txn, group_id, self, err))
        return false;
    slc_node_new_id(self->node_id);
    if (!issue(self, &self->enrol->csr_der, &certificate, err))
        return false;
    const char *name = self->enrol->node_name[0] != '\0' ? self->enrol->node_name : NULL;
    return slc_node_register(txn, self->node_id, group_id, name, NULL, &certificate, err);
}

/* The rule may have gone while its issuer's keys were fetched. */
static bool rule_holds(slc_txn *txn, const slc_account *account, slc_error *err)
{
    sqlite3_stmt *stmt =
        slc_txn_query(txn, err, "SELECT 1 FROM enrolment_rules WHERE id = ?1 AND \"group\" = ?2", "ss",
                      account->rule_id, account->group_id);
    int row = stmt != NULL ? slc_txn_step(txn, stmt, err) : -1;
    slc_txn_finish(txn, stmt);
    return row == 1 || (row == 0 && slc_fail(err, SLC_UNAUTHENTICATED, NULL,
                                             "the enrolment rule has just changed: try again"));
}

static bool enrol_account(slc_txn *txn, void *arg, slc_error *err)
{
    struct enrolment *self = arg;
    slc_node_certificate certificate;
    if (self->enrol->sent_at_ms != 0 && !check_clock(self, self->enrol->sent_at_ms, err))
        return false;
    if (!slc_pod_may_enrol(txn, self->account.pod_uid, err) || !rule_holds(txn, &self->account, err) ||
        !group_name_of(txn, self->account.group_id, self, err))
        return false;
    slc_node_new_id(self->node_id);
    return issue(self, &self->enrol->csr_der, &certificate, err) &&
           slc_node_register(txn, self->node_id, self->account.group_id, self->account.pod,
                             self->account.pod_uid, &certificate, err);
}

static bool check_proof(struct enrolment *self, slc_ca_node *node, slc_error *err)
{
    const Sluice__Enrolment__V1__RenewRequest *request = self->renew;
    size_t context_len = strlen(RENEW_CONTEXT), len = context_len + 8 + request->csr_der.len;
    if (!check_clock(self, request->signed_at_ms, err))
        return false;
    uint8_t *data = slc_malloc(len);
    memcpy(data, RENEW_CONTEXT, context_len);
    for (unsigned i = 0; i < 8; i++)
        data[context_len + i] = (uint8_t)((uint64_t)request->signed_at_ms >> (56 - 8 * i));
    memcpy(data + context_len + 8, request->csr_der.data, request->csr_der.len);
    bool ok = slc_ca_check_renewal(self->grpc->ca, request->certificate_pem, data, len, request->signature.data,
                                   request->signature.len, node, err);
    free(data);
    return ok;
}

static bool renew(slc_txn *txn, void *arg, slc_error *err)
{
    struct enrolment *self = arg;
    slc_ca_node node;
    slc_node_info info;
    slc_node_certificate certificate;
    if (!check_proof(self, &node, err) || !slc_node_find(txn, node.node_id, &info, err))
        return false;
    if (info.revoked)
        return slc_fail(err, SLC_DENIED, NULL, "the node was revoked: enrol it again with a new token");
    snprintf(self->node_id, sizeof self->node_id, "%s", node.node_id);
    snprintf(self->group_name, sizeof self->group_name, "%s", info.group_name);
    return issue(self, &self->renew->csr_der, &certificate, err) &&
           slc_node_renewed(txn, self->node_id, &certificate, err);
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
                LS("account", self->account.subject), LS("rule", self->account.rule),
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
    if (!self->renewal && self->enrol->token[0] == '\0' && self->enrol->service_account_token[0] == '\0') {
        slc_rpc_call_finish(call, SLC_RPC_UNAUTHENTICATED,
                            "enrol with a join string or with the token of a service account");
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
    if (self->renewal || self->enrol->token[0] != '\0')
        slc_catalog_write(self->grpc->catalog, self->grpc->loop, &actor, self->renewal ? renew : enrol,
                          on_decided, self);
    else
        slc_account_check(self->grpc, self->enrol->service_account_token, on_account, self);
}

/* The token of a service account was looked at. */
static void on_account(void *arg, const slc_account *account, const slc_error *err)
{
    struct enrolment *self = arg;
    SLC_CHECK_MAGIC(self, ENROLMENT_MAGIC);
    if (account == NULL) {
        on_decided(self, false, err);
        return;
    }
    self->account = *account;
    slc_actor actor = {.kind = "service-account", .id = self->account.subject, .name = self->account.pod};
    slc_catalog_write(self->grpc->catalog, self->grpc->loop, &actor, enrol_account, on_decided, self);
}

static void answer(struct enrolment *self)
{
    Sluice__Enrolment__V1__Identity identity = SLUICE__ENROLMENT__V1__IDENTITY__INIT;
    Sluice__Enrolment__V1__EnrolResponse enrolled = SLUICE__ENROLMENT__V1__ENROL_RESPONSE__INIT;
    Sluice__Enrolment__V1__RenewResponse renewed = SLUICE__ENROLMENT__V1__RENEW_RESPONSE__INIT;
    identity.node_id = self->node_id;
    identity.group = self->group_name;
    identity.certificate_pem = self->leaf.pem;
    identity.trust_bundle_pem = slc_ca_bundle(self->grpc->ca, NULL);
    identity.config_endpoint = self->grpc->config_endpoint;
    identity.not_after_ms = self->leaf.not_after_ms;
    identity.server_name = (char *)SLC_CA_SERVER_NAME;
    enrolled.identity = renewed.identity = &identity;
    slc_rpc_bytes *bytes = slc_pack_bytes(self->renewal ? &renewed.base : &enrolled.base);
    slc_rpc_call_send(self->call, bytes);
    slc_rpc_bytes_unref(bytes);
    free(identity.trust_bundle_pem);
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
