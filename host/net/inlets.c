/*
 * inlets.c -- PULL sockets that are bound.
 */
#include "net/inlets.h"

#include "base/memory.h"
#include "message/wire.h"
#include "net/resolve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#define RECEIVE_HIGH_WATER 200 /* frames of one connection, of up to 1 MiB each: with fewer small
                                * ones come slower (measured: 100 a quarter, 64 a third) */
#define RECEIVE_BUFFER     (128 * 1024) /* little is lost with us; see peer_sockets.c */
#define SEND_HIGH_WATER    2048 /* of a ROUTER, for each asker: more than may wait at once, so
                                 * that only who does not read loses answers */

static void set_options(void *pull, const char *endpoint)
{
    int64_t frame_limit = (int64_t)wire_frame_limit();
    zmq_setsockopt(pull, ZMQ_MAXMSGSIZE, &frame_limit, sizeof frame_limit);
    zmq_setsockopt(pull, ZMQ_ZAP_DOMAIN, ADMISSION_DOMAIN, strlen(ADMISSION_DOMAIN));

    const struct {
        int option, value;
    } options[] = {
        { ZMQ_RCVHWM, RECEIVE_HIGH_WATER },
        { ZMQ_SNDHWM, SEND_HIGH_WATER },
        { ZMQ_LINGER, 0 },
        { ZMQ_RCVBUF, RECEIVE_BUFFER },
        { ZMQ_HANDSHAKE_IVL, 5000 },
        { ZMQ_IPV6, strchr(endpoint, '[') != NULL },
        { ZMQ_TCP_KEEPALIVE, 1 },
        { ZMQ_TCP_KEEPALIVE_IDLE, 15 },
        { ZMQ_TCP_KEEPALIVE_INTVL, 5 },
        { ZMQ_TCP_KEEPALIVE_CNT, 3 },
    };
    for (size_t i = 0; i < ARRAY_LENGTH(options); i++)
        zmq_setsockopt(pull, options[i].option, &options[i].value, sizeof options[i].value);
}

int inlets_init(struct inlets *inlets, void *zmq, int epoll, struct keyring *keys,
                admission_judge *judge, void *context)
{
    inlets->zmq = zmq;
    inlets->epoll = epoll;
    inlets->keys = keys;
    inlets->judge = judge;
    inlets->context = context;
    inlets->name_process = NULL;
    inlets->admission.door = NULL;
    inlets->closed = false;
    inlets->opened = 0;
    atomic_init(&inlets->count, 0);
    lock_init(&inlets->lock);
    return connections_open(&inlets->connections, epoll, keys != NULL);
}

void inlets_close(struct inlets *inlets)
{
    lock_acquire(&inlets->lock);
    unsigned count = atomic_exchange_explicit(&inlets->count, 0, memory_order_relaxed);
    inlets->opened = count;
    inlets->closed = true;
    lock_release(&inlets->lock);
    for (unsigned i = 0; i < count; i++) {
        struct inlet *inlet = inlets->list[i];
        watch_remove(inlets->epoll, inlet->descriptor);
        inflow_close(&inlet->inflow, inlet->pull);
        zmq_close(inlet->pull);
    }
    admission_close(&inlets->admission);
}

void inlets_fini(struct inlets *inlets)
{
    for (unsigned i = 0; i < inlets->opened; i++)
        memory_put(inlets->list[i], sizeof *inlets->list[i]);
    connections_close(&inlets->connections);
    lock_fini(&inlets->lock);
}

/* `tcp://127.0.0.1:*` for port 0, else the same. */
static void as_zmq_writes_it(const char *endpoint, char *out)
{
    size_t size = strlen(endpoint);
    bool   any_port = size > 2 && strcmp(endpoint + size - 2, ":0") == 0;
    snprintf(out, ADDRESS_ENDPOINT_LIMIT, "%.*s%s", (int)(any_port ? size - 1 : size), endpoint,
             any_port ? "*" : "");
}

bool inlets_is_everywhere(const char *endpoint)
{
    static const char *const hosts[] = { "tcp://*:", "tcp://0.0.0.0:", "tcp://[::]:" };
    for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++)
        if (strncmp(endpoint, hosts[i], strlen(hosts[i])) == 0)
            return true;
    return false;
}

/* A socket with our options and our key, not yet bound. 0 or -errno. */
static int make_socket(struct inlets *inlets, int type, const char *endpoint, void **socket)
{
    *socket = zmq_socket(inlets->zmq, type);
    if (*socket == NULL)
        return -errno;
    set_options(*socket, endpoint);
    int err = inlets->keys != NULL ? keyring_guard_inlet(inlets->keys, *socket) : 0;
    if (err != 0) {
        zmq_close(*socket);
        *socket = NULL;
    }
    return err;
}

/* Binds it; the endpoint with the real port in `out`. 0 or -errno. */
static int bind_socket(void *socket, const char *endpoint, char *out)
{
    char   bound[ADDRESS_ENDPOINT_LIMIT];
    size_t size = sizeof bound;

    as_zmq_writes_it(endpoint, bound);
    if (zmq_bind(socket, bound) != 0 ||
        zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, bound, &size) != 0)
        return -errno;
    return address_endpoint_normalise(bound, strlen(bound), false, true, out, NULL, 0);
}

/* Binds a socket into `inlet`, which nobody sees yet. 0 or -errno. */
static int open_inlet(struct inlets *inlets, const char *endpoint, struct inlet *inlet)
{
    int err = make_socket(inlets, ZMQ_PULL, endpoint, &inlet->pull);
    if (err != 0)
        return err;
    err = inflow_open(&inlet->inflow, &inlets->connections, inlets->zmq, inlet->pull);
    if (err != 0)
        goto close_pull;
    err = bind_socket(inlet->pull, endpoint, inlet->endpoint);
    if (err != 0)
        goto close_inflow;
    inlet->port = strrchr(inlet->endpoint, ':') + 1;
    inlet->everywhere = inlets_is_everywhere(inlet->endpoint);

    inlet->watch = (struct watch){ WATCH_INLET, inlet };
    inlet->descriptor = watch_descriptor(inlet->pull);
    inlet->busy = true; /* look once unasked */
    err = watch_add(inlets->epoll, inlet->descriptor, &inlet->watch);
    if (err == 0)
        return 0;

close_inflow:
    inflow_close(&inlet->inflow, inlet->pull);
close_pull:
    zmq_close(inlet->pull);
    return err;
}

static int open_admission_locked(struct inlets *inlets)
{
    if (inlets->closed)
        return -ESHUTDOWN;
    return inlets->admission.door != NULL
               ? 0
               : admission_open(&inlets->admission, inlets->zmq, inlets->epoll, inlets->judge,
                                inlets->context);
}

static int add_locked(struct inlets *inlets, const char *endpoint, struct inlet **inlet)
{
    unsigned count = atomic_load_explicit(&inlets->count, memory_order_relaxed);
    if (count == INLETS_MAX)
        return -EMFILE;
    int err = open_admission_locked(inlets);
    if (err != 0)
        return err;
    *inlet = memory_get_zeroed(sizeof **inlet);
    if (*inlet == NULL)
        return -ENOMEM;
    err = open_inlet(inlets, endpoint, *inlet);
    if (err != 0) {
        memory_put(*inlet, sizeof **inlet);
        return err;
    }
    inlets->list[count] = *inlet;
    atomic_store_explicit(&inlets->count, count + 1, memory_order_release);
    return 0;
}

/* Who listens there already. */
static void name_holder(const struct inlets *inlets, const char *endpoint, char *text, size_t room)
{
    const char   *start = endpoint + strlen("tcp://"), *colon = strrchr(start, ':');
    struct holder holder;
    char          host[ADDRESS_ENDPOINT_LIMIT], name[HOLDER_NAME_ROOM + 64];
    bool          bracketed = *start == '[';

    snprintf(host, sizeof host, "%.*s", (int)(colon - start) - 2 * bracketed, start + bracketed);
    switch (holder_find(host, (uint16_t)atoi(colon + 1), &holder)) {
    case HOLDER_FOUND:
        if (holder.pid == getpid())
            snprintf(text, room, "this process does already");
        else if (inlets->name_process != NULL && inlets->name_process(holder.pid, name, sizeof name))
            snprintf(text, room, "it is taken by process %ld (%s)", holder.pid, name);
        else
            snprintf(text, room, "it is taken by process %ld (%s)", holder.pid, holder.name);
        break;
    case HOLDER_OTHERS:
        snprintf(text, room, "it is taken by a process of another user (number %u)", holder.user);
        break;
    case HOLDER_UNKNOWN:
        snprintf(text, room, "another process does already");
        break;
    }
}

static void explain(const struct inlets *inlets, int err, const char *endpoint, char *why,
                    size_t room)
{
    char holder[HOLDER_NAME_ROOM + 160];
    if (err == -EADDRINUSE)
        name_holder(inlets, endpoint, holder, sizeof holder);
    snprintf(why, room, "cannot listen on %s: %s", endpoint,
             err == -EADDRINUSE ? holder : zmq_strerror(-err));
}

int inlets_add(struct inlets *inlets, const char *endpoint, struct inlet **inlet, char *why,
               size_t room)
{
    lock_acquire(&inlets->lock);
    int err = add_locked(inlets, endpoint, inlet);
    lock_release(&inlets->lock);
    if (err != 0)
        explain(inlets, err, endpoint, why, room);
    return err;
}

int inlets_bind(struct inlets *inlets, int type, const char *endpoint, void **socket,
                char *bound, char *why, size_t room)
{
    lock_acquire(&inlets->lock);
    int err = open_admission_locked(inlets);
    lock_release(&inlets->lock);
    if (err == 0)
        err = make_socket(inlets, type, endpoint, socket);
    if (err == 0 && (err = bind_socket(*socket, endpoint, bound)) != 0) {
        zmq_close(*socket);
        *socket = NULL;
    }
    if (err != 0)
        explain(inlets, err, endpoint, why, room);
    return err;
}

/* ---- an inlet, as seen from one side ---- */

/* The face with this host, made if there is room. NULL: there is none. */
static const char *show_face_locked(struct inlet *inlet, const char *host)
{
    char endpoint[ADDRESS_ENDPOINT_LIMIT];
    snprintf(endpoint, sizeof endpoint, "tcp://%.200s:%.5s", host, inlet->port);
    for (unsigned i = 0; i < inlet->faces_count; i++)
        if (strcmp(inlet->faces[i].endpoint, endpoint) == 0)
            return inlet->faces[i].endpoint;
    if (inlet->faces_count == FACES_MAX)
        return NULL;
    struct face *face = &inlet->faces[inlet->faces_count++];
    snprintf(face->endpoint, sizeof face->endpoint, "%s", endpoint);
    return face->endpoint;
}

static bool has_host(const struct inlet *inlet, const char *host)
{
    char   start[ADDRESS_ENDPOINT_LIMIT + 8];
    size_t size = (size_t)snprintf(start, sizeof start, "tcp://%s:", host);
    return strncmp(inlet->endpoint, start, size) == 0;
}

/* An inlet on IPv4 is reached over that only; one on [::] over both. */
static bool reaches(const struct inlet *inlet, const char *host)
{
    return inlet->everywhere && (host[0] != '[' || strchr(inlet->endpoint, '[') != NULL);
}

/* The endpoint of an inlet on this host address, whatever its port. */
static const char *find_host_locked(struct inlets *inlets, const char *host)
{
    unsigned count = atomic_load_explicit(&inlets->count, memory_order_relaxed);
    for (unsigned i = 0; i < count; i++) {
        struct inlet *inlet = inlets->list[i];
        const char   *found = has_host(inlet, host) ? inlet->endpoint
                              : reaches(inlet, host) ? show_face_locked(inlet, host)
                                                     : NULL;
        if (found != NULL)
            return found;
    }
    return NULL;
}

const char *inlets_towards(struct inlets *inlets, const char *target, char *why, size_t room)
{
    char host[ADDRESS_ENDPOINT_LIMIT], endpoint[ADDRESS_ENDPOINT_LIMIT + 8];
    int  err = resolve_local_host(target, host);
    if (err != 0) {
        snprintf(why, room, "no way to %s: %s", target, strerror(-err));
        return NULL;
    }
    snprintf(endpoint, sizeof endpoint, "tcp://%s:0", host);

    lock_acquire(&inlets->lock);
    struct inlet *inlet;
    const char   *found = find_host_locked(inlets, host);
    if (found == NULL) {
        err = add_locked(inlets, endpoint, &inlet);
        found = err == 0 ? inlet->endpoint : NULL;
    }
    lock_release(&inlets->lock);
    if (found == NULL)
        explain(inlets, err, endpoint, why, room);
    return found;
}

/* Whether the numeric endpoint, with the port of an inlet on all interfaces, has
 * an address of this machine. */
static bool is_here(const char *endpoint)
{
    char host[ADDRESS_ENDPOINT_LIMIT];
    return address_endpoint_is_loopback(endpoint) ||
           (resolve_local_host(endpoint, host) == 0 &&
            strncmp(endpoint + strlen("tcp://"), host, strlen(host)) == 0 &&
            endpoint[strlen("tcp://") + strlen(host)] == ':');
}

static bool has_port(const char *endpoint, const char *port)
{
    const char *colon = strrchr(endpoint, ':');
    return colon != NULL && strcmp(colon + 1, port) == 0;
}

bool inlets_have(struct inlets *inlets, const char *endpoint)
{
    unsigned count = atomic_load_explicit(&inlets->count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++) {
        const struct inlet *inlet = inlets->list[i];
        if (strcmp(inlet->endpoint, endpoint) == 0)
            return true;
        if (inlet->everywhere && has_port(endpoint, inlet->port) && is_here(endpoint))
            return true;
    }
    return false;
}

const char *inlets_show(struct inlets *inlets, struct inlet *inlet)
{
    char host[ADDRESS_ENDPOINT_LIMIT];
    if (!inlet->everywhere)
        return inlet->endpoint;
    resolve_main_host(strchr(inlet->endpoint, '[') != NULL, host);
    lock_acquire(&inlets->lock);
    const char *shown = show_face_locked(inlet, host);
    lock_release(&inlets->lock);
    return shown;
}
