/*
 * glimpse.c -- the first bytes of a packed value as JSON.
 */
#include "message/glimpse.h"

#include "base/quote.h"
#include "message/pack.h"

#include <math.h>
#include <stdio.h>

struct sight {
    const uint8_t   *at, *end;
    bool             cut;
    json_actor_text *actor_text;
    void            *context;
    struct bytes    *out;
};

static void put_string(struct bytes *out, const char *text, size_t size, bool cut)
{
    if (!bytes_reserve(out, QUOTE_MOST(size) + QUOTE_LEAST))
        return;
    out->size += quote_json((char *)out->data + out->size, QUOTE_MOST(size) + QUOTE_LEAST, text, size);
    if (cut) {
        out->size--; /* the quote */
        bytes_append_text(out, "...\"");
    }
}

/* Bytes of the value at `at` in front of its texts and members. */
static size_t head_size(uint8_t tag)
{
    switch (tag) {
    case PACK_INT8:
        return 2;
    case PACK_INT64:
    case PACK_DOUBLE:
    case PACK_ACTOR:
    case PACK_STREAM:
        return 9;
    case PACK_STRING:
    case PACK_ADDRESS:
    case PACK_ARRAY:
    case PACK_MARKED_ARRAY:
    case PACK_MAP:
    case PACK_ORDERED_MAP:
        return 5;
    default:
        return 1;
    }
}

/* The head of the value that comes next; of a text, as much as there is of it. */
static bool read(struct sight *sight, struct pack_item *item, bool *text_cut)
{
    size_t left = (size_t)(sight->end - sight->at);
    *text_cut = false;
    if (left == 0 || left < head_size(*sight->at)) {
        sight->cut = true;
        return false;
    }
    const uint8_t *next = pack_read(sight->at, item);
    if ((item->tag == PACK_STRING || item->tag == PACK_ADDRESS) &&
        item->size > (size_t)(sight->end - (const uint8_t *)item->text)) {
        item->size = (uint32_t)(sight->end - (const uint8_t *)item->text);
        next = sight->end;
        *text_cut = sight->cut = true;
    }
    sight->at = next;
    return true;
}

static void put_number(struct bytes *out, double number)
{
    char text[40];
    if (!isfinite(number)) {
        bytes_append_text(out, isnan(number) ? "\"nan\"" : number > 0 ? "\"inf\"" : "\"-inf\"");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    bytes_append_text(out, text);
    if (strpbrk(text, ".e") == NULL)
        bytes_append_text(out, ".0");
}

static void put_actor(struct sight *sight, uint64_t id)
{
    char name[256];
    size_t size = sight->actor_text != NULL ? sight->actor_text(sight->context, id, name, sizeof name) : 0;
    if (size == 0 || size > sizeof name)
        size = (size_t)snprintf(name, sizeof name, "actor %llx", (unsigned long long)id);
    put_string(sight->out, name, size, false);
}

static void put_value(struct sight *sight, const struct pack_item *item, bool text_cut);

static void put_members(struct sight *sight, uint32_t count, bool is_map)
{
    struct pack_item key, value;
    bool cut;
    bytes_append_byte(sight->out, is_map ? '{' : '[');
    for (uint32_t i = 0; i < count && !sight->cut; i++) {
        size_t before = sight->out->size;
        if (i > 0)
            bytes_append(sight->out, ", ", 2);
        bool there = true;
        if (is_map) {
            there = read(sight, &key, &cut) && !cut && key.tag == PACK_STRING;
            if (there) {
                put_string(sight->out, key.text, key.size, false);
                bytes_append(sight->out, ": ", 2);
            }
        }
        there = there && read(sight, &value, &cut);
        if (!there) {
            sight->out->size = before;
            sight->cut = true;
            break;
        }
        put_value(sight, &value, cut);
    }
    bytes_append_byte(sight->out, is_map ? '}' : ']');
}

static void put_value(struct sight *sight, const struct pack_item *item, bool text_cut)
{
    char text[40];
    switch (item->tag) {
    case PACK_NULL:
        bytes_append_text(sight->out, "null");
        return;
    case PACK_FALSE:
    case PACK_TRUE:
        bytes_append_text(sight->out, item->tag == PACK_TRUE ? "true" : "false");
        return;
    case PACK_INT64:
        snprintf(text, sizeof text, "%lld", (long long)item->integer);
        bytes_append_text(sight->out, text);
        return;
    case PACK_DOUBLE:
        put_number(sight->out, item->number);
        return;
    case PACK_STRING:
    case PACK_ADDRESS:
        put_string(sight->out, item->text, item->size, text_cut);
        return;
    case PACK_ACTOR:
        put_actor(sight, item->actor);
        return;
    case PACK_STREAM:
        snprintf(text, sizeof text, "\"stream %llu\"", (unsigned long long)item->stream);
        bytes_append_text(sight->out, text);
        return;
    case PACK_MAP:
        put_members(sight, item->count, true);
        return;
    case PACK_ARRAY:
    case PACK_MARKED_ARRAY:
        put_members(sight, item->count, false);
        return;
    default: /* no tag of ours: a behaviour in C may send any bytes */
        bytes_append_text(sight->out, "null");
        sight->cut = true;
    }
}

bool glimpse(const uint8_t *packed, size_t size, json_actor_text *actor_text, void *context,
             struct bytes *out)
{
    struct sight sight = { .at = packed, .end = packed + size, .actor_text = actor_text,
                           .context = context, .out = out };
    struct pack_item item;
    bool text_cut;
    if (size == 0) {
        bytes_append_text(out, "{}");
        return true;
    }
    if (read(&sight, &item, &text_cut))
        put_value(&sight, &item, text_cut);
    else
        bytes_append_text(out, "{}");
    return !sight.cut;
}
