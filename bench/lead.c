/* To be preloaded: connections to one local port go to another, so that a client that was told the broker's own
 * address still passes through a relay. BENCH_LEAD=FROM:TO. */
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

typedef int connect_fn(int fd, const struct sockaddr *address, socklen_t len);

static in_port_t lead(in_port_t port)
{
    unsigned from, to;
    const char *setting = getenv("BENCH_LEAD");
    if (setting == NULL || sscanf(setting, "%u:%u", &from, &to) != 2 || ntohs(port) != from)
        return port;
    return htons((uint16_t)to);
}

/* The C library declares connect() with a union of its own for the address. */
int lead_connect(int fd, const struct sockaddr *address, socklen_t len) __asm__("connect");

int lead_connect(int fd, const struct sockaddr *address, socklen_t len)
{
    static connect_fn *real;
    struct sockaddr_storage led = {0};
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "connect"); /* POSIX's way around the missing conversion */
    if (len > sizeof led)
        return real(fd, address, len);
    memcpy(&led, address, len);
    if (led.ss_family == AF_INET)
        ((struct sockaddr_in *)&led)->sin_port = lead(((struct sockaddr_in *)&led)->sin_port);
    else if (led.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&led)->sin6_port = lead(((struct sockaddr_in6 *)&led)->sin6_port);
    return real(fd, (struct sockaddr *)&led, len);
}
