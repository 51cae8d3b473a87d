/* Settings of policies on records: rows of the table of policy types (rules_policy.c). */
#ifndef SLC_CATALOG_POLICY_RECORD_TYPES_H
#define SLC_CATALOG_POLICY_RECORD_TYPES_H

#include "catalog/catalog.h"
#include "catalog/entity.h"

extern const slc_field slc_filter_fields[], slc_mask_fields[];
bool slc_filter_check(slc_txn *txn, const json_t *config, slc_error *err);
bool slc_mask_check(slc_txn *txn, const json_t *config, slc_error *err);

#endif
