/*
 * vigil.h -- what two hosts of ours say to each other about watches: an actor of
 * one (the *watching* host) is to hear of the end of an actor of the other.
 *
 * All that the watching host says bears the random number of its vigil there; it
 * is a secret between the two. Each watch has the key of its watcher: the actor's
 * id and the number of its watch.
 *
 *   $pulse    {i, n, to}        "vigil i goes on, and you should have n watches of it;
 *                               answer to the endpoint `to`": each second
 *   $alive    {i, e, n, c}      its answer: "my epoch is e; you said n, and I have c"
 *   $watch    {i, all, w}       w: [[id, number, name], ...]; `all`: and no others
 *   $unwatch  {i, w}            w: [[id, number], ...]: no more; or I have heard of its end
 *   $down     {i, w}            w: [[id, number, reason], ...]: repeated until $unwatch
 *
 * They go to the receiver `$watch` and have no sender, so that a peer of the family
 * that gets one answers nothing. It gets one $pulse on each connection: only who
 * has answered that is a host of ours, and is sent more.
 *
 * The epoch is a random number of the watched host's process: another one means
 * that all its actors of before are gone. Whatever is lost with a connection shows
 * in c, and then the whole list is sent anew.
 */
#ifndef TROUPE_NET_VIGIL_H
#define TROUPE_NET_VIGIL_H

#include "base/bytes.h"
#include "message/address.h"
#include "message/message.h"

#define VIGIL_RECEIVER "$watch"
#define VIGIL_PULSE    "$pulse"
#define VIGIL_ALIVE    "$alive"
#define VIGIL_WATCH    "$watch"
#define VIGIL_UNWATCH  "$unwatch"
#define VIGIL_DOWN     "$down"

#define VIGIL_BATCH 50 /* keys in one frame */

struct vigil_key {
    actor_id watcher;
    uint64_t number;
};

struct vigil_pulse {
    uint64_t vigil;
    uint64_t count;
    char     to[ADDRESS_ENDPOINT_LIMIT];
};

struct vigil_alive {
    uint64_t vigil, epoch, said, count;
};

/* Append a whole frame. 0 or -ENOMEM. */
int vigil_write_pulse(const struct vigil_pulse *pulse, struct bytes *frame);
int vigil_write_alive(const struct vigil_alive *alive, struct bytes *frame);

/* A list is written key by key: vigil_list_begin(), then for each
 * vigil_list_add() (`text` NULL: none), then vigil_list_end(), which appends the
 * frame and frees the list. */
struct vigil_list {
    struct bytes packed;
    size_t       map, array;
    uint32_t     count;
};
void vigil_list_begin(struct vigil_list *list, uint64_t vigil, bool all);
void vigil_list_add(struct vigil_list *list, struct vigil_key key, const char *text);
int  vigil_list_end(struct vigil_list *list, const char *type, struct bytes *frame);

/* Read the packed `message` of such a frame. False: it is not as it should be. */
bool vigil_read_pulse(const uint8_t *packed, struct vigil_pulse *pulse);
bool vigil_read_alive(const uint8_t *packed, struct vigil_alive *alive);

/* The head of a list; then vigil_read_next() for each key, false at the end.
 * `text` (of `room` bytes, cut; "" for none). What is no key ends the list. */
struct vigil_reader {
    const uint8_t *at;
    uint32_t       left;
    uint64_t       vigil;
    bool           all;
};
bool vigil_read_list(const uint8_t *packed, struct vigil_reader *reader);
bool vigil_read_next(struct vigil_reader *reader, struct vigil_key *key, char *text, size_t room);

#endif
