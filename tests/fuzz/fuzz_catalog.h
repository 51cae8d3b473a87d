/* A real catalog in a temporary folder, with one entity of every kind that can be created; made at the first
 * call, removed at exit. */
#ifndef SLC_TEST_FUZZ_CATALOG_H
#define SLC_TEST_FUZZ_CATALOG_H

#include "catalog/catalog.h"

slc_catalog *fuzz_catalog(void);

#endif
