#include "controlplane/maintain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/backup.h"
#include "catalog/token.h"
#include "common/alloc.h"
#include "common/file.h"
#include "controlplane/control.h"

static void print_report(const char *what, const json_t *report)
{
    char *text = json_dumps(report, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    printf("%s\n%s\n", what, text);
    fflush(stdout);
    free(text);
}

static bool restore(const slc_control_settings *settings, const slc_catalog_options *options, slc_error *err)
{
    slc_restore wanted = {.file = settings->restore, .undo_revocations = settings->restore_undo_revocations};
    json_t *report;
    if (!slc_catalog_restore(options, &wanted, &report, err))
        return slc_fail_context(err, "nothing was changed");
    print_report(
        "The catalog was restored. Start the control plane; gateways take the restored configuration as a new "
        "version.",
        report);
    json_decref(report);
    return true;
}

static bool forget(const slc_catalog_options *options, slc_error *err)
{
    json_t *report;
    if (!slc_catalog_forget_secrets(options, &report, err))
        return slc_fail_context(err, "nothing was changed");
    print_report(
        "What was sealed under the lost master key was dropped. Start the control plane and supply each of "
        "`fields` again: until then gateways keep the configuration that they have. The node CA is made anew: "
        "every gateway must join again, with its state folder emptied.",
        report);
    json_decref(report);
    return true;
}

static bool make_token(slc_txn *txn, void *arg, slc_error *err)
{
    return slc_catalog_admin_token(txn, "recovery", arg, err);
}

/* Opening would make a catalog where there is none. */
static bool check_catalog(const char *data_dir, slc_error *err)
{
    char *path = slc_asprintf("%s/catalog.db", data_dir);
    bool ok = slc_file_exists(path) ||
              slc_fail(err, SLC_NOT_FOUND, "data-dir", "there is no catalog %s: check data-dir", path);
    free(path);
    return ok;
}

static bool new_token(const slc_control_settings *settings, const slc_catalog_options *options, slc_error *err)
{
    slc_actor actor = {.kind = "system", .id = "system", .name = "new-admin-token"};
    char *token = NULL;
    if (!check_catalog(settings->data_dir, err))
        return false;
    slc_catalog *catalog = slc_catalog_open(options, err);
    if (catalog == NULL)
        return slc_fail_context(err, "no token was made");
    bool ok = slc_catalog_write_sync(catalog, &actor, make_token, &token, err) &&
              slc_control_show_token(settings, token, err);
    if (token != NULL)
        slc_free_secret(token, strlen(token));
    slc_catalog_close(catalog);
    return ok;
}

bool slc_control_maintain(const slc_control_settings *settings, slc_error *err)
{
    slc_catalog_options options;
    slc_control_catalog_options(settings, &options);
    if ((settings->restore != NULL) + settings->forget_secrets + settings->new_admin_token > 1)
        return slc_fail(err, SLC_INVALID, NULL,
                        "restore, forget-secrets and new-admin-token are one at a time: restore first, then "
                        "forget-secrets, then new-admin-token");
    if (settings->new_admin_token)
        return new_token(settings, &options, err);
    return settings->restore != NULL ? restore(settings, &options, err) : forget(&options, err);
}
