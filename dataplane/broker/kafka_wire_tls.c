/* TLS towards a broker, by the backend's settings. */
#include <openssl/err.h>
#include <poll.h>

#include "dataplane/broker/backend_tls.h"
#include "dataplane/broker/kafka_wire.h"

bool slc_kafka_wire_start_tls(slc_kafka_wire *wire, const char *host, slc_error *err)
{
    const Sluice__Snapshot__V1__ClientTls *msg = wire->backend->msg->tls;
    if (wire->tls == NULL && (wire->tls = slc_backend_tls_new(msg, err)) == NULL)
        return false;
    wire->ssl = SSL_new(wire->tls);
    if (wire->ssl == NULL || SSL_set_fd(wire->ssl, wire->fd) != 1 ||
        !slc_backend_tls_expect(wire->ssl, msg, host))
        return slc_fail(err, SLC_INTERNAL, NULL, "%s: TLS cannot start: %s", wire->peer,
                        slc_backend_tls_reason(wire->ssl, msg));
    for (;;) {
        ERR_clear_error();
        int result = SSL_connect(wire->ssl);
        int reason = SSL_get_error(wire->ssl, result);
        if (result == 1)
            return true;
        if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE)
            return slc_fail(err, SLC_UNAVAILABLE, NULL, "%s: the TLS handshake failed: %s", wire->peer,
                            slc_backend_tls_reason(wire->ssl, msg));
        if (!slc_kafka_wire_wait(wire, reason == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, err))
            return false;
    }
}
