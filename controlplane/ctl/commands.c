/* Every command of sluicectl. */
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/command.h"

#define END                                                                                                    \
    {                                                                                                          \
        .name = NULL                                                                                           \
    }

const slc_option slc_global_options[] = {
    {"context", 'c', SLC_VALUE_CONTEXT, "the context to use (SLUICE_CONTEXT; else the current one)", false},
    {"server", 's', "URL", "the control plane's admin API (SLUICE_SERVER; else the context's)", false},
    {"token-file", 0, SLC_VALUE_FILE,
     "read the token from a file (SLUICE_TOKEN_FILE; SLUICE_TOKEN is the token itself)", false},
    {"ca-file", 0, SLC_VALUE_FILE, "PEM authorities to trust (else the context's, else the system's)", false},
    {"client-certificate", 0, SLC_VALUE_FILE, "PEM certificate to show", false},
    {"client-key", 0, SLC_VALUE_FILE, "PEM key of that certificate", false},
    {"config", 0, SLC_VALUE_FILE, "the file of contexts (SLUICECTL_CONFIG; ~/.config/sluice/config.yaml)",
     false},
    {"output", 'o', "table|json|yaml|name", "the form of the result", false},
    {"timeout", 0, "TIME", "bound of one request (60s)", false},
    {"connect-timeout", 0, "TIME", "bound of making a connection (5s)", false},
    {"retries", 0, "N", "tries after the first, when the server cannot be reached or is too busy (3)", false},
    {"progress", 0, NULL, "say what is going on also when standard error is no terminal", false},
    {"help", 'h', NULL, "this text", false},
    {"version", 0, NULL, "the version of sluicectl", false},
    END,
};

#define FILES                                                                                                  \
    {                                                                                                          \
        "file", 'f', SLC_VALUE_FILE, "a file, a folder, or - for standard input", true                         \
    }
#define MANAGER                                                                                                \
    {                                                                                                          \
        "manager", 'm', "NAME", "who looks after these objects, where the files do not say", false             \
    }
#define YES                                                                                                    \
    {                                                                                                          \
        "yes", 'y', NULL, "do not ask", false                                                                  \
    }
#define DRY_RUN                                                                                                \
    {                                                                                                          \
        "dry-run", 0, NULL, "work everything out and change nothing", false                                    \
    }
#define PRUNE                                                                                                  \
    {                                                                                                          \
        "prune", 0, NULL, "also delete what the manager has and the files do not", false                       \
    }
#define ADOPT                                                                                                  \
    {                                                                                                          \
        "adopt", 0, NULL, "take over objects of other managers", false                                         \
    }
#define BASE                                                                                                   \
    {                                                                                                          \
        "base-revision", 0, "N", "only if nothing was changed since this revision", false                      \
    }

static const slc_option login_options[] = {
    {"token-command", 0, "COMMAND", "run this for the token, each time", false},
    END,
};
static const slc_option get_options[] = {
    {"filter", 'l', "FIELD=VALUE", "only those whose field has the value", true},
    {"limit", 0, "N", "at most so many", false},
    {"watch", 'w', NULL, "go on, and print again when something changes", false},
    {"interval", 0, "TIME", "with --watch: how often to look (2s)", false},
    END,
};
static const slc_option dump_options[] = {
    {"manager", 'm', "NAME", "only what this manager looks after", false},
    END,
};
static const slc_option validate_options[] = {FILES, MANAGER, END};
static const slc_option diff_options[] = {FILES, MANAGER, PRUNE, ADOPT, BASE, END};
static const slc_option apply_options[] = {
    FILES,
    MANAGER,
    PRUNE,
    ADOPT,
    BASE,
    DRY_RUN,
    {"confirm", 0, NULL, "show what changes and ask; what is applied then is exactly that, or nothing", false},
    YES,
    END};
static const slc_option body_options[] = {
    {"file", 'f', SLC_VALUE_FILE, "fields from a YAML or JSON file, - for standard input", false},
    END,
};
static const slc_option rollback_options[] = {
    DRY_RUN,
    YES,
    {"reason", 0, "TEXT", "why, for the history", false},
    {"secrets-file", 0, SLC_VALUE_FILE, "YAML of secrets that must be supplied, by kind/key", false},
    END,
};
static const slc_option promote_options[] = {
    {"to", 't', "GROUP", "the gateway group", false},
    {"virtual-cluster", 0, "NAME", "the virtual cluster there", false},
    {"topic", 0, "NAME", "the topic there (the same as here)", false},
    {"listener", 0, "NAME", "the listener there (the only one of the group)", false},
    {"manager", 'm', "NAME", "who looks after the new deployment (api)", false},
    DRY_RUN,
    YES,
    END,
};
static const slc_option explain_options[] = {
    {"group", 'g', "NAME", "gateway group", false},
    {"application", 'a', "NAME", "who asks: an application", false},
    {"credential", 0, "ID", "who asks: a credential", false},
    {"issuer", 0, "NAME", "who asks: a token of this issuer, with --claim", false},
    {"claim", 0, "NAME=VALUE", "a claim of that token", true},
    {"event-api", 'e', "NAME.vN", "what is asked for: an event API", false},
    {"virtual-cluster", 0, "NAME", "what is asked for: a virtual cluster's --resource", false},
    {"resource", 0, "TYPE/NAME", "of it, such as topic/orders", false},
    {"operation", 0, "NAME", "publish, read, ...", false},
    {"protocol", 0, "NAME", "rest, sse or kafka", false},
    {"address", 0, "IP", "the client's", false},
    {"header", 0, "NAME=VALUE", "a field of the request", true},
    {"time", 0, "TIME", "when (RFC 3339; now)", false},
    END,
};
#define GATEWAY                                                                                                \
    {"url", 'u', "URL", "the gateway (else the public URL of the group)", false},                              \
        {"group", 'g', "NAME", "gateway group, when the event API is on several", false},                      \
        {"key-file", 'k', SLC_VALUE_FILE, "the API key (or SLUICE_API_KEY)", false},                           \
        {"key-header", 0, "NAME", "the field that carries it (X-API-Key)", false},                             \
    {                                                                                                          \
        "bearer-file", 0, SLC_VALUE_FILE, "an access token instead", false                                     \
    }
static const slc_option tail_options[] = {
    GATEWAY,
    {"from", 0, "earliest|latest|TIME", "where to begin (latest)", false},
    {"cursor", 0, "CURSOR", "where to begin: the id of an event", false},
    {"count", 'n', "N", "end after so many events", false},
    {"data-only", 0, NULL, "print what was published, without key, headers and time", false},
    END,
};
static const slc_option publish_options[] = {
    GATEWAY,
    {"data", 'd', "TEXT", "what to publish", false},
    {"file", 'f', SLC_VALUE_FILE, "publish a file; *.ndjson has an event a line", false},
    {"content-type", 0, "TYPE", "what it is (application/json)", false},
    END,
};
static const slc_option node_list_options[] = {
    {"group", 'g', "NAME", "of this group", false},
    {"label", 0, "KEY=VALUE", "of groups with this label; several with commas between them", false},
    END,
};
static const slc_option node_join_options[] = {
    {"uses", 0, "N", "how many gateways may join with it (1)", false},
    {"expires-in", 0, "TIME", "how long (1h)", false},
    END,
};
static const slc_option node_drain_options[] = {
    YES,
    {"wait", 0, "TIME", "how long to wait for its end (60s)", false},
    {"no-wait", 0, NULL, "do not wait", false},
    END,
};
static const slc_option yes_options[] = {YES, END};
static const slc_option token_create_options[] = {
    {"scope", 0, "PERMISSION", "what it may do: kind:verb, kind:* or *", true},
    {"owner", 0, "USER", "the user whose rights bound it; none: a machine's", false},
    {"expires-in", 0, "TIME", "when it ends (never)", false},
    {"out", 0, SLC_VALUE_FILE, "write it to a file that only you read", false},
    END,
};
static const slc_option backup_create_options[] = {
    {"out", 0, SLC_VALUE_FILE, "fetch it too: a file, or a folder that is there", false},
    END,
};
static const slc_option backup_fetch_options[] = {
    {"out", 0, SLC_VALUE_FILE, "to this file, or into this folder (here)", false},
    END,
};
static const slc_option restore_options[] = {
    {"data-dir", 0, SLC_VALUE_FILE, "the control plane's data (/var/lib/sluice-control)", false},
    {"program", 0, SLC_VALUE_FILE, "the program that restores (sluice-control)", false},
    {"undo-revocations", 0, NULL, "what was revoked since the backup becomes valid again", false},
    YES,
    END,
};
static const slc_option debug_options[] = {
    {"out", 0, SLC_VALUE_FILE, "the file to make (sluice-debug-TIME.tar.gz)", false},
    {"gateway", 'g', "URL", "also of this gateway: its metrics and health (port 8100)", true},
    END,
};
static const slc_option help_options[] = {
    {"man", 0, NULL, "the man page, in troff", false},
    {"markdown", 0, NULL, "the same as docs/sluicectl.md", false},
    END,
};
static const slc_option version_options[] = {{"client", 0, NULL, "only of sluicectl", false}, END};

const slc_command slc_commands[] = {
    {"login", "[CONTEXT]", 0, 1, "Make or renew a context, and use it",
     "The token is asked for on the terminal or read from standard input, and kept in the file of contexts, "
     "which nobody "
     "else may read. With --token-file or --token-command it stays where it is and is read each time. Nothing "
     "is kept "
     "unless the control plane takes the token.",
     "sluicectl login prod --server https://control.example.com:8001 --ca-file ca.pem\n"
     "sluicectl login ci --server http://127.0.0.1:8001 --token-command 'pass show sluice/ci'",
     login_options, slc_cmd_login},
    {"logout", "[CONTEXT]", 0, 1, "Forget the token of a context",
     "The token stays valid; sluicectl token revoke ends it.", NULL, NULL, slc_cmd_logout},
    {"context list", "", 0, 0, "List the contexts; the current one has a star", NULL, NULL, NULL,
     slc_cmd_context_list},
    {"context use", SLC_VALUE_CONTEXT, 1, 1, "Make a context the current one", NULL, NULL, NULL,
     slc_cmd_context_use},
    {"context delete", SLC_VALUE_CONTEXT, 1, 1, "Remove a context from the file", NULL, NULL, NULL,
     slc_cmd_context_delete},
    {"whoami", "", 0, 0, "Show the token's identity and rights", NULL, NULL, NULL, slc_cmd_whoami},

    {"kinds", "", 0, 0, "List the kinds of objects and what can be done with them", NULL, NULL, NULL,
     slc_cmd_kinds},
    {"get", "KIND [KEY...]", 1, -1, "List objects, or show some",
     "Kinds may be shortened as long as they are clear, and be singular. --watch prints again when something "
     "changes.",
     "sluicectl get event-apis -l team=payments\n"
     "sluicectl get gateway-groups -l label=region=eu\n"
     "sluicectl get gateway-nodes --watch\n"
     "sluicectl get listener edge -o yaml",
     get_options, slc_cmd_get},
    {"describe", "KIND KEY", 2, 2, "Show one object and its latest changes", NULL, NULL, NULL,
     slc_cmd_describe},
    {"dump", "", 0, 0, "Print the configuration as a document that can be applied",
     "YAML, or JSON with -o json. Secrets are not in it; applied again, it changes nothing.",
     "sluicectl dump --manager shop > shop.yaml", dump_options, slc_cmd_dump},

    {"validate", "", 0, 0, "Check documents without a control plane",
     "Kinds, fields, forms and bounds are those of this version of sluicectl. Whether what is referred to "
     "exists, and "
     "who may do it, only the control plane knows: sluicectl diff asks it.",
     "sluicectl validate -f config/", validate_options, slc_cmd_validate},
    {"diff", "", 0, 0, "Show what applying documents would change",
     "Ends with 0 when nothing would, with 1 when something would, with 2 when it could not find out.",
     "sluicectl diff -f config/ --prune", diff_options, slc_cmd_diff},
    {"apply", "", 0, 0, "Make the configuration what documents say",
     "All files together are one change: all of it or nothing. Problems are shown with file and line. An "
     "object of another "
     "manager is refused, unless --adopt. With --confirm, or a base revision, somebody else's change in "
     "between is "
     "noticed and nothing is done.",
     "sluicectl apply -f config/ --prune\n"
     "sluicectl dump --manager shop | sluicectl apply -f - --context staging",
     apply_options, slc_cmd_apply},

    {"create", "KIND [FIELD=VALUE...]", 1, -1, "Create one object, and show what is shown once",
     "For what cannot be declared: credentials, subscriptions. Values are YAML; a.b=1 sets b within a; "
     "field=@FILE takes "
     "the text of a file.",
     "sluicectl create credential application=shop type=secret\n"
     "sluicectl create rest-api name=stock team=shop document=@openapi.yaml",
     body_options, slc_cmd_create},
    {"update", "KIND KEY [FIELD=VALUE...]", 2, -1, "Change fields of one object",
     "What is not named stays. Values are as those of create; null takes a field away.",
     "sluicectl update rest-api stock document=@openapi.yaml\n"
     "sluicectl update user ann disabled=true",
     body_options, slc_cmd_update},
    {"delete", "KIND KEY...", 2, -1, "Delete objects that nothing refers to", NULL, NULL, NULL, slc_cmd_delete},
    {"act", "KIND KEY ACTION [FIELD=VALUE...]", 3, -1, "Act on one object, such as approve a subscription",
     "sluicectl kinds lists the actions.", "sluicectl act subscription 4p9b3azkc1qdgy82 approve reason=welcome",
     body_options, slc_cmd_act},

    {"rollback", "VERSION", 1, 1, "Make the configuration what it was at a version",
     "Shows what that changes, then asks. It is for all gateway groups. Access (applications, credentials, "
     "users, tokens) "
     "never rolls back. sluicectl get config-versions lists the versions.",
     "sluicectl rollback 41 --dry-run", rollback_options, slc_cmd_rollback},
    {"promote", "DEPLOYMENT", 1, 1, "Deploy on another group what is deployed on one",
     "Shows what that changes, then asks. The virtual cluster must be named the first time; the next time what "
     "the target "
     "has stays.",
     "sluicectl promote orders.v1@dev --to prod --virtual-cluster prod", promote_options, slc_cmd_promote},
    {"explain", "", 0, 0, "Show who may do what, and by which rule",
     "Ends with 0 when it is allowed, with 1 when it is denied, with 2 when it could not find out.",
     "sluicectl explain -g dev -a shop -e orders.v1 --operation publish", explain_options, slc_cmd_explain},

    {"events tail", "EVENT-API", 1, 1, "Print the events of an event API as they come",
     "One event a line, in JSON. A stream that is cut is resumed where it was; --retries bounds the tries in a "
     "row.",
     "sluicectl events tail orders.v1 --key-file shop.key --from earliest -n 10", tail_options,
     slc_cmd_events_tail},
    {"events publish", "EVENT-API", 1, 1, "Publish an event, or many",
     "It is tried again only when it was certainly not stored.",
     "sluicectl events publish orders.v1 -k shop.key -d '{\"id\": 7}'", publish_options,
     slc_cmd_events_publish},

    {"node list", "", 0, 0, "List the gateways that have joined", NULL, NULL, node_list_options,
     slc_cmd_node_list},
    {"node connections", "NODE", 1, 1, "Show who is connected to a gateway", NULL, NULL, NULL,
     slc_cmd_node_connections},
    {"node join", "GROUP", 1, 1, "Print the command that joins a new gateway to a group", NULL,
     "sluicectl node join prod --uses 3", node_join_options, slc_cmd_node_join},
    {"node drain", "NODE", 1, 1, "Let a gateway finish what is open, and end",
     "As SIGTERM does. Whatever runs it (systemd, Kubernetes) decides whether it comes back.", NULL,
     node_drain_options, slc_cmd_node_drain},
    {"node revoke", "NODE", 1, 1, "Shut a gateway out for good", NULL, NULL, yes_options, slc_cmd_node_revoke},

    {"token create", "NAME", 1, 1, "Make a token for the admin API", NULL,
     "sluicectl token create backups --scope backups:read --expires-in 90d --out backups.token",
     token_create_options, slc_cmd_token_create},
    {"token list", "", 0, 0, "List the tokens for the admin API", NULL, NULL, NULL, slc_cmd_token_list},
    {"token revoke", "ID...", 1, -1, "End tokens for the admin API", NULL, NULL, NULL, slc_cmd_token_revoke},

    {"backup create", "", 0, 0, "Make a backup of the catalog", NULL, NULL, backup_create_options,
     slc_cmd_backup_create},
    {"backup list", "", 0, 0, "List the backups, newest first", NULL, NULL, NULL, slc_cmd_backup_list},
    {"backup fetch", "[NAME]", 0, 1, "Download a backup (the newest)", NULL, NULL, backup_fetch_options,
     slc_cmd_backup_fetch},
    {"restore", "FILE", 1, 1, "Put a backup in the place of the catalog",
     "On the control plane's own machine, while it is stopped: runs sluice-control --restore. "
     "docs/operations.md says what "
     "to read before it is started again.",
     "sluicectl restore catalog-20261127T045004187Z-r3.db --data-dir /var/lib/sluice-control", restore_options,
     slc_cmd_restore},

    {"debug", "", 0, 0, "Gather what somebody needs who is asked for help",
     "One file with the configuration, versions, nodes, latest audit events, metrics and health. Secrets are "
     "not in it; what the token may "
     "not see is left out.",
     "sluicectl debug --gateway http://127.0.0.1:8100", debug_options, slc_cmd_debug},
    {"help", "[COMMAND]", 0, 2, "Say more about a command", NULL, NULL, help_options, slc_cmd_help},
    {"completion", "bash|zsh", 1, 1, "Print a completion script", NULL, "source <(sluicectl completion bash)",
     NULL, slc_cmd_completion},
    {"version", "", 0, 0, "Show the versions of sluicectl and of the control plane", NULL, NULL,
     version_options, slc_cmd_version},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL},
};
