/*
 * address.c -- addresses of actors, and the one spelling of an endpoint.
 *
 * The endpoint parser is our own because its input may come off the wire:
 * what inet_aton(), getaddrinfo() or libzmq would make of `127.1`, `0x7f.1`
 * or `tcp://eth0:1` is not what we want to be told by a stranger.
 */
#include "message/address.h"

#include "base/memory.h"
#include "message/json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char SCHEME[] = "tcp://";
#define SCHEME_SIZE (sizeof SCHEME - 1)

#define HOST_NAME_LIMIT 253

/* ---- counted addresses ---- */

static size_t block_size(size_t name_size, size_t endpoint_size)
{
    return sizeof(struct address) + name_size + 1 + endpoint_size + 1;
}

struct address *address_new(const char *name, size_t name_size,
                            const char *endpoint, size_t endpoint_size)
{
    if (name_size > UINT16_MAX || endpoint_size > UINT16_MAX)
        return NULL;
    struct address *address = memory_get(block_size(name_size, endpoint_size));
    if (address == NULL)
        return NULL;

    atomic_init(&address->references, 1);
    address->name_size = (unsigned short)name_size;
    address->endpoint_size = (unsigned short)endpoint_size;
    address->reliable = false;
    if (name_size > 0)
        memcpy(address->text, name, name_size);
    address->text[name_size] = '\0';
    char *second = address->text + name_size + 1;
    if (endpoint_size > 0)
        memcpy(second, endpoint, endpoint_size);
    second[endpoint_size] = '\0';
    return address;
}

struct address *address_copy(const struct address *address, bool reliable)
{
    struct address *copy = address_new(address_name(address), address->name_size,
                                       address_endpoint(address), address->endpoint_size);
    if (copy != NULL)
        copy->reliable = reliable;
    return copy;
}

struct address *address_ref(struct address *address)
{
    atomic_fetch_add_explicit(&address->references, 1, memory_order_relaxed);
    return address;
}

void address_unref(struct address *address)
{
    if (address == NULL)
        return;
    /* Release, so that others' reads are over; acquire, so that we see them. */
    if (atomic_fetch_sub_explicit(&address->references, 1, memory_order_acq_rel) == 1)
        memory_put(address, block_size(address->name_size, address->endpoint_size));
}

size_t address_text(const struct address *address, char *text, size_t room)
{
    const char *endpoint = address_endpoint(address);
    const char *node = address_node(endpoint);
    int size = snprintf(text, room, "%s%s%s", address_name(address), *endpoint != '\0' ? "@" : "",
                        node != NULL ? node : endpoint);
    return size > 0 && (size_t)size < room ? (size_t)size : 0;
}

/* ---- small words about text ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) ||
           c == '_' || c == '.' || c == '-';
}

static bool is_name_text(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!is_name_character(text[i]))
            return false;
    return size > 0;
}

bool address_name_is_valid(const char *name, size_t size)
{
    return size <= ADDRESS_NAME_LIMIT && is_name_text(name, size);
}

/* Writes "'TEXT' FORMAT..." into `why`, what is not printable as '?', and
 * returns -EINVAL. */
static int refuse(char *why, size_t room, const char *text, size_t size,
                  const char *format, ...) PRINTF_LIKE(5, 6);
static int refuse(char *why, size_t room, const char *text, size_t size,
                  const char *format, ...)
{
    char shown[64];
    size_t length = 0;
    while (length < size && length < sizeof shown - 1) {
        char c = text[length];
        shown[length++] = c >= ' ' && c <= '~' ? c : '?';
    }
    shown[length] = '\0';

    char reason[128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    if (room > 0)
        snprintf(why, room, "'%s%s' %s", shown, size > length ? "..." : "", reason);
    return -EINVAL;
}

/* ---- endpoints ---- */

/* Four numbers of 0 to 255 without leading zeros, in host order in `number`. */
static bool read_ipv4(const char *text, size_t size, uint32_t *number)
{
    size_t at = 0;
    *number = 0;
    for (unsigned part = 0; part < 4; part++) {
        if (part > 0 && (at == size || text[at++] != '.'))
            return false;
        size_t   start = at;
        unsigned value = 0;
        while (at < size && is_digit(text[at]) && at - start < 3)
            value = value * 10 + (unsigned)(text[at++] - '0');
        if (at == start || value > 255 || (text[start] == '0' && at - start > 1))
            return false;
        *number = *number << 8 | value;
    }
    return at == size;
}

/* The inside of the brackets. */
static bool read_ipv6(const char *text, size_t size, struct in6_addr *number)
{
    char copy[INET6_ADDRSTRLEN];
    if (size >= sizeof copy)
        return false;
    for (size_t i = 0; i < size; i++)
        if (text[i] == '\0')
            return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return inet_pton(AF_INET6, copy, number) == 1;
}

/* 0 to 65535 in plain digits, no leading zero; else -1. */
static int read_port(const char *text, size_t size)
{
    if (size == 0 || size > 5 || (text[0] == '0' && size > 1))
        return -1;
    int port = 0;
    for (size_t i = 0; i < size; i++) {
        if (!is_digit(text[i]))
            return -1;
        port = port * 10 + (text[i] - '0');
    }
    return port <= 65535 ? port : -1;
}

/* Labels of letters, digits, '-' and '_', not beginning with '-'; a last one that
 * begins with a digit would be taken for an address by some resolvers. */
static bool is_host_name(const char *text, size_t size)
{
    if (size == 0 || size > HOST_NAME_LIMIT)
        return false;
    size_t label = 0;
    for (size_t i = 0; i < size; i++) {
        if (!is_name_character(text[i]) || (i == label && (text[i] == '.' || text[i] == '-')))
            return false;
        if (text[i] == '.')
            label = i + 1;
    }
    return label < size && !is_digit(text[label]);
}

/* Splits what follows the scheme at its last colon outside of brackets. */
static bool split_port(const char *text, size_t size, size_t *host_size)
{
    size_t colon = size;
    while (colon > 0 && text[colon - 1] != ':' && text[colon - 1] != ']')
        colon--;
    if (colon == 0 || text[colon - 1] != ':')
        return false;
    *host_size = colon - 1;
    return true;
}

/* Writes an IPv6 address, or the IPv4 one that it stands for. "Any" is no place
 * to connect to; what the system makes of it is this machine. */
static void write_ipv6(const struct in6_addr *number, bool for_bind, char *out, size_t out_room)
{
    char text[INET6_ADDRSTRLEN];
    if (IN6_IS_ADDR_V4MAPPED(number)) {
        inet_ntop(AF_INET, number->s6_addr + 12, text, sizeof text);
        bool any = strcmp(text, "0.0.0.0") == 0 && !for_bind;
        snprintf(out, out_room, "%s", any ? "127.0.0.1" : text);
        return;
    }
    bool any = IN6_IS_ADDR_UNSPECIFIED(number) && !for_bind;
    inet_ntop(AF_INET6, any ? &in6addr_loopback : number, text, sizeof text);
    snprintf(out, out_room, "[%s]", text);
}

/* Writes the host's one spelling. 0 or -EINVAL. */
static int write_host(const char *host, size_t size, bool numeric_only, bool for_bind,
                      char *out, size_t out_room, char *why, size_t room)
{
    uint32_t        ipv4;
    struct in6_addr ipv6;
    const char     *kept = host;

    if (size == 1 && host[0] == '*') {
        if (!for_bind)
            return refuse(why, room, host, size, "is no address that can be reached");
    } else if (size == 9 && strncasecmp(host, "localhost", size) == 0) {
        kept = "127.0.0.1";
    } else if (size > 0 && host[0] == '[') {
        if (host[size - 1] != ']' || !read_ipv6(host + 1, size - 2, &ipv6))
            return refuse(why, room, host, size, "is no IPv6 address");
        write_ipv6(&ipv6, for_bind, out, out_room);
        return 0;
    } else if (read_ipv4(host, size, &ipv4)) {
        if (ipv4 == 0 && !for_bind)
            kept = "127.0.0.1";
    } else {
        if (numeric_only)
            return refuse(why, room, host, size, "is no numeric address");
        if (!is_host_name(host, size))
            return refuse(why, room, host, size, "is neither an address nor a host name");
    }
    snprintf(out, out_room, "%.*s", kept == host ? (int)size : HOST_NAME_LIMIT, kept);
    return 0;
}

int address_endpoint_normalise(const char *text, size_t size, bool numeric_only, bool for_bind,
                               char *out, char *why, size_t room)
{
    char        host[HOST_NAME_LIMIT + 1] = "127.0.0.1";
    const char *rest = text;
    size_t      rest_size = size, host_size;

    if (size > 0 && text[0] == ':') {
        host_size = 0;
    } else {
        if (size < SCHEME_SIZE || memcmp(text, SCHEME, SCHEME_SIZE) != 0)
            return refuse(why, room, text, size,
                          "is no endpoint: write tcp://HOST:PORT or :PORT");
        rest += SCHEME_SIZE;
        rest_size -= SCHEME_SIZE;
        if (!split_port(rest, rest_size, &host_size))
            return refuse(why, room, text, size, "has no port");
        int err = write_host(rest, host_size, numeric_only, for_bind, host, sizeof host,
                             why, room);
        if (err != 0)
            return err;
    }

    int port = read_port(rest + host_size + 1, rest_size - host_size - 1);
    if (port < (for_bind ? 0 : 1))
        return refuse(why, room, text, size, "needs a port from %d to 65535", for_bind ? 0 : 1);
    snprintf(out, ADDRESS_ENDPOINT_LIMIT, "%s%s:%d", SCHEME, host, port);
    return 0;
}

bool address_endpoint_is_numeric(const char *endpoint)
{
    char spelling[ADDRESS_ENDPOINT_LIMIT];
    return address_endpoint_normalise(endpoint, strlen(endpoint), true, false, spelling, NULL,
                                      0) == 0;
}

bool address_endpoint_is_loopback(const char *endpoint)
{
    char spelling[ADDRESS_ENDPOINT_LIMIT];
    if (address_endpoint_normalise(endpoint, strlen(endpoint), true, true, spelling, NULL, 0) != 0)
        return false;

    const char *host = spelling + SCHEME_SIZE;
    size_t      size = strlen(host);
    split_port(host, size, &size);
    uint32_t        ipv4;
    struct in6_addr ipv6;
    if (read_ipv4(host, size, &ipv4))
        return ipv4 >> 24 == 127;
    if (host[0] != '[' || !read_ipv6(host + 1, size - 2, &ipv6))
        return false;
    return memcmp(&ipv6, &in6addr_loopback, sizeof ipv6) == 0;
}

/* ---- name@place ---- */

/* Turns what stands behind the @ into an endpoint text. */
static int read_place(const char *place, size_t size, char *endpoint, char *why, size_t room)
{
    size_t prefix = sizeof ADDRESS_FLAT_PREFIX - 1;
    if (size >= prefix && memcmp(place, ADDRESS_FLAT_PREFIX, prefix) == 0) {
        char plain[ADDRESS_ENDPOINT_LIMIT];
        int  err = address_endpoint_normalise(place + prefix, size - prefix, false, false, plain,
                                              why, room);
        if (err == 0)
            snprintf(endpoint, ADDRESS_ENDPOINT_LIMIT, ADDRESS_FLAT_PREFIX "%.274s", plain);
        return err;
    }
    if (!is_name_text(place, size))
        return address_endpoint_normalise(place, size, false, false, endpoint, why, room);
    if (size > ADDRESS_ENDPOINT_LIMIT - sizeof ADDRESS_NODE_PREFIX)
        return refuse(why, room, place, size, "is too long for a node's name");
    snprintf(endpoint, ADDRESS_ENDPOINT_LIMIT, ADDRESS_NODE_PREFIX "%.*s", (int)size, place);
    return 0;
}

int address_parse(const char *text, size_t size, struct address **address,
                  char *why, size_t room)
{
    /* The last @: an endpoint has none, but a stranger's name might. */
    size_t name_size = size;
    for (size_t i = size; i > 0 && name_size == size; i--)
        if (text[i - 1] == '@')
            name_size = i - 1;

    if (name_size == 0)
        return refuse(why, room, text, size, "names no actor");
    if (name_size > ADDRESS_NAME_LIMIT)
        return refuse(why, room, text, size, "has a name of more than %d bytes",
                      ADDRESS_NAME_LIMIT);
    if (!json_is_printable(text, name_size))
        return refuse(why, room, text, size, "has a name that is not printable UTF-8");

    char endpoint[ADDRESS_ENDPOINT_LIMIT] = "";
    if (name_size < size) {
        const char *place = text + name_size + 1;
        size_t      place_size = size - name_size - 1;
        if (place_size == 0)
            return refuse(why, room, text, size, "says no place after its @");
        int err = read_place(place, place_size, endpoint, why, room);
        if (err != 0)
            return err;
    }
    *address = address_new(text, name_size, endpoint, strlen(endpoint));
    return *address != NULL ? 0 : -ENOMEM;
}
