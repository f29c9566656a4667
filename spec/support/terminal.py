"""A person at a terminal, for specs: runs a program on a terminal of its own and
plays the lines of standard input, of which each is `send TEXT` (\\r, \\t, \\x03 and such
are written as in Python) or `expect TEXT`, which waits until that has been written since
the last one was met. Prints all that the program wrote; exits with its code, or with 99
and what was missing.

    terminal.py SECONDS PROGRAM [ARGUMENT...]
"""
import codecs
import os
import pty
import re
import select
import sys
import time

SEQUENCES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>()][A-Z0-9]?|[\x07\x0f\r]|.\x08")


def plain(written):
    """Without what moves the cursor."""
    return SEQUENCES.sub(b"", written).decode("utf-8", "replace")


def main():
    steps = [line.rstrip("\n").split(" ", 1) for line in sys.stdin if line.strip()]
    deadline = time.monotonic() + float(sys.argv[1])
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm"
        os.execvp(sys.argv[2], sys.argv[2:])
    written, seen = b"", 0

    def read_some():
        nonlocal written
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([terminal], [], [], left)[0]:
            return False
        try:
            more = os.read(terminal, 65536)
        except OSError:
            return False
        written += more
        return more != b""

    missing = None
    for word, text in steps:
        text = codecs.decode(text.encode("latin-1", "backslashreplace"), "unicode_escape")
        if word == "send":
            os.write(terminal, text.encode())
            continue
        while text not in plain(written)[seen:]:
            if not read_some():
                missing = text
                break
        if missing is not None:
            break
        seen = plain(written).index(text, seen) + len(text)
    while missing is None and read_some():
        pass
    os.close(terminal)
    print(plain(written))
    if missing is not None:
        print("MISSING: " + missing)
        os._exit(99)
    sys.stdout.flush()
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status) & 255)


main()
