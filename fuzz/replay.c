/*
 * replay.c -- runs a target on every file of a corpus, with any compiler.
 *
 *     replay_json [--variations N] fuzz/corpus/json [FOLDER-OR-FILE]...
 *
 * ... and then on N variations of those files, the same ones each time.
 * What a file's name says must come true: `accept_` and `refuse_` say whether
 * the bytes are right input; of all others only the target's own checks are
 * asked. Exits 1 if a name was wrong or a folder has no files. (Packed bytes
 * have the machine's byte order: the names in corpus/pack/ are right where the
 * lowest byte comes first.)
 */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define LARGEST_FILE 65536
#define MOST_FILES   4096

struct input {
    char  *path;
    char  *data;
    size_t size;
};

static struct input inputs[MOST_FILES];
static size_t       input_count;

/* What the target is about to see, for name_input(). */
static struct input now;
static const char  *now_is = "";

/* Reads a file to the end of the inputs. What cannot be read ends the program. */
static void read_file(const char *path)
{
    struct input *input = &inputs[input_count++];
    FILE         *file = fopen(path, "rb");
    input->data = malloc(LARGEST_FILE);
    input->path = strdup(path);
    if (file == NULL || input_count == MOST_FILES || input->data == NULL || input->path == NULL) {
        fprintf(stderr, "replay: cannot read %s: %s\n", path, strerror(errno));
        exit(1);
    }
    input->size = fread(input->data, 1, LARGEST_FILE, file);
    fclose(file);
}

static void read_folder(const char *path, DIR *folder)
{
    size_t before = input_count;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char file[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        read_file(file);
    }
    if (input_count == before) {
        fprintf(stderr, "replay: no files in %s\n", path);
        exit(1);
    }
}

static int compare_paths(const void *left, const void *right)
{
    return strcmp(((const struct input *)left)->path, ((const struct input *)right)->path);
}

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* Whether the target says of the file what its name says. */
static bool replay(const struct input *input)
{
    const char *slash = strrchr(input->path, '/');
    const char *name = slash != NULL ? slash + 1 : input->path;
    now = *input;
    bool accepted = fuzz_accepts(input->data, input->size);
    if (begins_with(name, accepted ? "refuse_" : "accept_")) {
        fprintf(stderr, "replay: %s was %s\n", input->path, accepted ? "accepted" : "refused");
        return false;
    }
    return true;
}

/* ---- variations ---- */

static size_t draw(size_t below)
{
    static uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (size_t)((state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % below;
}

/* Puts `size` bytes in the place of a few of those in `data`, if there is room. */
static size_t put(char *data, size_t old_size, const char *bytes, size_t size)
{
    size_t at = draw(old_size + 1), gone = draw(5);
    if (gone > old_size - at)
        gone = old_size - at;
    if (old_size - gone + size > LARGEST_FILE)
        return old_size;
    memmove(data + at + size, data + at + gone, old_size - at - gone);
    memcpy(data + at, bytes, size);
    return old_size - gone + size;
}

/* One to three changes: a byte, a token, a piece of another input, nothing. */
static size_t vary(char *data, size_t size)
{
    static const char tokens[] = "[]{}\",:\\u-+0e.E 19 @*[]:/\0\x07\x08\x09\x7f\x80\xc3\xff";
    for (size_t left = 1 + draw(3); left > 0; left--) {
        const struct input *other = &inputs[draw(input_count)];
        char   byte = (char)draw(256);
        size_t from = draw(other->size + 1), piece = draw(20);
        if (piece > other->size - from)
            piece = other->size - from;
        switch (draw(4)) {
        case 0:  size = put(data, size, &byte, 1); break;
        case 1:  size = put(data, size, &tokens[draw(sizeof tokens - 1)], 1); break;
        case 2:  size = put(data, size, other->data + from, piece); break;
        default: size = put(data, size, "", 0); break;
        }
    }
    return size;
}

static void replay_variations(long count)
{
    static char data[LARGEST_FILE];
    now_is = "a variation of ";
    for (; count > 0; count--) {
        const struct input *input = &inputs[draw(input_count)];
        memcpy(data, input->data, input->size);
        size_t size = vary(data, input->size);
        now = (struct input){ input->path, data, size };
        fuzz_accepts(data, size);
    }
}

/* ---- the program ---- */

/* A promise was broken: says by what, and keeps the bytes in `replay.broken`.
 * Only what a signal handler may use. */
static void name_input(int signal_number)
{
    static const char words[] = "replay: broken, see replay.broken, by ";
    ssize_t ignored = write(STDERR_FILENO, words, sizeof words - 1);
    ignored = write(STDERR_FILENO, now_is, strlen(now_is));
    ignored = write(STDERR_FILENO, now.path, strlen(now.path));
    ignored = write(STDERR_FILENO, "\n", 1);
    int file = open("replay.broken", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    ignored = write(file, now.data, now.size);
    (void)ignored;
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

int main(int count, char **arguments)
{
    long variations = 0;
    int  first = 1;
    if (count > 2 && strcmp(arguments[1], "--variations") == 0) {
        variations = atol(arguments[2]);
        first = 3;
    }
    if (first >= count) {
        fprintf(stderr, "usage: %s [--variations N] FOLDER-OR-FILE...\n", arguments[0]);
        return 2;
    }
    for (int i = first; i < count; i++) {
        DIR *folder = opendir(arguments[i]);
        if (folder != NULL) {
            read_folder(arguments[i], folder);
            closedir(folder);
        } else {
            read_file(arguments[i]);
        }
    }
    qsort(inputs, input_count, sizeof inputs[0], compare_paths);

    signal(SIGABRT, name_input);
    bool right = true;
    for (size_t i = 0; i < input_count; i++)
        right = replay(&inputs[i]) && right;
    replay_variations(variations);
    printf("%zu files replayed, %ld variations\n", input_count, variations);
    for (size_t i = 0; i < input_count; i++) {
        free(inputs[i].data);
        free(inputs[i].path);
    }
    return right ? 0 : 1;
}
