/* Limits of rules for configurations of Kafka topics, as the catalog and the gateway both have them. Pure; any
 * thread. */
#ifndef SLC_COMMON_KAFKA_CONFIG_RULE_H
#define SLC_COMMON_KAFKA_CONFIG_RULE_H

#include <stdbool.h>
#include <stddef.h>

#define SLC_KAFKA_CONFIG_RULES     50
#define SLC_KAFKA_CONFIG_VALUES    20
#define SLC_KAFKA_CONFIG_NAME_MAX  100 /* bytes */
#define SLC_KAFKA_CONFIG_VALUE_MAX 200 /* bytes */

/* Lower-case letters, digits, dots and hyphens, as all of Kafka's. */
bool slc_kafka_config_is_name(const char *text, size_t len);
/* Without control characters, and without spaces around it. */
bool slc_kafka_config_is_value(const char *text, size_t len);

#endif
