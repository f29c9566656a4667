/*
 * key_file.c -- reads and writes certificates, and leaves no copy of a secret behind.
 */
#include "net/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define FILE_LIMIT 4096 /* bytes; also the size of the secret pages */

/* ---- pages that are nobody else's business ---- */

static void *page_new(void)
{
    void *page = mmap(NULL, FILE_LIMIT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return NULL;
    madvise(page, FILE_LIMIT, MADV_DONTDUMP);
    madvise(page, FILE_LIMIT, MADV_WIPEONFORK);
    (void)mlock(page, FILE_LIMIT); /* there may be no allowance for it */
    return page;
}

static void page_free(void *page)
{
    if (page == NULL)
        return;
    explicit_bzero(page, FILE_LIMIT);
    munmap(page, FILE_LIMIT);
}

void key_file_forget(struct own_key *key)
{
    page_free(key);
}

bool key_is_valid(const char *text, size_t size)
{
    static const char alphabet[] = "0123456789abcdefghijklmnopqrstuvwxyz"
                                   "ABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
    if (size != KEY_TEXT - 1)
        return false;
    for (size_t i = 0; i < size; i++)
        if (text[i] == '\0' || strchr(alphabet, text[i]) == NULL)
            return false;
    /* Five characters are four bytes, and not all of them are one. */
    char    copy[KEY_TEXT];
    uint8_t bytes[32];
    memcpy(copy, text, size);
    copy[size] = '\0';
    bool valid = zmq_z85_decode(bytes, copy) != NULL;
    explicit_bzero(copy, sizeof copy);
    explicit_bzero(bytes, sizeof bytes);
    return valid;
}

/* ---- reading ---- */

static int check_access(int file, const char *path, char *why, size_t room)
{
    struct stat status;
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
        snprintf(why, room, "cannot read the key in %s: it is no regular file", path);
        return -EINVAL;
    }
    if (status.st_uid != geteuid()) {
        snprintf(why, room, "the key in %s is not used: the file belongs to somebody else", path);
        return -EINVAL;
    }
    if ((status.st_mode & 077) != 0) {
        snprintf(why, room, "the key in %s is not used: others may read the file (mode %03o); "
                 "say chmod 600 %s", path, (unsigned)status.st_mode & 0777, path);
        return -EINVAL;
    }
    return 0;
}

/* The whole file into `text`, ended by a NUL. */
static int read_all(const char *path, char *text, char *why, size_t room)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (file < 0) {
        snprintf(why, room, "cannot read the key in %s: %s", path, strerror(errno));
        return -EINVAL;
    }
    int    err = check_access(file, path, why, room);
    size_t size = 0;
    while (err == 0 && size < FILE_LIMIT) {
        ssize_t got = read(file, text + size, FILE_LIMIT - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            snprintf(why, room, "cannot read the key in %s: %s", path, strerror(errno));
            err = -EINVAL;
        }
        if (got <= 0)
            break;
        size += (size_t)got;
    }
    close(file);
    if (err == 0 && size == FILE_LIMIT) {
        snprintf(why, room, "there is no key in %s: it is larger than one can be", path);
        err = -EBADMSG;
    }
    text[size < FILE_LIMIT ? size : 0] = '\0';
    return err;
}

/* The value of `NAME = "VALUE"` on a line of its own, into `key`. */
static bool find_value(const char *text, const char *name, char key[KEY_TEXT])
{
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n') {
        const char *at = line + strspn(line, " \t");
        size_t      size = strlen(name);
        if (strncmp(at, name, size) != 0)
            continue;
        at += size;
        at += strspn(at, " \t");
        if (*at++ != '=')
            continue;
        at += strspn(at, " \t");
        char quote = *at == '"' || *at == '\'' ? *at++ : '\0';
        size = strcspn(at, "\r\n \t\"'");
        if (!key_is_valid(at, size) || (quote != '\0' && at[size] != quote))
            return false;
        memcpy(key, at, size);
        key[size] = '\0';
        return true;
    }
    return false;
}

static int read_pair(const char *path, const char *text, struct own_key *key, char *why,
                     size_t room)
{
    char written[KEY_TEXT];
    if (!find_value(text, "secret-key", key->secret_key)) {
        snprintf(why, room, "there is no secret key in %s: 'troupe keys new' makes such a file",
                 path);
        return -EBADMSG;
    }
    if (zmq_curve_public(key->public_key, key->secret_key) != 0) {
        snprintf(why, room, "the key in %s cannot be used: %s", path, zmq_strerror(errno));
        return -EBADMSG;
    }
    if (find_value(text, "public-key", written) && strcmp(written, key->public_key) != 0) {
        snprintf(why, room, "the public key in %s is not that of its secret key", path);
        return -EBADMSG;
    }
    return 0;
}

int key_file_read(const char *path, struct own_key **out, char *why, size_t room)
{
    char           *text = page_new();
    struct own_key *key = page_new();
    int             err = -ENOMEM;
    if (text == NULL || key == NULL)
        snprintf(why, room, "no memory for a key");
    else
        err = read_all(path, text, why, room);
    if (err == 0)
        err = read_pair(path, text, key, why, room);
    page_free(text);
    if (err == 0)
        *out = key;
    else
        page_free(key);
    return err;
}

/* ---- writing ---- */

static void write_text(char *text, const struct own_key *key)
{
    time_t    now = time(NULL);
    struct tm calendar;
    char      when[40];
    gmtime_r(&now, &calendar);
    strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &calendar);
    snprintf(text, FILE_LIMIT,
             "# A CURVE key pair, made by troupe on %s UTC.\n"
             "# Whoever can read this file can pretend to be its owner: keep it to yourself.\n"
             "# Others are told the public key.\n"
             "\n"
             "metadata\n"
             "curve\n"
             "    public-key = \"%s\"\n"
             "    secret-key = \"%s\"\n",
             when, key->public_key, key->secret_key);
}

static int write_all(int file, const char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        ssize_t done = write(file, text, left);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        text += done;
        left -= (size_t)done;
    }
    return fsync(file) == 0 || errno == EINVAL ? 0 : -errno; /* not every file can be synced */
}

static int write_file(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0)
        return -errno;
    int err = fchmod(file, 0600) == 0 ? write_all(file, text) : -errno;
    if (close(file) != 0 && err == 0)
        err = -errno;
    if (err != 0)
        unlink(path);
    return err;
}

static int make_pair(struct own_key *key)
{
    return zmq_curve_keypair(key->public_key, key->secret_key) == 0 ? 0 : -errno;
}

int key_file_make(const char *path, char public_key[KEY_TEXT], char *why, size_t room)
{
    char           *text = page_new();
    struct own_key *key = page_new();
    int             err = text != NULL && key != NULL ? make_pair(key) : -ENOMEM;
    if (err != 0) {
        snprintf(why, room, "no key can be made: %s", zmq_strerror(-err));
    } else {
        write_text(text, key);
        err = write_file(path, text);
        if (err == -EEXIST)
            snprintf(why, room, "%s exists already, and a key is not replaced by accident", path);
        else if (err != 0)
            snprintf(why, room, "cannot write %s: %s", path, strerror(-err));
    }
    if (err == 0)
        memcpy(public_key, key->public_key, KEY_TEXT);
    page_free(text);
    page_free(key);
    return err;
}
