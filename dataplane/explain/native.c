/* A native client: how it gets in (proxy/sasl.c), whether it may be there, and what its guard says. */
#include <stdio.h>
#include <string.h>

#include "dataplane/explain/explain_private.h"
#include "dataplane/policy/access.h"
#include "dataplane/policy/credential.h"
#include "dataplane/policy/native_limits.h"

#define LIMIT_KEYS 64 /* more than a session is counted by: a full table would refuse */

static void on_denied(void *ctx, const slc_access_denial *denial)
{
    slc_explain_outcome *outcome = ctx;
    if (!denial->dry_run)
        snprintf(outcome->reason, sizeof outcome->reason, "%s", denial->reason);
}

static bool takes_proof(const slc_explain_case *asked, const slc_explain_proof *proof)
{
    if (strcmp(proof->type, "secret") == 0)
        return slc_vcluster_takes(asked->vcluster, "plain") || slc_vcluster_takes(asked->vcluster, "scram");
    if (strcmp(proof->type, "oidc") == 0)
        return slc_vcluster_takes(asked->vcluster, "oauthbearer");
    return slc_vcluster_takes(asked->vcluster, "mtls") && asked->listener->msg->tls;
}

static enum slc_credential_answer check(const slc_explain_case *asked, const slc_explain_proof *proof,
                                        slc_principal *principal)
{
    if (proof->token != NULL)
        return slc_credential_of_token(asked->snapshot, proof->token, principal);
    if (proof->certificate != NULL)
        return slc_credential_of_certificate(asked->snapshot, asked->listener, proof->certificate, principal);
    return slc_credential_proved(asked->snapshot, proof->credential_id, principal);
}

static bool keep_out(slc_explain_outcome *outcome, const char *reason)
{
    slc_explain_note(outcome, "authenticate", false, reason);
    slc_explain_refuse(outcome, 0, "authentication", reason);
    return false;
}

static bool authenticate(const slc_explain_case *asked, const slc_explain_proof *proof,
                         slc_explain_outcome *outcome)
{
    bool anonymous = slc_vcluster_takes(asked->vcluster, "anonymous");
    char why[200];
    if (proof->type == NULL || (anonymous && !takes_proof(asked, proof))) {
        if (anonymous)
            slc_explain_note(outcome, "authenticate", true, "the virtual cluster takes anonymous clients");
        return anonymous ||
               keep_out(outcome, "nothing is presented, and the virtual cluster takes no anonymous clients");
    }
    if (!takes_proof(asked, proof)) {
        snprintf(why, sizeof why,
                 "the virtual cluster takes no credentials of the type %s here (client_authentication)",
                 proof->type);
        return keep_out(outcome, why);
    }
    if (proof->token != NULL && proof->token->state != SLC_TOKEN_GOOD)
        return keep_out(outcome, proof->token->reason);
    enum slc_credential_answer answer = check(asked, proof, &outcome->principal);
    if (answer != SLC_CREDENTIAL_GOOD)
        return keep_out(outcome, slc_credential_reason(answer));
    snprintf(why, sizeof why, "credential %s is good", outcome->principal.credential_id);
    slc_explain_note(outcome, "authenticate", true, why);
    return true;
}

/* ---- what is demanded of the request ---- */

#define CONFIGS 50

static int index_of(const char *const *names, int count, const char *name)
{
    int i = 0;
    while (i < count && (name == NULL || strcmp(names[i], name) != 0))
        i++;
    return i < count ? i : 0;
}

static slc_kafka_span span_of(const char *text)
{
    return (slc_kafka_span){(const uint8_t *)text, strlen(text)};
}

static size_t read_configs(const json_t *map, slc_demand_config configs[CONFIGS])
{
    const char *name;
    json_t *value;
    size_t count = 0;
    json_object_foreach ((json_t *)map, name, value) {
        if (count < CONFIGS)
            configs[count++] =
                (slc_demand_config){span_of(name), span_of(json_string_value(value)), SLC_CONFIG_SET};
    }
    return count;
}

/* What the operation on the topic wants; 0: nothing that policies look at. */
static unsigned kind_of(const slc_explain_case *asked)
{
    if (asked->resource != SLC_RESOURCE_TOPIC)
        return 0;
    return asked->access == SLC_OP_WRITE                                     ? SLC_DEMAND_BATCH
           : asked->access == SLC_OP_CREATE || asked->access == SLC_OP_ALTER ? SLC_DEMAND_TOPIC
           : asked->access == SLC_OP_ALTER_CONFIGS                           ? SLC_DEMAND_CONFIGS
                                                                             : 0;
}

static int64_t number_or(const json_t *request, const char *name, int64_t otherwise)
{
    const json_t *value = json_object_get(request, name);
    return value != NULL ? json_integer_value(value) : otherwise;
}

static slc_demand demand_of(const slc_explain_case *asked, const json_t *request,
                            slc_demand_config configs[CONFIGS])
{
    static const char *const codecs[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    static const char *const acks[] = {"all", "0", "1"};
    const json_t *idempotent = json_object_get(request, "idempotent");
    int32_t replicas = (int32_t)number_or(request, "replication_factor", -1);
    bool made = asked->access == SLC_OP_CREATE;
    return (slc_demand){
        .kind = (enum slc_demand_kind)kind_of(asked),
        .topic = (const uint8_t *)asked->name,
        .topic_len = strlen(asked->name),
        .made = made,
        .partitions = number_or(request, "partitions", -1),
        .replicas = replicas,
        .most_replicas = replicas,
        .whole = made,
        .configs = configs,
        .config_count = read_configs(json_object_get(request, "configs"), configs),
        .acks = (int16_t)(index_of(acks, 3, json_string_value(json_object_get(request, "acks"))) - 1),
        .codec = (uint8_t)index_of(codecs, 5, json_string_value(json_object_get(request, "compression"))),
        .idempotent = idempotent == NULL || !json_is_false(idempotent)};
}

static const char *told_of(int16_t code)
{
    return code == SLC_KAFKA_INVALID_REQUIRED_ACKS          ? "invalid-required-acks"
           : code == SLC_KAFKA_UNSUPPORTED_COMPRESSION_TYPE ? "unsupported-compression-type"
                                                            : "policy-violation";
}

/* As the view asks (virtual/view_demands.c): of its name whatever is not Metadata, then of the request. */
static void ask_demands(const slc_explain_case *asked, slc_guard *guard, slc_explain_outcome *outcome)
{
    const json_t *request = json_object_get(asked->question, "kafka_request");
    const char *id = json_string_value(json_object_get(request, "client_id"));
    slc_demand_config configs[CONFIGS];
    slc_demand name = {.kind = SLC_DEMAND_CLIENT_ID,
                       .client_id = (const uint8_t *)id,
                       .client_id_len = id != NULL ? strlen(id) : 0};
    slc_demand demand = demand_of(asked, request, configs);
    int16_t code = 0;
    if ((guard->demands & SLC_DEMAND_CLIENT_ID) != 0 && asked->access != SLC_OP_DESCRIBE)
        code = guard->meets(guard, &name);
    if (code == 0 && (guard->demands & demand.kind) != 0)
        code = guard->meets(guard, &demand);
    if (code != 0)
        slc_explain_refuse(outcome, 0, told_of(code), outcome->reason);
}

/* ---- the whole ---- */

static void ask_guard(const slc_explain_case *asked, const slc_access_subject *subject,
                      slc_explain_outcome *outcome)
{
    slc_access *access = slc_access_new(subject, asked->snapshot);
    slc_guard *guard = slc_access_guard(access);
    outcome->allowed = guard == NULL || guard->allows(guard, asked->access, asked->resource, SLC_GUARD_ONE,
                                                      (const uint8_t *)asked->name, strlen(asked->name));
    if (guard == NULL)
        slc_explain_note(outcome, "access", true,
                         "anonymous clients may do everything: no acl policy holds here");
    if (!outcome->allowed)
        slc_explain_refuse(outcome, 0, "authorization", outcome->reason);
    else if (guard != NULL && json_object_get(asked->question, "kafka_request") != NULL)
        ask_demands(asked, guard, outcome);
    slc_access_free(access);
}

static bool is_let_in(const slc_explain_case *asked, const slc_access_subject *subject,
                      slc_explain_outcome *outcome)
{
    slc_native_limits limits;
    char why[200];
    if (!slc_access_admits(subject, asked->snapshot, why)) {
        slc_explain_refuse(outcome, 0, "refused", why);
        return false;
    }
    slc_limits *table = slc_limits_new(LIMIT_KEYS);
    bool limited = !slc_native_limits_take(subject, asked->snapshot, table, NULL, false, &limits, why);
    if (limited)
        slc_explain_refuse(outcome, 0, "refused", why);
    else
        slc_native_limits_release(&limits);
    slc_limits_free(table);
    return !limited;
}

void slc_explain_native(const slc_explain_case *asked, const slc_explain_proof *proof,
                        slc_explain_outcome *outcome)
{
    if (asked->listener == NULL) {
        slc_explain_refuse(outcome, 0, "refused", "no native listener of the group serves the virtual cluster");
        return;
    }
    if (slc_vcluster_takes(asked->vcluster, "passthrough")) {
        outcome->allowed = true;
        slc_explain_note(outcome, "access", true, "passthrough: the backend authenticates and authorises");
        return;
    }
    if (!authenticate(asked, proof, outcome))
        return;
    const slc_access_subject subject = {.vcluster = asked->vcluster,
                                        .listener_id = asked->listener->msg->id,
                                        .client_address = asked->address != NULL ? asked->address : "",
                                        .principal = &outcome->principal,
                                        .token = proof->token,
                                        .certificate = proof->certificate,
                                        .denied = on_denied,
                                        .ctx = outcome,
                                        .trace = &outcome->trace};
    if (is_let_in(asked, &subject, outcome))
        ask_guard(asked, &subject, outcome);
}
