/* proxy_header: the good, the cut, and the wrong. */
#include <arpa/inet.h>
#include <check.h>
#include <string.h>

#include "common/proxy_header.h"
#include "tests/unit/common/unit.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define TCP4                                                                                                   \
    SIGNATURE "\x21\x11\0\x0c"                                                                                 \
              "\xcb\0\x71\x07\x7f\0\0\1\x9c\xbb\x23\x84"
#define LEN(text) (sizeof text - 1)

static slc_error err;

static bool reads(const char *data, size_t len, bool *told, struct sockaddr_storage *source)
{
    err = (slc_error){0};
    memset(source, 0, sizeof *source);
    return slc_proxy_header_read((const uint8_t *)data, len, told, source, &err);
}

static void refused(const char *data, size_t len, const char *word)
{
    struct sockaddr_storage source;
    bool told;
    ck_assert(!reads(data, len, &told, &source));
    ck_assert_int_eq(err.code, SLC_INVALID);
    ck_assert_msg(strstr(err.message, word) != NULL, "%s", err.message);
}

START_TEST(the_client_is_told)
{
    struct sockaddr_storage source;
    char text[INET6_ADDRSTRLEN];
    bool told;
    ck_assert(reads(TCP4, LEN(TCP4), &told, &source) && told);
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&source;
    ck_assert_str_eq(inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text), "203.0.113.7");
    ck_assert_int_eq(ntohs(v4->sin_port), 40123);

    char v6_data[16 + 36 + 5] = SIGNATURE "\x21\x21\0\x29"
                                          "\x20\1\x0d\xb8";
    v6_data[31] = 7; /* the source's last byte */
    v6_data[48] = (char)0x9c;
    v6_data[49] = (char)0xbb;
    ck_assert(reads(v6_data, sizeof v6_data, &told, &source) &&
              told); /* with five bytes behind the addresses */
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&source;
    ck_assert_str_eq(inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text), "2001:db8::7");
    ck_assert_int_eq(ntohs(v6->sin6_port), 40123);
}
END_TEST

START_TEST(the_balancer_may_speak_for_itself_or_of_something_else)
{
    static const char local[] = SIGNATURE "\x20\0\0\0";
    static const char unix_socket[] = SIGNATURE "\x21\x31\0\2ab";
    struct sockaddr_storage source;
    bool told;
    ck_assert(reads(local, LEN(local), &told, &source) && !told);
    ck_assert(reads(unix_socket, LEN(unix_socket), &told, &source) && !told);
}
END_TEST

START_TEST(everything_else_is_refused)
{
    static const char other_version[] = SIGNATURE "\x11\x11\0\0";
    static const char short_address[] = SIGNATURE "\x21\x11\0\4abcd";
    static const char large[] = SIGNATURE "\x21\x11\xff\xff";
    refused("PROXY TCP4 1.2.3.4 ", 16, "version 1");
    refused("GET / HTTP/1.1\r\n", 16, "no PROXY protocol header");
    refused(other_version, LEN(other_version), "0x11");
    refused(short_address, LEN(short_address), "too early");
    refused(large, LEN(large), "at most");
    for (size_t len = 0; len < LEN(TCP4); len++)
        refused(TCP4, len, "too early");
    refused(TCP4 "x", LEN(TCP4) + 1, "too early");
}
END_TEST

UNIT_MAIN("proxy_header", the_client_is_told, the_balancer_may_speak_for_itself_or_of_something_else,
          everything_else_is_refused)
