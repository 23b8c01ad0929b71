"""What the processes below this one have used: processor time and memory, by what they are."""  # noqa: INP001  beside scripts

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PARENT, _USER, _CHILDREN_SYSTEM = 1, 11, 15
"""Places in /proc/PID/stat, counted behind the name."""


def read_cpu_s() -> dict[str, float]:
    """Return the processor time of each kind of process so far, in seconds, with what their ended children took."""
    used: defaultdict[str, float] = defaultdict(float)
    for kind, tree in _trees():
        for pid in tree:
            stat = _stat(pid)
            used[kind] += sum(map(int, stat[_USER:_CHILDREN_SYSTEM])) / _TICKS if stat else 0.0
    return dict(used)


def read_memory_mib() -> dict[str, float]:
    """Return the most memory that each process has had; of one with children (PostgreSQL) what all hold now."""
    held: dict[str, float] = {}
    for kind, tree in _trees():
        name = kind
        number = 1
        while name in held:
            number += 1
            name = f"{kind} {number}"
        if len(tree) == 1:
            held[name] = _kib(f"/proc/{tree[0]}/status", "VmHWM:") / 1024
        else:  # shared pages are shared out among those that have them
            held[name] = sum(_kib(f"/proc/{pid}/smaps_rollup", "\nPss:") for pid in tree) / 1024
    return {name: round(mib, 1) for name, mib in held.items()}


def _trees() -> list[tuple[str, list[int]]]:
    """Each child of this process with all that descend from it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (stat := _stat(int(entry.name))):
            parents.setdefault(int(stat[_PARENT]), []).append(int(entry.name))
    trees = []
    for child in sorted(parents.get(os.getpid(), [])):
        tree = [child]
        for pid in tree:
            tree += parents.get(pid, [])
        trees.append((_kind_of(child), tree))
    return trees


def _kind_of(pid: int) -> str:
    words = [Path(word.decode(errors="replace")).name for word in _read(f"/proc/{pid}/cmdline").split(b"\0")]
    if "gateway.cli" not in words:
        return words[0]
    return " ".join(words[words.index("gateway.cli") + 1 :][:2])


def _stat(pid: int) -> list[str]:
    return _read(f"/proc/{pid}/stat").decode().rpartition(")")[2].split()


def _kib(path: str, name: str) -> int:
    found = _read(path).decode().partition(name)[2].split()
    return int(found[0]) if found else 0


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (FileNotFoundError, ProcessLookupError):  # it has ended
        return b""
