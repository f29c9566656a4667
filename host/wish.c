/*
 * wish.c -- see wish.h.
 */
#include "wish.h"

#include <stdint.h>

#define MOMENT_MS 100

struct wish wish_made(int number, pid_t sender)
{
    struct wish wish = { .number = number, .sender = sender };
    clock_gettime(CLOCK_MONOTONIC, &wish.at);
    return wish;
}

static int64_t passed_ms(const struct wish *first, const struct wish *later)
{
    return (int64_t)(later->at.tv_sec - first->at.tv_sec) * 1000
           + (later->at.tv_nsec - first->at.tv_nsec) / 1000000;
}

bool wish_is_same(struct wish *first, struct wish wish, pid_t keeper)
{
    if (wish.sender == 0)
        return false;
    if (wish.sender == first->sender)
        return passed_ms(first, &wish) < MOMENT_MS;
    if (wish.sender != keeper)
        return false;
    *first = wish;
    return true;
}
