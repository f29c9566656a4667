/*
 * resolve.c -- getaddrinfo(), and the routing table asked by a socket that sends nothing.
 */
#include "net/resolve.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SCHEME      "tcp://"
#define SCHEME_SIZE (sizeof SCHEME - 1)

/* Takes a normalised endpoint apart; the brackets of an IPv6 host are left out. */
static bool split(const char *endpoint, char *host, size_t room, const char **port)
{
    if (strncmp(endpoint, SCHEME, SCHEME_SIZE) != 0)
        return false;
    const char *start = endpoint + SCHEME_SIZE;
    const char *colon = strrchr(start, ':');
    if (colon == NULL)
        return false;

    size_t size = (size_t)(colon - start);
    if (size >= 2 && start[0] == '[') {
        start++;
        size -= 2;
    }
    if (size >= room)
        return false;
    memcpy(host, start, size);
    host[size] = '\0';
    *port = colon + 1;
    return true;
}

/* Looks `endpoint` up; the caller frees *found. 0 or an EAI_ code. */
static int look_up(const char *endpoint, int flags, struct addrinfo **found)
{
    char            host[ADDRESS_ENDPOINT_LIMIT];
    const char     *port;
    struct addrinfo wanted = { .ai_socktype = SOCK_STREAM, .ai_flags = flags };
    if (!split(endpoint, host, sizeof host, &port))
        return EAI_NONAME;
    return getaddrinfo(host, port, &wanted, found);
}

int resolve_host_text(const struct sockaddr *address, socklen_t size, char *host)
{
    char text[NI_MAXHOST];
    if (getnameinfo(address, size, text, sizeof text, NULL, 0, NI_NUMERICHOST) != 0)
        return -EADDRNOTAVAIL;
    bool bracketed = address->sa_family == AF_INET6;
    int  length = snprintf(host, ADDRESS_ENDPOINT_LIMIT, "%s%s%s", bracketed ? "[" : "", text,
                           bracketed ? "]" : "");
    return length < ADDRESS_ENDPOINT_LIMIT ? 0 : -ENAMETOOLONG;
}

int resolve_endpoint(const char *endpoint, char *numeric, char *why, size_t room)
{
    if (address_endpoint_normalise(endpoint, strlen(endpoint), true, false, numeric, NULL, 0) == 0)
        return 0;

    struct addrinfo *found = NULL;
    int              failed = look_up(endpoint, AI_ADDRCONFIG, &found);
    char             host[ADDRESS_ENDPOINT_LIMIT];
    if (failed != 0 || resolve_host_text(found->ai_addr, found->ai_addrlen, host) != 0) {
        snprintf(why, room, "cannot find %s: %s", endpoint,
                 failed != 0 ? gai_strerror(failed) : "no usable address");
        if (failed == 0)
            freeaddrinfo(found);
        return -EHOSTUNREACH;
    }
    freeaddrinfo(found);
    snprintf(numeric, ADDRESS_ENDPOINT_LIMIT, SCHEME "%.200s:%.5s", host,
             strrchr(endpoint, ':') + 1);
    return 0;
}

int resolve_local_host(const char *endpoint, char *host)
{
    struct addrinfo *there = NULL;
    if (look_up(endpoint, AI_NUMERICHOST | AI_NUMERICSERV, &there) != 0)
        return -EINVAL;

    int err = 0;
    int probe = socket(there->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (probe < 0) {
        err = -errno;
        goto free_there;
    }
    struct sockaddr_storage here;
    socklen_t               size = sizeof here;
    if (connect(probe, there->ai_addr, there->ai_addrlen) != 0 ||
        getsockname(probe, (struct sockaddr *)&here, &size) != 0)
        err = -errno;
    else
        err = resolve_host_text((struct sockaddr *)&here, size, host);
    close(probe);
free_there:
    freeaddrinfo(there);
    return err;
}

int resolve_numeric(const char *endpoint, struct sockaddr_storage *address, socklen_t *size)
{
    struct addrinfo *found = NULL;
    if (look_up(endpoint, AI_NUMERICHOST | AI_NUMERICSERV, &found) != 0)
        return -EINVAL;
    memcpy(address, found->ai_addr, found->ai_addrlen);
    *size = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

/* The size of an address that others may reach, or 0. */
static socklen_t usable_size(const struct ifaddrs *interface, int family)
{
    const struct sockaddr *address = interface->ifa_addr;
    if (address == NULL || address->sa_family != family || (interface->ifa_flags & IFF_UP) == 0 ||
        (interface->ifa_flags & IFF_LOOPBACK) != 0)
        return 0;
    if (family == AF_INET)
        return sizeof(struct sockaddr_in);
    const struct in6_addr *number = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    return IN6_IS_ADDR_LINKLOCAL(number) ? 0 : sizeof(struct sockaddr_in6);
}

static bool find_address(const struct ifaddrs *list, int family, char *host)
{
    for (const struct ifaddrs *each = list; each != NULL; each = each->ifa_next) {
        socklen_t size = usable_size(each, family);
        if (size > 0 && resolve_host_text(each->ifa_addr, size, host) == 0)
            return true;
    }
    return false;
}

void resolve_main_host(bool ipv6, char *host)
{
    struct ifaddrs *list = NULL;
    bool found = getifaddrs(&list) == 0 &&
                 (find_address(list, AF_INET, host) ||
                  (ipv6 && find_address(list, AF_INET6, host)));
    if (list != NULL)
        freeifaddrs(list);
    if (!found)
        snprintf(host, ADDRESS_ENDPOINT_LIMIT, "127.0.0.1");
}
