#include "dataplane/virtual/opened.h"

#include <stddef.h>
#include <string.h>

static const struct family {
    const char *name;
    int first, last; /* keys */
    bool in_namespaces;
} families[] = {
    {"acls", 29, 31, true},   {"delegation-tokens", 38, 41, false}, {"quotas", 48, 49, false},
    {"scram", 50, 51, false}, {"client-metrics", 71, 72, true},
};

bool slc_opened(const Sluice__Snapshot__V1__VirtualCluster *msg, int key)
{
    bool namespace = msg->mode != SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_NONE;
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        const struct family *family = &families[i];
        if (key < family->first || key > family->last || (namespace && !family->in_namespaces))
            continue;
        for (size_t j = 0; j < msg->n_admin_apis; j++)
            if (strcmp(msg->admin_apis[j], family->name) == 0)
                return true;
    }
    return false;
}
