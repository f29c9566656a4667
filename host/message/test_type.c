/*
 * test_type.c -- what message/type.h promises.
 */
#include "message/type.h"

#include "base/fault.h"
#include "base/thread.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static type_id intern(const char *name)
{
    return type_intern(name, strlen(name));
}

/* Built-in types have their numbers before anyone asks. */
static void test_built_in(void)
{
    assert(intern("Start") == TYPE_START);
    assert(intern("Shutdown") == TYPE_SHUTDOWN);
    assert(intern("Timeout") == TYPE_TIMEOUT);
    assert(intern("Reject") == TYPE_REJECT);
    assert(intern("Down") == TYPE_DOWN);
    assert(type_find("Reload", 6) == TYPE_RELOAD);
    assert(type_find("Any", 3) == TYPE_ANY);
    assert(strcmp(type_name(TYPE_START), "Start") == 0);
    assert(strcmp(type_name(TYPE_NONE), "") == 0);
    assert(strcmp(type_name(TYPE_LIMIT + 7), "") == 0);
}

/* One name has one number, and the number its name. */
static void test_interning(void)
{
    assert(type_find("Ping", 4) == TYPE_NONE);
    type_id ping = intern("Ping");
    assert(ping >= TYPE_BUILT_IN_COUNT);
    assert(intern("Ping") == ping);
    assert(type_find("Ping", 4) == ping);
    assert(type_intern("Pingu", 4) == ping);
    assert(type_find("Pin", 3) == TYPE_NONE);
    assert(strcmp(type_name(ping), "Ping") == 0 && type_name_size(ping) == 4);
    assert(intern("\xd0\xa1\xd1\x82\xd0\xb0\xd1\x80\xd1\x82") != TYPE_NONE);
}

/* What is no name gets no number. */
static void test_no_names(void)
{
    char longest[TYPE_NAME_LIMIT + 2];
    memset(longest, 'x', sizeof longest);
    assert(type_intern(longest, TYPE_NAME_LIMIT) != TYPE_NONE);
    assert(type_intern(longest, TYPE_NAME_LIMIT + 1) == TYPE_NONE);
    assert(type_find(longest, TYPE_NAME_LIMIT + 1) == TYPE_NONE);
    assert(intern("") == TYPE_NONE);
    assert(type_intern("a\0b", 3) == TYPE_NONE);
    assert(intern("a\nb") == TYPE_NONE);
    assert(intern("a\x7f") == TYPE_NONE);
    assert(intern("a\xc2\x9b") == TYPE_NONE);
    assert(intern("a\xff") == TYPE_NONE);
}

/* Names are alike without regard to case and underscores; the first leads. */
static void test_alike(void)
{
    type_id first = intern("MarketDepth");
    type_id second = intern("market_depth");
    type_id other = intern("MarketDepths");
    assert(first != second);
    assert(type_alike(first) == first);
    assert(type_alike(second) == first);
    assert(type_alike(other) == other);
    assert(type_alike(intern("__TIME_OUT__")) == TYPE_TIMEOUT);
    assert(type_alike(TYPE_NONE) == TYPE_NONE);
    type_id bar = intern("_");
    assert(bar != TYPE_NONE && type_alike(intern("__")) == bar);
}

/* Folding cuts what does not fit and says how long the whole is. */
static void test_fold(void)
{
    char folded[6];
    assert(type_fold("Mar_Ket", 7, folded, sizeof folded) == 6);
    assert(strcmp(folded, "marke") == 0);
    assert(type_fold("_A_", 3, folded, sizeof folded) == 1 && strcmp(folded, "a") == 0);
    assert(type_fold("abc", 3, folded, 1) == 3 && folded[0] == '\0');
    assert(type_fold("abc", 3, NULL, 0) == 3);
}

/* Only the host itself may send these, however they are spelled. */
static void test_reserved(void)
{
    static const char *const reserved[] = { "Start", "START", "shut_down", "Timeout", "time_out",
                                            "Down", "Dead_Letter", "Reload", "any", "_____________________Any",
                                            "ChildStarted", "child_halted" };
    static const char *const free[] = { "Reject", "Started", "", "Ping", "Sta rt",
                                        "AVeryLongNameOfAMessage" };
    for (size_t i = 0; i < ARRAY_LENGTH(reserved); i++)
        assert(type_is_reserved(reserved[i], strlen(reserved[i])));
    for (size_t i = 0; i < ARRAY_LENGTH(free); i++)
        assert(!type_is_reserved(free[i], strlen(free[i])));
}

#ifdef TROUPE_FAULTS
/* Without memory there is no number; with it again there is. */
static void test_faults(void)
{
    for (uint64_t n = 1;; n++) {
        char name[32];
        int  size = snprintf(name, sizeof name, "Fault%d", (int)n);
        fault_arm(n);
        type_id type = type_intern(name, (size_t)size);
        bool    done = fault_count() < n;
        fault_arm(0);
        assert(done == (type != TYPE_NONE));
        assert(type_intern(name, (size_t)size) != TYPE_NONE);
        if (done)
            break;
    }
}
#endif

/* Many threads may intern and look up the same names at once. */
#define NAMES 3000
static type_id seen[4][NAMES];

static void *intern_all(void *argument)
{
    type_id *mine = argument;
    for (int i = 0; i < NAMES; i++) {
        char name[32];
        int  size = snprintf(name, sizeof name, "Crowd%d", i);
        mine[i] = type_intern(name, (size_t)size);
        assert(mine[i] != TYPE_NONE);
        assert(strcmp(type_name(mine[i]), name) == 0);
        assert(type_find(name, (size_t)size) == mine[i]);
        assert(type_alike(mine[i]) == mine[i]);
    }
    return NULL;
}

static void test_threads(void)
{
    struct thread threads[ARRAY_LENGTH(seen)];
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        assert(thread_start(&threads[i], "intern", 0, intern_all, seen[i]) == 0);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        thread_join(&threads[i]);
    for (size_t i = 1; i < ARRAY_LENGTH(seen); i++)
        assert(memcmp(seen[0], seen[i], sizeof seen[0]) == 0);
}

static type_id intern_foreign(const char *name, bool wanted)
{
    return type_intern_foreign(name, strlen(name), wanted);
}

/* Who invents names outside gets his share of the numbers and no more: names of
 * ours still get one each, and other spellings of them still find something. */
static void test_strangers(void)
{
    enum { INVENTED = 200000 };
    type_id ours = intern("tick"); /* a script's on_tick */
    unsigned made = 0, spelt = 0;
    for (int i = 0; i < INVENTED; i++) {
        char name[32];
        snprintf(name, sizeof name, "Invented%d", i);
        made += intern_foreign(name, false) != TYPE_NONE;
    }
    assert(made == TYPE_STRAY_LIMIT);
    assert(intern_foreign("OneMore", false) == TYPE_NONE);
    assert(intern_foreign("Invented17", false) == type_find("Invented17", 10));
    assert(intern_foreign("INVENTED17", false) == TYPE_NONE);
    assert(intern_foreign("START", false) == TYPE_NONE); /* nobody takes that from outside */
    assert(intern_foreign("Start", false) == TYPE_START);

    type_id wanted = intern_foreign("Wanted", true); /* there is an on_any */
    assert(wanted != TYPE_NONE && intern_foreign("Wanted", false) == wanted);
    type_id tick = intern_foreign("Tick", false);
    assert(tick != ours && type_alike(tick) == ours);
    for (int i = 0; i < INVENTED; i++) {
        char name[32] = "Tick";
        for (int bit = 0; bit < 18; bit++)
            memcpy(name + 4 + bit, &"_-"[i >> bit & 1], 2);
        type_id type = intern_foreign(name, true);
        spelt += type != TYPE_NONE && strcmp(type_name(type), name) == 0;
    }
    assert(spelt == TYPE_FOREIGN_LIMIT - 2);
    assert(intern_foreign("WantedMore", true) == TYPE_NONE);
    assert(intern_foreign("T_I_C_K", false) == ours); /* as near as it gets */
    assert(intern_foreign("Invented17", true) == type_find("Invented17", 10));

    assert(intern("Invented18") == type_find("Invented18", 10)); /* now it is one of ours, */
    assert(intern_foreign("INVENTED18", false) == type_find("Invented18", 10)); /* as is this */
    assert(intern_foreign("", true) == TYPE_NONE);
    assert(intern_foreign("a\nb", true) == TYPE_NONE);
}

/* At the limit new names get no number; old ones keep theirs. */
static void test_limit(void)
{
    type_id last = TYPE_NONE;
    for (int i = 0; i < TYPE_LIMIT + 10; i++) {
        char name[32];
        int  size = snprintf(name, sizeof name, "Flood%d", i);
        type_id type = type_intern(name, (size_t)size);
        if (type != TYPE_NONE)
            last = type;
    }
    assert(last == TYPE_LIMIT - 1);
    assert(intern("OneTooMany") == TYPE_NONE);
    assert(intern("Ping") == type_find("Ping", 4));
    assert(intern("Start") == TYPE_START);
    assert(strcmp(type_name(seen[0][17]), "Crowd17") == 0);
}

int main(void)
{
    test_built_in();
    test_interning();
    test_no_names();
    test_alike();
    test_fold();
    test_reserved();
#ifdef TROUPE_FAULTS
    test_faults();
#endif
    test_threads();
    test_strangers();
    test_limit();
    return 0;
}
