/*
 * keyring.c -- the keys of CURVE in one place, under one lock.
 */
#include "net/keyring.h"

#include "base/memory.h"
#include "base/thread.h"
#include "message/address.h"
#include "net/key_list.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <zmq.h>

/* What a frame has told us. */
struct learned {
    uint64_t used; /* guarded by lock */
    char     key[KEY_TEXT];
};

struct keyring {
    struct own_key  *own;        /* fixed */
    char            *peers_path; /* fixed */
    struct lock      lock;
    struct key_list  list;       /* guarded by lock, as all below */
    struct map       learned;    /* numeric endpoint -> struct learned */
    uint64_t         ticks;      /* makes `used` */
    _Atomic unsigned edition;    /* written under lock */
};

int keyring_open(struct keyring **out, const char *key_path, const char *peers_path, char *why,
                 size_t room)
{
    if (!zmq_has("curve")) {
        snprintf(why, room, "this libzmq was built without CURVE");
        return -ENOTSUP;
    }
    struct keyring *keyring = memory_get_zeroed(sizeof *keyring);
    int             err = -ENOMEM;
    if (keyring == NULL)
        goto no_memory;
    lock_init(&keyring->lock);
    map_init(&keyring->learned);
    keyring->peers_path = memory_copy_text(peers_path);
    if (keyring->peers_path == NULL)
        goto no_memory;
    err = key_file_read(key_path, &keyring->own, why, room);
    if (err == 0)
        err = key_list_read(&keyring->list, peers_path, why, room);
    if (err == 0)
        prctl(PR_SET_DUMPABLE, 0);
    else
        keyring_close(keyring);
    if (err == 0)
        *out = keyring;
    return err;

no_memory:
    snprintf(why, room, "no memory for keys");
    keyring_close(keyring);
    return err;
}

static void forget_learned_locked(struct keyring *keyring, const char *endpoint)
{
    struct learned *learned = map_remove(&keyring->learned, endpoint, strlen(endpoint));
    memory_put(learned, sizeof *learned);
}

void keyring_close(struct keyring *keyring)
{
    if (keyring == NULL)
        return;
    const struct map_entry *entry;
    size_t                  position = 0;
    while ((entry = map_next(&keyring->learned, &position)) != NULL)
        memory_put(entry->value, sizeof(struct learned));
    map_fini(&keyring->learned);
    key_list_fini(&keyring->list);
    key_file_forget(keyring->own);
    memory_free_text(keyring->peers_path);
    lock_fini(&keyring->lock);
    memory_put(keyring, sizeof *keyring);
}

/* ---- the list ---- */

/* How many keys of `one` are not in `other`. */
static size_t count_missing(const struct key_list *one, const struct key_list *other)
{
    const struct map_entry *entry;
    size_t                  position = 0, missing = 0;
    while ((entry = map_next(&one->keys, &position)) != NULL)
        missing += !key_list_has(other, entry->key);
    return missing;
}

/* What bearers of keys that are listed no more have said counts no more. */
static void forget_strangers_locked(struct keyring *keyring)
{
    const struct map_entry *entry;
    size_t                  position = 0;
    while ((entry = map_next(&keyring->learned, &position)) != NULL) {
        const struct learned *learned = entry->value;
        if (key_list_has(&keyring->list, learned->key))
            continue;
        forget_learned_locked(keyring, entry->key);
        position = 0; /* the map has changed */
    }
}

int keyring_reload(struct keyring *keyring, struct keyring_news *news, char *why, size_t room)
{
    struct key_list list;
    int             err = key_list_read(&list, keyring->peers_path, why, room);
    if (err != 0)
        return err;
    lock_acquire(&keyring->lock);
    struct key_list old = keyring->list;
    keyring->list = list;
    *news = (struct keyring_news){ .keys = list.keys.count,
                                   .added = count_missing(&list, &old),
                                   .removed = count_missing(&old, &list) };
    forget_strangers_locked(keyring);
    atomic_fetch_add_explicit(&keyring->edition, 1, memory_order_relaxed);
    lock_release(&keyring->lock);
    key_list_fini(&old);
    return 0;
}

/* Relaxed: who sees it late asks late, and the lock orders the asking. */
unsigned keyring_edition(const struct keyring *keyring)
{
    return atomic_load_explicit(&keyring->edition, memory_order_relaxed);
}

bool keyring_lists(struct keyring *keyring, const char *key)
{
    lock_acquire(&keyring->lock);
    bool listed = key_list_has(&keyring->list, key);
    lock_release(&keyring->lock);
    return listed;
}

/* ---- which key is where ---- */

static void forget_oldest_locked(struct keyring *keyring)
{
    const struct map_entry *entry, *oldest = NULL;
    size_t                  position = 0;
    while ((entry = map_next(&keyring->learned, &position)) != NULL)
        if (oldest == NULL || ((struct learned *)entry->value)->used <
                                  ((struct learned *)oldest->value)->used)
            oldest = entry;
    if (oldest != NULL)
        forget_learned_locked(keyring, oldest->key);
}

static void learn_new_locked(struct keyring *keyring, const char *endpoint, const char *key)
{
    if (keyring->learned.count >= KEYRING_LEARNED_MAX)
        forget_oldest_locked(keyring);
    struct learned *learned = memory_get_zeroed(sizeof *learned);
    if (learned == NULL)
        return; /* then it is not answered */
    learned->used = ++keyring->ticks;
    snprintf(learned->key, sizeof learned->key, "%s", key);
    if (map_set(&keyring->learned, endpoint, strlen(endpoint), learned) != 0)
        memory_put(learned, sizeof *learned);
}

bool keyring_learn(struct keyring *keyring, const char *endpoint, const char *key)
{
    bool differs = false;
    lock_acquire(&keyring->lock);
    if (key_list_has(&keyring->list, key) && key_list_at(&keyring->list, endpoint) == NULL) {
        struct learned *learned = map_find(&keyring->learned, endpoint, strlen(endpoint));
        differs = learned != NULL && strcmp(learned->key, key) != 0;
        if (learned == NULL) {
            learn_new_locked(keyring, endpoint, key);
        } else {
            learned->used = ++keyring->ticks;
            snprintf(learned->key, sizeof learned->key, "%s", key);
        }
    }
    lock_release(&keyring->lock);
    return differs;
}

/* False: nobody knows. */
static bool find_key(struct keyring *keyring, const char *endpoint, const char *numeric,
                     char key[KEY_TEXT])
{
    lock_acquire(&keyring->lock);
    const char *found = key_list_at(&keyring->list, endpoint);
    if (found == NULL)
        found = key_list_at(&keyring->list, numeric);
    struct learned *learned =
        found == NULL ? map_find(&keyring->learned, numeric, strlen(numeric)) : NULL;
    if (learned != NULL) {
        learned->used = ++keyring->ticks;
        found = learned->key;
    }
    if (found != NULL)
        snprintf(key, KEY_TEXT, "%s", found);
    lock_release(&keyring->lock);
    return found != NULL;
}

/* ---- sockets ---- */

int keyring_guard_inlet(const struct keyring *keyring, void *pull)
{
    int server = 1;
    if (zmq_setsockopt(pull, ZMQ_CURVE_SERVER, &server, sizeof server) != 0 ||
        zmq_setsockopt(pull, ZMQ_CURVE_SECRETKEY, keyring->own->secret_key, KEY_TEXT) != 0)
        return -errno;
    return 0;
}

int keyring_guard_peer(struct keyring *keyring, void *push, const char *endpoint,
                       const char *numeric)
{
    char key[KEY_TEXT];
    if (!find_key(keyring, endpoint, numeric, key))
        return -ENOKEY;
    if (zmq_setsockopt(push, ZMQ_CURVE_SERVERKEY, key, KEY_TEXT) != 0 ||
        zmq_setsockopt(push, ZMQ_CURVE_PUBLICKEY, keyring->own->public_key, KEY_TEXT) != 0 ||
        zmq_setsockopt(push, ZMQ_CURVE_SECRETKEY, keyring->own->secret_key, KEY_TEXT) != 0)
        return -errno;
    return 0;
}

bool keyring_still_fits(struct keyring *keyring, void *push, const char *endpoint,
                        const char *numeric)
{
    char   expected[KEY_TEXT], key[KEY_TEXT];
    size_t size = sizeof expected;
    return find_key(keyring, endpoint, numeric, key) &&
           zmq_getsockopt(push, ZMQ_CURVE_SERVERKEY, expected, &size) == 0 &&
           strcmp(expected, key) == 0;
}
