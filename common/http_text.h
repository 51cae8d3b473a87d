/* Small grammars of HTTP that several parts must agree on. Any thread. */
#ifndef SLC_COMMON_HTTP_TEXT_H
#define SLC_COMMON_HTTP_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* A field name or a method (RFC 9110 section 5.6.2: token). */
bool slc_http_is_token(const char *text, size_t len);
/* What CORS may allow: "*", or scheme://host[:port] as browsers send it, without path, user or "null". */
bool slc_http_is_origin(const char *text, size_t len);

/* A scope of OAuth (RFC 6749, section 3.3). */
bool slc_oauth_is_scope(const char *text, size_t len);

#endif
