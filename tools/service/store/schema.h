/* The tables of the service's database, and how an older one gets them. */
#ifndef RINGFENCE_TOOLS_SERVICE_SCHEMA_H
#define RINGFENCE_TOOLS_SERVICE_SCHEMA_H

#include "tools/service/store/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* False with `error` set where the database is of a version that this one does not know. */
bool rf_store_knows_version(rf_store *store);

/* Brings the schema to the newest version. False with `error` set. */
bool rf_store_migrate(rf_store *store);

/* The newest version of the schema. */
int rf_store_schema_version(void);

#ifdef __cplusplus
}
#endif

#endif
