"""A piece of the network between two hosts, which a spec can break: forwards TCP
connections to ENDPOINT and back. Held by SIGSTOP it is a silent network; killed,
a broken one.

  relay.py tcp://127.0.0.1:5001     prints its own endpoint, and lives until it is ended
"""
import socket
import sys
import threading


def forward(source, target):
    try:
        while True:
            data = source.recv(65536)
            if not data:
                break
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


host, port = sys.argv[1].removeprefix("tcp://").rsplit(":", 1)
server = socket.create_server(("127.0.0.1", 0))
print("tcp://127.0.0.1:%d" % server.getsockname()[1], flush=True)
while True:
    incoming, _ = server.accept()
    outgoing = socket.create_connection((host, int(port)))
    for pair in ((incoming, outgoing), (outgoing, incoming)):
        threading.Thread(target=forward, args=pair, daemon=True).start()
