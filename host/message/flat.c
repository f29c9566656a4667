/*
 * flat.c -- the type is taken out of the packed map, or put in front of its text.
 */
#include "message/flat.h"

#include "message/pack.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define STYLE      (JSON_SPACED | JSON_ASCII)
#define TYPE_FIELD "message_type"
#define KEPT_BYTES (64u * 1024)

static int refuse(struct json_error *error, const char *reason)
{
    if (error != NULL) {
        error->at = 0;
        snprintf(error->reason, sizeof error->reason, "%s", reason);
    }
    return -EINVAL;
}

/* Where the key and value of the type lie in the map: [start, end); false: it has none. */
static bool find_type(const struct bytes *map, const uint8_t **start, const uint8_t **end,
                      struct pack_item *value)
{
    struct pack_item item;
    const uint8_t   *at = pack_read(map->data, &item);
    for (uint32_t left = item.count; left > 0; left--) {
        *start = at;
        at = pack_read(at, &item);
        *end = pack_skip(at);
        if (item.size == strlen(TYPE_FIELD) && memcmp(item.text, TYPE_FIELD, item.size) == 0) {
            pack_read(at, value);
            return true;
        }
        at = *end;
    }
    return false;
}

/* Takes the bytes [start, end) out of the map, which are one key and its value. */
static void cut(struct bytes *map, const uint8_t *start, const uint8_t *end)
{
    uint32_t count;
    size_t   at = (size_t)(start - map->data), behind = map->size - (size_t)(end - map->data);
    memcpy(&count, map->data + 1, sizeof count);
    memmove(map->data + at, end, behind);
    map->size = at + behind;
    pack_close(map, 1, count - 1);
}

int flat_read(const char *text, size_t size, const struct json_limits *limits,
              char type[FLAT_TYPE_ROOM], struct bytes *fields, struct json_error *error)
{
    type[0] = '\0';
    bytes_clear(fields, KEPT_BYTES);
    int err = json_read(text, size, limits, fields, error);
    if (err != 0)
        return err;

    const uint8_t   *start, *end;
    struct pack_item value;
    if (fields->data[0] != PACK_MAP)
        err = refuse(error, "expected an object");
    else if (!find_type(fields, &start, &end, &value))
        return 0;
    else if (value.tag != PACK_STRING)
        err = refuse(error, TYPE_FIELD " is no string");
    else if (value.size >= FLAT_TYPE_ROOM)
        err = refuse(error, TYPE_FIELD " is longer than 255 bytes");
    else if (!json_is_printable(value.text, value.size))
        err = refuse(error, TYPE_FIELD " has a control character");
    if (err != 0) {
        fields->size = 0;
        return err;
    }
    memcpy(type, value.text, value.size);
    type[value.size] = '\0';
    cut(fields, start, end);
    return 0;
}

bool flat_is_error(const struct bytes *fields, char *reason, size_t room)
{
    const uint8_t *at = fields->size > 0 ? pack_field(fields->data, "error") : NULL;
    if (at == NULL)
        return false;
    struct pack_item item;
    pack_read(at, &item);
    if (item.tag == PACK_STRING)
        snprintf(reason, room, "%.*s", (int)(item.size < room ? item.size : room - 1), item.text);
    else
        snprintf(reason, room, "no reason given");
    return true;
}

/* Appends ", " and the fields, without the brace in front; or just the brace behind. */
static int write_fields(const uint8_t *packed, size_t size, struct bytes *out,
                        struct json_error *error)
{
    bytes_append_byte(out, ',');
    size_t at = out->size;
    int    err = json_write(packed, size, STYLE, NULL, NULL, out, error);
    if (err != 0)
        return err;
    if (out->size - at == 2) { /* {} */
        out->data[at - 1] = '}';
        out->size = at;
    } else {
        out->data[at] = ' ';
    }
    return 0;
}

int flat_write(const char *type, const uint8_t *packed, size_t size, struct bytes *out,
               struct json_error *error)
{
    if (size > 0 && packed[0] != PACK_MAP)
        return refuse(error, "not a table with string keys");
    if (size > 0 && pack_field(packed, TYPE_FIELD) != NULL)
        return refuse(error, "msg." TYPE_FIELD ": in flat JSON this is the type's own place");

    size_t before = out->size;
    int    err = 0;
    bytes_append_text(out, "{\"" TYPE_FIELD "\": ");
    if (!json_write_string(type, strlen(type), STYLE, out))
        err = refuse(error, TYPE_FIELD ": not valid UTF-8");
    if (err == 0 && !out->failed)
        err = write_fields(packed, size, out, error);
    if (err == 0 && out->failed)
        err = -ENOMEM;
    if (err != 0)
        out->size = before;
    return err;
}

int flat_write_error(const char *reason, struct bytes *out)
{
    size_t before = out->size;
    bytes_append_text(out, "{\"error\": ");
    if (!json_write_string(reason, strlen(reason), STYLE, out))
        bytes_append_text(out, "\"an error whose text is not valid UTF-8\"");
    bytes_append_byte(out, '}');
    if (!out->failed)
        return 0;
    out->size = before;
    return -ENOMEM;
}
