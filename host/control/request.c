/*
 * request.c -- one request: a line of JSON becomes fields.
 */
#include "base/memory.h"
#include "control/control_room.h"
#include "message/json.h"
#include "message/pack.h"

#include <errno.h>
#include <stdio.h>

int request_read(struct control_request *request, const char *line, size_t size, char *why,
                 size_t room)
{
    struct json_error bad = { .reason = "" };
    request->texts = NULL;
    bytes_init(&request->packed, 0);
    int error = json_read(line, size, &JSON_LIMITS_DEFAULT, &request->packed, &bad);
    if (error == 0 && !pack_is_map(request->packed.data)) {
        snprintf(why, room, "a request is a JSON object, such as {\"do\":\"info\"}");
        error = -EINVAL;
    } else if (error == 0) {
        request->texts = memory_get(request->packed.size);
        error = request->texts != NULL ? 0 : -ENOMEM;
    } else {
        snprintf(why, room, "bad request: %s", bad.reason);
    }
    if (error == -ENOMEM)
        snprintf(why, room, "out of memory");
    if (error != 0)
        request_free(request);
    return error;
}

void request_free(struct control_request *request)
{
    memory_put(request->texts, request->packed.size);
    bytes_fini(&request->packed);
    request->texts = NULL;
}

/* The string at `at` with a NUL behind it; NULL: it is none, or has one inside. */
static const char *text_at(const struct control_request *request, const uint8_t *at)
{
    struct pack_item item;
    pack_read(at, &item);
    if (item.tag != PACK_STRING || memchr(item.text, '\0', item.size) != NULL)
        return NULL;
    char *text = request->texts + (at - request->packed.data);
    memcpy(text, item.text, item.size);
    text[item.size] = '\0';
    return text;
}

static const uint8_t *field_of(const struct control_request *request, const char *field,
                               struct pack_item *item)
{
    const uint8_t *at = pack_field(request->packed.data, field);
    if (at != NULL)
        pack_read(at, item);
    return at;
}

const char *control_request_text(const struct control_request *request, const char *field)
{
    const uint8_t *at = pack_field(request->packed.data, field);
    return at != NULL ? text_at(request, at) : NULL;
}

const char *control_request_item(const struct control_request *request, const char *field,
                                 size_t index)
{
    struct pack_item item;
    const uint8_t *at = field_of(request, field, &item);
    if (at == NULL || (item.tag != PACK_ARRAY && item.tag != PACK_MARKED_ARRAY) ||
        index >= item.count)
        return NULL;
    at = pack_read(at, &item);
    while (index-- > 0)
        at = pack_skip(at);
    return text_at(request, at);
}

bool control_request_number(const struct control_request *request, const char *field,
                            double *number)
{
    struct pack_item item;
    if (field_of(request, field, &item) == NULL ||
        (item.tag != PACK_DOUBLE && item.tag != PACK_INT64))
        return false;
    *number = item.tag == PACK_DOUBLE ? item.number : (double)item.integer;
    return true;
}

bool control_request_integer(const struct control_request *request, const char *field,
                             int64_t *integer)
{
    struct pack_item item;
    if (field_of(request, field, &item) == NULL || item.tag != PACK_INT64)
        return false;
    *integer = item.integer;
    return true;
}

bool control_request_flag(const struct control_request *request, const char *field)
{
    struct pack_item item;
    return field_of(request, field, &item) != NULL && item.tag == PACK_TRUE;
}
