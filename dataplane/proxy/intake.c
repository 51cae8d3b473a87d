/* The PROXY protocol header, before anything else that a client behind a load balancer says. Read to its last
 * byte and no further, so that TLS finds its own first byte in the socket. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/alloc.h"
#include "common/proxy_header.h"
#include "dataplane/proxy/session_private.h"

struct slc_intake {
    size_t len, wanted;
    uint8_t data[SLC_PROXY_HEADER_MAX];
};

void slc_session_expect_header(slc_session *session)
{
    session->intake = slc_calloc(1, sizeof *session->intake);
    session->intake->wanted = SLC_PROXY_HEADER_FIRST;
}

void slc_session_forget_intake(slc_session *session)
{
    free(session->intake);
    session->intake = NULL;
}

static int refuse(slc_session *session, const slc_error *err)
{
    slc_proxy_metrics_header("refused");
    slc_session_refuse(session, SLC_INVALID, "proxy-protocol", "%s", err->message);
    return -1;
}

/* The header is whole. */
static int take(slc_session *session)
{
    struct sockaddr_storage source = {0};
    slc_error err = {0};
    bool told;
    if (!slc_proxy_header_read(session->intake->data, session->intake->len, &told, &source, &err))
        return refuse(session, &err);
    if (told)
        slc_proxy_describe(&source, session->address);
    slc_proxy_metrics_header(told ? "taken" : "local");
    if (told && !slc_proxy_admit_address(session, &source))
        return -1;
    slc_session_forget_intake(session);
    return 1;
}

int slc_session_intake(slc_session *session)
{
    struct slc_intake *intake = session->intake;
    slc_error err = {0};
    while (intake->len < intake->wanted) {
        ssize_t got = recv(session->client.fd, intake->data + intake->len, intake->wanted - intake->len, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            slc_end_want_read(&session->client, true);
            return 0;
        }
        if (got <= 0) /* a port check: nobody has said anything */
            return -1;
        intake->len += (size_t)got;
        if (intake->len == SLC_PROXY_HEADER_FIRST &&
            !slc_proxy_header_size(intake->data, &intake->wanted, &err))
            return refuse(session, &err);
    }
    return take(session);
}
