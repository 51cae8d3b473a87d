/* What an event API looks like to its users, in two standard languages: OpenAPI 3.1 and AsyncAPI 3.0.
 *
 * Both start from a whole document in catalog/documents/ from which everything is taken away that the API does
 * not offer. They never name a broker; a topic only when the API is exposed as Kafka, as its clients name it.
 * Any thread.
 */
#ifndef SLC_CATALOG_DOCUMENTS_H
#define SLC_CATALOG_DOCUMENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct slc_document_source {
    const char *name;
    unsigned major;
    const char *title, *description; /* NULL: none */
    const char *team;
    bool deprecated;
    int64_t sunset_ms; /* 0: none */
    bool publish, read;
    bool rest, sse, kafka;
    const char *rest_url;  /* of the gateway group; NULL: the documents' own server */
    const char *kafka_url; /* host:port; NULL: unknown, so that Kafka is left out */
    bool kafka_tls;
    bool kafka_certificates;    /* client certificates are asked for there */
    const json_t *kafka_ways;   /* client_authentication of the virtual cluster; borrowed */
    const char *topic;          /* as Kafka clients name it */
    int64_t partitions;         /* 0: not known */
    const char *group_prefix;   /* that names of consumer groups must have; NULL: none */
    const json_t *group_filter; /* globs that they must match one of; borrowed; NULL, or empty: none */
    const char *key_rule;       /* in words; NULL: events have no key */
    int64_t max_event_bytes;
    const char *schema_format; /* "json_schema", "avro"; NULL: none */
    const json_t *schema;      /* the definition, borrowed; NULL: unknown here */
    /* Over HTTP. */
    const json_t *key_headers; /* array of fields that an API key is sent in; borrowed */
    bool basic;                /* HTTP Basic is taken too */
    bool bearer;               /* access tokens are */
    bool certificate;          /* client certificates are */
} slc_document_source;

/* New. */
json_t *slc_document_openapi(const slc_document_source *source);
json_t *slc_document_asyncapi(const slc_document_source *source);

extern const char slc_document_openapi_text[], slc_document_asyncapi_text[];

#endif
