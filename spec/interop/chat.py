"""Clients of the chat, for its spec.

    chat.py PORT play          plays what stands on its standard input, line by line:
        alice comes            connects, and reads the two lines of the welcome
        alice comes to PORT    connects elsewhere, and reads nothing
        alice says TEXT        types a line; TEXT may have Python's escapes (\\xff, \\r)
        alice sees TEXT        the next line that she is shown is this
        alice finds TEXT       one of the next lines is this
        alice insists TEXT => ANSWER   types a line again and again, until ANSWER is the next
                               line that she is shown
        alice ends             sends the end of her input, but goes on reading
        alice vanishes         is gone, with a RST
        alice is out           the server has ended her connection, and shows no more
    chat.py PORT crowd COUNT   so many come at once, take names, and all say one thing
    chat.py PORT flood LINES   somebody says LINES lines of 1000 bytes, one hears it all,
                               another does not read; prints what became of them
    chat.py PORT vanish COUNT  so many come and are gone with a RST at once; one stays until
                               the server has noticed
    chat.py PORT last COUNT    so many wait until the server stops; prints their last lines
"""

import os
import select
import signal
import socket
import struct
import sys
import time

PATIENCE_S = 120


class Client:
    def __init__(self, port, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(("127.0.0.1", port))
        self.rest = b""

    def say(self, text):
        self.socket.sendall(text.encode("latin-1") + b"\n")

    def line(self):
        """The next line; None when there is none."""
        while b"\n" not in self.rest:
            piece = self.socket.recv(65536)
            if not piece:
                return None
            self.rest += piece
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode()

    def lines_there(self):
        """Reads once; the lines that are complete."""
        self.rest += self.socket.recv(65536)
        *lines, self.rest = self.rest.split(b"\n")
        return [line.decode() for line in lines]

    def find(self, text):
        seen = []
        while True:
            line = self.line()
            assert line is not None, "no '%s' came, but %s" % (text, seen[-10:])
            if line == text:
                return
            seen.append(line)

    def insist(self, text, answer):
        deadline = time.monotonic() + PATIENCE_S
        line = None
        while line != answer:
            assert time.monotonic() < deadline, "what came is '%s'" % line
            self.say(text)
            line = self.line()

    def vanish(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def enter(port, nick, **options):
    client = Client(port, **options)
    client.line(), client.line()
    client.say("/nick " + nick)
    client.find("* You are %s now." % nick)
    return client


def play(port):
    clients = {}
    for number, step in enumerate(sys.stdin.read().splitlines(), 1):
        if not step.strip():
            continue
        who, what, *rest = step.split(None, 2)
        text = rest[0] if rest else ""
        try:
            if what == "comes" and text:
                clients[who] = Client(int(text.split()[1]))
            elif what == "comes":
                clients[who] = Client(port)
                clients[who].line(), clients[who].line()
            elif what == "says":
                clients[who].say(text.encode().decode("unicode_escape"))
            elif what == "sees":
                line = clients[who].line()
                assert line == text, "what came is '%s'" % line
            elif what == "finds":
                clients[who].find(text)
            elif what == "insists":
                clients[who].insist(*text.split(" => "))
            elif what == "ends":
                clients[who].socket.shutdown(socket.SHUT_WR)
            elif what == "vanishes":
                clients.pop(who).vanish()
            elif what == "is":
                line = clients[who].line()
                assert line is None, "there is '%s'" % line
            else:
                raise AssertionError("nobody knows how to do this")
        except (AssertionError, OSError) as error:
            sys.exit("line %d: %s: %s" % (number, step.strip(), error))


def crowd(port, count):
    clients = [enter(port, "c%d" % number) for number in range(count)]
    heard = [[] for _ in clients]
    for number, client in enumerate(clients):
        client.say("I am %d" % number)
    by_socket = {client.socket: number for number, client in enumerate(clients)}
    missing = set(range(count))
    while missing:
        ready, _, _ = select.select([clients[n].socket for n in missing], [], [], PATIENCE_S)
        assert ready, "%d have not heard all" % len(missing)
        for sock in ready:
            number = by_socket[sock]
            heard[number] += [line for line in clients[number].lines_there() if line.startswith("c")]
            if len(heard[number]) == count - 1:
                missing.remove(number)
    for number, lines in enumerate(heard):
        own = {"c0: I am 0", "c%d: I am %d" % (number, number)}
        assert len(set(lines)) == count - 1
        assert [line for line in lines if line not in own] == [line for line in heard[0] if line not in own], \
            "c%d has heard them in another order" % number
    print("%d heard %d others each, in one order" % (count, count - 1))


def flood(port, count):
    speaker, reader, deaf = enter(port, "speaker"), enter(port, "reader"), enter(port, "deaf", receive_buffer=4096)
    took, asked, told, said, dropped_at = [], [], [], 0, None
    while len(took) < count:
        while said < count and said - len(took) < 64:
            asked.append(time.monotonic())
            speaker.say("%d " % said + "x" * 990)
            said += 1
        ready, _, _ = select.select([reader.socket, speaker.socket], [], [], PATIENCE_S)
        assert ready, "nothing came after %d lines" % len(took)
        if speaker.socket in ready:
            told += speaker.lines_there()
        if reader.socket in ready:
            for line in reader.lines_there():
                if line == "* deaf was dropped: does not read.":
                    dropped_at = len(took)
                    continue
                if line.startswith("*"):
                    continue
                assert line.startswith("speaker: %d " % len(took)), line[:30]
                took.append(time.monotonic() - asked[len(took)])
    assert dropped_at is not None, "the one that does not read was never dropped"
    if told[-1] != "* deaf was dropped: does not read.":
        speaker.find("* deaf was dropped: does not read.")
    print("p99_ms=%d dropped_at=%d" % (sorted(took)[len(took) * 99 // 100] * 1000, dropped_at))
    deaf.socket.close()


def vanish(port, count):
    watcher = enter(port, "watcher")
    for _ in range(count):
        Client(port).vanish()
    latest = enter(port, "latest")  # who comes in when the server has seen them all
    latest.insist("/rooms", "* lobby (2)")
    watcher.socket.close()


def last(port, count):
    clients = [enter(port, "c%d" % number) for number in range(count)]
    for number, client in enumerate(clients):  # all of what was said when they came
        client.say("/msg c%d it is me" % number)
        client.find("[c%d] it is me" % number)
    print("all are here", flush=True)
    for client in clients:
        lines = []
        while (line := client.line()) is not None:
            lines.append(line)
        print(lines[-1] if lines else "nothing", len(lines))


if __name__ == "__main__":
    signal.alarm(PATIENCE_S * 2)
    port, what, numbers = int(sys.argv[1]), sys.argv[2], map(int, sys.argv[3:])
    {"play": play, "crowd": crowd, "flood": flood, "vanish": vanish, "last": last}[what](port, *numbers)
    sys.stdout.flush()
    os._exit(0)
