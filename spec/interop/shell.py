"""Runs an interactive shell in a terminal of its own, for spec/completion_spec.lua.

    shell.py SHELL [ARGUMENT...]

obeys the lines of its standard input:

    enter COMMAND        types it, and Enter
    tab TEXT             types it, and Tab
    see TEXT             waits until the terminal shows it, behind what was seen before
    erase                takes back the line that was typed

and says what was there where it waited in vain. It ends with "done".
"""

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time

PATIENCE_S = 40
SEQUENCES = re.compile(r"\033\[[0-9;?>=]*[a-zA-Z]|\033\][^\007]*\007|\033[=>(][B0]?|[\r\007\016\017]")

child, master = pty.fork()
if child == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))

said = ""
seen = 0


def type_in(text):
    os.write(master, text.encode())


def shown():
    """What came, without commands to the terminal; what is overwritten is gone."""
    text = SEQUENCES.sub("", said)
    while "\b" in text:
        text = re.sub("[^\b]?\b", "", text, count=1)
    return text


def see(text):
    global said, seen
    end = time.monotonic() + PATIENCE_S
    while True:
        at = shown().find(text, seen)
        if at >= 0:
            seen = at + len(text)
            return
        left = end - time.monotonic()
        if left <= 0:
            print("waited in vain for %s; there was:\n%s" % (text, shown()[seen:]))
            sys.exit(1)
        if select.select([master], [], [], min(left, 1))[0]:
            said += os.read(master, 65536).decode(errors="replace")


for line in sys.stdin:
    word, _, rest = line.rstrip("\n").partition(" ")
    if word == "enter":
        type_in(rest + "\r")
    elif word == "tab":
        type_in(rest + "\t")
    elif word == "see":
        see(rest)
    elif word == "erase":
        type_in("\025")
    else:
        sys.exit("no such word: " + word)
print("done")
os.close(master)
