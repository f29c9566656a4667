/*
 * log_recent.h -- the last lines of the log, for who comes later or follows it.
 *
 * Kept are those that were written (or would have been: a full disk keeps nobody from
 * reading here), in memory of a fixed size. Any thread; who reads keeps no writer waiting
 * for longer than it takes to copy a line.
 */
#ifndef TROUPE_BASE_LOG_RECENT_H
#define TROUPE_BASE_LOG_RECENT_H

#include "base/bytes.h"
#include "base/log.h"

#define LOG_RECENT_BYTES ((size_t)256 * 1024)

/* From now on lines are kept, until as many log_recent_close() were called. 0 or -ENOMEM. */
int  log_recent_open(void);
void log_recent_close(void);

/* Where somebody reads. All zero: at the oldest line that is kept. */
struct log_reader {
    uint64_t next;   /* number of the line */
    size_t   place;  /* where it is, */
    uint64_t round;  /* as it was then */
    uint64_t missed; /* lines that were gone before they were read */
};

/* The next line, its texts in `room` (which is cleared): valid until that changes. False:
 * there is none yet, or no memory. */
bool log_recent_read(struct log_reader *reader, struct log_line *line, struct bytes *room);

#endif
