#include <errno.h>
#include <linux/tcp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/assert.h"
#include "common/httpd.h"
#include "common/settings.h"

static int fail_socket(slc_error *err, const char *address)
{
    int error = errno;
    enum slc_code code = error == EADDRINUSE ? SLC_CONFLICT : error == EACCES ? SLC_DENIED : SLC_IO;
    slc_fail(err, code, NULL, "cannot listen on %s: %s", address, strerror(error));
    return -1;
}

/* Returns the fd, or -1 with errno. */
static int open_socket(const struct sockaddr *addr, socklen_t len, bool any_family, bool reuse_port)
{
    const int on = 1, off = 0;
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        (!reuse_port || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0) &&
        (!any_family || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) == 0) &&
        bind(fd, addr, len) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* ":PORT": IPv6 and IPv4 in one socket, or IPv4 alone where the kernel has no IPv6. */
static int open_any(uint16_t port, bool reuse_port)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_any};
    int fd = open_socket((struct sockaddr *)&six, sizeof(six), true, reuse_port);
    if (fd >= 0 || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL))
        return fd;
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_ANY)}};
    return open_socket((struct sockaddr *)&four, sizeof(four), false, reuse_port);
}

int slc_listen(const char *address, bool reuse_port, slc_error *err)
{
    char host[256];
    char service[8];
    uint16_t port;
    if (!slc_address_split(address, host, sizeof(host), &port, err))
        return -1;
    if (host[0] == '\0') {
        int any = open_any(port, reuse_port);
        return any >= 0 ? any : fail_socket(err, address);
    }
    snprintf(service, sizeof(service), "%u", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(host, service, &hints, &found);
    if (error != 0) {
        slc_fail(err, SLC_INVALID, NULL, "cannot listen on %s: %s", address, gai_strerror(error));
        return -1;
    }
    /* The first one: a name should mean one address here. */
    int fd = open_socket(found->ai_addr, found->ai_addrlen, false, reuse_port);
    int saved = errno;
    freeaddrinfo(found);
    errno = saved;
    return fd >= 0 ? fd : fail_socket(err, address);
}

uint16_t slc_listen_port(int fd)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);
    SLC_BUG_ON(getsockname(fd, (struct sockaddr *)&addr, &len) != 0);
    if (addr.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&addr)->sin6_port);
    return ntohs(((struct sockaddr_in *)&addr)->sin_port);
}

void slc_socket_bytes(int fd, uint64_t *in, uint64_t *out)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return;
    *in = info.tcpi_bytes_received;
    *out = info.tcpi_bytes_acked;
}
