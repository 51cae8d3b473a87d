/* Keys and tokens for tests, made with OpenSSL and nothing of ours but base64. */
#ifndef SLC_TEST_JOSE_SIGNER_H
#define SLC_TEST_JOSE_SIGNER_H

#include <jansson.h>
#include <openssl/evp.h>

/* New text. */
char *t_base64url(const void *data, size_t len);
/* "RS256", "ES384", "EdDSA", ... */
EVP_PKEY *t_new_key(const char *algorithm);
/* The public half as a JWK: new. */
json_t *t_jwk_of(EVP_PKEY *key, const char *kid);
/* `kid` NULL: the header has none. New text. */
char *t_token_of(EVP_PKEY *key, const char *algorithm, const char *kid, const char *claims);
/* With a header of the test's own; `key` NULL: with an empty signature. */
char *t_token_with(EVP_PKEY *key, const char *algorithm, const char *header, const char *claims);

#endif
