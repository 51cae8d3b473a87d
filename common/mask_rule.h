/* What a mask policy may say, for the control plane and gateways alike. */
#ifndef SLC_COMMON_MASK_RULE_H
#define SLC_COMMON_MASK_RULE_H

#define SLC_MASK_RULES           32 /* paths of each kind */
#define SLC_MASK_KEEP            4
#define SLC_MASK_KEEP_MAX        100
#define SLC_MASK_REPLACEMENT     "***"
#define SLC_MASK_REPLACEMENT_MAX 100

/* End with NULL; actions in the order of their numbers. */
extern const char *const slc_mask_action_names[];
extern const char *const slc_mask_direction_names[];

#endif
