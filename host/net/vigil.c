/*
 * vigil.c -- the frames of vigil.h, written and read.
 */
#include "net/vigil.h"

#include "message/pack.h"
#include "message/wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- writing ---- */

static void put_id(struct bytes *packed, const char *key, uint64_t id)
{
    char text[WIRE_STREAM_ROOM];
    wire_stream_text(id, text);
    pack_put_string(packed, key, strlen(key));
    pack_put_string(packed, text, sizeof text - 1);
}

static void put_number(struct bytes *packed, const char *key, uint64_t number)
{
    pack_put_string(packed, key, strlen(key));
    pack_put_integer(packed, (int64_t)number);
}

/* Frees `packed`. */
static int write_frame(const char *type, struct bytes *packed, struct bytes *frame)
{
    int err = packed->failed ? -ENOMEM
                             : wire_write(NULL, NULL, VIGIL_RECEIVER, type, packed->data,
                                          packed->size, NULL, NULL, frame, NULL);
    bytes_fini(packed);
    return err;
}

int vigil_write_pulse(const struct vigil_pulse *pulse, struct bytes *frame)
{
    struct bytes packed;
    bytes_init(&packed, 0);
    size_t map = pack_open(&packed, PACK_MAP);
    put_id(&packed, "i", pulse->vigil);
    put_number(&packed, "n", pulse->count);
    pack_put_string(&packed, "to", 2);
    pack_put_string(&packed, pulse->to, strlen(pulse->to));
    pack_close(&packed, map, 3);
    return write_frame(VIGIL_PULSE, &packed, frame);
}

int vigil_write_alive(const struct vigil_alive *alive, struct bytes *frame)
{
    struct bytes packed;
    bytes_init(&packed, 0);
    size_t map = pack_open(&packed, PACK_MAP);
    put_id(&packed, "i", alive->vigil);
    put_id(&packed, "e", alive->epoch);
    put_number(&packed, "n", alive->said);
    put_number(&packed, "c", alive->count);
    pack_close(&packed, map, 4);
    return write_frame(VIGIL_ALIVE, &packed, frame);
}

void vigil_list_begin(struct vigil_list *list, uint64_t vigil, bool all)
{
    bytes_init(&list->packed, 0);
    list->map = pack_open(&list->packed, PACK_MAP);
    put_id(&list->packed, "i", vigil);
    pack_put_string(&list->packed, "all", 3);
    pack_put_boolean(&list->packed, all);
    pack_put_string(&list->packed, "w", 1);
    list->array = pack_open(&list->packed, PACK_MARKED_ARRAY);
    list->count = 0;
}

void vigil_list_add(struct vigil_list *list, struct vigil_key key, const char *text)
{
    size_t array = pack_open(&list->packed, PACK_ARRAY);
    pack_put_integer(&list->packed, (int64_t)key.watcher);
    pack_put_integer(&list->packed, (int64_t)key.number);
    if (text != NULL)
        pack_put_string(&list->packed, text, strlen(text));
    pack_close(&list->packed, array, text != NULL ? 3 : 2);
    list->count++;
}

int vigil_list_end(struct vigil_list *list, const char *type, struct bytes *frame)
{
    pack_close(&list->packed, list->array, list->count);
    pack_close(&list->packed, list->map, 3);
    return write_frame(type, &list->packed, frame);
}

/* ---- reading ---- */

static bool take(const uint8_t *packed, const char *key, enum pack_tag tag, struct pack_item *item)
{
    const uint8_t *at = pack_field(packed, key);
    if (at == NULL)
        return false;
    pack_read(at, item);
    return item->tag == tag;
}

static bool take_id(const uint8_t *packed, const char *key, uint64_t *id)
{
    struct pack_item item;
    if (!take(packed, key, PACK_STRING, &item))
        return false;
    *id = wire_stream_of(item.text, item.size);
    return *id != 0;
}

static bool take_number(const uint8_t *packed, const char *key, uint64_t *number)
{
    struct pack_item item;
    if (!take(packed, key, PACK_INT64, &item) || item.integer < 0)
        return false;
    *number = (uint64_t)item.integer;
    return true;
}

bool vigil_read_pulse(const uint8_t *packed, struct vigil_pulse *pulse)
{
    struct pack_item to;
    if (!take_id(packed, "i", &pulse->vigil) || !take_number(packed, "n", &pulse->count) ||
        !take(packed, "to", PACK_STRING, &to) || to.size == 0 || to.size >= sizeof pulse->to ||
        memchr(to.text, '\0', to.size) != NULL)
        return false;
    memcpy(pulse->to, to.text, to.size);
    pulse->to[to.size] = '\0';
    return true;
}

bool vigil_read_alive(const uint8_t *packed, struct vigil_alive *alive)
{
    return take_id(packed, "i", &alive->vigil) && take_id(packed, "e", &alive->epoch) &&
           take_number(packed, "n", &alive->said) && take_number(packed, "c", &alive->count);
}

static bool is_array(const struct pack_item *item)
{
    return item->tag == PACK_ARRAY || item->tag == PACK_MARKED_ARRAY;
}

bool vigil_read_list(const uint8_t *packed, struct vigil_reader *reader)
{
    struct pack_item item;
    const uint8_t   *at = pack_field(packed, "w");
    if (at == NULL || !take_id(packed, "i", &reader->vigil))
        return false;
    reader->at = pack_read(at, &item);
    if (!is_array(&item))
        return false;
    reader->left = item.count;
    reader->all = take(packed, "all", PACK_TRUE, &item);
    return true;
}

static bool read_number(const uint8_t **at, uint64_t *number)
{
    struct pack_item item;
    *at = pack_read(*at, &item);
    if (item.tag != PACK_INT64)
        return false;
    *number = (uint64_t)item.integer;
    return true;
}

static bool read_key(const uint8_t **at, struct vigil_key *key, char *text, size_t room)
{
    struct pack_item items, third;
    *at = pack_read(*at, &items);
    if (!is_array(&items) || items.count < 2 || items.count > 3 ||
        !read_number(at, &key->watcher) || !read_number(at, &key->number))
        return false;
    if (room > 0)
        text[0] = '\0';
    if (items.count == 2)
        return true;
    *at = pack_read(*at, &third);
    if (third.tag != PACK_STRING)
        return false;
    snprintf(text, room, "%.*s", (int)third.size, third.text);
    return true;
}

bool vigil_read_next(struct vigil_reader *reader, struct vigil_key *key, char *text, size_t room)
{
    if (reader->left == 0)
        return false;
    bool is_key = read_key(&reader->at, key, text, room);
    reader->left = is_key ? reader->left - 1 : 0;
    return is_key;
}
