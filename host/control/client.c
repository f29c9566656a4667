/*
 * client.c -- what a command sees of who asked: somebody to say lines to.
 */
#include "base/memory.h"
#include "control/control_room.h"
#include "message/json.h"

struct control_client *client_new(struct control *control, const struct control_command *command)
{
    struct control_client *client = memory_get_zeroed(sizeof *client);
    if (client == NULL)
        return NULL;
    atomic_init(&client->references, 1);
    atomic_init(&client->state, CLIENT_OPEN);
    client->control = control;
    client->command = command;
    atomic_fetch_add_explicit(&control->references, 1, memory_order_relaxed);
    lock_init(&client->lock);
    /* With room for the end beyond what may be said. */
    bytes_init(&client->said, CONTROL_BUFFER_MAX + 8 * CONTROL_WHY);
    return client;
}

struct control_client *control_client_ref(struct control_client *client)
{
    atomic_fetch_add_explicit(&client->references, 1, memory_order_relaxed);
    return client;
}

void control_client_unref(struct control_client *client)
{
    if (client == NULL ||
        atomic_fetch_sub_explicit(&client->references, 1, memory_order_acq_rel) > 1)
        return;
    struct control *control = client->control;
    bytes_fini(&client->said);
    lock_fini(&client->lock);
    memory_put(client, sizeof *client);
    control_unref(control);
}

bool control_client_gone(const struct control_client *client)
{
    return atomic_load_explicit(&client->state, memory_order_acquire) != CLIENT_OPEN;
}

static bool is_open_locked(const struct control_client *client)
{
    return atomic_load_explicit(&client->state, memory_order_relaxed) == CLIENT_OPEN;
}

bool control_say(struct control_client *client, const char *line, size_t size)
{
    lock_acquire(&client->lock);
    bool open = is_open_locked(client);
    bool fits = open && size < CONTROL_BUFFER_MAX &&
                client->said.size + size + 1 <= CONTROL_BUFFER_MAX &&
                bytes_reserve(&client->said, size + 1);
    bool first = fits && client->said.size == 0;
    if (fits) {
        bytes_append(&client->said, line, size);
        bytes_append_byte(&client->said, '\n');
    } else if (open) {
        client->starved = true;
        client->said.failed = false;
    }
    lock_release(&client->lock);
    if (first)
        control_wake(client->control);
    return fits;
}

/* `why` may be anything: what is no UTF-8 has no place in JSON. */
void write_end(struct bytes *out, int code, const char *why)
{
    char text[CONTROL_WHY];
    if (why == NULL) {
        bytes_printf(out, "{\"end\":%d}\n", code);
        return;
    }
    size_t size = strlen(why);
    if (size > sizeof text - 4)
        size = sizeof text - 4;
    while (size > 0 && why[size] != '\0' && ((unsigned char)why[size] & 0xc0) == 0x80)
        size--;
    memcpy(text, why, size);
    text[size] = '\0';
    if (why[size] != '\0')
        strcpy(text + size, "...");
    bytes_printf(out, "{\"end\":%d,\"why\":", code);
    if (!json_write_string(text, strlen(text), JSON_COMPACT, out))
        bytes_append_text(out, "\"?\"");
    bytes_append_text(out, "}\n");
}

void control_end(struct control_client *client, int code, const char *why)
{
    lock_acquire(&client->lock);
    bool open = is_open_locked(client);
    if (open) {
        write_end(&client->said, code, why);
        atomic_store_explicit(&client->state, CLIENT_ENDED, memory_order_release);
    }
    lock_release(&client->lock);
    if (open)
        control_wake(client->control);
}

bool client_leave(struct control_client *client)
{
    lock_acquire(&client->lock);
    bool open = is_open_locked(client);
    if (open)
        atomic_store_explicit(&client->state, CLIENT_GONE, memory_order_release);
    bytes_fini(&client->said);
    lock_release(&client->lock);
    return open;
}

bool client_take(struct control_client *client, struct bytes *out)
{
    lock_acquire(&client->lock);
    bytes_append(out, client->said.data, client->said.size);
    bytes_clear(&client->said, 16384);
    bool ended = !is_open_locked(client);
    lock_release(&client->lock);
    return ended;
}

bool client_was_starved(struct control_client *client)
{
    lock_acquire(&client->lock);
    bool starved = client->starved && client->said.size == 0 && is_open_locked(client);
    if (starved)
        client->starved = false;
    lock_release(&client->lock);
    return starved;
}
