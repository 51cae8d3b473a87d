/* What the files about notifications share. Private to catalog/. */
#ifndef SLC_CATALOG_NOTIFY_PRIVATE_H
#define SLC_CATALOG_NOTIFY_PRIVATE_H

#include "catalog/notify.h"

/* Writes a notification for one webhook; `data` is borrowed. */
bool slc_notify_enqueue(slc_txn *txn, const char *webhook_id, const char *event, json_t *data,
                        slc_error *err) SLC_CHECKED;
/* A node has enrolled (stored form). */
bool slc_notify_enrolled(slc_txn *txn, const json_t *node, slc_error *err) SLC_CHECKED;

#endif
