/*
 * places.c -- see places.h.
 */
#include "net/places.h"

#include "message/pack.h"
#include "message/refs.h"

#include <errno.h>
#include <stdio.h>

struct writing {
    const struct nodes *nodes;
    const char *(*own)(void *context);
    void *context;
};

/* A refs_writer. */
static bool write_place(void *context, const char *text, size_t size, struct bytes *out)
{
    const struct writing *writing = context;
    const char           *endpoint = NULL;
    struct address       *address;
    char                  whole[ADDRESS_TEXT_ROOM];
    int error = address_parse(text, size, &address, NULL, 0);
    if (error == -ENOMEM) {
        out->failed = true;
        return false;
    }
    if (error == 0 && address_node(address_endpoint(address)) != NULL)
        endpoint = places_find(writing->nodes, address);
    if (endpoint != NULL && *endpoint == '\0')
        endpoint = writing->own(writing->context);
    if (endpoint != NULL) {
        int length = snprintf(whole, sizeof whole, "%s@%s", address_name(address), endpoint);
        pack_put_address(out, whole, (size_t)length);
    } else {
        pack_put_address(out, text, size);
    }
    if (error == 0)
        address_unref(address);
    return true;
}

int places_write(struct places *places, const struct nodes *nodes,
                 const char *(*own)(void *context), void *context)
{
    bytes_init(&places->copy, 0);
    if (!refs_may_have(places->payload, places->size, REFS_ADDRESSES))
        return 0;
    struct writing writing = { nodes, own, context };
    int error = refs_copy(places->payload, places->size, REFS_ADDRESSES, write_place, &writing,
                          &places->copy);
    places->payload = places->copy.data;
    places->size = places->copy.size;
    return error;
}
