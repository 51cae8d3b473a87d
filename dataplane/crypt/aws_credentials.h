/* Whom to sign as: the configuration, else the environment, else the shared credentials file. */
#ifndef SLC_DATAPLANE_CRYPT_AWS_CREDENTIALS_H
#define SLC_DATAPLANE_CRYPT_AWS_CREDENTIALS_H

#include "dataplane/crypt/options.h"

typedef struct slc_aws_credentials {
    char *id, *secret;
    char *session_token; /* NULL: none */
} slc_aws_credentials;

/* Read anew for each call, so that what is rotated is found. False with SLC_UNAVAILABLE. */
bool slc_aws_credentials_find(const slc_key_ring_options *options, slc_aws_credentials *out,
                              slc_error *err) SLC_CHECKED;
void slc_aws_credentials_release(slc_aws_credentials *credentials);

#endif
