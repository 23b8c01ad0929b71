"""A slow and lossy wire: two network namespaces, joined by TUN devices through a program that delays and drops.

usage: wire.py SEED RATE_BIT_S LOSS DELAY_S

The kernel of a small machine may lack netem; this needs network namespaces and /dev/net/tun only. It prints
``READY {"near": PID, "far": PID}``: processes that live in the namespaces, for nsenter.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import json
import os
import random
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

NEAR, FAR = "10.99.0.1", "10.99.0.2"
_CLONE_NEWNET = 0x40000000
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
QUEUE_BYTES = 48 * 1024
"""What waits for the wire; what does not fit is dropped, as routers do."""
_PR_SET_PDEATHSIG = 1


def _open_end(address: str, peer: str) -> tuple[int, int]:
    """Make a namespace with one end of the wire; return its device and the process that keeps it."""
    keeper = os.fork()
    if keeper == 0:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
            os._exit(1)
        os.kill(os.getpid(), signal.SIGSTOP)
        signal.pause()
        os._exit(0)
    _, status = os.waitpid(keeper, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        raise OSError("no network namespace may be made here")
    os.kill(keeper, signal.SIGCONT)
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net") as ours, open(f"/proc/{keeper}/ns/net") as theirs:  # noqa: PTH123  kernel interfaces
        if libc.setns(theirs.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        try:
            device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", b"wire", _IFF_TUN | _IFF_NO_PI))
            for command in (
                ("ip", "link", "set", "lo", "up"),
                ("ip", "addr", "add", address, "peer", peer, "dev", "wire"),
                ("ip", "link", "set", "wire", "up"),
            ):
                subprocess.run(command, check=True)  # noqa: S603  written above
        finally:
            libc.setns(ours.fileno(), _CLONE_NEWNET)
    return device, keeper


class Direction:
    """Packets one way: each waits for those before it, then for the delay, unless it is lost."""

    def __init__(
        self, source: int, target: int, rng: random.Random, rate_bit_s: float, loss: float, delay_s: float
    ) -> None:
        self._source, self._target, self._rng = source, target, rng
        self._rate_byte_s, self._loss, self._delay_s = rate_bit_s / 8, loss, delay_s
        self._free_at_s = 0.0
        asyncio.get_running_loop().add_reader(source, self._take)

    def _take(self) -> None:
        packet = os.read(self._source, 65536)
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        waits_s = max(0.0, self._free_at_s - now_s)
        if waits_s * self._rate_byte_s > QUEUE_BYTES or self._rng.random() < self._loss:
            return
        self._free_at_s = now_s + waits_s + len(packet) / self._rate_byte_s
        loop.call_at(self._free_at_s + self._delay_s, self._give, packet)

    def _give(self, packet: bytes) -> None:
        with suppress(BlockingIOError):  # lost as well
            os.write(self._target, packet)


async def _carry(make: Callable[[int, int], Direction], near: int, far: int) -> None:
    directions = make(near, far), make(far, near)
    await asyncio.Event().wait()
    del directions


def main() -> None:
    """Carry packets until killed."""
    seed, rate_bit_s, loss, delay_s = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    near, near_keeper = _open_end(NEAR, FAR)
    far, far_keeper = _open_end(FAR, NEAR)
    print("READY", json.dumps({"near": near_keeper, "far": far_keeper}), flush=True)  # noqa: T201  its job
    rng = random.Random(seed)  # noqa: S311  a reproducible loss
    asyncio.run(_carry(lambda a, b: Direction(a, b, rng, rate_bit_s, loss, delay_s), near, far))


if __name__ == "__main__":
    main()
