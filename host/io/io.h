/*
 * io.h -- streams: files, child processes, TCP connections and ZeroMQ
 * subscriptions that bring messages to actors.
 *
 * One thread for all of them, made when the first stream is opened; on the
 * stage none at all: stream_port.step() does its work. It knows actors only as
 * numbers to which router_send() delivers, and no ZeroMQ: that is behind
 * struct packet_source.
 */
#ifndef TROUPE_IO_IO_H
#define TROUPE_IO_IO_H

#include "actor/packets.h"
#include "actor/system.h"

struct io;

/* Makes it, and fills system->streams. `packets` may be NULL: nothing to
 * subscribe to. 0 or -errno. Costs two descriptors only when first used. */
int io_open(struct io **out, struct system *system, const struct packet_source *packets);

/* Ends all streams: what is buffered for others may still leave, and children
 * end by themselves, for `patience_ns`; then children are killed. None is left,
 * and the thread has ended, when it returns. NULL is fine. */
void io_stop(struct io *io, uint64_t patience_ns);

/* Whether a stream is open that reads the standard input. Any thread. */
bool io_reads_stdin(struct io *io);

/* For a host that leaves without ending anything: no child is left. Any thread. */
void io_kill_children(struct io *io);

/* Frees it: after io_stop(), when no message is left in any mailbox. NULL is fine. */
void io_close(struct io *io);

#endif
