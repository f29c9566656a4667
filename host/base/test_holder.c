/*
 * test_holder.c -- what base/holder.h promises, about sockets of this process and of a child.
 */
#include "base/holder.h"

#include <arpa/inet.h>
#include <assert.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A socket that listens at this address, on a port of its own. */
static int listen_at(const char *host, uint16_t *port)
{
    struct sockaddr_in here = { .sin_family = AF_INET };
    socklen_t          size = sizeof here;
    int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(fd >= 0 && inet_pton(AF_INET, host, &here.sin_addr) == 1);
    assert(bind(fd, (struct sockaddr *)&here, size) == 0 && listen(fd, 1) == 0);
    assert(getsockname(fd, (struct sockaddr *)&here, &size) == 0);
    *port = ntohs(here.sin_port);
    return fd;
}

/* Who listens is found at his address, or at all of them; nobody at another, or once
 * he has gone. */
static void test_own(void)
{
    struct holder holder;
    uint16_t      port;
    int           fd = listen_at("127.0.0.1", &port);
    assert(holder_find("127.0.0.1", port, &holder) == HOLDER_FOUND && holder.pid == getpid());
    assert(holder_find("*", port, &holder) == HOLDER_FOUND && holder.pid == getpid());
    assert(holder_find("127.0.0.2", port, &holder) == HOLDER_UNKNOWN);
    close(fd);
    assert(holder_find("127.0.0.1", port, &holder) == HOLDER_UNKNOWN);

    fd = listen_at("0.0.0.0", &port);
    assert(holder_find("127.0.0.2", port, &holder) == HOLDER_FOUND && holder.pid == getpid());
    close(fd);
}

/* Another process is told by its number and its program's name. */
static void test_other(void)
{
    struct holder holder;
    uint16_t      port;
    int           ready[2];
    char          byte = 0;
    int           fd = listen_at("127.0.0.1", &port);
    assert(pipe(ready) == 0);
    pid_t child = fork();
    assert(child >= 0);
    if (child == 0) {
        prctl(PR_SET_NAME, "port\tholder");
        close(ready[0]);
        assert(write(ready[1], &byte, 1) == 1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert(read(ready[0], &byte, 1) == 1);
    close(ready[0]);
    close(fd);
    assert(holder_find("127.0.0.1", port, &holder) == HOLDER_FOUND);
    assert(holder.pid == child && strcmp(holder.name, "port?holder") == 0);
    kill(child, SIGKILL);
    assert(waitpid(child, NULL, 0) == child);
    assert(holder_find("127.0.0.1", port, &holder) == HOLDER_UNKNOWN);
}

int main(void)
{
    if (access("/proc/net/tcp", R_OK) != 0)
        return 0; /* this machine does not tell */
    test_own();
    test_other();
    return 0;
}
