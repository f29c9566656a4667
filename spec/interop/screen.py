"""Runs a program that draws on the whole terminal in one of its own, for specs.

    screen.py COLUMNSxROWS PROGRAM [ARGUMENT...]

obeys the lines of its standard input:

    see TEXT       waits until the picture shows it
    miss TEXT      waits until a picture does not
    press KEY      up, down, enter, escape, ^C, ^Z, or letters
    size 60x10     another size from now on
    signal TERM    to the program; likewise
    run COMMAND    in a shell, elsewhere
    picture        prints it: its lines between two lines of dashes
    stopped        waits until the program has stopped itself; and lets it go on
    end            waits for its end; prints its code, and "restored" if the terminal is
                   as it was, and shows what it did

and says what it saw where it waited in vain.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

PATIENCE_S = 40
KEYS = {"up": "\033[A", "down": "\033[B", "page_down": "\033[6~", "end": "\033[F", "enter": "\r",
        "escape": "\033", "backspace": "\177", "^C": "\003", "^Z": "\032"}

master, slave = pty.openpty()


def resize(text):
    columns, rows = (int(number) for number in text.split("x"))
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


resize(sys.argv[1])
before = termios.tcgetattr(slave)
child = os.fork()
if child == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for descriptor in range(3):
        os.dup2(slave, descriptor)
    os.closerange(3, 256)
    os.execvp(sys.argv[2], sys.argv[2:])

said = ""


def listen(end):
    """Hears more, until `end` at most."""
    global said
    left = end - time.monotonic()
    if left > 0 and select.select([master], [], [], min(left, 1))[0]:
        said += os.read(master, 65536).decode(errors="replace")


def picture():
    """The last picture that is complete, as lines without colours."""
    whole = re.findall(r"\033\[H((?:(?!\033\[H).)*)\033\[J", said, re.S)
    text = whole[-1] if whole else ""
    return re.sub(r"\033\[[0-9;?]*[a-zA-Z]", "", text).replace("\r", "").split("\n")


def await_that(holds, what):
    end = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() >= end:
            print("waited in vain for %s; there was:" % what)
            print("\n".join(picture()), "\n", said[-3000:].encode())
            sys.exit(1)
        listen(end)


def status_of(wanted):
    found = []

    def look():
        pid, status = os.waitpid(child, os.WNOHANG | os.WUNTRACED)
        if pid == child:
            found.append(status)
        return found and wanted(found[-1])

    return look, found


def obey(word, rest):
    global said
    if word == "see":
        await_that(lambda: rest in "\n".join(picture()), rest)
    elif word == "miss":
        await_that(lambda: rest not in "\n".join(picture()), "the end of " + rest)
    elif word == "press":
        os.write(master, KEYS.get(rest, rest).encode())
    elif word == "size":
        resize(rest)
    elif word == "signal":
        os.kill(child, getattr(signal, "SIG" + rest))
    elif word == "run":
        subprocess.run(rest, shell=True, check=True, timeout=PATIENCE_S)
    elif word == "picture":
        print("-----\n%s\n-----" % "\n".join(picture()))
    elif word == "stopped":
        look, _ = status_of(os.WIFSTOPPED)
        await_that(look, "its stop")
        print("restored" if termios.tcgetattr(slave) == before else "not restored")
        said = ""
        os.kill(child, signal.SIGCONT)
    elif word == "end":
        look, found = status_of(lambda status: os.WIFEXITED(status) or os.WIFSIGNALED(status))
        await_that(look, "its end")
        listen(time.monotonic() + 0.2)
        status = found[-1]
        print(os.WEXITSTATUS(status) if os.WIFEXITED(status) else "signal %d" % os.WTERMSIG(status))
        entered, left = said.rfind("\033[?1049h"), said.rfind("\033[?1049l")
        same = termios.tcgetattr(slave) == before
        print("restored" if same and left > entered and "\033[?25h" in said[entered:] else "not restored")
        print(re.sub(r"\033\[[0-9;?]*[a-zA-Z]", "", said[max(left, 0):]).replace("\r", "").strip())
    else:
        sys.exit("no such word: " + word)


for line in sys.stdin:
    obey(*(line.rstrip("\n").split(" ", 1) + [""])[:2])
