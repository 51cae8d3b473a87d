/* The commands' functions, for the table in commands.c; each returns one of slc_ctl_exit. */
#ifndef SLC_CONTROLPLANE_CTL_COMMANDS_H
#define SLC_CONTROLPLANE_CTL_COMMANDS_H

struct slc_ctl;

/* cmd_context.c */
int slc_cmd_login(struct slc_ctl *ctl);
int slc_cmd_logout(struct slc_ctl *ctl);
int slc_cmd_context_list(struct slc_ctl *ctl);
int slc_cmd_context_use(struct slc_ctl *ctl);
int slc_cmd_context_delete(struct slc_ctl *ctl);
int slc_cmd_whoami(struct slc_ctl *ctl);
/* cmd_read.c */
int slc_cmd_kinds(struct slc_ctl *ctl);
int slc_cmd_get(struct slc_ctl *ctl);
int slc_cmd_describe(struct slc_ctl *ctl);
int slc_cmd_dump(struct slc_ctl *ctl);
/* cmd_apply.c */
int slc_cmd_validate(struct slc_ctl *ctl);
int slc_cmd_diff(struct slc_ctl *ctl);
int slc_cmd_apply(struct slc_ctl *ctl);
/* cmd_write.c */
int slc_cmd_create(struct slc_ctl *ctl);
int slc_cmd_update(struct slc_ctl *ctl);
int slc_cmd_delete(struct slc_ctl *ctl);
int slc_cmd_act(struct slc_ctl *ctl);
/* cmd_rollback.c, cmd_promote.c, cmd_explain.c */
int slc_cmd_rollback(struct slc_ctl *ctl);
int slc_cmd_promote(struct slc_ctl *ctl);
int slc_cmd_explain(struct slc_ctl *ctl);
/* cmd_events.c */
int slc_cmd_events_tail(struct slc_ctl *ctl);
int slc_cmd_events_publish(struct slc_ctl *ctl);
/* cmd_node.c */
int slc_cmd_node_list(struct slc_ctl *ctl);
int slc_cmd_node_connections(struct slc_ctl *ctl);
int slc_cmd_node_join(struct slc_ctl *ctl);
int slc_cmd_node_drain(struct slc_ctl *ctl);
int slc_cmd_node_revoke(struct slc_ctl *ctl);
/* cmd_token.c */
int slc_cmd_token_create(struct slc_ctl *ctl);
int slc_cmd_token_list(struct slc_ctl *ctl);
int slc_cmd_token_revoke(struct slc_ctl *ctl);
/* cmd_backup.c */
int slc_cmd_backup_create(struct slc_ctl *ctl);
int slc_cmd_backup_list(struct slc_ctl *ctl);
int slc_cmd_backup_fetch(struct slc_ctl *ctl);
int slc_cmd_restore(struct slc_ctl *ctl);
/* cmd_debug.c */
int slc_cmd_debug(struct slc_ctl *ctl);
/* cmd_about.c */
int slc_cmd_help(struct slc_ctl *ctl);
int slc_cmd_completion(struct slc_ctl *ctl);
int slc_cmd_version(struct slc_ctl *ctl);

#endif
