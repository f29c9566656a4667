"""Who else may have a port: servers for the doctor's examinations in
spec/tools_spec.lua. Prints its endpoint, and then lives until it is ended.

  stranger.py http      an HTTP server, which waits to be asked
  stranger.py banner    says SSH's greeting as soon as it is connected to
  stranger.py mute      accepts connections, and never says a word
  stranger.py hangup    accepts connections, and closes them
  stranger.py old       greets as libzmq 3 does
  stranger.py stalled   greets as libzmq 4 does, and then says no more
  stranger.py rep       a REP socket of ZeroMQ
  stranger.py curve     a PULL socket that wants CURVE
  stranger.py denied    a PULL socket that admits nobody
  stranger.py deaf      a PULL socket that is never read: a receiver that has died
"""
import http.server
import socket
import sys
import time

import zmq
import zmq.auth.thread

context = zmq.Context()
kept = []  # connections and sockets: they live as long as we do


def for_ever():
    while True:
        time.sleep(3600)


def tcp(serve):
    server = socket.create_server(("127.0.0.1", 0))
    print("tcp://127.0.0.1:%d" % server.getsockname()[1], flush=True)
    while True:
        connection, _ = server.accept()
        kept.append(connection)
        serve(connection)


def greeting(major, *rest):
    return bytes([0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, major, *rest])


def zeromq(kind, prepare=lambda one: None):
    one = context.socket(kind)
    kept.append(one)
    prepare(one)
    print("tcp://127.0.0.1:%d" % one.bind_to_random_port("tcp://127.0.0.1"), flush=True)
    for_ever()


def want_curve(one):
    _, secret = zmq.curve_keypair()
    one.curve_server, one.curve_secretkey = True, secret


def admit_nobody(one):
    authenticator = zmq.auth.thread.ThreadAuthenticator(context)
    authenticator.start()
    authenticator.deny("127.0.0.1")
    kept.append(authenticator)
    one.zap_domain = b"global"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass


def web():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print("tcp://127.0.0.1:%d" % server.server_address[1], flush=True)
    server.serve_forever()


MODES = {
    "http": web,
    "banner": lambda: tcp(lambda one: one.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")),
    "mute": lambda: tcp(lambda one: None),
    "hangup": lambda: tcp(lambda one: one.close()),
    "old": lambda: tcp(lambda one: one.sendall(greeting(1, 7, 0, 0))),
    "stalled": lambda: tcp(lambda one: one.sendall(greeting(3, 0, *b"NULL".ljust(52, b"\0")))),
    "rep": lambda: zeromq(zmq.REP),
    "curve": lambda: zeromq(zmq.PULL, want_curve),
    "denied": lambda: zeromq(zmq.PULL, admit_nobody),
    "deaf": lambda: zeromq(zmq.PULL),
}

if __name__ == "__main__":
    MODES[sys.argv[1]]()
