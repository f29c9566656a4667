/*
 * flight.c -- frames under way: a few counters by time, and TCP's own count of bytes.
 */
#include "net/flight.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* With one bucket to spare, for the oldest is only in part within FLIGHT_NS. */
#define WIDTH_NS (FLIGHT_NS / (FLIGHT_BUCKETS - 1))

void flight_init(struct flight *flight)
{
    *flight = (struct flight){ .descriptor = -1 };
}

void flight_fini(struct flight *flight)
{
    if (flight->descriptor >= 0)
        close(flight->descriptor);
    flight->descriptor = -1;
}

/* Whether the other end of this socket is the numeric endpoint `to`. */
static bool leads_to(int descriptor, const char *to)
{
    struct sockaddr_storage address;
    socklen_t               size = sizeof address;
    char                    host[INET6_ADDRSTRLEN], endpoint[INET6_ADDRSTRLEN + 32];

    if (getpeername(descriptor, (struct sockaddr *)&address, &size) != 0)
        return false;
    if (address.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        snprintf(endpoint, sizeof endpoint, "tcp://%s:%u", host, ntohs(v4->sin_port));
    } else if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address;
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        snprintf(endpoint, sizeof endpoint, "tcp://[%s]:%u", host, ntohs(v6->sin6_port));
    } else {
        return false;
    }
    return strcmp(endpoint, to) == 0;
}

void flight_begin(struct flight *flight, int descriptor, const char *to)
{
    flight_fini(flight);
    flight_init(flight);
    /* libzmq may have closed it already, and somebody else may have its number. */
    flight->descriptor = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (flight->descriptor >= 0 && !leads_to(flight->descriptor, to))
        flight_fini(flight);
}

void flight_add(struct flight *flight, size_t size, uint64_t now_ns)
{
    uint64_t              slice = now_ns / WIDTH_NS;
    struct flight_bucket *bucket = &flight->buckets[slice % FLIGHT_BUCKETS];
    if (bucket->slice != slice)
        *bucket = (struct flight_bucket){ .slice = slice };
    bucket->frames++;
    flight->frames++;
    flight->bytes += size;
}

static uint64_t not_acknowledged(const struct flight *flight)
{
    int bytes = 0;
    if (flight->descriptor < 0 || flight->bytes == 0 ||
        ioctl(flight->descriptor, SIOCOUTQ, &bytes) != 0 || bytes <= 0)
        return 0;
    uint64_t mean = flight->bytes / flight->frames;
    return ((uint64_t)bytes + mean) / (mean + 1);
}

static uint64_t recent(const struct flight *flight, uint64_t now_ns)
{
    uint64_t slice = now_ns / WIDTH_NS, frames = 0;
    for (unsigned i = 0; i < FLIGHT_BUCKETS; i++)
        if (flight->buckets[i].slice + FLIGHT_BUCKETS > slice)
            frames += flight->buckets[i].frames;
    return frames;
}

uint64_t flight_end(struct flight *flight, uint64_t now_ns)
{
    uint64_t late = not_acknowledged(flight), young = recent(flight, now_ns);
    uint64_t frames = late > young ? late : young;
    if (frames > flight->frames)
        frames = flight->frames;
    flight_fini(flight);
    flight_init(flight);
    return frames;
}
