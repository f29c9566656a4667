/*
 * vigil.c -- the frames of vigil.h, written and read.
 */
#include "net/vigil.h"

#include "net/control_frame.h"

#include <stdio.h>
#include <string.h>

/* ---- writing ---- */

int vigil_write_pulse(const struct vigil_pulse *pulse, struct bytes *frame)
{
    struct bytes packed;
    bytes_init(&packed, 0);
    size_t map = pack_open(&packed, PACK_MAP);
    control_put_id(&packed, "i", pulse->vigil);
    control_put_number(&packed, "n", pulse->count);
    control_put_text(&packed, "to", pulse->to);
    pack_close(&packed, map, 3);
    return control_frame_write(VIGIL_RECEIVER, VIGIL_PULSE, &packed, frame);
}

int vigil_write_alive(const struct vigil_alive *alive, struct bytes *frame)
{
    struct bytes packed;
    bytes_init(&packed, 0);
    size_t map = pack_open(&packed, PACK_MAP);
    control_put_id(&packed, "i", alive->vigil);
    control_put_id(&packed, "e", alive->epoch);
    control_put_number(&packed, "n", alive->said);
    control_put_number(&packed, "c", alive->count);
    pack_close(&packed, map, 4);
    return control_frame_write(VIGIL_RECEIVER, VIGIL_ALIVE, &packed, frame);
}

void vigil_list_begin(struct vigil_list *list, uint64_t vigil, bool all)
{
    bytes_init(&list->packed, 0);
    list->map = pack_open(&list->packed, PACK_MAP);
    control_put_id(&list->packed, "i", vigil);
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
    return control_frame_write(VIGIL_RECEIVER, type, &list->packed, frame);
}

/* ---- reading ---- */

bool vigil_read_pulse(const uint8_t *packed, struct vigil_pulse *pulse)
{
    return control_take_id(packed, "i", &pulse->vigil) &&
           control_take_number(packed, "n", &pulse->count) &&
           control_take_text(packed, "to", pulse->to, sizeof pulse->to);
}

bool vigil_read_alive(const uint8_t *packed, struct vigil_alive *alive)
{
    return control_take_id(packed, "i", &alive->vigil) &&
           control_take_id(packed, "e", &alive->epoch) &&
           control_take_number(packed, "n", &alive->said) &&
           control_take_number(packed, "c", &alive->count);
}

static bool is_array(const struct pack_item *item)
{
    return item->tag == PACK_ARRAY || item->tag == PACK_MARKED_ARRAY;
}

bool vigil_read_list(const uint8_t *packed, struct vigil_reader *reader)
{
    struct pack_item item;
    const uint8_t   *at = pack_field(packed, "w");
    if (at == NULL || !control_take_id(packed, "i", &reader->vigil))
        return false;
    reader->at = pack_read(at, &item);
    if (!is_array(&item))
        return false;
    reader->left = item.count;
    const uint8_t *all = pack_field(packed, "all");
    reader->all = all != NULL && *all == PACK_TRUE;
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
