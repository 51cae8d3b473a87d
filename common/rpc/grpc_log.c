/* gRPC's own log lines, in our log. */
#include <grpc/support/log.h>
#include <string.h>

#include "common/log.h"
#include "common/rpc/internal.h"

/* Files whose complaints any stranger can provoke by connecting, or that repeat what the call's own status
 * says: at warning level they would let a port scan fill the log. (chttp2_server.cc, which tells why a port
 * cannot be opened, is not among them.) */
static const char *const peer_provoked[] = {
    "ssl_transport_security.cc",
    "security_handshaker.cc",
    "chttp2_transport.cc",
    "secure_endpoint.cc",
    "tcp_posix.cc",
    "ssl_utils.cc",
    "client_channel.cc",
    "ssl_security_connector.cc",
    "handshaker.cc",
    "http2_server.cc",
};

static bool is_peer_provoked(const char *base)
{
    for (size_t i = 0; i < sizeof(peer_provoked) / sizeof(peer_provoked[0]); i++)
        if (strcmp(base, peer_provoked[i]) == 0)
            return true;
    return false;
}

static void write_line(gpr_log_func_args *args)
{
    const char *slash = strrchr(args->file, '/');
    const char *base = slash != NULL ? slash + 1 : args->file;
    bool loud = args->severity == GPR_LOG_SEVERITY_ERROR && !is_peer_provoked(base);
    enum slc_log_level level = loud ? SLC_LOG_WARN : SLC_LOG_DEBUG;
    slc_log(level, "grpc", LS("detail", args->message), LS("file", base), LI("line", args->line));
}

void slc_rpc_route_log(void)
{
    gpr_set_log_function(write_line);
    gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
}
