/*
 * resolve.h -- from host names to numbers, and which of our addresses leads there.
 *
 * Asking a name server may take seconds, so only the thread that makes a peer
 * does it, never the gateway's, and libzmq is given numbers only.
 */
#ifndef TROUPE_NET_RESOLVE_H
#define TROUPE_NET_RESOLVE_H

#include "message/address.h"

#include <sys/socket.h>

/* Writes the normalised `endpoint` with a numeric host into `numeric`
 * (ADDRESS_ENDPOINT_LIMIT bytes). 0, or -EHOSTUNREACH and a sentence in `why`.
 * May wait for a name server if the host is a name. */
int resolve_endpoint(const char *endpoint, char *numeric, char *why, size_t room);

/* Writes the address of ours that leads to the numeric `endpoint`, as the host of an
 * endpoint (`10.0.0.7`, `[fe80::1]`), into `host` (ADDRESS_ENDPOINT_LIMIT bytes). 0 or
 * -errno. Sends nothing. */
int resolve_local_host(const char *endpoint, char *host);

/* The address of the numeric endpoint for connect(). 0 or -EINVAL. */
int resolve_numeric(const char *endpoint, struct sockaddr_storage *address, socklen_t *size);

/* Writes a host's address as in an endpoint (`10.0.0.7`, `[fe80::1]`) into `host`
 * (ADDRESS_ENDPOINT_LIMIT bytes). 0 or -errno. */
int resolve_host_text(const struct sockaddr *address, socklen_t size, char *host);
/* Writes the first address of ours that is not for this machine or link only, as
 * above, into `host`: an IPv4 one; with `ipv6`, one of those if there is no other.
 * If there is none, loopback. */
void resolve_main_host(bool ipv6, char *host);

#endif
