/* Tokens of strangers: nothing that is not signed may pass, whatever it says. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/jose/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The example key of RFC 7517 section A.1, and one for EdDSA (RFC 8037 section A.2). */
static const char keys[] =
    "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","
    "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\"},{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
    "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = slc_strndup((const char *)data, size);
    json_t *jwks = json_loads(keys, 0, NULL);
    slc_jwt_expect expect = {.issuer = "i", .audience = "a", .now_ms = 1800000000000, .skew_ms = 60000};
    bool unknown_key, ok;
    slc_error err;
    slc_jwt jwt;
    if (slc_jwt_parse(text, &jwt, &err)) {
        ok = slc_jwt_check_claims(&jwt, &expect, &err);
        ok = slc_jwt_verify(&jwt, jwks, &unknown_key, &err) && ok;
        SLC_BUG_ON(ok); /* nobody here has the keys */
    }
    slc_jwt_release(&jwt);
    json_decref(jwks);
    free(text);
    return 0;
}
