/* test_deadletters.c -- the promises of deadletters.h. */
#include "actor/deadletters.h"
#include "base/memory.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static void put(struct dead_letters *letters, size_t size, const char *text)
{
    static const char payload[1000];
    struct message *message = message_new(MESSAGE_ORDINARY, TYPE_REJECT, payload, size);
    assert(message != NULL);
    dead_letters_put(letters, &message, FAILURE_DOWN, "ping", "pong", text);
    assert(message == NULL);
}

struct seen {
    uint64_t first, last;
    size_t   count;
    char     text[128];
};

static void see(void *context, const struct dead_letter *letter)
{
    struct seen *seen = context;
    if (seen->count == 0)
        seen->first = letter->id;
    else
        assert(letter->id == seen->last + 1);
    seen->last = letter->id;
    seen->count++;
    assert(letter->message != NULL && letter->reason == FAILURE_DOWN);
    assert(strcmp(letter->sender, "ping") == 0 && strcmp(letter->target, "pong") == 0);
    snprintf(seen->text, sizeof seen->text, "%s", letter->text);
}

static struct seen look(struct dead_letters *letters)
{
    struct seen seen = { 0 };
    dead_letters_each(letters, see, &seen);
    return seen;
}

/* Letters are kept in order; the oldest gives way when there are too many. */
static void test_number(void)
{
    struct dead_letters letters;
    assert(dead_letters_open(&letters, 3, 1 << 20) == 0);
    assert(look(&letters).count == 0);
    for (int i = 0; i < 2; i++)
        put(&letters, 4, "the actor has ended");
    struct seen seen = look(&letters);
    assert(seen.count == 2 && seen.first == 1 && seen.last == 2);
    assert(strcmp(seen.text, "the actor has ended") == 0);
    for (int i = 0; i < 8; i++)
        put(&letters, 4, "");
    seen = look(&letters);
    assert(seen.count == 3 && seen.first == 8 && seen.last == 10);
    assert(dead_letters_total(&letters) == 10);
    dead_letters_close(&letters);
}

/* Bytes are bounded too; what is larger than all the room is only counted. */
static void test_bytes(void)
{
    struct dead_letters letters;
    size_t weight = sizeof(struct message) + 100;
    assert(dead_letters_open(&letters, 100, 3 * weight) == 0);
    for (int i = 0; i < 7; i++)
        put(&letters, 100, "");
    assert(look(&letters).count == 3);
    put(&letters, 100 + weight, ""); /* as heavy as two */
    struct seen seen = look(&letters);
    assert(seen.count == 2 && seen.first == 7 && seen.last == 8);
    put(&letters, 1000, "");
    assert(look(&letters).count == 2);
    assert(dead_letters_total(&letters) == 9);
    dead_letters_close(&letters);
}

/* Long texts are cut, missing ones are empty. */
static void test_texts(void)
{
    struct dead_letters letters;
    char text[300];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert(dead_letters_open(&letters, 1, 1 << 20) == 0);
    put(&letters, 0, text);
    assert(strlen(look(&letters).text) == sizeof((struct dead_letter *)0)->text - 1);
    put(&letters, 0, NULL);
    assert(strcmp(look(&letters).text, "") == 0);
    dead_letters_close(&letters);
}

/* With room for none they are counted; an alarm's message is left alone. */
static void test_nothing_kept(void)
{
    struct dead_letters letters;
    assert(dead_letters_open(&letters, 0, 1 << 20) == 0);
    put(&letters, 1, "");
    assert(dead_letters_total(&letters) == 1 && look(&letters).count == 0);

    struct message kept = { .kind = MESSAGE_WAKE, .flags = MESSAGE_KEPT }, *message = &kept;
    dead_letters_put(&letters, &message, FAILURE_DOWN, "", "", "");
    message_free(message);
    message_free(&kept);
    assert(dead_letters_total(&letters) == 1);
    dead_letters_close(&letters);
}

static void see_id(void *context, const struct dead_letter *letter)
{
    uint64_t **ids = context;
    *(*ids)++ = letter->id;
}

/* The ids of those after `after`, at most `most`, are `first` to `last`. */
static void expect_some(struct dead_letters *letters, uint64_t after, size_t most, size_t count,
                        const uint64_t *wanted)
{
    uint64_t ids[16], *next = ids;
    dead_letters_some(letters, after, most, see_id, &next);
    assert((size_t)(next - ids) == count && memcmp(ids, wanted, count * sizeof *ids) == 0);
}

/* Any of them can be taken out; the others stay in order, wherever the ring begins. */
static void test_taking(void)
{
    for (uint64_t start = 0; start < 5; start++) {
        struct dead_letters letters;
        struct dead_letter letter;
        assert(dead_letters_open(&letters, 5, 1 << 20) == 0);
        for (uint64_t i = 0; i < start + 5; i++)
            put(&letters, (size_t)i, "the actor has ended");
        uint64_t first = start + 1;
        assert(dead_letters_take(&letters, 0, &letter) == NULL);
        assert(dead_letters_take(&letters, start, &letter) == NULL);
        assert(dead_letters_take(&letters, first + 5, &letter) == NULL);
        expect_some(&letters, 0, 2, 2, (uint64_t[]){ first, first + 1 });

        struct message *message = dead_letters_take(&letters, first + 1, &letter);
        assert(message->size == first && letter.id == first + 1 && letter.message == NULL);
        assert(strcmp(letter.target, "pong") == 0 && letter.reason == FAILURE_DOWN);
        dead_letters_give_back(&letters, &message, &letter);
        assert(message == NULL);
        expect_some(&letters, 0, 9, 5,
                    (uint64_t[]){ first, first + 1, first + 2, first + 3, first + 4 });
        message = dead_letters_take(&letters, first + 1, &letter);
        assert(message->size == first);
        message_free(message);
        message_free(dead_letters_take(&letters, first + 3, &letter));
        assert(dead_letters_take(&letters, first + 1, &letter) == NULL);
        expect_some(&letters, 0, 9, 3, (uint64_t[]){ first, first + 2, first + 4 });
        expect_some(&letters, first + 1, 9, 2, (uint64_t[]){ first + 2, first + 4 });
        put(&letters, 0, "");
        put(&letters, 0, "");
        expect_some(&letters, first + 3, 9, 3, (uint64_t[]){ first + 4, first + 5, first + 6 });
        message = dead_letters_take(&letters, first, &letter);
        put(&letters, 0, ""); /* its place is taken meanwhile */
        dead_letters_give_back(&letters, &message, &letter);
        assert(message == NULL);
        expect_some(&letters, 0, 9, 5,
                    (uint64_t[]){ first + 2, first + 4, first + 5, first + 6, first + 7 });
        for (uint64_t id = 1; id < first + 9; id++)
            message_free(dead_letters_take(&letters, id, &letter));
        assert(look(&letters).count == 0 && letters.bytes == 0);
        assert(dead_letters_total(&letters) == first + 7);
        dead_letters_close(&letters);
    }
}

static void *put_many(void *argument)
{
    for (int i = 0; i < 5000; i++)
        put(argument, (size_t)i % 200, "the actor has ended");
    return NULL;
}

/* Any thread may put; looking meanwhile shows whole letters in order. */
static void test_threads(void)
{
    struct dead_letters letters;
    struct thread threads[4];
    assert(dead_letters_open(&letters, 50, 4000) == 0);
    for (int i = 0; i < 4; i++)
        assert(thread_start(&threads[i], "put", 0, put_many, &letters) == 0);
    for (int i = 0; i < 100; i++)
        assert(look(&letters).count <= 50);
    for (int i = 0; i < 4; i++)
        thread_join(&threads[i]);
    assert(dead_letters_total(&letters) == 20000);
    dead_letters_close(&letters);
}

int main(void)
{
    size_t before = memory_used();
    test_number();
    test_bytes();
    test_texts();
    test_nothing_kept();
    test_taking();
    test_threads();
    assert(memory_used() == before);
    puts("deadletters: ok");
    return 0;
}
