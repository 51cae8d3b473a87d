/* Contexts: which control plane, and as whom. They are kept in one YAML file (mode 0600):
 *
 *   current: dev
 *   contexts:
 *     dev:
 *       server: https://control.example.com:8001
 *       token_file: ~/.config/sluice/dev.token     or token, or token_command
 *       ca_file, client_certificate_file, client_key_file
 *
 * The file is --config, SLUICECTL_CONFIG, or $XDG_CONFIG_HOME/sluice/config.yaml (~/.config). Options and
 * SLUICE_SERVER, SLUICE_TOKEN and SLUICE_TOKEN_FILE go before what a context says. */
#ifndef SLC_CONTROLPLANE_CTL_CONTEXT_H
#define SLC_CONTROLPLANE_CTL_CONTEXT_H

#include <jansson.h>

#include "common/error.h"
#include "controlplane/ctl/command.h"

typedef struct slc_ctl_context {
    char *name;                           /* "(none)" when options and environment said everything */
    char *server;                         /* without a slash at the end */
    char *token;                          /* secret; NULL: none */
    const char *server_from, *token_from; /* the option or variable; NULL: the context itself */
    char *ca_file, *client_certificate_file, *client_key_file; /* NULL: none */
} slc_ctl_context;

/* What holds for this run: reads the file, and the token from where it is. */
bool slc_context_resolve(const slc_args *args, slc_ctl_context *context, slc_error *err) SLC_CHECKED;
void slc_context_release(slc_ctl_context *context);

/* The file's path; the caller frees. */
char *slc_contexts_path(const slc_args *args, slc_error *err) SLC_CHECKED;
/* The file as JSON with "contexts" and perhaps "current": new reference; empty when there is no file. Refuses
 * one that others can read. */
json_t *slc_contexts_load(const slc_args *args, slc_error *err) SLC_CHECKED;
bool slc_contexts_save(const slc_args *args, const json_t *contexts, slc_error *err) SLC_CHECKED;
/* Names of the contexts for messages: "dev, prod". */
void slc_contexts_names(const json_t *contexts, char *out, size_t size);

#endif
