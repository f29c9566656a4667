/*
 * tools_listen.c -- `troupe listen`: whoever is named, everything that comes is
 * kept in a bounded queue until the command line asks for it.
 *
 * The gateway's thread puts, and waits when the queue is full, which it may do
 * in no other host: here nobody else depends on it. The command line's thread
 * takes, and sleeps in poll() on three descriptors: what the other writes when
 * the queue was empty, one that signals wake (they are taken by tools_signal()),
 * and our output, which tells when nobody reads it any more.
 */
#include "tools.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "base/signals.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_MESSAGES 1000
#define QUEUE_BYTES    ((size_t)8 << 20)

struct kept {
    struct kept    *next;
    struct message *message; /* owned */
    uint64_t        time_ms;
    char            to[];
};

struct listening {
    struct host *host;
    char        *name;          /* owned; NULL: everybody; fixed */
    int          wake, signals; /* descriptors; fixed */

    struct lock   lock;
    struct kept  *oldest, *newest; /* guarded by lock, as all here */
    size_t        messages, bytes;
    bool          closing;
    struct signal taken;           /* there is room again, or we are closing */

    struct kept *in_hand;       /* the command line's, as all here */
    struct bytes json;
    char         from[ADDRESS_NAME_LIMIT + ADDRESS_ENDPOINT_LIMIT + 2];
};

/* ---- What comes in: the gateway's thread -------------------------------- */

static uint64_t wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / NS_PER_MS;
}

static size_t weight(const struct kept *kept)
{
    return sizeof *kept + strlen(kept->to) + 1 + message_weight(kept->message);
}

static void kept_free(struct kept *kept)
{
    if (kept == NULL)
        return;
    message_free(kept->message);
    memory_put(kept, sizeof *kept + strlen(kept->to) + 1);
}

static struct kept *kept_new(const char *to, struct message **message)
{
    size_t       size = strlen(to) + 1;
    struct kept *kept = memory_get(sizeof *kept + size);
    if (kept == NULL)
        return NULL;
    *kept = (struct kept){ .message = *message, .time_ms = wall_ms() };
    memcpy(kept->to, to, size);
    *message = NULL;
    return kept;
}

static bool has_room_locked(const struct listening *listening, const struct kept *kept)
{
    return listening->oldest == NULL || (listening->messages < QUEUE_MESSAGES &&
                                         listening->bytes + weight(kept) <= QUEUE_BYTES);
}

/* Waits for room: meanwhile the senders' data waits in the network, as it has to
 * when we are read slowly. False: we are closing. */
static bool keep(struct listening *listening, struct kept *kept)
{
    lock_acquire(&listening->lock);
    while (!listening->closing && !has_room_locked(listening, kept))
        signal_wait(&listening->taken, &listening->lock);
    bool kept_it = !listening->closing;
    bool was_empty = listening->oldest == NULL;
    if (kept_it) {
        *(was_empty ? &listening->oldest : &listening->newest->next) = kept;
        listening->newest = kept;
        listening->messages++;
        listening->bytes += weight(kept);
    }
    lock_release(&listening->lock);
    if (kept_it && was_empty)
        (void)!write(listening->wake, &(uint64_t){ 1 }, sizeof(uint64_t));
    return kept_it;
}

/* All that comes is ours, but what is for somebody else than who was named. */
static bool intercept(void *context, const char *receiver, struct message **message)
{
    struct listening *listening = context;
    if (listening->name != NULL && strcmp(listening->name, receiver) != 0)
        return false;
    struct kept *kept = kept_new(receiver, message);
    if (kept == NULL)
        return false; /* no memory: its sender gets a Reject */
    if (keep(listening, kept))
        return true;
    *message = kept->message;
    kept->message = NULL;
    kept_free(kept);
    return false;
}

/* ---- Opening and closing ------------------------------------------------ */

static int open_descriptors(struct listening *listening)
{
    sigset_t signals = ending_signals();
    listening->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (listening->wake < 0)
        return -errno;
    listening->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return listening->signals < 0 ? -errno : 0;
}

static int start(struct listening *listening, const struct tools_listen *options, char *why,
                 size_t room)
{
    int error = open_descriptors(listening);
    if (error == 0 && options->name != NULL) {
        listening->name = memory_copy_text(options->name);
        error = listening->name != NULL ? 0 : -ENOMEM;
    }
    if (error != 0) {
        snprintf(why, room, "cannot listen: %s", strerror(-error));
        return error;
    }
    error = tools_make_host(&listening->host, options, why, room);
    if (error != 0)
        return error;
    listening->host->system.intercept = intercept;
    listening->host->system.intercept_context = listening;
    error = host_start(listening->host);
    if (error != 0)
        snprintf(why, room, "the host's threads cannot be started: %s", strerror(-error));
    return error;
}

int tools_listen_open(struct listening **out, const struct tools_listen *options, char *why,
                      size_t room)
{
    struct listening *listening = memory_get_zeroed(sizeof *listening);
    if (listening == NULL) {
        snprintf(why, room, "out of memory");
        return -ENOMEM;
    }
    listening->wake = listening->signals = -1;
    lock_init(&listening->lock);
    signal_init(&listening->taken);
    bytes_init(&listening->json, 0);
    tools_take_signals();
    int error = start(listening, options, why, room);
    if (error != 0)
        tools_listen_close(listening);
    else
        *out = listening;
    return error;
}

void tools_listen_close(struct listening *listening)
{
    if (listening == NULL)
        return;
    lock_acquire(&listening->lock);
    listening->closing = true;
    signal_all(&listening->taken);
    lock_release(&listening->lock);
    host_free(listening->host); /* it has no actors: nothing can be stuck */
    kept_free(listening->in_hand);
    while (listening->oldest != NULL) {
        struct kept *kept = listening->oldest;
        listening->oldest = kept->next;
        kept_free(kept);
    }
    if (listening->wake >= 0)
        close(listening->wake);
    if (listening->signals >= 0)
        close(listening->signals);
    bytes_fini(&listening->json);
    signal_fini(&listening->taken);
    lock_fini(&listening->lock);
    memory_free_text(listening->name);
    memory_put(listening, sizeof *listening);
}

const char *tools_listen_endpoint(const struct listening *listening)
{
    return host_endpoint(listening->host);
}

size_t tools_listen_waiting(struct listening *listening)
{
    lock_acquire(&listening->lock);
    size_t waiting = listening->messages;
    lock_release(&listening->lock);
    return waiting;
}

/* ---- Asking what came --------------------------------------------------- */

static struct kept *take(struct listening *listening)
{
    lock_acquire(&listening->lock);
    struct kept *kept = listening->oldest;
    if (kept != NULL) {
        listening->oldest = kept->next;
        listening->messages--;
        listening->bytes -= weight(kept);
        signal_one(&listening->taken);
    }
    lock_release(&listening->lock);
    return kept;
}

static bool show(struct listening *listening, struct tools_heard *heard)
{
    const struct kept    *kept = listening->in_hand;
    const struct address *origin = kept->message->origin;
    char                  why[HOST_WHY];

    bytes_clear(&listening->json, 64 * 1024);
    if (!host_write_json(listening->host, kept->message, &listening->json, why, sizeof why))
        return false; /* no memory: what came as JSON has a JSON form */
    snprintf(listening->from, sizeof listening->from, "%s@%s",
             origin != NULL ? address_name(origin) : "",
             origin != NULL ? address_endpoint(origin) : "");
    *heard = (struct tools_heard){
        .time_ms = kept->time_ms,
        .from = origin != NULL ? listening->from : NULL,
        .to = kept->to,
        .type = type_name(kept->message->type),
        .json = bytes_text(&listening->json),
    };
    return true;
}

/* Sleeps until something may have happened. */
static enum tools_news sleep_until(struct listening *listening, uint64_t deadline_ns)
{
    struct pollfd wanted[] = {
        { .fd = listening->wake, .events = POLLIN },
        { .fd = listening->signals, .events = POLLIN },
        { .fd = STDOUT_FILENO, .events = 0 }, /* an error shows unasked */
    };
    uint64_t now = clock_now(&listening->host->system.clock);
    uint64_t left_ms = deadline_ns > now ? (deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS : 0;
    int ready = poll(wanted, ARRAY_LENGTH(wanted), left_ms > 60000 ? 60000 : (int)left_ms);
    if (ready > 0 && (wanted[2].revents & POLLERR) != 0)
        return TOOLS_READER_GONE;
    (void)!read(listening->wake, &(uint64_t){ 0 }, sizeof(uint64_t));
    return ready == 0 && left_ms <= 60000 ? TOOLS_TIMED_OUT : TOOLS_MESSAGE;
}

enum tools_news tools_listen_next(struct listening *listening, uint64_t timeout_ms,
                                  struct tools_heard *heard)
{
    uint64_t now = clock_now(&listening->host->system.clock);
    uint64_t deadline_ns = timeout_ms < (UINT64_MAX - now) / NS_PER_MS
                               ? now + timeout_ms * NS_PER_MS : UINT64_MAX;
    kept_free(listening->in_hand);
    listening->in_hand = NULL;
    for (;;) {
        int number = tools_signal(); /* also if there is always something to take */
        if (number != 0)
            return number == SIGINT ? TOOLS_INTERRUPTED : TOOLS_TERMINATED;
        listening->in_hand = take(listening);
        if (listening->in_hand != NULL && show(listening, heard))
            return TOOLS_MESSAGE;
        kept_free(listening->in_hand);
        listening->in_hand = NULL;
        enum tools_news news = sleep_until(listening, deadline_ns);
        if (news != TOOLS_MESSAGE)
            return news;
    }
}

int tools_listen_reply(struct listening *listening, const char *type, const char *json, char *why,
                       size_t room)
{
    struct remote_port *remote = &listening->host->system.remote;
    const struct kept  *kept = listening->in_hand;
    struct address     *nowhere;
    struct message     *answer;

    if (kept == NULL || kept->message->origin == NULL) {
        snprintf(why, room, "the message has no sender");
        return -ESRCH;
    }
    int error = host_compose(MESSAGE_ORDINARY, "sender", type, json, &nowhere, &answer, why, room);
    if (error != 0)
        return error;
    address_unref(nowhere);
    error = host_error_of(remote->carry(remote->context, kept->message->origin, kept->to, &answer,
                                        why, room));
    message_free(answer);
    return error;
}

void tools_listen_reject(struct listening *listening, const char *reason)
{
    struct remote_port *remote = &listening->host->system.remote;
    const struct kept  *kept = listening->in_hand;
    if (kept != NULL)
        remote->reject(remote->context, kept->message, kept->to, reason);
}

int tools_listen_send(struct listening *listening, const char *from, const char *to,
                      const char *type, const char *json, char *why, size_t room)
{
    struct remote_port *remote = &listening->host->system.remote;
    struct address     *address;
    struct message     *message;

    int error = host_compose(MESSAGE_ORDINARY, to, type, json, &address, &message, why, room);
    if (error != 0)
        return error;
    if (*address_endpoint(address) != '\0') {
        error = host_error_of(remote->carry(remote->context, address, from, &message, why, room));
    } else {
        snprintf(why, room, "'%s' names no endpoint", to);
        error = -EINVAL;
    }
    message_free(message);
    address_unref(address);
    return error;
}
