/*
 * flat_client.c -- a DEALER for each endpoint, and the list of what it was asked.
 *
 * Requests are numbered, and stand in the list in the order of their numbers;
 * only the gateway's thread takes one out, so it may read without the lock
 * those that it has found.
 */
#include "net/flat_client_room.h"

#include "base/memory.h"
#include "message/wire.h"
#include "net/resolve.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#define BATCH 64 /* answers from one endpoint before the others' turn */

static const struct {
    int option, value;
} dealer_options[] = {
    /* With IMMEDIATE, libzmq takes nothing unless it is connected, and forgets
     * what it has with the connection: an old heartbeat is no news. */
    { ZMQ_IMMEDIATE, 1 },
    { ZMQ_SNDHWM, 100 },
    { ZMQ_RCVHWM, 1000 },
    { ZMQ_LINGER, 0 },
    { ZMQ_RECONNECT_IVL, 100 },
    { ZMQ_RECONNECT_IVL_MAX, 2000 },
    { ZMQ_CONNECT_TIMEOUT, 3000 },
    { ZMQ_HANDSHAKE_IVL, 5000 },
    { ZMQ_TCP_KEEPALIVE, 1 },
    { ZMQ_TCP_KEEPALIVE_IDLE, 60 },
    { ZMQ_TCP_KEEPALIVE_INTVL, 15 },
    { ZMQ_TCP_KEEPALIVE_CNT, 4 },
};

static void count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* ---- the list ---- */

static void put_locked(struct flat_client *client, struct flat_request *request)
{
    request->number = ++client->numbered;
    if (client->newest != NULL)
        client->newest->next = request;
    else
        client->oldest = request;
    client->newest = request;
    if (client->unsent == NULL)
        client->unsent = request;
    client->count++;
    client->bytes += request->size;
}

/* Takes the request `number` out of the list; NULL: it is not there. */
static struct flat_request *take_locked(struct flat_client *client, uint64_t number)
{
    struct flat_request *before = NULL, *request = client->oldest;
    while (request != NULL && request->number < number) {
        before = request;
        request = request->next;
    }
    if (request == NULL || request->number != number)
        return NULL;
    if (before != NULL)
        before->next = request->next;
    else
        client->oldest = request->next;
    if (client->newest == request)
        client->newest = before;
    if (client->unsent == request)
        client->unsent = request->next;
    client->count--;
    client->bytes -= request->size;
    return request;
}

static void tell_locked(struct flat_clients *clients)
{
    signal_all(&clients->changed);
}

/* ---- what comes back: the gateway's thread ---- */

static void answer_in(struct flat_client *client, uint64_t number, const char *text, size_t size)
{
    struct flat_clients *clients = client->clients;
    lock_acquire(&clients->lock);
    struct flat_request *request = take_locked(client, number);
    lock_release(&clients->lock);
    if (request != NULL)
        flat_request_answered(client, request, text, size);
    else
        count(&clients->system->counters.late_answers);
}

/* Reads one answer: our number, an empty part, the text. False: there is none. */
static bool take_parts(struct flat_client *client)
{
    uint64_t  number = 0;
    bool      right = true;
    int       more = 1, count = 0;
    size_t    more_size = sizeof more;
    zmq_msg_t part, text;

    zmq_msg_init(&part);
    zmq_msg_init(&text);
    for (; more; count++) {
        int size = zmq_msg_recv(count == 2 ? &text : &part, client->dealer, ZMQ_DONTWAIT);
        if (size < 0) {
            more = errno == EINTR && count == 0;
            break;
        }
        if (count == 0 && size == (int)sizeof number)
            memcpy(&number, zmq_msg_data(&part), sizeof number);
        right &= count == 0 ? size == (int)sizeof number : count == 1 ? size == 0 : count == 2;
        zmq_getsockopt(client->dealer, ZMQ_RCVMORE, &more, &more_size);
    }
    if (count == 3 && right)
        answer_in(client, number, zmq_msg_data(&text), zmq_msg_size(&text));
    else if (count > 0)
        flat_bad_answer(client, "it has not the parts of an answer");
    zmq_msg_close(&part);
    zmq_msg_close(&text);
    return count > 0 || more;
}

/* ---- what goes out: the gateway's thread ---- */

static int open_dealer(struct flat_client *client)
{
    struct flat_clients *clients = client->clients;
    int64_t frame_limit = (int64_t)wire_frame_limit();
    int     ipv6 = strchr(client->numeric, '[') != NULL, err = 0;

    client->dealer = zmq_socket(clients->zmq, ZMQ_DEALER);
    if (client->dealer == NULL)
        return -errno;
    for (size_t i = 0; i < ARRAY_LENGTH(dealer_options); i++)
        zmq_setsockopt(client->dealer, dealer_options[i].option, &dealer_options[i].value,
                       sizeof(int));
    zmq_setsockopt(client->dealer, ZMQ_IPV6, &ipv6, sizeof ipv6);
    zmq_setsockopt(client->dealer, ZMQ_MAXMSGSIZE, &frame_limit, sizeof frame_limit);
    if (clients->keys != NULL)
        err = keyring_guard_peer(clients->keys, client->dealer, client->endpoint, client->numeric);
    if (err == 0 && zmq_connect(client->dealer, client->numeric) != 0)
        err = -errno;
    client->descriptor = watch_descriptor(client->dealer);
    if (err == 0)
        err = watch_add(clients->epoll, client->descriptor, &client->watch);
    if (err == 0)
        return 0;
    zmq_close(client->dealer);
    client->dealer = NULL;
    return err;
}

/* Hands over one request in three parts. Once the first is taken the others
 * are too: libzmq counts whole messages. */
static bool hand_over(void *dealer, const struct flat_request *request)
{
    while (zmq_send(dealer, &request->number, sizeof request->number,
                    ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0)
        if (errno != EINTR)
            return false;
    zmq_send(dealer, "", 0, ZMQ_DONTWAIT | ZMQ_SNDMORE);
    zmq_send(dealer, request->text, request->size, ZMQ_DONTWAIT);
    return true;
}

static struct flat_request *first_unsent(struct flat_client *client)
{
    lock_acquire(&client->clients->lock);
    struct flat_request *request = client->unsent;
    lock_release(&client->clients->lock);
    return request;
}

static void send_on(struct flat_client *client)
{
    struct flat_clients *clients = client->clients;
    struct flat_request *request = first_unsent(client);
    while (request != NULL && hand_over(client->dealer, request)) {
        lock_acquire(&clients->lock);
        request = client->unsent = request->next;
        if (request == NULL)
            tell_locked(clients);
        lock_release(&clients->lock);
    }
}

/* Reads and sends until libzmq has no more and takes no more; each may make
 * way for the other. */
void flat_client_told(struct flat_client *client)
{
    client->busy = false;
    if (client->dealer == NULL)
        return;
    for (unsigned i = 0; i < BATCH; i++) {
        send_on(client);
        if (!take_parts(client)) {
            int    events = 0;
            size_t size = sizeof events;
            zmq_getsockopt(client->dealer, ZMQ_EVENTS, &events, &size);
            if (!(events & ZMQ_POLLIN) && !(first_unsent(client) != NULL && (events & ZMQ_POLLOUT)))
                return;
        }
    }
    client->busy = client->clients->busy = true;
}

/* A request to be given up; with `all` any. NULL: there is none. */
static struct flat_request *due_locked(struct flat_client *client, uint64_t now_ns, bool all)
{
    struct flat_request *oldest = client->oldest, *unsent = client->unsent;
    if (oldest != NULL && (all || oldest->born_ns + FLAT_PATIENCE_NS <= now_ns))
        return oldest;
    return unsent != NULL && unsent->born_ns + FLAT_CONNECT_NS <= now_ns ? unsent : NULL;
}

/* Gives up the requests that are older than our patience; with a `reason` all. */
static void give_up(struct flat_client *client, uint64_t now_ns, const char *reason)
{
    struct flat_clients *clients = client->clients;
    char                 why[ADDRESS_ENDPOINT_LIMIT + 64];
    for (;;) {
        lock_acquire(&clients->lock);
        struct flat_request *due = due_locked(client, now_ns, reason != NULL);
        bool sent = due != client->unsent;
        if (due != NULL)
            take_locked(client, due->number);
        tell_locked(clients);
        lock_release(&clients->lock);
        if (due == NULL)
            return;
        snprintf(why, sizeof why, sent ? "nobody answered at %s in %llu s"
                                       : "no connection to %s in %llu s", client->endpoint,
                 (unsigned long long)((sent ? FLAT_PATIENCE_NS : FLAT_CONNECT_NS) / NS_PER_SEC));
        flat_request_lose(clients, due, reason != NULL ? reason : why);
    }
}

static void serve(struct flat_client *client, bool pending, uint64_t now_ns)
{
    if (pending && client->dealer == NULL) {
        char why[ADDRESS_ENDPOINT_LIMIT + 64];
        int  err = open_dealer(client);
        snprintf(why, sizeof why, "cannot connect to %s: %s", client->endpoint,
                 zmq_strerror(-err));
        if (err != 0)
            give_up(client, now_ns, why);
    }
    give_up(client, now_ns, NULL);
    if (pending || client->busy)
        flat_client_told(client);
}

static void sooner(uint64_t *due_ns, const struct flat_request *request, uint64_t patience_ns)
{
    if (request != NULL && request->born_ns + patience_ns < *due_ns)
        *due_ns = request->born_ns + patience_ns;
}

/* When the next request is to be given up. */
static uint64_t next_due(struct flat_clients *clients)
{
    uint64_t due_ns = UINT64_MAX;
    lock_acquire(&clients->lock);
    for (unsigned i = 0; i < clients->count; i++) {
        sooner(&due_ns, clients->list[i]->oldest, FLAT_PATIENCE_NS);
        sooner(&due_ns, clients->list[i]->unsent, FLAT_CONNECT_NS);
    }
    lock_release(&clients->lock);
    return due_ns;
}

bool flat_clients_serve(struct flat_clients *clients)
{
    bool pending = atomic_exchange_explicit(&clients->pending, false, memory_order_acquire);
    if (!pending && !clients->busy &&
        (clients->due_ns == UINT64_MAX || clock_now(&clients->system->clock) < clients->due_ns))
        return false;

    lock_acquire(&clients->lock);
    unsigned count = clients->count;
    lock_release(&clients->lock);
    uint64_t now_ns = clock_now(&clients->system->clock);
    clients->busy = false;
    for (unsigned i = 0; i < count; i++) {
        serve(clients->list[i], pending, now_ns);
        clients->busy |= clients->list[i]->busy;
    }
    clients->due_ns = next_due(clients);
    return clients->busy;
}

/* ---- any thread ---- */

static struct flat_client *find_locked(struct flat_clients *clients, const char *endpoint)
{
    for (unsigned i = 0; i < clients->count; i++)
        if (strcmp(clients->list[i]->endpoint, endpoint) == 0)
            return clients->list[i];
    return NULL;
}

static struct flat_client *add_locked(struct flat_clients *clients, const char *endpoint,
                                      const char *numeric, char *why, size_t room)
{
    if (clients->count == FLAT_CLIENTS_MAX) {
        snprintf(why, room, "flat JSON is spoken with %d hosts already: no room for %s",
                 FLAT_CLIENTS_MAX, endpoint);
        return NULL;
    }
    struct flat_client *client = memory_get_zeroed(sizeof *client);
    if (client == NULL) {
        snprintf(why, room, "no memory for a connection to %s", endpoint);
        return NULL;
    }
    client->watch = (struct watch){ WATCH_FLAT_CLIENT, client };
    client->clients = clients;
    snprintf(client->endpoint, sizeof client->endpoint, "%s", endpoint);
    snprintf(client->numeric, sizeof client->numeric, "%s", numeric);
    clients->list[clients->count++] = client;
    return client;
}

/* Finds or makes who is to be asked. NULL, and a sentence in `why`. */
static struct flat_client *get(struct flat_clients *clients, const char *endpoint, char *why,
                               size_t room)
{
    char numeric[ADDRESS_ENDPOINT_LIMIT];

    lock_acquire(&clients->lock);
    struct flat_client *client = find_locked(clients, endpoint);
    lock_release(&clients->lock);
    if (client != NULL || resolve_endpoint(endpoint, numeric, why, room) != 0)
        return client;

    lock_acquire(&clients->lock);
    client = find_locked(clients, endpoint); /* another thread may have been quicker */
    if (client == NULL)
        client = add_locked(clients, endpoint, numeric, why, room);
    lock_release(&clients->lock);
    return client;
}

/* Takes *request, unless there is no room. */
static enum router_answer put(struct flat_client *client, struct flat_request **request, char *why,
                              size_t room)
{
    struct flat_clients *clients = client->clients;
    enum router_answer   answer = ROUTER_OK;

    lock_acquire(&clients->lock);
    if (clients->closed) {
        snprintf(why, room, "this host is stopping");
        answer = ROUTER_UNREACHABLE;
    } else if (client->count == FLAT_REQUESTS_MAX ||
               client->bytes + (*request)->size > FLAT_REQUEST_BYTES) {
        snprintf(why, room, "%zu requests already wait for %s", client->count, client->endpoint);
        answer = ROUTER_FULL;
    } else {
        put_locked(client, *request);
        *request = NULL;
    }
    lock_release(&clients->lock);
    return answer;
}

static enum router_answer write_request(const struct message *message, struct bytes *text,
                                        char *why, size_t room)
{
    struct json_error error;
    switch (flat_write(type_name(message->type), message->payload, message->size, text, &error)) {
    case 0:
        return ROUTER_OK;
    case -ENOMEM:
        snprintf(why, room, "%s is larger than a frame may be (%zu bytes)",
                 type_name(message->type), wire_frame_limit());
        return ROUTER_REFUSED;
    default:
        snprintf(why, room, "%s", error.reason);
        return ROUTER_REFUSED;
    }
}

enum router_answer flat_clients_carry(struct flat_clients *clients, const struct address *to,
                                      struct message **message, char *why, size_t room)
{
    struct flat_client *client =
        get(clients, address_flat_endpoint(address_endpoint(to)), why, room);
    if (client == NULL)
        return ROUTER_UNREACHABLE;

    struct flat_request *request = NULL;
    struct bytes         text;
    bytes_init(&text, wire_frame_limit());
    enum router_answer answer = write_request(*message, &text, why, room);
    if (answer == ROUTER_OK) {
        request = flat_request_new(*message, (struct address *)(uintptr_t)to, &text, clock_now(&clients->system->clock));
        if (request == NULL)
            snprintf(why, room, "no memory");
        answer = request != NULL ? put(client, &request, why, room) : ROUTER_UNREACHABLE;
    }
    bytes_fini(&text);
    if (request != NULL)
        flat_request_free(request);
    if (answer != ROUTER_OK)
        return answer;

    count(&clients->asked);
    message_free(*message);
    *message = NULL;
    /* Pairs with the acquire in flat_clients_serve(); what matters is under the lock. */
    atomic_store_explicit(&clients->pending, true, memory_order_release);
    (void)!write(clients->wake, &(uint64_t){ 1 }, sizeof(uint64_t));
    return ROUTER_OK;
}

enum peer_state flat_clients_state(struct flat_clients *clients, const char *endpoint)
{
    lock_acquire(&clients->lock);
    const struct flat_client *client = find_locked(clients, endpoint);
    enum peer_state state = client == NULL           ? PEER_NONE
                            : client->unsent != NULL ? PEER_CONNECTING
                                                     : PEER_CONNECTED;
    lock_release(&clients->lock);
    return state;
}

static bool all_sent_locked(struct flat_clients *clients, const char *endpoint)
{
    for (unsigned i = 0; i < clients->count; i++) {
        const struct flat_client *client = clients->list[i];
        if (client->unsent != NULL && (endpoint == NULL || strcmp(client->endpoint, endpoint) == 0))
            return false;
    }
    return true;
}

bool flat_clients_flush(struct flat_clients *clients, const char *endpoint, uint64_t deadline_ns)
{
    bool in_time = true;
    lock_acquire(&clients->lock);
    while (in_time && !all_sent_locked(clients, endpoint))
        in_time = signal_wait_until(&clients->changed, &clients->lock, deadline_ns);
    bool done = all_sent_locked(clients, endpoint);
    lock_release(&clients->lock);
    return done;
}

/* ---- beginning and end ---- */

void flat_clients_init(struct flat_clients *clients, struct system *system, void *zmq, int epoll,
                       int wake)
{
    *clients = (struct flat_clients){ .system = system, .zmq = zmq, .epoll = epoll, .wake = wake,
                                       .due_ns = UINT64_MAX };
    lock_init(&clients->lock);
    signal_init(&clients->changed);
    bytes_init(&clients->fields, 0);
}

void flat_clients_close(struct flat_clients *clients, int linger_ms)
{
    lock_acquire(&clients->lock);
    clients->closed = true;
    unsigned count = clients->count;
    lock_release(&clients->lock);

    for (unsigned i = 0; i < count; i++) {
        struct flat_client *client = clients->list[i];
        give_up(client, 0, "this host is stopping");
        if (client->dealer == NULL)
            continue;
        watch_remove(clients->epoll, client->descriptor);
        zmq_setsockopt(client->dealer, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
        zmq_close(client->dealer);
        client->dealer = NULL;
    }
}

void flat_clients_fini(struct flat_clients *clients)
{
    for (unsigned i = 0; i < clients->count; i++)
        memory_put(clients->list[i], sizeof *clients->list[i]);
    bytes_fini(&clients->fields);
    signal_fini(&clients->changed);
    lock_fini(&clients->lock);
}
