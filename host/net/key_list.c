/*
 * key_list.c -- reads the file of --curve-peers line by line.
 */
#include "net/key_list.h"

#include "message/address.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPACES " \t\r\n"

/* What is being read, for sentences about it. */
struct reading {
    struct key_list *list;
    const char      *path;
    unsigned         line;
    char            *why;
    size_t           room;
};

static int refuse(struct reading *reading, const char *what)
{
    snprintf(reading->why, reading->room, "%s:%u: %s", reading->path, reading->line, what);
    return -EBADMSG;
}

/* The key as the list has it, put there if it is new. NULL: no memory. */
static const char *keep_key(struct key_list *list, const char *key)
{
    char *kept = map_find(&list->keys, key, KEY_TEXT - 1);
    if (kept != NULL)
        return kept;
    kept = strdup(key);
    if (kept != NULL && map_set(&list->keys, key, KEY_TEXT - 1, kept) != 0) {
        free(kept);
        kept = NULL;
    }
    return kept;
}

static int read_endpoint(struct reading *reading, const char *key, const char *text)
{
    char endpoint[ADDRESS_ENDPOINT_LIMIT], why[200], sentence[400];
    if (address_endpoint_normalise(text, strlen(text), false, false, endpoint, why,
                                   sizeof why) != 0)
        return refuse(reading, why);
    const char *other = map_find(&reading->list->endpoints, endpoint, strlen(endpoint));
    if (other == key)
        return 0;
    if (other != NULL) {
        snprintf(sentence, sizeof sentence, "%s has another key already, in a line above", endpoint);
        return refuse(reading, sentence);
    }
    return map_set(&reading->list->endpoints, endpoint, strlen(endpoint), (char *)(uintptr_t)key);
}

/* A key, and where it is. Z85 has a `#` too, but never in front: what begins with
 * one would be more than four bytes. */
static int read_line(struct reading *reading, char *line)
{
    char *rest;
    char *word = strtok_r(line, SPACES, &rest);
    if (word == NULL || word[0] == '#')
        return 0;
    if (!key_is_valid(word, strlen(word)))
        return refuse(reading, "no key: a line is KEY [ENDPOINT...], and a key has 40 characters, "
                               "as 'troupe keys new' prints it");
    const char *key = keep_key(reading->list, word);
    int         err = key != NULL ? 0 : -ENOMEM;
    while (err == 0 && (word = strtok_r(NULL, SPACES, &rest)) != NULL && word[0] != '#')
        err = read_endpoint(reading, key, word);
    return err;
}

static int check_access(int file, const char *path, char *why, size_t room)
{
    struct stat status;
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
        snprintf(why, room, "cannot read the keys in %s: it is no regular file", path);
        return -EINVAL;
    }
    if (status.st_uid != geteuid() && status.st_uid != 0) {
        snprintf(why, room, "the keys in %s are not used: the file belongs to somebody else", path);
        return -EINVAL;
    }
    if ((status.st_mode & 022) != 0) {
        snprintf(why, room, "the keys in %s are not used: others may write the file; say "
                 "chmod go-w %s", path, path);
        return -EINVAL;
    }
    return 0;
}

static int open_file(const char *path, FILE **file, char *why, size_t room)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (descriptor < 0) {
        snprintf(why, room, "cannot read the keys in %s: %s", path, strerror(errno));
        return -EINVAL;
    }
    int err = check_access(descriptor, path, why, room);
    if (err == 0 && (*file = fdopen(descriptor, "r")) == NULL)
        err = -ENOMEM;
    if (err != 0)
        close(descriptor);
    return err;
}

int key_list_read(struct key_list *list, const char *path, char *why, size_t room)
{
    FILE *file;
    *list = (struct key_list){ 0 };
    int err = open_file(path, &file, why, room);
    if (err != 0)
        return err;

    struct reading reading = { .list = list, .path = path, .why = why, .room = room };
    char           line[4096];
    while (err == 0 && fgets(line, sizeof line, file) != NULL) {
        reading.line++;
        if (strchr(line, '\n') == NULL && !feof(file))
            err = refuse(&reading, "the line is too long");
        else
            err = read_line(&reading, line);
    }
    if (err == 0 && ferror(file)) {
        snprintf(why, room, "cannot read the keys in %s", path);
        err = -EINVAL;
    }
    fclose(file);
    if (err == -ENOMEM)
        snprintf(why, room, "no memory for the keys in %s", path);
    if (err != 0)
        key_list_fini(list);
    return err;
}

void key_list_fini(struct key_list *list)
{
    const struct map_entry *entry;
    size_t                  position = 0;
    while ((entry = map_next(&list->keys, &position)) != NULL)
        free(entry->value);
    map_fini(&list->keys);
    map_fini(&list->endpoints);
}

bool key_list_has(const struct key_list *list, const char *key)
{
    return map_find(&list->keys, key, strlen(key)) != NULL;
}

const char *key_list_at(const struct key_list *list, const char *endpoint)
{
    return map_find(&list->endpoints, endpoint, strlen(endpoint));
}
