"""A peer for spec/dialects_spec.lua that writes as one of the family does, byte
for byte, and dies of what that one would die of. None of our code.

  dialects.py FORM serve [ENDPOINT]   an actor `pong` that answers Ping with Pong
  dialects.py FORM play ENDPOINT      an actor `ping` that says what stands on standard input

FORM is python, c++, rust or java. All know Ping and Pong { count } and Reject. What is
written is printed behind `> `, what comes behind `< `, with ME for our own endpoint.
A frame that kills the real peer prints `dead: why` and ends this one; one that it
drops prints `lost: why`.

A line for play is `RECEIVER TYPE JSON`; in front of it may stand `-` (without a
sender), `~` (with keys in the envelope that nobody knows) and `+` (a further part of
the multipart message that the line before began). A last Ping follows; what comes
before its Pong is all that comes.
"""
import json
import random
import re
import sys
import time

import zmq

PATIENCE_MS = 40000  # nothing takes so long, unless it never comes
LAST = -1            # count of the last Ping

TYPES = {"Ping": {"count"}, "Pong": {"count"}, "Reject": {"message_type", "reason", "rejected_by"}}

context = zmq.Context()


class Dead(Exception):
    pass


class Lost(Exception):
    pass


# ---- how each writes ------------------------------------------------------------

def envelope(sender, endpoint, receiver, message_type, fields):
    return {"sender_actor": sender, "sender_endpoint": endpoint, "receiver": receiver,
            "message_type": message_type, "message": fields}


def compact(parts, **options):
    return json.dumps(parts, separators=(",", ":"), ensure_ascii=False, **options)


class Python:
    replies_have_sender = True
    not_found = "Actor '%s' not found"
    unknown = "Unknown message type: %s. Did you register it with @register_message?"

    def write(self, sender, me, receiver, message_type, fields):
        return json.dumps(envelope(sender, me, receiver, message_type, fields))

    def parse(self, raw):
        try:
            parts = json.loads(raw.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise Dead("recv_json: %s" % error)
        if not isinstance(parts, dict) or "receiver" not in parts:
            raise Dead("there is no receiver in it")
        return parts

    def check(self, parts):
        fields = parts.get("message")
        if not isinstance(fields, dict):
            raise Dead("argument after ** must be a mapping")
        if set(fields) != TYPES[parts["message_type"]]:
            raise Dead("TypeError: %s.__init__() got %s" % (parts["message_type"], sorted(fields)))

    def sender(self, parts):
        name, endpoint = parts.get("sender_actor"), parts.get("sender_endpoint")
        return (name, endpoint) if name and endpoint else None


class Cpp:
    replies_have_sender = False
    not_found = "Actor '%s' not found"
    unknown = "Unknown message type: %s"

    def write(self, sender, me, receiver, message_type, fields):
        return compact(envelope(sender, sender and me, receiver, message_type, fields), sort_keys=True)

    def parse(self, raw):
        parts = strict_json(raw)
        if not isinstance(parts, dict):
            raise Lost("cannot use operator[] with %s" % type(parts).__name__)
        for key in envelope(None, None, None, None, None):
            if key not in parts:
                raise Dead("assertion: there is no %s" % key)
        if not all(isinstance(parts[key], str) for key in ("receiver", "message_type")):
            raise Lost("type must be string")
        return parts

    def check(self, parts):
        fields = parts["message"]
        if not isinstance(fields, dict):
            raise Lost("cannot use operator[] with %s" % type(fields).__name__)
        for field in TYPES[parts["message_type"]]:
            if field not in fields:
                raise Dead("assertion: there is no %s" % field)
            wanted = (int, float) if field == "count" else str
            if not isinstance(fields[field], wanted):
                raise Lost("type must be %s" % ("number" if field == "count" else "string"))

    def sender(self, parts):
        if parts["sender_actor"] is None:
            return None
        if not all(isinstance(parts[key], str) for key in ("sender_actor", "sender_endpoint")):
            raise Lost("type must be string")
        return parts["sender_actor"], parts["sender_endpoint"]


class Rust:
    replies_have_sender = True
    not_found = "Actor '%s' not found"
    unknown = "Unknown message type: %s"

    def write(self, sender, me, receiver, message_type, fields):
        return compact(envelope(sender, sender and me, receiver, message_type, fields), sort_keys=True)

    def parse(self, raw):
        parts = strict_json(raw)
        return parts if isinstance(parts, dict) else {}

    def check(self, parts):
        fields = parts.get("message")
        if not isinstance(fields, dict):
            raise Dead("invalid type, expected struct %s" % parts["message_type"])
        for field in TYPES[parts["message_type"]]:
            value = fields.get(field)
            if field == "count":
                if type(value) is not int or not -2**31 <= value < 2**31:
                    raise Dead("%s: expected i32" % field)
            elif not isinstance(value, str):
                raise Dead("%s: expected a string" % field)

    def sender(self, parts):
        name, endpoint = parts.get("sender_actor"), parts.get("sender_endpoint")
        return (name, endpoint) if isinstance(name, str) and isinstance(endpoint, str) else None


class Java:
    replies_have_sender = True
    not_found = "Unknown actor: %s"

    def write(self, sender, me, receiver, message_type, fields):
        if message_type == "Reject":
            fields = {"messageType": fields["message_type"], "reason": fields["reason"],
                      "rejectedBy": fields["rejected_by"]}
        parts = envelope(sender, me, receiver, message_type, fields)
        text = compact({key: part for key, part in parts.items() if part is not None})
        return re.sub("[<>&='\u2028\u2029]", lambda found: "\\u%04x" % ord(found.group()), text)

    def parse(self, raw):
        parts = strict_json(raw)
        if not isinstance(parts, dict) or not all(
                isinstance(parts.get(key), str) for key in ("receiver", "message_type")):
            raise Lost("Failed to deserialize")
        if parts["message_type"] not in TYPES:
            raise Lost("Failed to deserialize: Unknown message type: %s" % parts["message_type"])
        return parts

    def check(self, parts):
        fields = parts.get("message")
        if fields is None:
            raise Dead("NullPointerException: there is no message")
        if not isinstance(fields, dict) or type(fields.get("count", 0)) not in (int, float):
            raise Lost("Failed to deserialize: expected an int")

    sender = Rust.sender


def strict_json(raw):
    def refuse(constant):
        raise ValueError(constant)
    try:
        return json.loads(raw.decode("utf-8"), parse_constant=refuse)
    except ValueError as error:
        raise Lost("parse error: %s" % error)


FORMS = {"python": Python(), "c++": Cpp(), "rust": Rust(), "java": Java()}


# ---- a peer ---------------------------------------------------------------------

class Peer:
    def __init__(self, form, name, endpoint=None):
        self.form, self.name = FORMS[form], name
        self.pushes = {}
        self.pull = context.socket(zmq.PULL)
        self.bind(endpoint)

    def bind(self, endpoint):
        """At one port below those that the system gives away, so that it is free again later."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while True:
            place = endpoint or "tcp://127.0.0.1:%d" % random.randint(20000, 30000)
            try:
                self.pull.bind(place)
                self.me = place
                return
            except zmq.ZMQError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def show(self, mark, frame):
        text = frame if isinstance(frame, str) else frame.decode("utf-8", "backslashreplace")
        print(mark, text.replace(self.me, "ME"), flush=True)

    def push(self, endpoint):
        if endpoint not in self.pushes:
            self.pushes[endpoint] = context.socket(zmq.PUSH)
            try:
                self.pushes[endpoint].connect(endpoint)
            except zmq.ZMQError as error:
                raise Dead("connect to %s: %s" % (endpoint, error))
        return self.pushes[endpoint]

    def send(self, sender, to, endpoint, message_type, fields):
        frame = self.form.write(sender, self.me, to, message_type, fields)
        self.show(">", frame)
        self.push(endpoint).send(frame.encode("utf-8"))

    def receive(self, raw):
        """A message for us, or None if it was rejected or dropped. Raises Dead."""
        try:
            return self.understand(raw)
        except Lost as why:
            print("lost:", why, flush=True)
            return None

    def understand(self, raw):
        parts = self.form.parse(raw)
        sender = self.form.sender(parts)
        receiver, message_type = parts.get("receiver"), parts.get("message_type")
        if receiver != self.name:
            return self.reject(sender, receiver, message_type, self.form.not_found % receiver)
        if message_type not in TYPES:
            return self.reject(sender, receiver, message_type, self.form.unknown % message_type)
        self.form.check(parts)
        return message_type, parts["message"], sender

    def reject(self, sender, receiver, message_type, reason):
        if sender is not None:
            self.send(None, *sender, "Reject",
                      {"message_type": message_type, "reason": reason, "rejected_by": receiver})

    def answer_ping(self, fields, sender):
        if sender is not None:
            self.send(self.form.replies_have_sender and self.name or None, *sender, "Pong", fields)
        elif not self.form.replies_have_sender:
            raise Dead('assertion: "no return address"')


def serve(form, endpoint=None):
    peer = Peer(form, "pong", endpoint)
    print("listening on", peer.me, flush=True)
    while True:
        raw = peer.pull.recv()
        peer.show("<", raw)
        message = peer.receive(raw)
        if message and message[0] == "Ping":
            peer.answer_ping(message[1], message[2])


# ---- play -----------------------------------------------------------------------

def frame_of(peer, line):
    marks, receiver, message_type, fields = re.match(r"([-~+]*)(\S+) (\S+) (.*)", line).groups()
    frame = peer.form.write(None if "-" in marks else "ping", peer.me, receiver, message_type,
                            json.loads(fields))
    if "~" in marks:
        frame = '{"trace": {"id": [7, null]}, "v": 2, ' + frame[1:]
    return marks, frame


def play(form, endpoint):
    peer = Peer(form, "ping")
    peer.pull.setsockopt(zmq.RCVTIMEO, PATIENCE_MS)
    push = peer.push(endpoint)
    messages = []
    for line in sys.stdin.read().splitlines():
        marks, frame = frame_of(peer, line)
        peer.show(">", frame)
        if "+" in marks:
            messages[-1].append(frame.encode("utf-8"))
        else:
            messages.append([frame.encode("utf-8")])
    for parts in messages:
        push.send_multipart(parts)
    push.send(peer.form.write("ping", peer.me, "pong", "Ping", {"count": LAST}).encode("utf-8"))
    while True:
        raw = peer.pull.recv()
        message = peer.receive(raw)
        if message and message[1] == {"count": LAST}:
            return
        peer.show("<", raw)


if __name__ == "__main__":
    try:
        {"serve": serve, "play": play}[sys.argv[2]](sys.argv[1], *sys.argv[3:])
    except Dead as why:
        print("dead:", why, flush=True)
        sys.exit(3)
    finally:
        context.destroy(linger=0)
