/*
 * notice.c -- see notice.h.
 *
 * The reason is the last field, and behind it lies the room kept for it: what
 * follows a packed value is never looked at.
 */
#include "actor/notice.h"

#include "actor/router.h"
#include "message/pack.h"

#include <string.h>

#define REASON_ROOM  112
#define REASON_HEAD  5    /* tag and length */
#define PAYLOAD_ROOM 2048 /* with the longest address, name and reason */

static size_t reason_at(const struct message *notice)
{
    return notice->size - REASON_ROOM - REASON_HEAD;
}

struct message *notice_new(actor_id watcher, uint64_t number, const char *name, actor_id who,
                           const char *text)
{
    static const uint8_t room[REASON_HEAD + REASON_ROOM] = { PACK_STRING };
    struct bytes payload;
    bytes_init(&payload, PAYLOAD_ROOM);
    size_t map = pack_open(&payload, PACK_MAP);
    pack_put_string(&payload, "name", 4);
    pack_put_string(&payload, name, strlen(name));
    pack_put_string(&payload, "who", 3);
    if (text != NULL)
        pack_put_address(&payload, text, strlen(text));
    else
        pack_put_actor(&payload, who);
    pack_put_string(&payload, "reason", 6);
    bytes_append(&payload, room, sizeof room);
    pack_close(&payload, map, 3);

    struct message *notice = NULL;
    if (!payload.failed)
        notice = message_new(MESSAGE_DOWN, TYPE_DOWN, payload.data, payload.size);
    bytes_fini(&payload);
    if (notice != NULL) {
        notice->to = watcher;
        notice->request = number;
    }
    return notice;
}

static void write_reason(uint8_t *at, const char *reason, size_t size)
{
    uint32_t length = (uint32_t)size;
    *at = PACK_STRING;
    memcpy(at + 1, &length, sizeof length);
    memcpy(at + REASON_HEAD, reason, size);
}

/* The same notice with room for a longer reason; the old one if there is no memory. */
static struct message *make_room(struct message *notice, const char *reason, size_t size)
{
    uint8_t payload[PAYLOAD_ROOM];
    size_t  at = reason_at(notice);
    if (at + REASON_HEAD + size > sizeof payload)
        return notice;
    memcpy(payload, notice->payload, at);
    write_reason(payload + at, reason, size);
    struct message *larger =
        message_new(MESSAGE_DOWN, TYPE_DOWN, payload, at + REASON_HEAD + size);
    if (larger == NULL)
        return notice;
    larger->to = notice->to;
    larger->request = notice->request;
    message_free(notice);
    return larger;
}

/* How much of a text fits into `room` bytes without cutting a character. */
static size_t cut(const char *text, size_t size, size_t room)
{
    if (size <= room)
        return size;
    while (room > 0 && ((uint8_t)text[room] & 0xc0) == 0x80)
        room--;
    return room;
}

void notice_send(struct system *system, struct message **notice, const char *reason, bool urgent)
{
    struct message *sent = *notice;
    size_t size = strlen(reason);
    *notice = NULL;
    if (size > REASON_ROOM) {
        struct message *larger = make_room(sent, reason, size);
        if (larger == sent)
            write_reason(sent->payload + reason_at(sent), reason, cut(reason, size, REASON_ROOM));
        sent = larger;
    } else {
        write_reason(sent->payload + reason_at(sent), reason, size);
    }
    sent->lane = urgent ? LANE_CONTROL : LANE_NOTICE;
    router_send(system, &sent, ROUTE_RESERVED);
    message_free(sent); /* its watcher has ended */
}

static void read_text(const struct message *notice, const char *field, const char **text,
                      size_t *size)
{
    struct pack_item item;
    pack_read(pack_field(notice->payload, field), &item);
    *text = item.text;
    *size = item.size;
}

void notice_read(const struct message *notice, const char **name, size_t *name_size,
                 const char **reason, size_t *reason_size)
{
    read_text(notice, "name", name, name_size);
    read_text(notice, "reason", reason, reason_size);
}
