/*
 * gateway_open.c -- who may come in, who is answered, and where we listen.
 */
#include "net/gateway_room.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>

/* Whether only this machine reaches what is bound (NULL: nothing is). */
static bool is_loopback_bind(const char *bind)
{
    char endpoint[ADDRESS_ENDPOINT_LIMIT];
    return bind == NULL || (address_endpoint_normalise(bind, strlen(bind), false, true, endpoint,
                                                       NULL, 0) == 0 &&
                            address_endpoint_is_loopback(endpoint));
}

static bool all_are_loopback_binds(const struct gateway_options *options)
{
    bool all = is_loopback_bind(options->bind);
    const char *const *each = options->also_bind;
    for (; all && each != NULL && *each != NULL; each++)
        all = is_loopback_bind(*each);
    return all;
}

/* Reads what a flag said; a mistake is told with the flag's name. */
static int read_policy(struct policy *policy, enum policy_form form, const char *flag,
                       const char *text, char *why, size_t room)
{
    char mistake[300];
    int  err = policy_parse(policy, form, text, mistake, sizeof mistake);
    if (err != 0)
        snprintf(why, room, "%s: %s", flag, mistake);
    return err;
}

/* Who may come in from elsewhere, and who is answered. */
static int read_policies(struct gateway *gateway, const struct gateway_options *options,
                         char *why, size_t room)
{
    bool encrypted = options->curve_key != NULL;
    int  err = 0;

    if (encrypted != (options->curve_peers != NULL)) {
        snprintf(why, room, "--curve-key and --curve-peers go together: one has our key, the other "
                 "those of the peers");
        return -EINVAL;
    }
    if (options->open && (encrypted || options->allow != NULL)) {
        snprintf(why, room, "--open lets everybody in: it makes no sense together with %s",
                 encrypted ? "--curve-key" : "--allow");
        return -EINVAL;
    }
    gateway->open = options->open;
    if (options->allow != NULL)
        err = read_policy(&gateway->allow, POLICY_ADDRESSES, "--allow", options->allow, why, room);
    gateway->reply_allowed = options->reply_to == NULL;
    const char *reply_to = options->reply_to != NULL ? options->reply_to
                           : all_are_loopback_binds(options) ? "any"
                                                             : "private";
    if (err == 0)
        err = read_policy(&gateway->reply_to, POLICY_ENDPOINTS, "--reply-to", reply_to, why, room);
    return err;
}

/* Whether we may listen there at all: for all that we bind. 0 or -EINVAL. */
static int may_listen_on(const struct gateway_options *options, const char *endpoint, char *why,
                         size_t room)
{
    if (address_endpoint_is_loopback(endpoint) || options->open || options->allow != NULL ||
        options->curve_key != NULL)
        return 0;
    snprintf(why, room,
             "cannot listen on %s: beyond loopback, say who may connect: give --curve-key and "
             "--curve-peers (who has a listed key), --allow ADDR,... (these addresses) or "
             "--open (everybody)", endpoint);
    return -EINVAL;
}

static int bind_one(struct gateway *gateway, const struct gateway_options *options,
                    const char *bind, struct inlet **inlet, char *why, size_t room)
{
    char endpoint[ADDRESS_ENDPOINT_LIMIT];
    int  err = address_endpoint_normalise(bind, strlen(bind), false, true, endpoint, why, room);
    if (err == 0)
        err = may_listen_on(options, endpoint, why, room);
    if (err == 0 && inlets_have(&gateway->inlets, endpoint)) {
        snprintf(why, room, "cannot listen on %s twice", endpoint);
        err = -EINVAL;
    }
    if (err == 0 && gateway->bound == BINDS_MAX) {
        snprintf(why, room, "cannot listen on %s: a host listens on %d endpoints at most", endpoint,
                 BINDS_MAX);
        err = -EINVAL;
    }
    if (err == 0)
        err = inlets_add(&gateway->inlets, endpoint, inlet, why, room);
    if (err == 0)
        gateway->bound++;
    return err;
}

static void say_what_is_told(const struct gateway *gateway, const struct inlet *inlet)
{
    if (address_endpoint_is_loopback(inlet->endpoint))
        return;
    if (address_endpoint_is_loopback(gateway->endpoint))
        log_warn("gateway: listening on %s, but others are told %s, which leads to themselves: "
                 "see --advertise", inlet->endpoint, gateway->endpoint);
    else if (inlet->everywhere && !gateway->advertised)
        log_warn("gateway: listening on %s: others are told the address that leads to them, such "
                 "as %s; --advertise tells them another", inlet->endpoint, gateway->endpoint);
}

static int listen_on(struct gateway *gateway, const struct gateway_options *options, char *why,
                     size_t room)
{
    struct inlet *inlet;
    int           err;

    if (options->bind == NULL && options->advertise != NULL) {
        snprintf(why, room, "cannot advertise %s: nothing is bound", options->advertise);
        return -EINVAL;
    }
    if (options->bind == NULL && options->also_bind != NULL && *options->also_bind != NULL) {
        snprintf(why, room, "cannot listen on %s: no first endpoint is bound", *options->also_bind);
        return -EINVAL;
    }
    if (options->bind == NULL)
        return 0;
    if (options->advertise != NULL) {
        err = address_endpoint_normalise(options->advertise, strlen(options->advertise), false,
                                         false, gateway->endpoint, why, room);
        if (err != 0)
            return err;
        gateway->advertised = true;
    }
    err = bind_one(gateway, options, options->bind, &inlet, why, room);
    if (err != 0)
        return err;
    if (!gateway->advertised)
        snprintf(gateway->endpoint, sizeof gateway->endpoint, "%s",
                 inlets_show(&gateway->inlets, inlet));
    gateway->everywhere = inlet->everywhere;
    say_what_is_told(gateway, inlet);
    const char *const *each = options->also_bind;
    for (; err == 0 && each != NULL && *each != NULL; each++)
        err = bind_one(gateway, options, *each, &inlet, why, room);
    return err;
}

static int listen_flat(struct gateway *gateway, const struct gateway_options *options, char *why,
                       size_t room)
{
    char endpoint[ADDRESS_ENDPOINT_LIMIT];
    if (options->flat == NULL)
        return 0;
    int err = address_endpoint_normalise(options->flat, strlen(options->flat), false, true,
                                         endpoint, why, room);
    if (err == 0)
        err = may_listen_on(options, endpoint, why, room);
    if (err == 0)
        err = flat_server_open(&gateway->flat_server, &gateway->inlets, endpoint,
                               options->flat_actor, why, room);
    return err;
}

/* Keys first, for they are part of each socket. */
int gateway_open_ways(struct gateway *gateway, const struct gateway_options *options, char *why,
                      size_t room)
{
    int err = read_policies(gateway, options, why, room);
    if (err == 0 && options->curve_key != NULL)
        err = keyring_open(&gateway->keys, options->curve_key, options->curve_peers, why, room);
    gateway->peers.options.keys = gateway->keys;
    gateway->flat_clients.keys = gateway->keys;
    int opened = inlets_init(&gateway->inlets, gateway->zmq, gateway->epoll, gateway->keys,
                             inbound_may_connect, gateway);
    gateway->inlets.name_process = options->name_process;
    if (err != 0)
        return err;
    gateway->errands = errands_new(&gateway->peers, &gateway->rejects_held);
    if (opened != 0 || gateway->errands == NULL) {
        snprintf(why, room, "cannot open the way to other hosts: %s",
                 opened != 0 ? strerror(-opened) : "no memory");
        return opened != 0 ? opened : -ENOMEM;
    }
    err = listen_on(gateway, options, why, room);
    return err == 0 ? listen_flat(gateway, options, why, room) : err;
}
