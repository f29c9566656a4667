/*
 * test_wish.c -- which signals are one wish.
 */
#include "base/base.h"
#include "wish.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>

enum { STRANGER = 4711, OTHER = 4712, KEEPER = 4713, NOBODY = 0, TERMINAL = 0 };

static struct wish later(pid_t sender, int seconds)
{
    struct wish wish = wish_made(SIGTERM, sender);
    wish.at.tv_sec += seconds;
    return wish;
}

static void test_twice(void)
{
    struct wish first = later(STRANGER, 0);
    assert(wish_is_same(&first, first, NOBODY));
    assert(!wish_is_same(&first, later(STRANGER, 1), NOBODY));
    assert(!wish_is_same(&first, later(OTHER, 0), NOBODY));
    first = later(TERMINAL, 0);
    assert(!wish_is_same(&first, first, NOBODY));
    assert(!wish_is_same(&first, later(STRANGER, 0), NOBODY));
}

static void test_keeper(void)
{
    struct wish first = later(STRANGER, 0);
    assert(!wish_is_same(&first, later(OTHER, 1), KEEPER));
    assert(wish_is_same(&first, later(KEEPER, 1), KEEPER));
    assert(!wish_is_same(&first, later(KEEPER, 2), KEEPER));
    first = later(TERMINAL, 0);
    assert(!wish_is_same(&first, later(TERMINAL, 1), KEEPER));
    assert(wish_is_same(&first, later(KEEPER, 1), KEEPER));
    assert(!wish_is_same(&first, later(STRANGER, 1), KEEPER));
}

int main(void)
{
    test_twice();
    test_keeper();
    puts("wish: ok");
    return 0;
}
