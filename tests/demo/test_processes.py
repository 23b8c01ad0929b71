"""Children announce themselves, are watched, and end when told or when their parent does."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from gateway.demo.processes import Child, ChildDied
from tests.waiting import LIMIT_S

SERVE = """
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # before READY, and awaited without a race
print("on the way up", flush=True)
print('READY {"port": 7}', flush=True)
print("serving", file=sys.stderr, flush=True)
signal.sigwait({signal.SIGTERM})
print("stopped cleanly", flush=True)
"""


def _child(folder: Path, program: str) -> Child:
    return Child("server", [sys.executable, "-c", program], {"EXTRA": "1"}, folder)


async def test_a_child_announces_itself_and_stops_cleanly(tmp_path: Path) -> None:
    child = _child(tmp_path, SERVE)
    assert await child.start() == {"port": 7}
    watch = asyncio.create_task(child.watch())
    assert await child.stop() == 0
    assert not watch.done()
    watch.cancel()
    assert "stopped cleanly" in child.log.read_text()
    assert "serving" in child.log.read_text()


async def test_a_killed_child_starts_again(tmp_path: Path) -> None:
    child = _child(tmp_path, SERVE)
    await child.start()
    watch = asyncio.create_task(child.watch())
    await child.kill()
    assert not child.is_running
    assert await child.start() == {"port": 7}
    assert child.starts == 2
    assert child.is_running
    assert await child.stop() == 0
    assert not watch.done()
    watch.cancel()


async def test_a_child_that_dies_by_itself_is_told_with_its_last_lines(tmp_path: Path) -> None:
    child = _child(tmp_path, "print('READY {}', flush=True)\nraise SystemExit('the disk is gone')")
    await child.start()
    with pytest.raises(ChildDied, match=r"(?s)server ended with status 1.*the disk is gone"):
        await child.watch()
    await child.stop()


async def test_a_child_that_never_gets_ready_is_told(tmp_path: Path) -> None:
    with pytest.raises(ChildDied, match=r"(?s)status 3 at its start"):
        await _child(tmp_path, "raise SystemExit(3)").start()


PARENT = """
import asyncio, sys
from pathlib import Path
from gateway.demo.processes import Child
async def main():
    child = Child("grandchild", [sys.executable, "-c", {serve!r}], {{}}, Path({folder!r}))
    await child.start()
    print(child._process.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


async def test_children_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    program = PARENT.format(serve=SERVE, folder=str(tmp_path))
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    child_log = tmp_path / "grandchild.log"
    async with asyncio.timeout(LIMIT_S):
        while "stopped cleanly" not in child_log.read_text() and _is_alive(pid):  # noqa: ASYNC110  another process
            await asyncio.sleep(0.02)


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # it may be gone between opening and reading
        return False
    return state != "Z"
