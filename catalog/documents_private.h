/* What the files of the documents share. Private to catalog/. */
#ifndef SLC_CATALOG_DOCUMENTS_PRIVATE_H
#define SLC_CATALOG_DOCUMENTS_PRIVATE_H

#include "catalog/documents.h"

/* ---- documents_kafka.c: the topic, as Kafka clients reach it; or what the AsyncAPI document says of one taken
 * away ---- */
void slc_document_fit_kafka(const slc_document_source *source, json_t *document);

#endif
