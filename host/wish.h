/*
 * wish.h -- whether a signal that should end this process says what one before has said.
 *
 * Who tells it twice means: at once. But some tell it twice and mean once.
 */
#ifndef TROUPE_WISH_H
#define TROUPE_WISH_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

/* A signal that has come. */
struct wish {
    int             number; /* of the signal; 0: none has come */
    pid_t           sender; /* 0: the terminal */
    struct timespec at;     /* on the monotonic clock */
};

/* That it comes now. */
struct wish wish_made(int number, pid_t sender);

/* Whether `wish` is that of `first`:
 * timeout(1) sends its signal twice in a row, to its child and to the group that this is
 * in; who means it twice takes longer than a moment.
 * And where all processes of a service are told at once, `keeper` is, too, and passes it on.
 * It is who started this process and ends it in order; 0: nobody. It is `first` from then on. */
bool wish_is_same(struct wish *first, struct wish wish, pid_t keeper);

#endif
