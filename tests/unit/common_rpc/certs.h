/* Certificate authorities and leaves for tests, made by OpenSSL on the spot (P-256). */
#ifndef SLC_TESTS_COMMON_RPC_CERTS_H
#define SLC_TESTS_COMMON_RPC_CERTS_H

typedef struct test_ca test_ca;

test_ca *test_ca_new(const char *name);
void test_ca_free(test_ca *ca);
const char *test_ca_pem(const test_ca *ca); /* borrowed */

/* `san` in OpenSSL's notation, such as "DNS:localhost,URI:spiffe://test/node/1"; NULL for none. New strings. */
void test_ca_issue(test_ca *ca, const char *name, const char *san, char **cert_pem, char **key_pem);

#endif
