/*
 * metrics.c -- what a host has counted.
 */
#include "script/metrics.h"

#include "base/log.h"
#include "message/pack.h"
#include "message/wire.h"
#include "script/arena_store.h"

struct record {
    struct bytes *out;
    size_t   at;
    uint32_t count;
};

static struct record open_record(struct bytes *out)
{
    return (struct record){ .out = out, .at = pack_open(out, PACK_MAP) };
}

static void close_record(const struct record *map)
{
    pack_close(map->out, map->at, map->count);
}

static void put_name(struct record *map, const char *name)
{
    pack_put_string(map->out, name, strlen(name));
    map->count++;
}

static void put(struct record *map, const char *name, uint64_t value)
{
    put_name(map, name);
    pack_put_integer(map->out, (int64_t)value);
}

static uint64_t value_of(_Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* What there may be of each, and what was refused for it: the same names in both. */
static void put_limits(struct record *all, struct system *system)
{
    const struct system_limits *limits = &system->limits;
    put_name(all, "limits");
    struct record map = open_record(all->out);
    put(&map, "actors", limits->actors);
    put(&map, "children", limits->children);
    put(&map, "timers", limits->timers);
    put(&map, "dead_letters", limits->dead_letters);
    put(&map, "memory", limits->memory_bytes);
    put(&map, "frame", wire_frame_limit());
    put(&map, "depth", wire_json_limits().depth);
    close_record(&map);

    struct system_counters *counters = &system->counters;
    put_name(all, "refused");
    map = open_record(all->out);
    put(&map, "actors", value_of(&counters->full_actors));
    put(&map, "children", value_of(&counters->full_children));
    put(&map, "timers", value_of(&counters->full_timers));
    put(&map, "memory", value_of(&counters->full_memory));
    close_record(&map);
}

/* The wire counts for itself, but for what the router does. */
static void put_wire(struct record *all, struct system *system)
{
    put_name(all, "wire");
    size_t at = all->out->size;
    struct record map;
    if (system->remote.measure != NULL)
        system->remote.measure(system->remote.context, all->out);
    if (all->out->size > at && !all->out->failed) {
        /* More fields of the map that was just written. */
        map = (struct record){ .out = all->out, .at = at + 1 };
        memcpy(&map.count, all->out->data + map.at, sizeof map.count);
    } else {
        map = open_record(all->out);
    }
    put(&map, "frames_bad", value_of(&system->counters.frames_bad));
    put(&map, "late_answers", value_of(&system->counters.late_answers));
    put(&map, "rejected", value_of(&system->counters.rejected));
    close_record(&map);
}

static void put_streams(struct record *all, struct system *system)
{
    put_name(all, "streams");
    size_t at = all->out->size;
    if (system->streams.measure != NULL)
        system->streams.measure(system->streams.context, all->out);
    if (all->out->size > at)
        return;
    struct record none = open_record(all->out);
    close_record(&none);
}

void metrics_measure(struct system *system, struct bytes *packed)
{
    lock_acquire(&system->lock);
    uint64_t hidden = system->hidden;
    lock_release(&system->lock);
    uint64_t living = atomic_load_explicit(&system->registry.living, memory_order_relaxed);

    struct record map = open_record(packed);
    put(&map, "actors", living > hidden ? living - hidden : 0);
    put(&map, "ended", value_of(&system->registry.ended));
    put(&map, "restarts", value_of(&system->counters.restarts));
    put(&map, "dead_letters", dead_letters_total(&system->letters));
    put(&map, "unhandled", value_of(&system->counters.unhandled));
    put(&map, "bad_fields", value_of(&system->counters.bad_fields));
    put(&map, "timers", timers_count(system->timers));
    put(&map, "timers_fired", value_of(&system->counters.timers_fired));
    put(&map, "memory", arena_store_held());
    put(&map, "log_lost", log_lost());
    put_limits(&map, system);
    put_wire(&map, system);
    put_streams(&map, system);
    close_record(&map);
}
