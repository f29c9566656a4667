/*
 * measure.c -- what the gateway has counted, as a packed map.
 */
#include "net/gateway_room.h"

#include "message/pack.h"

static void put(struct bytes *out, const char *key, uint64_t value)
{
    pack_put_string(out, key, strlen(key));
    pack_put_integer(out, (int64_t)value);
}

static const char *state_name(enum peer_state state)
{
    switch (state) {
    case PEER_CONNECTING:
        return "connecting";
    case PEER_CONNECTED:
        return "connected";
    case PEER_LOST:
        return "lost";
    case PEER_NONE:
        break;
    }
    return "none";
}

struct peer_list {
    struct bytes *out;
    uint32_t      count;
};

static void put_text(struct bytes *out, const char *key, const char *value)
{
    pack_put_string(out, key, strlen(key));
    pack_put_string(out, value, strlen(value));
}

static void put_peer(void *context, const struct peer_report *report)
{
    struct peer_list *list = context;
    struct bytes     *out = list->out;
    size_t            map = pack_open(out, PACK_MAP);

    put_text(out, "endpoint", report->endpoint);
    put_text(out, "state", state_name(report->state));
    put(out, "queued", report->queued);
    put(out, "queued_bytes", report->queued_bytes);
    pack_put_string(out, "oldest", 6);
    pack_put_double(out, (double)report->oldest_ns / (double)NS_PER_SEC);
    put(out, "sent", report->sent);
    put(out, "full", report->full);
    put(out, "unconfirmed", report->unconfirmed);
    pack_close(out, map, 8);
    list->count++;
}

void gateway_measure(struct gateway *gateway, struct bytes *packed)
{
    struct gateway_counts counts = gateway_counts(gateway);
    const struct {
        const char *name;
        uint64_t    value;
    } numbers[] = {
        { "frames_in", counts.frames_in },
        { "frames_out", counts.frames_out },
        { "full", counts.full },
        { "lost", counts.lost },
        { "senders_refused", counts.senders_refused },
        { "rejects_held", counts.rejects_held },
        { "unconfirmed", counts.unconfirmed },
        { "keys_refused", counts.keys_refused },
        { "connections", counts.connections },
        { "connections_greeted", counts.connections_greeted },
        { "connections_refused", counts.connections_refused },
        { "connections_cut", counts.connections_cut },
        { "flat_asked", counts.flat_asked },
        { "flat_lost", counts.flat_lost },
        { "flat_served", counts.flat_served },
        { "frames_resent", counts.frames_resent },
        { "frames_duplicate", counts.frames_duplicate },
        { "frames_out_of_order", counts.frames_out_of_order },
        { "acks_in", counts.acks_in },
        { "acks_out", counts.acks_out },
        { "streams_waiting", counts.streams_waiting },
    };
    size_t map = pack_open(packed, PACK_MAP);
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
        put(packed, numbers[i].name, numbers[i].value);

    struct peer_list list = { .out = packed };
    pack_put_string(packed, "peers", 5);
    size_t peers = pack_open(packed, PACK_ARRAY);
    peers_each(&gateway->peers, put_peer, &list);
    pack_close(packed, peers, list.count);
    pack_close(packed, map, ARRAY_LENGTH(numbers) + 1);
}
