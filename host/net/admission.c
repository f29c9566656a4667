/*
 * admission.c -- a REP socket at the address that ZAP prescribes.
 *
 * A request has the parts version, request id, domain, address, identity,
 * mechanism, and what the mechanism adds (CURVE: the key). The answer: version, request id,
 * status code, status text, user id, metadata.
 */
#include "net/admission.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#define VERSION    "1.0"
#define PART_LIMIT 256
#define KEY_BYTES  32

enum part {
    PART_VERSION, PART_ID, PART_DOMAIN, PART_ADDRESS, PART_IDENTITY, PART_MECHANISM, PART_KEY,
    PART_COUNT
};

struct request {
    char   parts[PART_COUNT][PART_LIMIT]; /* ended by a NUL */
    size_t sizes[PART_COUNT];
    char   key[KEY_TEXT];                 /* "": none */
};

int admission_open(struct admission *admission, void *zmq, int epoll, admission_judge *judge,
                   void *context)
{
    void *door = zmq_socket(zmq, ZMQ_REP);
    if (door == NULL)
        return -errno;
    zmq_setsockopt(door, ZMQ_LINGER, &(int){ 0 }, sizeof(int));
    *admission = (struct admission){ .watch = { WATCH_DOOR, admission }, .door = door,
                                     .epoll = epoll, .judge = judge, .context = context };
    int err = zmq_bind(door, "inproc://zeromq.zap.01") == 0 ? 0 : -errno;
    if (err == 0) {
        admission->descriptor = watch_descriptor(door);
        err = watch_add(epoll, admission->descriptor, &admission->watch);
    }
    if (err != 0) {
        zmq_close(door);
        admission->door = NULL;
    }
    return err;
}

void admission_close(struct admission *admission)
{
    if (admission->door == NULL)
        return;
    watch_remove(admission->epoll, admission->descriptor);
    zmq_close(admission->door);
    admission->door = NULL;
}

/* Reads all parts; those that we do not know by name are skipped. */
static bool read_request(void *door, struct request *request)
{
    int    more = 1;
    size_t more_size = sizeof more;

    memset(request, 0, sizeof *request);
    for (unsigned i = 0; more; i++) {
        char  skipped[PART_LIMIT];
        char *part = i < PART_COUNT ? request->parts[i] : skipped;
        int   size = zmq_recv(door, part, PART_LIMIT - 1, ZMQ_DONTWAIT);
        if (size < 0)
            return false;
        if (i < PART_COUNT)
            request->sizes[i] = (size_t)size < PART_LIMIT ? (size_t)size : PART_LIMIT - 1;
        zmq_getsockopt(door, ZMQ_RCVMORE, &more, &more_size);
    }
    return true;
}

static bool may_come_in(struct admission *admission, struct request *request)
{
    const char *address = request->parts[PART_ADDRESS];
    int         size = (int)strcspn(address, "%"); /* a link-local one may name its interface */
    char        host[PART_LIMIT + 2];
    snprintf(host, sizeof host, strchr(address, ':') != NULL ? "[%.*s]" : "%.*s", size, address);
    if (strcmp(request->parts[PART_MECHANISM], "CURVE") == 0 &&
        request->sizes[PART_KEY] == KEY_BYTES)
        zmq_z85_encode(request->key, (const uint8_t *)request->parts[PART_KEY], KEY_BYTES);
    return strcmp(request->parts[PART_VERSION], VERSION) == 0 && size > 0 &&
           admission->judge(admission->context, host, request->key);
}

static void answer(void *door, const struct request *request, bool admitted)
{
    zmq_send(door, VERSION, strlen(VERSION), ZMQ_SNDMORE);
    zmq_send(door, request->parts[PART_ID], request->sizes[PART_ID], ZMQ_SNDMORE);
    zmq_send(door, admitted ? "200" : "400", 3, ZMQ_SNDMORE);
    zmq_send(door, admitted ? "OK" : "NO", 2, ZMQ_SNDMORE);
    zmq_send(door, request->key, strlen(request->key), ZMQ_SNDMORE); /* the user's id */
    zmq_send(door, "", 0, 0);
}

void admission_told(struct admission *admission)
{
    static struct log_limit limit = LOG_LIMIT(5);
    struct request          request;

    for (;;) {
        if (!read_request(admission->door, &request)) {
            if (errno == EINTR)
                continue;
            return;
        }
        bool admitted = may_come_in(admission, &request);
        if (!admitted)
            atomic_fetch_add_explicit(&admission->refused, 1, memory_order_relaxed);
        if (!admitted && log_allowed(&limit))
            log_warn("gateway: a connection from %s is refused, by its address%s",
                     request.parts[PART_ADDRESS], request.key[0] != '\0' ? " or its key" : "");
        answer(admission->door, &request, admitted);
    }
}
