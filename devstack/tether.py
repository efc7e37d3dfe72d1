"""Runs a program that dies with its parent: `tether.py PARENT_PID DEATH_SIGNAL UID GID PROGRAM [ARG ...]`.

It is started with `python -I -S` and replaces itself by the program, so it imports the standard library only.
UID and GID are -1 when the user stays the same.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def _become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def main(arguments: list[str]) -> int:
    """Tie this process to its parent, then become the program. Returns only when that fails."""
    parent_pid, death_signal, uid, gid = (int(value) for value in arguments[:4])
    program = arguments[4:]
    # Before the user changes: afterwards the libraries may no longer be readable.
    libc = ctypes.CDLL(None, use_errno=True)
    if uid >= 0:
        try:
            _become(uid, gid)
        except PermissionError as error:
            print(f"can't run {program[0]} as uid {uid}: {error.strerror}", file=sys.stderr, flush=True)
            return 126
    # After the user changed, because the kernel forgets the death signal when credentials change.
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent_pid:
        return 125  # The parent died before the signal was armed.
    try:
        os.execv(program[0], program)
    except OSError as error:
        print(f"can't run {program[0]}: {error.strerror}", file=sys.stderr, flush=True)
        return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
