/* Topic ids (KIP-516): zero where the broker has none. */
#include <string.h>

#include "dataplane/broker/broker.h"

bool slc_topic_id_known(const uint8_t id[16])
{
    static const uint8_t unknown[16];
    return memcmp(id, unknown, sizeof unknown) != 0;
}

bool slc_topic_id_differs(const uint8_t a[16], const uint8_t b[16])
{
    return slc_topic_id_known(a) && slc_topic_id_known(b) && memcmp(a, b, 16) != 0;
}
