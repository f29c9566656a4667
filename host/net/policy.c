/*
 * policy.c -- lists of hosts: parsed and asked.
 *
 * An address is kept as IPv6, with the IPv4 ones in their place in it (::ffff:0:0/96),
 * so that a network is a number of leading bits and nothing else.
 */
#include "net/policy.h"

#include "base/memory.h"
#include "base/suggest.h"
#include "message/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ENTRY_LIMIT  300  /* bytes of one */
#define ENTRIES_MAX  1024
#define ANY_PORT     0
#define IPV4_BITS    96   /* that say of an IPv6 address that it is an IPv4 one */

struct policy_entry {
    char            name[256]; /* "": an address */
    struct in6_addr network;
    unsigned        bits; /* of it that count */
    unsigned        port; /* or ANY_PORT */
};

/* ---- addresses ---- */

static bool read_address(const char *text, struct in6_addr *address, bool *is_ipv4)
{
    struct in_addr ipv4;
    *is_ipv4 = inet_pton(AF_INET, text, &ipv4) == 1;
    if (!*is_ipv4)
        return inet_pton(AF_INET6, text, address) == 1;
    *address = (struct in6_addr){ .s6_addr = { [10] = 0xff, [11] = 0xff } };
    memcpy(address->s6_addr + 12, &ipv4, sizeof ipv4);
    return true;
}

static bool is_in(const struct in6_addr *address, const struct in6_addr *network, unsigned bits)
{
    unsigned whole = bits / 8, left = bits % 8;
    if (memcmp(address, network, whole) != 0)
        return false;
    unsigned mask = (0xff00u >> left) & 0xff;
    return left == 0 || ((address->s6_addr[whole] ^ network->s6_addr[whole]) & mask) == 0;
}

/* ---- parsing ---- */

static struct policy_entry *add(struct policy *policy)
{
    struct policy_entry *grown =
        memory_resize(policy->entries, policy->count * sizeof *grown,
                      (policy->count + 1) * sizeof *grown);
    if (grown == NULL)
        return NULL;
    policy->entries = grown;
    memset(&grown[policy->count], 0, sizeof *grown);
    return &grown[policy->count++];
}

static int add_network(struct policy *policy, const char *text, unsigned bits)
{
    struct policy_entry *entry = add(policy);
    bool                 is_ipv4;
    if (entry == NULL)
        return -ENOMEM;
    if (!read_address(text, &entry->network, &is_ipv4))
        return -EINVAL;
    entry->bits = bits + (is_ipv4 ? IPV4_BITS : 0);
    return 0;
}

/* A word for several networks. False: it is none. */
static bool add_word(struct policy *policy, const char *word, int *err)
{
    static const struct {
        const char *word, *network;
        unsigned    bits;
    } meanings[] = {
        { "any", "::", 0 }, /* IPv4 too: it has its place in IPv6 */
        { "loopback", "127.0.0.0", 8 },
        { "loopback", "::1", 128 },
        { "private", "127.0.0.0", 8 },
        { "private", "::1", 128 },
        { "private", "10.0.0.0", 8 },
        { "private", "172.16.0.0", 12 },
        { "private", "192.168.0.0", 16 },
        { "private", "169.254.0.0", 16 },
        { "private", "fe80::", 10 },
        { "private", "fc00::", 7 },
    };
    bool known = false;
    for (size_t i = 0; i < ARRAY_LENGTH(meanings) && *err == 0; i++) {
        if (strcasecmp(word, meanings[i].word) != 0)
            continue;
        known = true;
        *err = add_network(policy, meanings[i].network, meanings[i].bits);
    }
    return known;
}

/* `10.0.0.0/8`, `fd00::/8`, `[fd00::]/8`. */
static int read_network(char *text, struct policy_entry *entry, char *why, size_t room)
{
    char *slash = strchr(text, '/');
    char *host = text, *end;
    *slash = '\0';
    size_t size = strlen(host);
    if (size >= 2 && host[0] == '[' && host[size - 1] == ']') {
        host[size - 1] = '\0';
        host++;
    }
    bool          is_ipv4;
    unsigned long bits = strtoul(slash + 1, &end, 10);
    if (slash[1] < '0' || slash[1] > '9' || *end != '\0' ||
        !read_address(host, &entry->network, &is_ipv4) || bits > (is_ipv4 ? 32 : 128)) {
        snprintf(why, room, "'%.100s/%.20s' is no network: write 10.0.0.0/8 or fd00::/8", host,
                 slash + 1);
        return -EINVAL;
    }
    entry->bits = (unsigned)bits + (is_ipv4 ? IPV4_BITS : 0);

    struct in6_addr whole = { 0 };
    memcpy(&whole, &entry->network, entry->bits / 8);
    if (entry->bits % 8 != 0)
        whole.s6_addr[entry->bits / 8] =
            entry->network.s6_addr[entry->bits / 8] & (uint8_t)(0xff00u >> entry->bits % 8);
    if (memcmp(&whole, &entry->network, sizeof whole) != 0) {
        snprintf(why, room, "'%.100s/%lu' has an address behind its first %lu bits: which is meant, "
                 "the network or the one address?", host, bits, bits);
        return -EINVAL;
    }
    return 0;
}

static bool is_bare_ipv6(const char *text)
{
    const char *colon = strchr(text, ':');
    return text[0] != '[' && colon != NULL && strchr(colon + 1, ':') != NULL;
}

/* Takes a normalised endpoint apart. False: the host is a name, now in `host`. */
static bool take_apart(const char *endpoint, char *host, size_t room, struct in6_addr *address,
                       unsigned *port)
{
    const char *start = endpoint + strlen("tcp://");
    const char *colon = strrchr(start, ':');
    bool        bracketed = *start == '[', is_ipv4;
    int         size = (int)(colon - start) - (bracketed ? 2 : 0);
    snprintf(host, room, "%.*s", size, start + bracketed);
    *port = (unsigned)strtoul(colon + 1, NULL, 10);
    return read_address(host, address, &is_ipv4);
}

/* An address or a host name, perhaps with a port. */
static int read_host(const char *text, enum policy_form form, struct policy_entry *entry,
                     char *why, size_t room)
{
    char        endpoint[ENTRY_LIMIT + 32], normal[ADDRESS_ENDPOINT_LIMIT], host[256];
    const char *bracket = strrchr(text, ']');
    bool        bare = is_bare_ipv6(text);
    bool        has_port = !bare && strchr(bracket != NULL ? bracket : text, ':') != NULL;

    if (has_port && form == POLICY_ADDRESSES) {
        snprintf(why, room, "'%.100s' has a port: who connects comes from any", text);
        return -EINVAL;
    }
    snprintf(endpoint, sizeof endpoint, bare ? "tcp://[%s]%s" : "tcp://%s%s", text,
             has_port ? "" : ":1");
    int err = address_endpoint_normalise(endpoint, strlen(endpoint), false, false, normal, why,
                                         room);
    if (err != 0)
        return err;
    bool is_address = take_apart(normal, host, sizeof host, &entry->network, &entry->port);
    if (!has_port)
        entry->port = ANY_PORT;
    if (is_address) {
        entry->bits = 128;
        return 0;
    }
    if (form == POLICY_ADDRESSES) {
        snprintf(why, room, "'%.100s' is a name: write addresses (10.0.0.7) and networks "
                 "(10.0.0.0/8)", text);
        return -EINVAL;
    }
    snprintf(entry->name, sizeof entry->name, "%s", host);
    return 0;
}

/* A bare word that is nearly one of ours: as a host's name it would admit nobody
 * and say nothing. */
static bool is_misspelt_word(const char *text, char *why, size_t room)
{
    static const char *const words[] = { "any", "loopback", "private" };
    struct suggest suggest;
    suggest_init(&suggest, text);
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        suggest_offer(&suggest, words[i]);
    if (suggest.best == NULL)
        return false;
    snprintf(why, room, "'%.100s': did you mean '%s'? (for a host of that name give its port: "
             "%.100s:PORT)", text, suggest.best, text);
    return true;
}

static int add_entry(struct policy *policy, enum policy_form form, char *text, char *why,
                     size_t room)
{
    int err = 0;
    if (form == POLICY_ENDPOINTS) {
        if (add_word(policy, text, &err))
            return err;
        if (is_misspelt_word(text, why, room))
            return -EINVAL;
    }
    if (policy->count >= ENTRIES_MAX) {
        snprintf(why, room, "a list has at most %d entries", ENTRIES_MAX);
        return -EINVAL;
    }
    struct policy_entry *entry = add(policy);
    if (entry == NULL)
        return -ENOMEM;
    return strchr(text, '/') != NULL ? read_network(text, entry, why, room)
                                     : read_host(text, form, entry, why, room);
}

int policy_parse(struct policy *policy, enum policy_form form, const char *text, char *why,
                 size_t room)
{
    int err = 0;
    *policy = (struct policy){ 0 };
    for (const char *next = text; err == 0 && next != NULL;) {
        char   entry[ENTRY_LIMIT];
        size_t size = strcspn(next, ",");
        while (size > 0 && *next == ' ') {
            next++;
            size--;
        }
        const char *comma = next[size] == ',' ? next + size : NULL;
        while (size > 0 && next[size - 1] == ' ')
            size--;
        snprintf(entry, sizeof entry, "%.*s", (int)size, next);
        if (size == 0 || size >= sizeof entry) {
            snprintf(why, room, size == 0 ? "'%.100s' has an empty entry" : "'%.40s...' is too long",
                     text);
            err = -EINVAL;
        } else {
            err = add_entry(policy, form, entry, why, room);
        }
        next = comma != NULL ? comma + 1 : NULL;
    }
    if (err == -ENOMEM)
        snprintf(why, room, "no memory");
    if (err != 0)
        policy_fini(policy);
    return err;
}

void policy_fini(struct policy *policy)
{
    memory_put(policy->entries, policy->count * sizeof *policy->entries);
    *policy = (struct policy){ 0 };
}

/* ---- asking ---- */

bool policy_has(const struct policy *policy, const char *endpoint)
{
    char            host[256];
    struct in6_addr address;
    unsigned        port;
    bool            is_address = take_apart(endpoint, host, sizeof host, &address, &port);

    for (size_t i = 0; i < policy->count; i++) {
        const struct policy_entry *entry = &policy->entries[i];
        if (entry->port != ANY_PORT && entry->port != port)
            continue;
        if (is_address ? entry->name[0] == '\0' && is_in(&address, &entry->network, entry->bits)
                       : strcasecmp(entry->name, host) == 0)
            return true;
    }
    return false;
}
