/*
 * keyring.h -- CURVE: our key, whose keys are let in, and which key is where.
 *
 * A connection is encrypted and both sides prove their keys. Who connects to us
 * must have a key that is listed. Where we connect we must know the key
 * beforehand: from the list, or because a frame under that key said that its
 * answers go there, which the list overrules.
 *
 * Any thread; its lock is a leaf.
 */
#ifndef TROUPE_NET_KEYRING_H
#define TROUPE_NET_KEYRING_H

#include "base/base.h"
#include "net/key_file.h"

#define KEYRING_LEARNED_MAX 1024 /* endpoints, the longest unused go first */

struct keyring;

/* Reads both files (net/key_file.h, net/key_list.h). From then on the process
 * leaves no core dumps, for libzmq keeps copies of its own. 0 and *keyring; or
 * -errno and a sentence in `why`. */
int  keyring_open(struct keyring **keyring, const char *key_path, const char *peers_path,
                  char *why, size_t room);
/* The sockets must have been closed. NULL is fine. */
void keyring_close(struct keyring *keyring);

struct keyring_news {
    size_t keys, added, removed;
};

/* Reads the list again. Unless 0 it stays as it was, and `why` has a sentence. */
int keyring_reload(struct keyring *keyring, struct keyring_news *news, char *why, size_t room);

/* Goes up when the list was replaced: what was asked before is to be asked again. */
unsigned keyring_edition(const struct keyring *keyring);

/* Whether the key is listed. */
bool keyring_lists(struct keyring *keyring, const char *key);

/* The bearer of a listed key has said that it is reached at the numeric `endpoint`.
 * Whether another key was believed to be there. */
bool keyring_learn(struct keyring *keyring, const char *endpoint, const char *key);

/* Prepares a socket that is to be bound. 0 or -errno. */
int keyring_guard_inlet(const struct keyring *keyring, void *pull);

/* Prepares a socket that is to connect to `endpoint`, which is `numeric` in numbers.
 * 0; -ENOKEY: whose key is there is not known; -errno. */
int keyring_guard_peer(struct keyring *keyring, void *push, const char *endpoint,
                       const char *numeric);

/* Whether such a socket expects the key that is now believed to be there. */
bool keyring_still_fits(struct keyring *keyring, void *push, const char *endpoint,
                        const char *numeric);

#endif
