/* What the files of the settings share. Not for anybody else. */
#ifndef SLC_COMMON_SETTINGS_PRIVATE_H
#define SLC_COMMON_SETTINGS_PRIVATE_H

#include <jansson.h>

#include "common/settings.h"

#define SLC_SETTING_NAME_CHARS 128

/* Parses `text` and stores the value in the target, releasing what was there. The error names the value (unless
 * it is a secret) and what is expected, not the source. */
bool slc_setting_parse(const slc_setting *setting, const char *text, void *target, slc_error *err) SLC_CHECKED;
/* Zero or NULL, without looking at what was there. */
void slc_setting_reset(const slc_setting *setting, void *target);
void slc_setting_release(const slc_setting *setting, void *target);

/* The file as a JSON Schema (draft-07): new. */
json_t *slc_settings_schema(const slc_setting *table);

void slc_setting_flag(const slc_setting *setting, char out[SLC_SETTING_NAME_CHARS]);
void slc_setting_variable(const slc_setting *setting, char out[SLC_SETTING_NAME_CHARS]);

#endif
