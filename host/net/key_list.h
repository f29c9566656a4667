/*
 * key_list.h -- the file of --curve-peers: whose keys are let in, and which key
 * the host at an endpoint has.
 *
 *     # the risk department
 *     C^#dV.<JN**^SWML3[.wZJVs+TmS%UFi-TWER-WC  tcp://10.0.0.5:5001 tcp://risk:5001
 *     XKBvvO10q(&@3ar3a=OHHmPfqfM.PIlOq3ICU8=%              # only connects to us
 *
 * A list never changes; a new file makes a new one.
 */
#ifndef TROUPE_NET_KEY_LIST_H
#define TROUPE_NET_KEY_LIST_H

#include "base/map.h"
#include "net/key_file.h"

struct key_list {
    struct map keys;      /* key -> itself */
    struct map endpoints; /* normalised endpoint -> key */
};

/* Reads a file that only its owner, we or root, may write. 0; -EINVAL: it is
 * missing or too open; -EBADMSG: a line is wrong, and `why` names it; -ENOMEM. */
int  key_list_read(struct key_list *list, const char *path, char *why, size_t room);
/* Zeros are an empty list. */
void key_list_fini(struct key_list *list);

bool key_list_has(const struct key_list *list, const char *key);
/* The key of who is there, or NULL; valid as long as the list. */
const char *key_list_at(const struct key_list *list, const char *endpoint);

#endif
