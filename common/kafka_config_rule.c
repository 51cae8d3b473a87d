#include "common/kafka_config_rule.h"

#include <string.h>

bool slc_kafka_config_is_name(const char *text, size_t len)
{
    return len > 0 && len <= SLC_KAFKA_CONFIG_NAME_MAX &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-") == len;
}

bool slc_kafka_config_is_value(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    return len > 0 && len <= SLC_KAFKA_CONFIG_VALUE_MAX && text[0] != ' ' && text[len - 1] != ' ';
}
