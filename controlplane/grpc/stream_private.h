/* A configuration stream as its files share it: stream.c has its life and the configuration's messages, ask.c
 * what a node is asked, guard.c what it may cost, reports.c what it reports. On the gRPC loop's thread. */
#ifndef SLC_CONTROLPLANE_GRPC_STREAM_PRIVATE_H
#define SLC_CONTROLPLANE_GRPC_STREAM_PRIVATE_H

#include "controlplane/grpc/grpc_private.h"

#define SLC_PEER_CHARS       72
#define SLC_NODE_TEXT_MAX    300 /* of what a node says about itself */
#define SLC_NODE_PROBLEM_MAX 512

struct slc_question; /* ask.c */
typedef struct slc_report slc_report;

struct slc_config_stream {
    unsigned magic;
    slc_control_grpc *grpc;
    slc_rpc_call *call; /* NULL once it has ended */
    TAILQ_ENTRY(slc_config_stream) entry;
    bool listed;
    unsigned refs; /* the call's, and one for each catalog work */

    char node_id[SLC_NODE_ID_CHARS];
    char boot_id[64];
    slc_group *group;
    bool said_hello;
    uint8_t held[SLC_SHA256_BYTES]; /* digest of the manifest that the node runs on */
    uint8_t refused[SLC_SHA256_BYTES];
    int64_t refused_version;
    int64_t applied_version;
    uint32_t connections; /* as it last said */
    json_t *conflicts;    /* that it last told of; NULL: none */
    char problem[SLC_NODE_PROBLEM_MAX];
    uint32_t told_group_size;
    bool draining;

    slc_release *in_flight;
    uint8_t *times_requested; /* by chunk */
    struct event *answer_timer;
    struct event *silence_timer; /* moved by every message */
    bool cut;
    double budget; /* messages that it may send now */
    int64_t budget_at_ms;

    slc_rpc_bytes **queue; /* own references; a ring that grows up to its limit */
    size_t queue_head, queue_len, queue_capacity;

    struct slc_question *question; /* that the node has not answered yet */
    slc_report *waiting_report;    /* that is not being written yet and may be replaced; reports.c */
    bool usage_waits;              /* to be stored; usage.c */
    bool takes_inventory;          /* it was told so */
};

/* For usage.db. */
struct slc_report {
    char node_id[SLC_NODE_ID_CHARS];
    char build[128], boot_id[64], entity[SLC_NODE_TEXT_MAX], message[SLC_NODE_TEXT_MAX];
    char problem[SLC_NODE_PROBLEM_MAX];
    slc_node_report seen;
    bool nack;
    int64_t nack_version;
    slc_config_stream *stream; /* whose waiting_report this is, or NULL */
    STAILQ_ENTRY(slc_report) entry;
};

/* Why streams are cut: a metric's label, and what the log says. */
enum slc_cut {
    SLC_CUT_IDENTITY,
    SLC_CUT_REVOKED,
    SLC_CUT_REPLACED,
    SLC_CUT_SILENT,
    SLC_CUT_NO_ANSWER,
    SLC_CUT_PROTOCOL,
    SLC_CUT_FLOOD,
    SLC_CUT_BACKLOG,
    SLC_CUT_UNAVAILABLE,
    SLC_CUT_REASONS
};

/* ---- stream.c ---- */
/* Ends it for cause; the log and the metric have it. */
void slc_config_stream_cut(slc_config_stream *stream, enum slc_cut cause, enum slc_rpc_status status,
                           const char *why);
slc_config_stream *slc_config_stream_ref(slc_config_stream *stream);
void slc_config_stream_unref(slc_config_stream *stream);
/* welcome.c */
void slc_config_stream_welcome(slc_config_stream *stream, const slc_node_info *info);

void slc_config_stream_send(slc_config_stream *stream, slc_rpc_bytes *bytes); /* takes a reference of its own */

/* The open stream of the node that has said Hello; NULL: it is not connected. */
slc_config_stream *slc_config_stream_find(slc_control_grpc *grpc, const char *node_id);

/* ---- guard.c ---- */
void slc_guard_init(slc_control_grpc *grpc);
void slc_guard_release(slc_control_grpc *grpc);
/* May this peer do it now? It may do it `burst` times at once and then once a second; `charge`: it does. */
bool slc_guard_may(slc_control_grpc *grpc, const char *id, int64_t burst, bool charge);
/* Is this peer's next fault to be logged, or was one a moment ago? Then it counts for the next time. */
bool slc_guard_log(slc_control_grpc *grpc, const char *id, int64_t *unlogged);
/* Counts a cut, and logs it unless this node's was logged a moment ago. */
void slc_guard_note_cut(slc_control_grpc *grpc, const char *node_id, const char *peer, enum slc_cut cause,
                        const char *why);

/* ---- reports.c ---- */
void slc_reports_init(slc_control_grpc *grpc);
void slc_reports_release(slc_control_grpc *grpc);
/* What the stream knows of its node now; new. */
slc_report *slc_report_new(slc_config_stream *stream);
/* Takes the report over: it may be gone when this returns. */
void slc_report_send(slc_config_stream *stream, slc_report *report);
/* The stream goes away, or what it reported is being written. NULL is fine. */
void slc_reports_forget(slc_config_stream *stream);

/* ---- inventory.c ---- */
/* Takes the report out of the message. */
void slc_inventory_said(slc_config_stream *stream, Sluice__Config__V1__FromNode *message);

/* ---- usage.c ---- */
/* Takes the report out of the message. */
void slc_usage_said(slc_config_stream *stream, Sluice__Config__V1__FromNode *message);

/* ---- conflicts.c ---- */
#define SLC_NODE_CONFLICTS_MAX 100
void slc_conflicts_said(slc_config_stream *stream, const Sluice__Config__V1__Status *status);

/* ---- ask.c ---- */
void slc_question_answered(slc_config_stream *stream, const Sluice__Config__V1__Connections *answer);
/* The stream has ended: nobody will answer. */
void slc_question_drop(slc_config_stream *stream);

#endif
