/*
 * replay.c -- runs a target on every file of a corpus, with any compiler.
 *
 *     replay_json fuzz/corpus/json [FOLDER-OR-FILE]...
 *
 * What a file's name says must come true: `accept_` and `refuse_` say whether
 * the bytes are right input; of all others only the target's own checks are
 * asked. Exits 1 if a name was wrong or a folder has no files. (Packed bytes
 * have the machine's byte order: the names in corpus/pack/ are right where the
 * lowest byte comes first.)
 */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define LARGEST_FILE (8 * 1024 * 1024)

static const char *now_reading = "";

/* A file's contents, to be freed with free(); ends the program if there are none. */
static char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    char *data = malloc(LARGEST_FILE);
    if (file == NULL || data == NULL) {
        fprintf(stderr, "replay: cannot read %s: %s\n", path, strerror(errno));
        exit(1);
    }
    *size = fread(data, 1, LARGEST_FILE, file);
    fclose(file);
    return data;
}

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* Whether the target says of the file what its name says. */
static bool replay_file(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    size_t      size;
    char       *data = read_file(path, &size);
    now_reading = path;
    bool accepted = fuzz_accepts(data, size);
    free(data);
    if (begins_with(name, accepted ? "refuse_" : "accept_")) {
        fprintf(stderr, "replay: %s was %s\n", path, accepted ? "accepted" : "refused");
        return false;
    }
    return true;
}

/* Replays a folder's files; false if one of them, or that there is none, is wrong. */
static bool replay_folder(const char *path, DIR *folder, size_t *count)
{
    bool   right = true;
    size_t before = *count;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        right = replay_file(file) && right;
        ++*count;
    }
    if (*count == before)
        fprintf(stderr, "replay: no files in %s\n", path);
    return right && *count > before;
}

/* A promise was broken: say at which file. Only what a signal handler may use. */
static void name_file(int signal_number)
{
    static const char words[] = "replay: while reading ";
    ssize_t ignored = write(STDERR_FILENO, words, sizeof words - 1);
    ignored = write(STDERR_FILENO, now_reading, strlen(now_reading));
    ignored = write(STDERR_FILENO, "\n", 1);
    (void)ignored;
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

int main(int count, char **arguments)
{
    bool   right = count > 1;
    size_t files = 0;
    signal(SIGABRT, name_file);
    for (int i = 1; i < count; i++) {
        DIR *folder = opendir(arguments[i]);
        if (folder != NULL) {
            right = replay_folder(arguments[i], folder, &files) && right;
            closedir(folder);
        } else {
            right = replay_file(arguments[i]) && right;
            files++;
        }
    }
    printf("%zu files replayed\n", files);
    return right ? 0 : 1;
}
