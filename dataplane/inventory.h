/* Taking inventory of the group's backends, when it is this gateway's turn: on a thread of its own, since it
 * waits for brokers, and at a leisurely pace. */
#ifndef SLC_DATAPLANE_INVENTORY_H
#define SLC_DATAPLANE_INVENTORY_H

#include "dataplane/config/client.h"

typedef struct slc_inventory slc_inventory;

slc_inventory *slc_inventory_new(slc_error *err) SLC_CHECKED;
/* Breaks off what is under way; waits for that, which takes a second or so. NULL is fine. */
void slc_inventory_free(slc_inventory *inventory);
/* The configuration that has the backends. Any thread, as the others. */
void slc_inventory_apply(slc_inventory *inventory, slc_snapshot *snapshot);
/* What is found goes to `client`; before it is freed it must be taken back (NULL). */
void slc_inventory_connect(slc_inventory *inventory, slc_config_client *client);
void slc_inventory_turn(slc_inventory *inventory, const slc_inventory_turn_options *turn);

#endif
