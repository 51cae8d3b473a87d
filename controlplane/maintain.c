#include "controlplane/maintain.h"

#include <stdio.h>
#include <stdlib.h>

#include "catalog/backup.h"
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

bool slc_control_maintain(const slc_control_settings *settings, slc_error *err)
{
    slc_catalog_options options;
    slc_control_catalog_options(settings, &options);
    if (settings->restore != NULL && settings->forget_secrets)
        return slc_fail(err, SLC_INVALID, "forget-secrets", "restore first, and use forget-secrets after it");
    return settings->restore != NULL ? restore(settings, &options, err) : forget(&options, err);
}
