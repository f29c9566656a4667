"""A peer of the family for spec/interop_spec.lua: plain PUSH and PULL sockets,
json.dumps and json.loads, and none of our code.

  peer.py exchange ENDPOINT    says what stands on standard input, prints what comes back
  peer.py oversize ENDPOINT    sends a frame that is too large, waits to be thrown out
  peer.py http ENDPOINT        talks HTTP to the port
  peer.py serve python         an actor `pong` that answers Ping with Pong

A line on standard input is a frame, in which ME stands for our own endpoint; or,
after `hex `, its bytes; or, after `parts `, frames of one multipart message,
separated by tabs. When all is said, a last Ping follows on the same connection
to the actor `pong`: what comes before its Pong is all that comes.

A frame that came is printed with `=` in front if it is byte for byte what
json.dumps makes of its content, else with `!`.
"""
import errno
import json
import socket
import sys

import zmq
import zmq.utils.monitor

PATIENCE_MS = 40000  # nothing takes so long, unless it never comes
LAST = -1            # count of the last Ping

context = zmq.Context()


def bound():
    pull = context.socket(zmq.PULL)
    pull.setsockopt(zmq.RCVTIMEO, PATIENCE_MS)
    port = pull.bind_to_random_port("tcp://127.0.0.1")
    return pull, "tcp://localhost:%d" % port


def connected(endpoint):
    push = context.socket(zmq.PUSH)
    push.connect(endpoint)
    return push


def envelope(sender, endpoint, receiver, message_type, message):
    return {"sender_actor": sender, "sender_endpoint": endpoint, "receiver": receiver,
            "message_type": message_type, "message": message}


def show(frame):
    text = frame.decode("utf-8")
    same = json.dumps(json.loads(text)) == text
    print("=" if same else "!", text, flush=True)


# ---- exchange -----------------------------------------------------------------

def say(push, line, me):
    if line.startswith(b"hex "):
        push.send(bytes.fromhex(line[4:].decode("ascii")))
    elif line.startswith(b"parts "):
        push.send_multipart([part.replace(b"ME", me) for part in line[6:].split(b"\t")])
    else:
        push.send(line.replace(b"ME", me))


def exchange(endpoint):
    pull, me = bound()
    push = connected(endpoint)
    for line in sys.stdin.buffer.read().splitlines():
        say(push, line, me.encode("ascii"))
    push.send_json(envelope("last", me, "pong", "Ping", {"count": LAST}))
    while True:
        frame = pull.recv()
        if json.loads(frame)["message"] == {"count": LAST}:
            return
        show(frame.replace(me.encode("ascii"), b"ME"))


# ---- what no peer should do ------------------------------------------------------

def oversize(endpoint):
    push = context.socket(zmq.PUSH)
    monitor = push.get_monitor_socket()
    push.setsockopt(zmq.RECONNECT_IVL, -1)
    push.connect(endpoint)
    text = json.dumps(envelope(None, None, "pong", "Ping", {"pad": ""}))
    push.send(text.replace('""', '"%s"' % ("x" * (1024 * 1024 + 1 - len(text)))).encode("ascii"))
    while monitor.poll(PATIENCE_MS):
        event = zmq.utils.monitor.recv_monitor_message(monitor)["event"]
        if event == zmq.EVENT_DISCONNECTED:
            print("disconnected")
            break
    push.close(0)


def http(endpoint):
    host, port = endpoint[len("tcp://"):].split(":")
    body = json.dumps(envelope(None, None, "pong", "Ping", {"count": 1}))
    with socket.create_connection((host, int(port)), PATIENCE_MS / 1000) as connection:
        try:
            connection.sendall(("POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                               .encode("ascii"))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
        except ConnectionError:
            pass
        except OSError as error:
            if error.errno != errno.ENOTCONN:  # by now thrown out
                raise
    print("disconnected")


# ---- serve --------------------------------------------------------------------

def answer(frame):
    """Who answers, the type, and the fields: as the family's Python does."""
    receiver, message_type = frame["receiver"], frame["message_type"]
    if receiver != "pong":
        reason = "Actor '%s' not found" % receiver
    elif message_type != "Ping":
        reason = "Unknown message type: %s. Did you register it with @register_message?" % message_type
    else:
        return "pong", "Pong", frame["message"]
    return None, "Reject", {"message_type": message_type, "reason": reason, "rejected_by": receiver}


def serve(_):
    pull, me = bound()
    pull.setsockopt(zmq.RCVTIMEO, -1)
    print(me, flush=True)
    pushes = {}
    while True:
        raw = pull.recv()
        show(raw)
        frame = json.loads(raw)
        endpoint = frame["sender_endpoint"]
        if endpoint is None or frame["message_type"] == "Hush":
            continue
        if endpoint not in pushes:
            pushes[endpoint] = connected(endpoint)
        sender, message_type, message = answer(frame)
        pushes[endpoint].send_json(envelope(sender, me, frame["sender_actor"], message_type, message))


if __name__ == "__main__":
    {"exchange": exchange, "oversize": oversize, "http": http, "serve": serve}[sys.argv[1]](sys.argv[2])
    context.destroy(linger=0)
