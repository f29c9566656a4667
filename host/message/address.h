/*
 * address.h -- how an actor is named: `name`, `name@node`, `name@tcp://host:port`.
 *
 * `:5001` stands for `tcp://127.0.0.1:5001`, and `localhost` for 127.0.0.1, so
 * that one place has one spelling. Nothing here resolves a name.
 */
#ifndef TROUPE_MESSAGE_ADDRESS_H
#define TROUPE_MESSAGE_ADDRESS_H

#include "base/base.h"

#include <string.h>

#define ADDRESS_NAME_LIMIT     255 /* bytes of a name */
#define ADDRESS_ENDPOINT_LIMIT 280 /* bytes of an endpoint, with its NUL */

/* In front of an endpoint where flat JSON is spoken (net/flat_client.h). */
#define ADDRESS_FLAT_PREFIX "flat:"

/* In front of the name of a node, where an endpoint would be (actor/nodes.h). */
#define ADDRESS_NODE_PREFIX "node:"

/* Where an actor is. Counted: address_ref() and address_unref() on any thread. */
struct address {
    _Atomic unsigned references;
    unsigned short   name_size;
    unsigned short   endpoint_size; /* 0: on this host */
    bool             reliable;      /* over a stream, if elsewhere; fixed before it is shared */
    char             text[];        /* "name\0endpoint\0" */
};

static inline const char *address_name(const struct address *address) { return address->text; }
static inline const char *address_endpoint(const struct address *address)
{
    return address->text + address->name_size + 1;
}

/* The endpoint behind the flat prefix, or NULL: flat JSON is not spoken there. */
static inline const char *address_flat_endpoint(const char *endpoint)
{
    size_t size = sizeof ADDRESS_FLAT_PREFIX - 1;
    return strncmp(endpoint, ADDRESS_FLAT_PREFIX, size) == 0 ? endpoint + size : NULL;
}

/* The node's name behind the node prefix, or NULL: it is an endpoint, or "". */
static inline const char *address_node(const char *endpoint)
{
    size_t size = sizeof ADDRESS_NODE_PREFIX - 1;
    if (LIKELY(endpoint[0] != ADDRESS_NODE_PREFIX[0])) /* asked at each send elsewhere */
        return NULL;
    return strncmp(endpoint, ADDRESS_NODE_PREFIX, size) == 0 ? endpoint + size : NULL;
}

/* NULL when there is no memory or a part is longer than 65535. `endpoint` is ""
 * for this host and is taken as it is. */
struct address *address_new(const char *name, size_t name_size,
                            const char *endpoint, size_t endpoint_size);
/* A copy that is reliable, or not. NULL when there is no memory. */
struct address *address_copy(const struct address *address, bool reliable);
struct address *address_ref(struct address *address);
void            address_unref(struct address *address); /* NULL is fine */

/* Writes `pong`, `pong@tcp://10.0.0.5:5001` or `pong@risk` and a NUL into `text`
 * (ADDRESS_TEXT_ROOM is enough for those of address_parse()); the length, or 0: it
 * does not fit. */
#define ADDRESS_TEXT_ROOM (ADDRESS_NAME_LIMIT + 1 + ADDRESS_ENDPOINT_LIMIT + 1)
size_t address_text(const struct address *address, char *text, size_t room);

/* Parses `pong`, `pong@:5001`, `pong@tcp://10.0.0.5:5001`, `pong@risk` and
 * `registry@flat::5555`. 0 and a new address; -EINVAL and a sentence in `why`;
 * -ENOMEM. A `@node` that is no endpoint is kept as the endpoint text "node:risk",
 * a flat one as "flat:tcp://127.0.0.1:5555". The name may be whatever
 * the family calls its actors, printable UTF-8; the place follows the last @. */
int address_parse(const char *text, size_t size, struct address **address,
                  char *why, size_t room);

/* Brings an endpoint into its one spelling in `out` (ADDRESS_ENDPOINT_LIMIT
 * bytes): `:5001`, `tcp://localhost:5001`. Host names are kept; an IPv4 address
 * written as IPv6 (::ffff:10.0.0.1) becomes IPv4; unless `for_bind`, 0.0.0.0 and
 * [::] are this machine, as the system has it when it connects. With `numeric_only` a host must be a numeric IPv4 or [IPv6] address or localhost,
 * as everything that comes off the wire must. `*` and port 0 only with
 * `for_bind`. 0, or -EINVAL and a sentence in `why`. */
int address_endpoint_normalise(const char *text, size_t size, bool numeric_only, bool for_bind,
                               char *out, char *why, size_t room);

/* Whether the host of a normalised endpoint is an address, and no name. */
bool address_endpoint_is_numeric(const char *endpoint);

/* Whether the endpoint's host is a loopback address (127.0.0.0/8, also as
 * ::ffff:127.x, and ::1). False for host names, `*` and what is no endpoint. */
bool address_endpoint_is_loopback(const char *endpoint);

/* Names that a script or a user may give: [A-Za-z0-9_.-]+, at most ADDRESS_NAME_LIMIT. */
bool address_name_is_valid(const char *name, size_t size);

#endif
