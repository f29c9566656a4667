/*
 * fuzz_address.c -- what message/address.h promises, about any text.
 */
#include "fuzz.h"

#include "message/address.h"
#include "reference.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <strings.h>

/* ---- what is right, by the C library ---- */

/* The host of the endpoint `text` (tcp://HOST:PORT, a C string) into `host`,
 * and its port; false if it has not that form. */
static bool split(const char *text, char host[ADDRESS_ENDPOINT_LIMIT], long *port)
{
    const char *colon = strrchr(text, ':');
    if (strncmp(text, "tcp://", 6) != 0 || colon < text + 6 ||
        (size_t)(colon - text - 6) >= ADDRESS_ENDPOINT_LIMIT)
        return false;
    memcpy(host, text + 6, (size_t)(colon - text - 6));
    host[colon - text - 6] = '\0';

    char *end, again[32];
    *port = strtol(colon + 1, &end, 10);
    snprintf(again, sizeof again, "%ld", *port);
    return strcmp(again, colon + 1) == 0 && *port >= 0 && *port <= 65535;
}

/* Whether `host` is a numeric address, and if so whether a loopback one. */
static bool is_numeric(const char *host, bool *loopback)
{
    struct in_addr  ipv4;
    struct in6_addr ipv6;
    char            inside[ADDRESS_ENDPOINT_LIMIT];
    if (inet_pton(AF_INET, host, &ipv4) == 1) {
        *loopback = ntohl(ipv4.s_addr) >> 24 == 127;
        return true;
    }
    size_t size = strlen(host);
    if (size < 2 || host[0] != '[' || host[size - 1] != ']')
        return false;
    memcpy(inside, host + 1, size - 2);
    inside[size - 2] = '\0';
    if (inet_pton(AF_INET6, inside, &ipv6) != 1)
        return false;
    *loopback = IN6_IS_ADDR_LOOPBACK(&ipv6) ||
                (IN6_IS_ADDR_V4MAPPED(&ipv6) && ipv6.s6_addr[12] == 127);
    return true;
}

/* ---- endpoints ---- */

/* A sentence of printable ASCII, and no longer than its room. */
static void check_sentence(const char *why, size_t room)
{
    size_t size = strlen(why);
    assert(size > 0 && size < room && why[0] == '\'');
    for (size_t i = 0; i < size; i++)
        assert(why[i] >= ' ' && why[i] <= '~');
}

static bool normalise(const char *text, size_t size, bool numeric_only, bool for_bind,
                      char out[ADDRESS_ENDPOINT_LIMIT])
{
    char why[300], little[2] = "xy";
    int  err = address_endpoint_normalise(text, size, numeric_only, for_bind, out, why, sizeof why);
    if (err != 0) {
        assert(err == -EINVAL);
        check_sentence(why, sizeof why);
        assert(address_endpoint_normalise(text, size, numeric_only, for_bind, out, little, 1) ==
               err);
        assert(little[0] == '\0' && little[1] == 'y');
        return false;
    }
    assert(address_endpoint_normalise(text, size, numeric_only, for_bind, out, NULL, 0) == 0);
    return true;
}

/* The one spelling is short, is its own spelling, and names the same place. */
static void check_spelling(const char *spelling, bool numeric_only, bool for_bind)
{
    char  again[ADDRESS_ENDPOINT_LIMIT], host[ADDRESS_ENDPOINT_LIMIT];
    bool  loopback = false;
    long  port;
    size_t size = strnlen(spelling, ADDRESS_ENDPOINT_LIMIT);
    assert(size < ADDRESS_ENDPOINT_LIMIT);
    assert(normalise(spelling, size, numeric_only, for_bind, again));
    assert(strcmp(again, spelling) == 0);
    assert(split(spelling, host, &port));
    assert(port >= (for_bind ? 0 : 1));

    bool numeric = is_numeric(host, &loopback);
    bool any = strcmp(host, "*") == 0;
    assert(strcasecmp(host, "localhost") != 0);
    assert(numeric || (any && for_bind) || !numeric_only);
    assert(address_endpoint_is_loopback(spelling) == (numeric && loopback));
}

/* What the C library takes for a numeric address is taken. */
static void check_taken(const char *text, const bool taken[2][2])
{
    char host[ADDRESS_ENDPOINT_LIMIT];
    bool loopback = false;
    long port;
    if (!split(text, host, &port))
        return;
    if (is_numeric(host, &loopback) || strcasecmp(host, "localhost") == 0) {
        assert(taken[true][true] && taken[false][true]);
        assert(taken[true][false] == (port > 0) && taken[false][false] == (port > 0));
        assert(address_endpoint_is_loopback(text) ==
               (loopback || strcasecmp(host, "localhost") == 0));
    } else {
        assert(!taken[true][false]);
        assert(!address_endpoint_is_loopback(text));
    }
}

/* Whether one may connect to the first to reach what is bound to the second: they
 * are the same, or the first is this machine and the second any of its addresses. */
static bool is_same_place(const char *connected, const char *bound)
{
    char host[ADDRESS_ENDPOINT_LIMIT], bound_host[ADDRESS_ENDPOINT_LIMIT];
    long port, bound_port;
    if (strcmp(connected, bound) == 0)
        return true;
    return split(connected, host, &port) && split(bound, bound_host, &bound_port) &&
           port == bound_port && address_endpoint_is_loopback(connected) &&
           (strcmp(bound_host, "0.0.0.0") == 0 || strcmp(bound_host, "[::]") == 0);
}

static void check_endpoint(const char *text, size_t size)
{
    char out[2][2][ADDRESS_ENDPOINT_LIMIT];
    bool taken[2][2]; /* [numeric_only][for_bind] */
    for (int numeric = 0; numeric < 2; numeric++) {
        for (int bind = 0; bind < 2; bind++) {
            taken[numeric][bind] = normalise(text, size, numeric, bind, out[numeric][bind]);
            if (taken[numeric][bind])
                check_spelling(out[numeric][bind], numeric, bind);
        }
    }
    for (int i = 0; i < 2; i++) {
        /* What the stricter way takes the wider one takes too, for the same. */
        if (taken[true][i])
            assert(taken[false][i] && strcmp(out[true][i], out[false][i]) == 0);
        if (taken[i][false])
            assert(taken[i][true] && is_same_place(out[i][false], out[i][true]));
    }
    if (memchr(text, '\0', size) != NULL) {
        assert(!taken[false][true]);
        return;
    }
    char *copy = malloc(size + 1);
    assert(copy != NULL);
    memcpy(copy, text, size);
    copy[size] = '\0';
    check_taken(copy, taken);
    free(copy);
}

/* ---- name@place ---- */

static bool is_plain_name(const char *text, size_t size)
{
    static const char fine[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    for (size_t i = 0; i < size; i++)
        if (memchr(fine, text[i], sizeof fine - 1) == NULL)
            return false;
    return size > 0;
}

/* The parts are within their limits, and name@place is read as the same parts. */
static void check_address(const struct address *address, const char *text, size_t size)
{
    static const char node[] = "node:", flat[] = "flat:";
    const char *name = address_name(address), *endpoint = address_endpoint(address);
    assert(fuzz_is_text(name, address->name_size));
    assert(fuzz_is_text(endpoint, address->endpoint_size));
    assert(address->name_size > 0 && address->name_size <= ADDRESS_NAME_LIMIT);
    assert(address->endpoint_size < ADDRESS_ENDPOINT_LIMIT);
    assert(size >= address->name_size && memcmp(text, name, address->name_size) == 0);
    assert(reference_is_utf8(name, address->name_size, true));

    const char *place = endpoint;
    if (strncmp(endpoint, node, sizeof node - 1) == 0) {
        place += sizeof node - 1;
        assert(is_plain_name(place, strlen(place)));
    } else if (strncmp(endpoint, flat, sizeof flat - 1) == 0) {
        check_spelling(endpoint + sizeof flat - 1, false, false);
    } else if (*endpoint != '\0') {
        check_spelling(endpoint, false, false);
    }
    char whole[ADDRESS_NAME_LIMIT + 1 + ADDRESS_ENDPOINT_LIMIT + 1];
    int  length = snprintf(whole, sizeof whole, *place != '\0' ? "%s@%s" : "%s", name, place);
    assert(length > 0 && (size_t)length < sizeof whole);

    struct address *again = NULL;
    int err = address_parse(whole, (size_t)length, &again, NULL, 0);
    assert(err == 0);
    assert(strcmp(address_name(again), name) == 0);
    assert(strcmp(address_endpoint(again), endpoint) == 0);
    struct address *other = address_ref(again);
    assert(other == again);
    address_unref(other);
    address_unref(again);
}

static bool check_parse(const char *text, size_t size)
{
    struct address *address = NULL;
    char            why[300] = "", little[1];
    int             err = address_parse(text, size, &address, why, sizeof why);
    assert(err == 0 || err == -EINVAL);
    if (err == 0) {
        check_address(address, text, size);
        address_unref(address);
    } else {
        assert(address == NULL);
        check_sentence(why, sizeof why);
        assert(address_parse(text, size, &address, little, sizeof little) == err);
        assert(little[0] == '\0');
    }
    bool plain = is_plain_name(text, size);
    assert(address_name_is_valid(text, size) == (plain && size <= ADDRESS_NAME_LIMIT));
    assert(!plain || (err == 0) == (size <= ADDRESS_NAME_LIMIT));
    return err == 0;
}

/* Right input is what address_parse() takes. Of an endpoint alone the whole is
 * looked at as one too, and so is what stands behind the last @. */
bool fuzz_accepts(const char *data, size_t size)
{
    char *text = fuzz_tight_copy(data, size);
    bool  right = check_parse(text, size);
    check_endpoint(text, size);

    size_t place = size;
    while (place > 0 && text[place - 1] != '@')
        place--;
    if (place > 0) {
        char *tight = fuzz_tight_copy(text + place, size - place);
        check_endpoint(tight, size - place);
        free(tight);
    }
    free(text);
    return right;
}
