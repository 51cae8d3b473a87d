/* Rules of issuers. */
#include <string.h>

#include "catalog/rules.h"
#include "catalog/store.h"

static bool check_issuer(slc_txn *txn, slc_change *change, slc_error *err)
{
    const char *file = slc_get_text(change->next, "jwks_file");
    bool ok = true;
    if (file != NULL && slc_get_text(change->next, "jwks_url") != NULL)
        ok = slc_txn_problem(txn, "/jwks_file", err, "the keys come from a URL or from a file, not from both");
    if (file != NULL && file[0] != '/')
        ok = slc_txn_problem(txn, "/jwks_file", err, "the path must be absolute");
    return ok;
}

const struct slc_kind_rules slc_rules_issuer = {.check = check_issuer};
