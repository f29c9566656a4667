/*
 * host_config.c -- the config of an actor that the host spawns: from JSON, with
 * references in it.
 */
#include "host_internal.h"

#include "message/refs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct reading {
    char  *why;
    size_t room;
    bool   no_memory;
};

/* The text of a {"$ref": "text"} as an address (a refs_writer). */
static bool write_address(void *context, const char *text, size_t size, struct bytes *out)
{
    struct reading *reading = context;
    struct address *address;
    char why[256], whole[ADDRESS_TEXT_ROOM];
    int  error = address_parse(text, size, &address, why, sizeof why);
    if (error != 0) {
        reading->no_memory = error == -ENOMEM;
        snprintf(reading->why, reading->room, "config: no ref can be made: %s", why);
        return false;
    }
    pack_put_address(out, whole, address_text(address, whole, sizeof whole));
    address_unref(address);
    return true;
}

int host_read_config(const char *json, struct bytes *config, char *why, size_t room)
{
    struct bytes plain;
    bytes_init(&plain, 0);
    int error = host_pack(json, &plain, why, room);
    if (error == 0 && !refs_may_have(plain.data, plain.size, REFS_WRITTEN)) {
        *config = plain;
        return 0;
    }
    if (error == 0) {
        struct reading reading = { .why = why, .room = room };
        error = refs_copy(plain.data, plain.size, REFS_WRITTEN, write_address, &reading, config);
        if (error == -EINVAL && reading.no_memory)
            error = -ENOMEM;
        if (error == -ENOMEM)
            snprintf(why, room, "out of memory");
        if (error == 0 && !pack_is_map(config->data)) {
            snprintf(why, room, "config: it is an object, and not a ref alone");
            error = -EINVAL;
        }
    }
    bytes_fini(&plain);
    return error;
}

/* The actor of this host that lives under that name, or else the address as it is (a
 * refs_writer). */
static bool write_actor(void *context, const char *text, size_t size, struct bytes *out)
{
    struct host *host = context;
    struct address *address;
    int error = address_parse(text, size, &address, NULL, 0);
    if (error == -ENOMEM) {
        out->failed = true;
        return false;
    }
    actor_id id = error == 0 && router_is_here(&host->system, address)
                      ? registry_find_name(&host->system.registry, address_name(address),
                                           address->name_size)
                      : 0;
    if (error == 0)
        address_unref(address);
    if (id != 0)
        pack_put_actor(out, id);
    else
        pack_put_address(out, text, size);
    return true;
}

int host_settle_config(struct host *host, const uint8_t *config, size_t size,
                       struct bytes *settled)
{
    if (!refs_may_have(config, size, REFS_ADDRESSES)) {
        bytes_append(settled, config, size);
        return settled->failed ? -ENOMEM : 0;
    }
    return refs_copy(config, size, REFS_ADDRESSES, write_actor, host, settled);
}
