"""A TCP client that does what is asked of it, for the specs of streams.

    tcp.py PORT reset          says a line, then vanishes with a RST
    tcp.py PORT crowd COUNT    COUNT connections at once, each says its number and
                               hears it again; half of them go when no more answer
    tcp.py PORT flood BYTES    so many bytes without an end of line; says what comes back
"""

import select
import socket
import struct
import sys

PATIENCE_S = 60


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)


def reset(port):
    client = connect(port)
    client.sendall(b"about to vanish\n")
    assert client.recv(100)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def crowd(port, count):
    clients = {}
    for number in range(count):
        client = connect(port)
        client.sendall(b"%d\n" % number)
        clients[client] = number
    answered = 0
    while clients:
        ready, _, _ = select.select(list(clients), [], [], PATIENCE_S)
        assert ready, "%d were never answered" % len(clients)
        for client in ready:
            number = clients.pop(client)
            assert client.recv(100) == b"%d\n" % number
            client.close()
            answered += 1
    print("answered", answered)


def flood(port, size):
    client = connect(port)
    try:
        client.sendall(b"x" * size)
        print("heard", client.recv(100))
    except OSError as error:
        print("broken", type(error).__name__)


if __name__ == "__main__":
    port, what, numbers = int(sys.argv[1]), sys.argv[2], map(int, sys.argv[3:])
    {"reset": reset, "crowd": crowd, "flood": flood}[what](port, *numbers)
