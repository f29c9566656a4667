#!/usr/bin/env python3
"""pricer: knows what a symbol is worth, in Python. Runs until Ctrl-C.

  PriceReq {"symbol": "ACME"}   is answered with  Price {"symbol": "ACME", "price": 100.25}

Any other field, a missing one, or one of another type is a Reject, and so is a symbol that
has no price. It listens where market.lua says that it does: at MARKET_PRICER, or

  python3 examples/market/pricer.py tcp://127.0.0.1:5010

Needs pyzmq (Debian: python3-zmq).
"""
import os
import signal
import sys
from dataclasses import dataclass, fields

from wire import Peer

PRICES = {"ACME": 100.25, "IBEX": 25.5, "ZETA": 4.0}


@dataclass
class PriceReq:
    symbol: str


class BadField(Exception):
    pass


def read(kind, values):
    """The message as a `kind`, which has exactly these fields."""
    known = {field.name: field.type for field in fields(kind)}
    for name in values:
        if name not in known:
            raise BadField("Bad field '%s' in %s: unknown field" % (name, kind.__name__))
    for name, expected in known.items():
        if name not in values:
            raise BadField("Bad field '%s' in %s: missing" % (name, kind.__name__))
        if not isinstance(values[name], expected):
            raise BadField("Bad field '%s' in %s: %s expected" % (name, kind.__name__, expected.__name__))
    return kind(**values)


def on_price_req(peer, message):
    request = read(PriceReq, message.fields)
    price = PRICES.get(request.symbol)
    print("%s: %s" % (request.symbol, price), flush=True)
    if price is None:
        peer.reject(message, "there is no price for %s" % request.symbol)
    else:
        peer.answer(message, "Price", {"symbol": request.symbol, "price": price}, sender="pricer")


HANDLERS = {"PriceReq": on_price_req}


def handle(peer, message):
    if message.receiver != "pricer":
        peer.reject(message, "Actor '%s' not found" % message.receiver)
    elif message.type == "Reject":
        print("Rejected: %s" % message.fields.get("reason"), flush=True)
    elif message.type not in HANDLERS:
        peer.reject(message, "Unknown message type: %s" % message.type)
    else:
        try:
            HANDLERS[message.type](peer, message)
        except BadField as error:
            print("rejected: %s" % error, flush=True)
            peer.reject(message, str(error))


def main(bind=os.environ.get("MARKET_PRICER", "tcp://127.0.0.1:5010")):
    with Peer(bind.replace("//localhost:", "//127.0.0.1:")) as peer:  # a place to listen at is a number
        print("pricer ready at %s" % peer.endpoint, flush=True)
        while True:
            message = peer.receive(timeout=1)
            if message:
                handle(peer, message)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        pass
