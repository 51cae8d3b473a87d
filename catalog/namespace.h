/* Which topics clients of a virtual cluster can name. A gateway decides it by dataplane/virtual/names.h, which
 * this repeats, and takes no configuration in which a deployment's topic is none of them: so nobody may make
 * one. */
#ifndef SLC_CATALOG_NAMESPACE_H
#define SLC_CATALOG_NAMESPACE_H

#include <jansson.h>
#include <stdbool.h>

#define SLC_BACKEND_TOPIC_CHARS 500

/* `vcluster` in stored form. */
bool slc_namespace_has_topic(const json_t *vcluster, const char *topic);
/* What a client's topic is on the backend. */
void slc_namespace_backend_topic(const json_t *vcluster, const char *topic, char out[SLC_BACKEND_TOPIC_CHARS]);

/* One of Kafka's own, such as __consumer_offsets, which tells of all tenants. */
bool slc_namespace_is_internal(const char *topic);
/* Would one of them be below the prefix? */
bool slc_namespace_holds_internal(const char *prefix);

#endif
