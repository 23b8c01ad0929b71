"""One run of the demonstration: a folder, an anchor in time, the company, the day, and how it ends."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from rich.console import Console

from gateway.core.errors import InputError
from gateway.demo.board import Board
from gateway.demo.company import Company, TooLateError, assemble
from gateway.demo.play import play
from gateway.demo.report import Report, print_report
from gateway.demo.timing import Timing, measure_lead_s
from gateway.demo.trip import Trip, load_trip

ATTEMPTS = 4
"""Each gives the processes twice the time of the one before, so the last eight times what was measured."""

MakeBoard = Callable[[Trip], Board]


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked for. `rate` None is the scenario's own; `keep` None is a folder that goes away again."""

    scenario: Path
    rate: float | None = None
    seed: int = 1
    keep: Path | None = None
    json: Path | None = None
    ends: bool = False


def default_scenario() -> Path:
    """Where the day is described: beside the simulator, which is found without being imported."""
    spec = find_spec("firmware_sim")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("scenario", "the simulator is not installed; name a scenario file")
    return Path(spec.submodule_search_locations[0]) / "scenarios" / "day.toml"


async def run_demo(options: Options, console: Console, make_board: MakeBoard) -> bool:
    """Run it and return whether all is as it should be.

    SIGINT and SIGTERM cancel it, processes stopped in order; while it only serves the pages they are its usual end.
    Raises InputError for a wrong scenario or folder, ChildDied when a process ends by itself.
    """
    with _cancelled_by_signals():
        scenario = options.scenario.resolve()
        trip = await load_trip(scenario, rate=options.rate)
        with _open_folder(options.keep) as folder:
            console.print("Starting the hub, the simulated loggers and the vehicle ...")
            async with _open_company(trip, scenario, folder, options.seed) as company:
                with make_board(trip) as board:
                    report = await play(company, board)
                print_report(report, console)
                if options.json is not None:
                    _write_json(options.json, report)
                if not options.ends:
                    console.print(f"\nServing the pages until Ctrl-C. Logs: {folder}", highlight=False, soft_wrap=True)
                    await _serve(company)
    return report.is_good


async def _serve(company: Company) -> None:
    """Keep the hub's pages until a signal comes."""
    try:
        await company.hub.watch()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()  # this is how it is meant to end


@asynccontextmanager
async def _open_company(trip: Trip, scenario: Path, folder: Path, seed: int) -> AsyncIterator[Company]:
    """Start everything ahead of the day; where the machine was too slow for that, again and further ahead."""
    lead_s = await asyncio.to_thread(measure_lead_s)
    for attempt in range(1, ATTEMPTS + 1):
        timing = Timing.ahead(trip.clock.start, trip.clock.stop, trip.clock.rate, lead_s)
        async with AsyncExitStack() as stack:
            try:
                company = await stack.enter_async_context(assemble(trip, scenario, timing, folder, seed))
            except TooLateError:
                if attempt == ATTEMPTS:
                    raise
                lead_s *= 2
                _clear(folder)
                continue
            yield company
            return


@contextmanager
def _open_folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with TemporaryDirectory(prefix="coldchain-demo-") as temporary:
            yield Path(temporary)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
        if any(keep.iterdir()):
            raise InputError("--keep", "the folder is not empty", where=str(keep))
    except OSError as error:
        raise InputError("--keep", error.strerror or str(error), where=str(keep)) from error
    yield keep.resolve()


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            rmtree(path)
        else:
            path.unlink()


@contextmanager
def _cancelled_by_signals() -> Iterator[None]:
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    if task is None:
        raise RuntimeError("no task runs")
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _write_json(path: Path, report: Report) -> None:
    try:
        path.write_text(json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError("--json", error.strerror or str(error), where=str(path)) from error
