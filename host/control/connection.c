/*
 * connection.c -- one connection of the control socket: its requests in turn, and what
 * is said to it. Only the control thread.
 */
#include "base/suggest.h"
#include "control/control_room.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_AT_ONCE  16384
#define READS_IN_TURN 16      /* then the others have theirs */
#define OUT_ENOUGH    CONTROL_BUFFER_MAX /* on its way out: no further request is served */
#define DEAF_NS       (10 * NS_PER_SEC) /* for who talks nonsense to read that he does */

/* ---- Its request in hand --------------------------------------------------- */

/* What it asked for is over, whether it has been answered or not. */
static void let_go(struct connection *connection)
{
    struct control_client *client = connection->client;
    if (client == NULL)
        return;
    connection->client = NULL;
    if (client_leave(client) && client->command->gone != NULL)
        client->command->gone(client->command->context, client);
    control_client_unref(client);
}

static void forget_written(struct connection *connection)
{
    struct bytes *out = &connection->out;
    if (connection->written == 0)
        return;
    memmove(out->data, out->data + connection->written, out->size - connection->written);
    out->size -= connection->written;
    connection->written = 0;
}

/* Moves on what was said; a request that has ended makes place for the next. */
static void take_said(struct connection *connection)
{
    struct control_client *client = connection->client;
    if (client == NULL || connection->out.size - connection->written >= OUT_ENOUGH)
        return;
    forget_written(connection);
    if (client_take(client, &connection->out))
        let_go(connection);
    if (connection->out.failed)
        connection->broken = true; /* no memory: a part would be worse than nothing */
}

static const struct control_command *find_command(const struct control *control, const char *name,
                                                  char *why, size_t room)
{
    struct suggest suggest;
    suggest_init(&suggest, name);
    for (size_t i = 0; i < control->command_count; i++) {
        if (strcmp(control->commands[i].name, name) == 0)
            return &control->commands[i];
        suggest_offer(&suggest, control->commands[i].name);
    }
    snprintf(why, room, "this host has no command '%.64s'%s%s%s", name,
             suggest.best != NULL ? ": did you mean '" : "",
             suggest.best != NULL ? suggest.best : "", suggest.best != NULL ? "'?" : "");
    return NULL;
}

static void serve(struct control *control, struct connection *connection, const char *line,
                  size_t size)
{
    struct control_request request;
    char why[CONTROL_WHY];
    if (connection->client != NULL) {
        take_said(connection);
        if (connection->client != NULL) {
            let_go(connection);
            write_end(&connection->out, 130, "another request came before its end");
        }
    }
    if (request_read(&request, line, size, why, sizeof why) != 0) {
        write_end(&connection->out, 2, why);
        return;
    }
    const char *name = control_request_text(&request, "do");
    const struct control_command *command = NULL;
    if (name == NULL)
        snprintf(why, sizeof why, "a request says what to do: {\"do\":\"info\"}");
    else
        command = find_command(control, name, why, sizeof why);
    struct control_client *client = command != NULL ? client_new(control, command) : NULL;
    if (client != NULL) {
        connection->client = client;
        command->serve(command->context, client, &request);
        if (atomic_load_explicit(&client->references, memory_order_acquire) == 1)
            control_end(client, 1, "it was not answered"); /* unless it was */
        take_said(connection);
    } else {
        write_end(&connection->out, command != NULL ? 1 : 2,
                  command != NULL ? "out of memory" : why);
    }
    request_free(&request);
}

static bool is_blank(const char *line, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r')
            return false;
    return true;
}

/* Serves the lines that have come, as long as there is room for answers. */
static void serve_lines(struct control *control, struct connection *connection)
{
    struct bytes *in = &connection->in;
    size_t from = 0;
    while (!connection->broken && !connection->deaf &&
           connection->out.size - connection->written < OUT_ENOUGH) {
        size_t at = connection->searched > from ? connection->searched : from;
        const uint8_t *end = at < in->size ? memchr(in->data + at, '\n', in->size - at) : NULL;
        if (end == NULL) {
            connection->searched = in->size;
            break;
        }
        size_t size = (size_t)(end - (in->data + from));
        const char *line = (const char *)in->data + from;
        if (!is_blank(line, size))
            serve(control, connection, line, size);
        from += size + 1;
        connection->searched = from;
    }
    if (from > 0) {
        memmove(in->data, in->data + from, in->size - from);
        in->size -= from;
        connection->searched -= from;
    }
    if (in->size == 0)
        bytes_clear(in, READ_AT_ONCE);
    if (connection->searched == in->size && in->size >= CONTROL_REQUEST_MAX &&
        !connection->deaf) {
        let_go(connection);
        write_end(&connection->out, 2, "a request is one line of at most 2 MiB");
        connection->deaf = true;
        bytes_fini(in);
        connection->searched = 0;
    }
}

/* ---- In and out ------------------------------------------------------------ */

static bool wants_input(const struct connection *connection)
{
    return !connection->ended &&
           (connection->deaf || (connection->in.size < CONTROL_REQUEST_MAX &&
                                 connection->out.size - connection->written < OUT_ENOUGH));
}

static void read_some(struct control *control, struct connection *connection, uint64_t now_ns)
{
    char data[READ_AT_ONCE];
    for (unsigned i = 0; i < READS_IN_TURN && wants_input(connection) && !connection->broken; i++) {
        size_t room = connection->deaf ? sizeof data : CONTROL_REQUEST_MAX - connection->in.size;
        ssize_t got = recv(connection->descriptor, data, room < sizeof data ? room : sizeof data, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got < 0) {
            connection->broken = true;
            return;
        }
        if (got == 0) {
            connection->ended = true;
            return;
        }
        if (connection->deaf)
            continue;
        connection->heard_ns = now_ns;
        bytes_append(&connection->in, data, (size_t)got);
        if (connection->in.failed)
            connection->broken = true;
        serve_lines(control, connection);
    }
}

static void write_some(struct connection *connection, uint64_t now_ns)
{
    struct bytes *out = &connection->out;
    while (connection->written < out->size) {
        ssize_t sent = send(connection->descriptor, out->data + connection->written,
                            out->size - connection->written, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0) {
            connection->broken = connection->broken || errno != EAGAIN;
            if (connection->stalled_ns == 0)
                connection->stalled_ns = now_ns;
            return;
        }
        connection->written += (size_t)sent;
        connection->stalled_ns = 0;
    }
    connection->written = 0;
    bytes_clear(out, READ_AT_ONCE);
}

/* What did not fit before does now: the command is told until it has said enough. */
static void feed(struct connection *connection)
{
    struct control_client *client = connection->client;
    if (client == NULL || client->command->more == NULL || connection->written < connection->out.size)
        return;
    if (client_was_starved(client))
        client->command->more(client->command->context, client);
}

/* Whether it is to be closed: nothing more is wanted of it, or it has had its time. */
static bool is_over(struct connection *connection, uint64_t now_ns)
{
    bool written = connection->written == connection->out.size;
    if (connection->stalled_ns != 0 && now_ns - connection->stalled_ns > CONTROL_STALLED_NS)
        return true;
    if (connection->deaf && written && connection->heard_ns + DEAF_NS < now_ns)
        return true;
    return connection->ended && connection->client == NULL && written &&
           connection->searched == connection->in.size;
}

void connection_attend(struct control *control, struct connection *connection, short events,
                       uint64_t now_ns)
{
    if (events & POLLIN)
        read_some(control, connection, now_ns);
    if ((events & (POLLHUP | POLLERR)) && (connection->ended || !(events & POLLIN)))
        connection->broken = true;
    if (connection->broken)
        return;
    take_said(connection);
    write_some(connection, now_ns);
    serve_lines(control, connection); /* those that had to wait for room */
    feed(connection);
    if (connection->deaf && connection->out.size == 0)
        shutdown(connection->descriptor, SHUT_WR);
    if (is_over(connection, now_ns))
        connection->broken = true;
}

short connection_events(const struct connection *connection)
{
    return (short)((wants_input(connection) ? POLLIN : 0) |
                   (connection->out.size > connection->written ? POLLOUT : 0));
}

bool connection_has_deadline(const struct connection *connection)
{
    return connection->stalled_ns != 0 || connection->deaf;
}

void connection_close(struct connection *connection, int code, const char *why)
{
    if (connection->client != NULL && !connection->broken) {
        take_said(connection);
        if (connection->client != NULL)
            write_end(&connection->out, code, why);
        write_some(connection, 0);
    }
    let_go(connection);
    bytes_fini(&connection->in);
    bytes_fini(&connection->out);
    close(connection->descriptor);
}
