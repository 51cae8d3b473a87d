#include "common/mask_rule.h"

#include <stddef.h>

const char *const slc_mask_action_names[] = {"redact", "keep-last", "hash", "remove", NULL};
const char *const slc_mask_direction_names[] = {"read", "publish", NULL};
