/*
 * admission.c -- a REP socket at the address that ZAP prescribes.
 *
 * A request has the parts version, request id, domain, address, identity,
 * mechanism, and what the mechanism adds. The answer: version, request id,
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

enum part { PART_VERSION, PART_ID, PART_DOMAIN, PART_ADDRESS, PART_COUNT };

struct request {
    char   parts[PART_COUNT][PART_LIMIT]; /* ended by a NUL */
    size_t id_size;
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
        if (i == PART_ID)
            request->id_size = (size_t)size < PART_LIMIT ? (size_t)size : PART_LIMIT - 1;
        zmq_getsockopt(door, ZMQ_RCVMORE, &more, &more_size);
    }
    return true;
}

static bool may_come_in(struct admission *admission, const struct request *request)
{
    const char *address = request->parts[PART_ADDRESS];
    char        host[PART_LIMIT + 2];
    snprintf(host, sizeof host, strchr(address, ':') != NULL ? "[%s]" : "%s", address);
    return strcmp(request->parts[PART_VERSION], VERSION) == 0 && address[0] != '\0' &&
           admission->judge(admission->context, host);
}

static void answer(void *door, const struct request *request, bool admitted)
{
    zmq_send(door, VERSION, strlen(VERSION), ZMQ_SNDMORE);
    zmq_send(door, request->parts[PART_ID], request->id_size, ZMQ_SNDMORE);
    zmq_send(door, admitted ? "200" : "400", 3, ZMQ_SNDMORE);
    zmq_send(door, admitted ? "OK" : "NO", 2, ZMQ_SNDMORE);
    zmq_send(door, "", 0, ZMQ_SNDMORE);
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
        if (!admitted && log_allowed(&limit))
            log_warn("gateway: a connection from %s is refused", request.parts[PART_ADDRESS]);
        answer(admission->door, &request, admitted);
    }
}
