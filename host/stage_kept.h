/*
 * stage_kept.h -- what a stage keeps of its actors' doings: printed lines, the
 * log, messages that have left, answers to its probe. Knows no Lua.
 */
#ifndef TROUPE_STAGE_KEPT_H
#define TROUPE_STAGE_KEPT_H

#include "base/log.h"
#include "host_internal.h"

/* A message that has left the stage's actors. */
struct departed {
    struct departed *next;
    struct message  *message; /* owned */
    char to[ADDRESS_NAME_LIMIT + ADDRESS_ENDPOINT_LIMIT + 2];
    char from[ADDRESS_NAME_LIMIT + 1];
};

struct line {
    struct line *next;
    size_t size;
    enum log_level level;
    char text[];
};

struct lines {
    struct line *head, **tail;
};

struct stage {
    struct host *host; /* NULL: closed */
    actor_id     probe;
    uint64_t     asked;  /* number of the question under way */
    struct message *answer;
    struct departed *outbox_head, **outbox_tail;
    struct lines printed, logged;
    struct bytes trace;
    uint64_t     letters_seen;
};

static inline struct system *stage_system(struct stage *stage)
{
    return &stage->host->system;
}

/* An empty stage, its host not made yet. */
void stage_kept_init(struct stage *stage);

/* Takes over the print, the ways out and (as the last one opened) the log of
 * its host, and makes the probe. 0, or negative errno with a sentence in `why`. */
int stage_kept_begin(struct stage *stage, char *why, size_t room);

/* Gives the log back; nothing more is kept. */
void stage_kept_end(struct stage *stage);

void stage_lines_drop(struct lines *lines);
/* Takes the first message that has left, which is then the caller's with the
 * structure around it; NULL: none. */
struct departed *stage_kept_departed(struct stage *stage);
void             stage_departed_free(struct departed *departed);

/* Prints what nobody took, and frees everything. */
void stage_kept_fini(struct stage *stage);

#endif
