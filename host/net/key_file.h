/*
 * key_file.h -- our own CURVE key: the file it comes from, and the page it stays in.
 *
 * The file is a certificate as CZMQ and pyzmq write it. The page is kept out of
 * core dumps, of swap where the system lets us, and of programs that we start.
 */
#ifndef TROUPE_NET_KEY_FILE_H
#define TROUPE_NET_KEY_FILE_H

#include "base/base.h"

#define KEY_TEXT 41 /* a key in Z85, with its NUL */

/* Lies in a page of its own. */
struct own_key {
    char public_key[KEY_TEXT];
    char secret_key[KEY_TEXT];
};

/* Reads the file, which must be a regular one of ours that nobody else can read.
 * 0 and *key; -EINVAL: the file is missing or too open; -EBADMSG: it holds no
 * key; -ENOMEM; each with a sentence in `why`. */
int  key_file_read(const char *path, struct own_key **key, char *why, size_t room);
/* Wipes it; NULL is fine. */
void key_file_forget(struct own_key *key);

/* Makes a pair of keys, and a new file for them that only we can read. 0; -EEXIST;
 * -errno, with a sentence in `why`. */
int key_file_make(const char *path, char public_key[KEY_TEXT], char *why, size_t room);

/* Whether `text` is 40 characters of Z85. */
bool key_is_valid(const char *text, size_t size);

#endif
