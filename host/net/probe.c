/*
 * probe.c -- see probe.h. A non-blocking socket, and ZMTP's greeting and READY.
 *
 * A greeting has 64 bytes: a signature (FF, eight of no meaning, 7F), two of
 * version, twenty of mechanism, one that says who is a server, and nothing.
 * Then, for the mechanism NULL, each side says READY with its properties, or
 * ERROR and why. (libzmq greets as soon as it is connected to.)
 */
#include "net/probe.h"

#include "base/clock.h"
#include "net/resolve.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#define GREETING_SIZE   64
#define SIGNATURE_SIZE  10
#define VERSION_END     11 /* the major one */
#define MECHANISM_AT    12
#define MECHANISM_SIZE  20
#define COMMAND_FLAG    4
#define LONG_FLAG       2
#define COMMAND_LIMIT   2048
#define GOODBYE_WAIT_MS 1000 /* for a server that may say what it is once we have hung up */

const char *probe_outcome_name(enum probe_outcome outcome)
{
    static const char *const names[] = {
        [PROBE_OK] = "ok",         [PROBE_REFUSED] = "refused",   [PROBE_NO_WAY] = "no_way",
        [PROBE_NO_ANSWER] = "no_answer", [PROBE_SILENT] = "silent", [PROBE_CLOSED] = "closed",
        [PROBE_STRANGER] = "stranger", [PROBE_OLD] = "old",       [PROBE_MECHANISM] = "mechanism",
        [PROBE_DENIED] = "denied", [PROBE_STALLED] = "stalled",
    };
    return names[outcome];
}

static uint64_t now_ns(void)
{
    static struct clock clock; /* a real one */
    return clock_now(&clock);
}

/* ---- A socket with deadlines ------------------------------------------- */

/* Waits until the socket is ready for `events`. False: not by then. */
static bool await(int fd, short events, uint64_t deadline_ns)
{
    for (;;) {
        uint64_t now = now_ns();
        if (now >= deadline_ns)
            return false;
        struct pollfd wanted = { .fd = fd, .events = events };
        uint64_t left_ms = (deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS;
        int ready = poll(&wanted, 1, left_ms > 60000 ? 60000 : (int)left_ms);
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return false;
    }
}

/* Reads what comes. More than 0: so many bytes; 0: the end; -EAGAIN: nothing in
 * time; or -errno. */
static ssize_t read_some(int fd, void *bytes, size_t size, uint64_t deadline_ns)
{
    for (;;) {
        ssize_t got = recv(fd, bytes, size, 0);
        if (got >= 0)
            return got;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK)
            return -errno;
        if (!await(fd, POLLIN, deadline_ns))
            return -EAGAIN;
    }
}

/* Reads until `size` bytes are there, or the other side has no more. How many came. */
static size_t read_all(int fd, uint8_t *bytes, size_t size, uint64_t deadline_ns, bool *ended)
{
    size_t have = 0;
    *ended = false;
    while (have < size) {
        ssize_t got = read_some(fd, bytes + have, size - have, deadline_ns);
        if (got <= 0) {
            *ended = got != -EAGAIN;
            break;
        }
        have += (size_t)got;
    }
    return have;
}

/* A few bytes into an empty send buffer. */
static bool say(int fd, const void *bytes, size_t size)
{
    return send(fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size;
}

/* ---- Connecting -------------------------------------------------------- */

static enum probe_outcome outcome_of(int error)
{
    switch (error) {
    case 0:
        return PROBE_OK;
    case ECONNREFUSED:
        return PROBE_REFUSED;
    case ETIMEDOUT:
        return PROBE_NO_ANSWER;
    default:
        return PROBE_NO_WAY;
    }
}

/* 0 or an errno; *fd is a socket, or -1. */
static int connect_by(const char *endpoint, uint64_t deadline_ns, int *fd)
{
    struct sockaddr_storage there;
    socklen_t               size;

    *fd = -1;
    if (resolve_numeric(endpoint, &there, &size) != 0)
        return EINVAL;
    *fd = socket(there.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0)
        return errno;
    if (connect(*fd, (struct sockaddr *)&there, size) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    if (!await(*fd, POLLOUT, deadline_ns))
        return ETIMEDOUT;
    int       error = 0;
    socklen_t room = sizeof error;
    if (getsockopt(*fd, SOL_SOCKET, SO_ERROR, &error, &room) != 0)
        return errno;
    return error;
}

/* The port is in the same place for IPv4 and IPv6. */
static void note_local(int fd, struct probe *probe)
{
    struct sockaddr_storage here;
    socklen_t               size = sizeof here;
    char                    host[ADDRESS_ENDPOINT_LIMIT];
    if (getsockname(fd, (struct sockaddr *)&here, &size) != 0 ||
        resolve_host_text((struct sockaddr *)&here, size, host) != 0)
        return;
    snprintf(probe->local, sizeof probe->local, "%.200s:%u", host,
             ntohs(((struct sockaddr_in *)&here)->sin_port));
}

/* ---- Shaking hands ----------------------------------------------------- */

static void note_said(struct probe *probe, const void *bytes, size_t size)
{
    if (size > sizeof probe->said)
        size = sizeof probe->said;
    memcpy(probe->said, bytes, size);
    probe->said_size = size;
}

/* Nobody greeted. What does it say when nothing more comes from us? */
static enum probe_outcome listen_for_last_words(int fd, struct probe *probe)
{
    uint8_t words[sizeof probe->said];
    bool    ended;
    shutdown(fd, SHUT_WR);
    size_t size =
        read_all(fd, words, sizeof words, now_ns() + GOODBYE_WAIT_MS * NS_PER_MS, &ended);
    note_said(probe, words, size);
    return size > 0 ? PROBE_STRANGER : PROBE_SILENT;
}

/* How it must begin; a shorter text may yet become one. */
static bool begins_as_zmtp(const uint8_t *bytes, size_t size)
{
    return (size < 1 || bytes[0] == 0xFF) && (size < SIGNATURE_SIZE || bytes[9] == 0x7F);
}

static bool mechanism_is_text(const uint8_t *mechanism)
{
    for (size_t i = 0; i < MECHANISM_SIZE && mechanism[i] != '\0'; i++)
        if (mechanism[i] <= ' ' || mechanism[i] > '~')
            return false;
    return true;
}

/* Reads the other side's greeting as far as it comes. Ours is said in two parts:
 * a server that wants another mechanism than ours hangs up once it has read it,
 * and may not have said which; the first part is enough for most to say all. */
static size_t exchange(int fd, uint64_t deadline_ns, uint8_t *theirs, bool *ended)
{
    static const uint8_t ours[GREETING_SIZE] = { 0xFF, [9] = 0x7F, [10] = 3, [11] = 0,
                                                 [MECHANISM_AT] = 'N', 'U', 'L', 'L' };
    uint64_t now = now_ns();
    uint64_t half_ns = deadline_ns > now ? now + (deadline_ns - now) / 2 : now;

    *ended = true;
    if (!say(fd, ours, VERSION_END))
        return 0;
    /* Who is no peer of ZeroMQ's need not say 64 bytes. */
    size_t have = read_all(fd, theirs, 1, half_ns, ended);
    if (have == 1 && theirs[0] != 0xFF) {
        uint64_t moment_ns = now_ns() + 100 * NS_PER_MS;
        return have + read_all(fd, theirs + 1, GREETING_SIZE - 1, moment_ns, ended);
    }
    if (have == 1)
        have += read_all(fd, theirs + 1, VERSION_END - 1, half_ns, ended);
    if (have == VERSION_END && theirs[VERSION_END - 1] < 3)
        return have; /* an older one says less */
    if (have == VERSION_END)
        have += read_all(fd, theirs + have, GREETING_SIZE - have, half_ns, ended);
    if (*ended)
        return have;
    if (!say(fd, ours + VERSION_END, GREETING_SIZE - VERSION_END)) {
        *ended = true;
        return have;
    }
    return have + read_all(fd, theirs + have, GREETING_SIZE - have, deadline_ns, ended);
}

static enum probe_outcome greet(int fd, uint64_t deadline_ns, struct probe *probe)
{
    uint8_t theirs[GREETING_SIZE];
    bool    ended;
    size_t  have = exchange(fd, deadline_ns, theirs, &ended);

    if (have == 0)
        return ended ? PROBE_CLOSED : listen_for_last_words(fd, probe);
    if (!begins_as_zmtp(theirs, have) ||
        (have == GREETING_SIZE && theirs[10] >= 3 && !mechanism_is_text(theirs + MECHANISM_AT))) {
        note_said(probe, theirs, have);
        return PROBE_STRANGER;
    }
    if (have >= VERSION_END && theirs[10] < 3)
        return PROBE_OLD;
    if (have < GREETING_SIZE)
        return ended ? PROBE_CLOSED : PROBE_STALLED;
    snprintf(probe->mechanism, sizeof probe->mechanism, "%.*s", MECHANISM_SIZE,
             (const char *)theirs + MECHANISM_AT);
    return strcmp(probe->mechanism, "NULL") == 0 ? PROBE_OK : PROBE_MECHANISM;
}

/* Reads one frame of a command. Its size; 0: it did not come (`ended`: the other side
 * has hung up), or is none (neither). */
static size_t read_command(int fd, uint64_t deadline_ns, uint8_t *body, bool *ended)
{
    uint8_t head[9];
    size_t  size = 0;

    if (read_all(fd, head, 2, deadline_ns, ended) < 2)
        return 0;
    if ((head[0] & ~LONG_FLAG) != COMMAND_FLAG)
        return 0;
    if (head[0] & LONG_FLAG) {
        if (read_all(fd, head + 2, 7, deadline_ns, ended) < 7)
            return 0;
        for (unsigned i = 1; i < 9; i++)
            size = size << 8 | head[i];
    } else {
        size = head[1];
    }
    if (size == 0 || size > COMMAND_LIMIT)
        return 0;
    return read_all(fd, body, size, deadline_ns, ended) == size ? size : 0;
}

/* The property `name` of a READY: a name with its size in one byte, a value
 * with its size in four. */
static void find_property(const uint8_t *at, const uint8_t *end, const char *name, char *value,
                          size_t room)
{
    while (at < end) {
        size_t         name_size = *at++;
        const uint8_t *key = at;
        if ((size_t)(end - at) < name_size + 4)
            return;
        at += name_size;
        size_t size = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
        at += 4;
        if ((size_t)(end - at) < size)
            return;
        if (name_size == strlen(name) && memcmp(key, name, name_size) == 0) {
            snprintf(value, room, "%.*s", (int)(size < room ? size : room), (const char *)at);
            return;
        }
        at += size;
    }
}

static bool is_command(const uint8_t *body, size_t size, const char *name)
{
    size_t length = strlen(name);
    return size > length && body[0] == length && memcmp(body + 1, name, length) == 0;
}

static enum probe_outcome say_ready(int fd, uint64_t deadline_ns, struct probe *probe)
{
    static const uint8_t ready[] = "\x04\x27\x05READY\x0bSocket-Type\0\0\0\x04PUSH"
                                   "\x08Identity\0\0\0"; /* its last byte is the string's end */
    uint8_t body[COMMAND_LIMIT];
    bool    ended;

    if (!say(fd, ready, sizeof ready))
        return PROBE_CLOSED;
    size_t size = read_command(fd, deadline_ns, body, &ended);
    if (size == 0)
        return ended ? PROBE_CLOSED : PROBE_STALLED;
    if (is_command(body, size, "READY")) {
        find_property(body + 6, body + size, "Socket-Type", probe->socket_type,
                      sizeof probe->socket_type);
        return PROBE_OK;
    }
    if (is_command(body, size, "ERROR"))
        note_said(probe, body + 7, size > 7 ? size - 7 : 0);
    else
        note_said(probe, body, size);
    return is_command(body, size, "ERROR") ? PROBE_DENIED : PROBE_STRANGER;
}

void probe_endpoint(const char *endpoint, uint64_t timeout_ms, struct probe *probe)
{
    uint64_t began_ns = now_ns();
    int      fd;

    memset(probe, 0, sizeof *probe);
    probe->error = connect_by(endpoint, began_ns + timeout_ms * NS_PER_MS, &fd);
    probe->outcome = outcome_of(probe->error);
    uint64_t connected_ns = now_ns();
    probe->connect_ns = connected_ns - began_ns;
    if (probe->outcome == PROBE_OK) {
        uint64_t deadline_ns = connected_ns + timeout_ms * NS_PER_MS;
        note_local(fd, probe);
        probe->outcome = greet(fd, deadline_ns, probe);
        if (probe->outcome == PROBE_OK)
            probe->outcome = say_ready(fd, deadline_ns, probe);
        probe->handshake_ns = now_ns() - connected_ns;
    }
    if (fd >= 0)
        close(fd);
}

/* ---- Ports and the library --------------------------------------------- */

bool probe_port_is_taken(uint16_t port)
{
    struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(port) };
    bool               taken = false;

    here.sin_addr.s_addr = htonl(INADDR_ANY);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    /* Connections that have ended and only linger do not count. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
    if (bind(fd, (struct sockaddr *)&here, sizeof here) != 0)
        taken = errno == EADDRINUSE;
    close(fd);
    return taken;
}

const char *probe_library(bool *curve)
{
    static char version[32];
    int         major, minor, patch;
    zmq_version(&major, &minor, &patch);
    snprintf(version, sizeof version, "%d.%d.%d", major, minor, patch);
    *curve = zmq_has("curve") != 0;
    return version;
}
