"""Flat JSON over REQ/REP, for spec/registry_spec.lua: plain sockets, json.dumps
and json.loads, and none of our code.

  flat.py ask ENDPOINT           says each line of standard input, prints each answer
  flat.py oversize ENDPOINT      says what is too large, waits to be thrown out; then asks again
  flat.py crowd ENDPOINT N M     N askers at once, M questions each; prints how many right answers
  flat.py parts ENDPOINT         frames that no REQ socket sends, then a good question
  flat.py registry PORT SILENCE  a registry that does what the family's does; PORT 0: any

A line on standard input is a request, or after `hex ` its bytes, or after `deep N`
N arrays in each other.

The registry prints its endpoint, then `TYPE NAME` for each request but lookups and
heartbeats. It forgets a manager, with its actors, that was silent for SILENCE
seconds, and acknowledges its heartbeats all the same. `Die` kills it on the spot,
`Mute` makes it leave the next requests, so many as `count` says, without an answer,
`Babble` answers with what is no flat JSON, and `Forget` forgets everybody.
"""
import json
import os
import sys
import time

import zmq
import zmq.utils.monitor

PATIENCE_MS = 40000  # nothing takes so long, unless it never comes

context = zmq.Context()


def connected(endpoint, kind=zmq.REQ):
    asker = context.socket(kind)
    asker.setsockopt(zmq.RCVTIMEO, PATIENCE_MS)
    asker.setsockopt(zmq.LINGER, 0)
    asker.connect(endpoint)
    return asker


def request(line):
    if line.startswith(b"hex "):
        return bytes.fromhex(line[4:].decode("ascii"))
    if line.startswith(b"deep "):
        return b'{"message_type": "Heartbeat", "manager_id": ' + b"[" * int(line[5:])
    return line


def ask(endpoint):
    asker = connected(endpoint)
    for line in sys.stdin.buffer.read().splitlines():
        asker.send(request(line))
        print(asker.recv().decode("utf-8"), flush=True)


def oversize(endpoint):
    asker = connected(endpoint)
    asker.setsockopt(zmq.RECONNECT_IVL, -1)
    monitor = asker.get_monitor_socket()
    asker.send(b'{"message_type": "Heartbeat", "manager_id": "' + b"x" * (1024 * 1024))
    while monitor.poll(PATIENCE_MS):
        event = zmq.utils.monitor.recv_monitor_message(monitor)["event"]
        if event == zmq.EVENT_DISCONNECTED:
            print("disconnected")
            break
    asker.disable_monitor()
    again = connected(endpoint)
    again.send_json({"message_type": "Heartbeat", "manager_id": "x"})
    print(again.recv().decode("utf-8"))


def crowd(endpoint, askers, questions):
    poller = zmq.Poller()
    left, names, right = {}, {}, 0
    for number in range(int(askers)):
        asker = connected(endpoint)
        left[asker], names[asker] = int(questions), "asker-%d" % number
        asker.send_json({"message_type": "LookupActor", "actor_name": names[asker]})
        poller.register(asker, zmq.POLLIN)
    while left:
        ready = poller.poll(PATIENCE_MS)
        if not ready:
            break
        for asker, _ in ready:
            right += asker.recv_json() == {"message_type": "LookupResult", "actor_name": names[asker],
                                           "endpoint": None, "online": False}
            left[asker] -= 1
            if left[asker] == 0:
                poller.unregister(asker)
                del left[asker]
            else:
                asker.send_json({"message_type": "LookupActor", "actor_name": names[asker]})
    print(right)


def parts(endpoint):
    dealer = connected(endpoint, zmq.DEALER)
    beat = b'{"message_type": "Heartbeat", "manager_id": "x"}'
    dealer.send_multipart([beat])                         # no empty part: nobody can answer
    dealer.send_multipart([b"x" * 2000, b"", beat])       # too much in front
    dealer.send_multipart([b"1"] * 20 + [b"", beat])      # too many parts in front
    dealer.send_multipart([b"", beat, beat])              # answered: one text is expected
    dealer.send_multipart([b"", b"", beat])               # so is this
    dealer.send_multipart([b""])                          # and this
    dealer.send_multipart([b"one", b"two", b"", beat])    # right, and comes back behind its own
    for _ in range(4):
        print(b"|".join(dealer.recv_multipart()).decode("utf-8"), flush=True)


class Registry:
    """As the family's: names are taken, and forgotten with a silent manager."""

    def __init__(self, silence):
        self.silence, self.names, self.heard = silence, {}, {}
        self.mute = self.babble = 0

    def sweep(self):
        now = time.monotonic()
        for manager in [m for m, heard in self.heard.items() if now - heard > self.silence]:
            del self.heard[manager]
            self.names = {n: e for n, e in self.names.items() if e[1] != manager}

    def answer(self, message):
        kind, name = message["message_type"], message.get("actor_name")
        if kind == "RegisterActor":
            if name in self.names:
                return {"message_type": "RegistrationFailed", "actor_name": name,
                        "reason": "Name already registered"}
            self.names[name] = (message["actor_endpoint"], message["manager_id"])
            self.heard[message["manager_id"]] = time.monotonic()
            return {"message_type": "RegistrationOk", "actor_name": name}
        if kind == "UnregisterActor":
            self.names.pop(name, None)
            return {"message_type": "RegistrationOk", "actor_name": name}
        if kind == "LookupActor":
            endpoint, manager = self.names.get(name, (None, None))
            return {"message_type": "LookupResult", "actor_name": name, "endpoint": endpoint,
                    "online": manager in self.heard}
        if kind == "Heartbeat":
            self.heard[message["manager_id"]] = time.monotonic()
            return {"message_type": "HeartbeatAck"}
        return self.special(kind, message)

    def special(self, kind, message):
        if kind == "Die":
            os._exit(9)
        if kind == "Mute":
            self.mute = message["count"]
        elif kind == "Babble":
            self.babble = message["count"]
        elif kind == "Forget":
            self.names = {}
        else:
            return {"error": "Unknown message type: %s" % kind}
        return {"message_type": "Done"}


def registry(port, silence):
    # A ROUTER may leave a request without an answer; what it sends is what a REP would.
    socket = context.socket(zmq.ROUTER)
    socket.bind("tcp://127.0.0.1:%s" % (port if port != "0" else "*"))
    print(socket.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode("ascii"), flush=True)
    knows = Registry(float(silence))
    while True:
        if not socket.poll(100):
            knows.sweep()
            continue
        frames = socket.recv_multipart()
        knows.sweep()
        message = json.loads(frames[-1].decode("utf-8"))
        if message["message_type"] not in ("LookupActor", "Heartbeat"):
            print(message["message_type"], message.get("actor_name"), flush=True)
        if knows.mute:
            knows.mute -= 1
            continue
        text = json.dumps(knows.answer(message))
        if knows.babble and message["message_type"] != "Babble":
            knows.babble -= 1
            text = text[:-1]
        socket.send_multipart(frames[:-1] + [text.encode("utf-8")])


if __name__ == "__main__":
    modes = {"ask": ask, "oversize": oversize, "crowd": crowd, "parts": parts, "registry": registry}
    modes[sys.argv[1]](*sys.argv[2:])
    context.destroy(linger=0)
