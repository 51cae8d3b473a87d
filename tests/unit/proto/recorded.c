#include "tests/unit/proto/recorded.h"

#include "sluice/config.pb-c.h"
#include "sluice/enrolment.pb-c.h"
#include "sluice/snapshot.pb-c.h"

const struct recorded_kind recorded_kinds[] = {
    {"from-node", &sluice__config__v1__from_node__descriptor},
    {"to-node", &sluice__config__v1__to_node__descriptor},
    {"enrol-request", &sluice__enrolment__v1__enrol_request__descriptor},
    {"enrol-response", &sluice__enrolment__v1__enrol_response__descriptor},
    {"renew-request", &sluice__enrolment__v1__renew_request__descriptor},
    {"renew-response", &sluice__enrolment__v1__renew_response__descriptor},
    {"manifest", &sluice__snapshot__v1__manifest__descriptor},
    {"index", &sluice__snapshot__v1__index__descriptor},
    {"configuration", &sluice__snapshot__v1__configuration__descriptor},
    {"credentials", &sluice__snapshot__v1__credential_bucket__descriptor},
    {"applications", &sluice__snapshot__v1__application_bucket__descriptor},
    {NULL, NULL},
};
