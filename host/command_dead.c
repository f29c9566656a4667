/*
 * command_dead.c -- `dead`: the dead letters that are kept; looked at, sent again, or
 * thrown away.
 *
 *     {"do":"dead"}                            all, oldest first; with "actor": to that one
 *     {"id":7,"age":1.5,"reason":"down","text":"the actor has ended","from":"ping",
 *      "to":"pong","type":"Ping","bytes":12,"json":"{\"count\": 1}"}
 *     (json is missing from those that have none, or that are large)
 *
 *     {"do":"dead","retry":7}                  sends that one again
 *     {"do":"dead","retry":true}               all, at most a thousand after "after", up to "last"
 *     {"do":"dead","clear":true}               likewise; throws them away
 *     {"id":7,"to":"pong","type":"Ping","error":"pong has ended"}   for each that could not be sent
 *     {"done":5,"after":9,"last":12}           "after" is the last that was looked at
 */
#include "commands.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>

#define LETTERS_AT_ONCE 64   /* under the letters' lock */
#define LETTERS_MOST    1000 /* sent again or thrown away by one request */
#define PAYLOAD_MOST    4096 /* bytes, packed, of what is shown */

/* ---- Looking ------------------------------------------------------------------ */

struct lot {
    struct system *system;
    const char    *actor;  /* only those to it; NULL: all */
    unsigned       count;
    uint64_t       last;   /* id that was looked at */
    struct dead_letter letters[LETTERS_AT_ONCE];
    uint32_t       sizes[LETTERS_AT_ONCE];
    struct bytes   payloads[LETTERS_AT_ONCE];
};

static void copy_letter(void *context, const struct dead_letter *letter)
{
    struct lot *lot = context;
    lot->last = letter->id;
    if (lot->actor != NULL && strcmp(lot->actor, letter->target) != 0)
        return;
    unsigned at = lot->count++;
    lot->letters[at] = *letter;
    lot->letters[at].message = NULL;
    lot->sizes[at] = letter->message->size;
    bytes_init(&lot->payloads[at], 0);
    if (letter->message->size <= PAYLOAD_MOST)
        bytes_append(&lot->payloads[at], letter->message->payload, letter->message->size);
}

static size_t write_actor_text(void *context, uint64_t actor, char *text, size_t room)
{
    struct host *host = context;
    return strlen(registry_name(&host->system.registry, actor, text, room));
}

static bool say_letter(struct host *host, struct control_client *client,
                       const struct dead_letter *letter, uint32_t size, const struct bytes *payload)
{
    struct command_row row;
    struct bytes json;
    uint32_t now_ms = atomic_load_explicit(&host->system.born_ms, memory_order_relaxed);
    bytes_init(&json, 0);
    command_row_begin(&row);
    command_row_integer(&row, "id", (int64_t)letter->id);
    command_row_number(&row, "age", (double)(now_ms - letter->died_ms) / 1e3);
    command_row_text(&row, "reason", failure_reason_name(letter->reason));
    command_row_text(&row, "text", letter->text);
    command_row_text(&row, "from", letter->sender);
    command_row_text(&row, "to", letter->target);
    command_row_text(&row, "type", type_name(letter->type));
    command_row_integer(&row, "bytes", size);
    if (size <= PAYLOAD_MOST && json_write(payload->data, payload->size, JSON_SPACED,
                                           write_actor_text, host, &json, NULL) == 0)
        command_row_text(&row, "json", bytes_text(&json));
    bytes_fini(&json);
    return command_row_say(&row, client);
}

/* Says those after the last that was said, as many as there is room for. */
static void say_letters(struct host *host, struct control_client *client, const char *actor,
                        uint64_t after)
{
    struct lot lot = { .system = &host->system, .actor = actor };
    bool any = true, fits = true;
    while (any && fits) {
        lot.count = 0;
        lot.last = 0;
        dead_letters_some(&host->system.letters, after, LETTERS_AT_ONCE, copy_letter, &lot);
        any = lot.last != 0;
        for (unsigned i = 0; i < lot.count; i++) {
            fits = fits && say_letter(host, client, &lot.letters[i], lot.sizes[i],
                                      &lot.payloads[i]);
            if (fits)
                after = lot.letters[i].id;
            bytes_fini(&lot.payloads[i]);
        }
        if (fits && any)
            after = lot.last;
    }
    struct command_row row;
    command_row_begin(&row);
    command_row_integer(&row, "after", (int64_t)after);
    command_row_flag(&row, "more", !fits);
    command_row_say(&row, client);
    control_end(client, 0, NULL);
}

/* ---- Sending again ------------------------------------------------------------- */

/* A message like the dead one, for the receiver that it had: 0, or what is wrong. */
static int send_again(struct host *host, const struct message *dead,
                      const struct dead_letter *letter, char *why, size_t room)
{
    struct system *system = &host->system;
    if (dead->kind != MESSAGE_ORDINARY && dead->kind != MESSAGE_ASK &&
        dead->kind != MESSAGE_TIMER) {
        snprintf(why, room, "it is no message that an actor has sent");
        return -EINVAL;
    }
    struct message *message =
        message_new(MESSAGE_ORDINARY, dead->type, dead->payload, dead->size);
    if (message == NULL) {
        snprintf(why, room, "out of memory");
        return -ENOMEM;
    }
    message->from = dead->from;
    message->flags |= dead->flags & (MESSAGE_TEXT | MESSAGE_REMOTE);
    if (dead->kind != MESSAGE_TIMER && dead->origin != NULL)
        message->origin = address_ref(dead->origin);

    struct address *to = NULL;
    int error = 0;
    if (dead->to != 0 && registry_find(&system->registry, dead->to) != NULL) {
        message->to = dead->to;
        error = host_error_of(router_send(system, &message, 0));
        snprintf(why, room, "%s", error == -EAGAIN ? "its mailbox is full" : "it has ended");
    } else if (strlen(letter->target) == sizeof letter->target - 1) {
        snprintf(why, room, "its receiver's name was cut");
        error = -EINVAL;
    } else {
        error = address_parse(letter->target, strlen(letter->target), &to, why, room);
        if (error == 0)
            error = host_error_of(router_send_address(system, to, &message, 0, why, room));
    }
    message_free(message);
    address_unref(to);
    return error;
}

static void say_failure(struct control_client *client, const struct dead_letter *letter,
                        const char *why)
{
    struct command_row row;
    command_row_begin(&row);
    command_row_integer(&row, "id", (int64_t)letter->id);
    command_row_text(&row, "to", letter->target);
    command_row_text(&row, "type", type_name(letter->type));
    command_row_text(&row, "error", why);
    command_row_say(&row, client);
}

/* Takes the letter out and sends it, or throws it away. Whether that was done; one
 * that could not be sent is as it was. */
static bool deal_with(struct host *host, struct control_client *client, uint64_t id, bool retry)
{
    struct dead_letter letter;
    char why[HOST_WHY] = "";
    struct message *message = dead_letters_take(&host->system.letters, id, &letter);
    if (message == NULL)
        return false;
    int error = retry ? send_again(host, message, &letter, why, sizeof why) : 0;
    if (error != 0) {
        say_failure(client, &letter, why);
        dead_letters_give_back(&host->system.letters, &message, &letter);
    }
    message_free(message);
    return error == 0;
}

struct chosen {
    const char *actor;
    uint64_t    limit; /* none above it */
    uint64_t    last;
    unsigned    count;
    uint64_t    ids[LETTERS_MOST];
};

static void choose(void *context, const struct dead_letter *letter)
{
    struct chosen *chosen = context;
    if (letter->id > chosen->limit)
        return;
    chosen->last = letter->id;
    if (chosen->actor == NULL || strcmp(chosen->actor, letter->target) == 0)
        chosen->ids[chosen->count++] = letter->id;
}

static void deal_with_all(struct host *host, struct control_client *client, const char *actor,
                          uint64_t after, uint64_t last, bool retry)
{
    struct chosen chosen = { .actor = actor, .limit = last, .last = after };
    int64_t done = 0;
    dead_letters_some(&host->system.letters, after, LETTERS_MOST, choose, &chosen);
    for (unsigned i = 0; i < chosen.count; i++)
        done += deal_with(host, client, chosen.ids[i], retry);
    if (done > 0)
        log_info("dead letters: %lld %s, as asked through the control socket", (long long)done,
                 retry ? "sent again" : "thrown away");
    struct command_row row;
    command_row_begin(&row);
    command_row_integer(&row, "done", done);
    command_row_integer(&row, "after", (int64_t)chosen.last);
    command_row_integer(&row, "last", (int64_t)last);
    command_row_say(&row, client);
    control_end(client, 0, NULL);
}

static void deal_with_one(struct host *host, struct control_client *client, int64_t id)
{
    char why[80];
    struct dead_letters *letters = &host->system.letters;
    struct chosen chosen = { .limit = (uint64_t)id };
    if (id > 0)
        dead_letters_some(letters, (uint64_t)id - 1, 1, choose, &chosen);
    if (chosen.count == 0) {
        snprintf(why, sizeof why, "there is no dead letter %lld (any more)", (long long)id);
        control_end(client, 1, why);
        return;
    }
    bool done = deal_with(host, client, (uint64_t)id, true);
    if (done)
        log_info("dead letters: %lld sent again, as asked through the control socket",
                 (long long)id);
    struct command_row row;
    command_row_begin(&row);
    command_row_integer(&row, "done", done);
    command_row_integer(&row, "after", id);
    command_row_integer(&row, "last", id);
    command_row_say(&row, client);
    control_end(client, 0, NULL);
}

static void serve(void *context, struct control_client *client,
                  const struct control_request *request)
{
    struct host *host = context;
    const char  *actor = control_request_text(request, "actor");
    int64_t id, after = 0, last;
    control_request_integer(request, "after", &after);
    if (!control_request_integer(request, "last", &last))
        last = (int64_t)dead_letters_total(&host->system.letters);
    bool retries = control_request_flag(request, "retry");
    if (control_request_integer(request, "retry", &id))
        deal_with_one(host, client, id);
    else if (retries || control_request_flag(request, "clear"))
        deal_with_all(host, client, actor, (uint64_t)after, (uint64_t)last, retries);
    else
        say_letters(host, client, actor, (uint64_t)after);
}

int command_dead_open(struct host *host)
{
    return control_add(host->control, &(struct control_command){ .name = "dead", .serve = serve,
                                                                 .context = host });
}
