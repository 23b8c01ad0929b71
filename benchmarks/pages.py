"""How fast a scan becomes a verdict: ``.venv/bin/python benchmarks/pages.py [--times N] [--json]``.

A real hub, a real Chromium, and boxes that carried 24 hours, 5 days and 30 days of readings, one each half minute.
Measured in the browser, by its own clock:

scan    from Enter in the scan box until verdict and trace are painted (the frame after they came has been drawn)
chart   from the request of the page, with an empty cache, until the trace is painted
weight  KiB and requests of that page
explorer  the same for the explorer of that time, with its library where the build has it
hub     what the hub's processor works for a scan, which does not depend on what else the machine does; *first* is the
        same where nothing that was read or decoded before is left: after a start, or for a box nobody has asked for

each plainly and with a processor slowed four times by the browser. Goal: a scan within 100 ms on localhost.
"""  # noqa: INP001  a script, not a package

from __future__ import annotations

import json
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import click
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from gateway.core.configuration import Box, Calibration, Consignment, Logger
from gateway.hub.access.callers import Way, make_caller
from gateway.hub.access.roles import Role
from gateway.hub.record.archive import Archive
from gateway.hub.rooms import Rooms
from gateway.hub.views.curves import Curves
from gateway.hub.web.receiving import render_bench
from gateway.language import ENGLISH
from tests.hub.vans import Van, iso, observe
from tests.interfaces.hubs import Hub, serving_hub

GOAL_MS = 100
STEP_S = 30
SEGMENT = 720
"""Readings in a segment: six hours, as after a long time without a network."""
SPANS_H = {"24 h": 24, "5 d": 120, "30 d": 720}
SLOWDOWNS = (1, 4)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

CLOCKS = """(() => {
  const painted = (tell) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => tell(performance.now());
    channel.port2.postMessage(0);
  });
  let pressed = 0;
  addEventListener("keydown", (event) => { if (event.key === "Enter") pressed = event.timeStamp; }, true);
  addEventListener("DOMContentLoaded", () => {
    if (document.querySelector("svg.trace")) painted((at) => { window.charted = at; });
    const result = document.getElementById("result");
    if (result) new MutationObserver(() => {
      if (!result.querySelector(".verdict") || !result.querySelector("svg.trace")) return;
      painted((at) => { window.scanned = at - pressed; });
    }).observe(result, { childList: true });
    const explorer = document.getElementById("explorer");
    if (explorer) new MutationObserver(() => painted((at) => { window.charted = at; }))
      .observe(explorer, { attributes: true, attributeFilter: ["data-ready"] });
  });
})();"""
WEIGH = """() => {
  const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  return [all.reduce((sum, one) => sum + one.transferSize, 0) / 1024, all.length];
}"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians for one span and one slowdown. Times in milliseconds."""

    span: str
    readings: int
    slowdown: int
    scan_ms: float
    chart_ms: float
    hub_ms: float
    first_ms: float
    explorer_ms: float
    page_kib: float
    requests: int


def fill(rooms: Rooms) -> None:
    """Three boxes that have carried one sample each for as long as their names say."""
    calibration = Calibration(certificate="K", calibrated_at=iso(-86_400), due_at=iso(86_400 * 400))
    van = Van()
    for number, (span, hours) in enumerate(SPANS_H.items(), 1):
        box, logger = _box(span), _logger(number)
        rooms.registry.put_box(Box(code=box), "setup")
        rooms.registry.put_logger(Logger(address=logger, box=box, calibration=calibration), "setup")
        count = hours * 3600 // STEP_S + 1
        for first in range(0, count, SEGMENT):
            van.seal(
                *(
                    observe(STEP_S * i, 5.0 + (i % 240) / 80, logger=logger, counter=i)
                    for i in range(first, min(first + SEGMENT, count))
                )
            )
        item = {"code": f"TUBE-{number}", "kind": "sample", "examinations": [{"code": "K", "profile": "potassium"}]}
        carriage = {"box": box, "begins": iso(0), "ends": iso(hours * 3600)}
        document = {"code": f"SEND-{number}", "items": [item], "carriage": [carriage]}
        rooms.registry.put_consignment(Consignment.model_validate(document), "nurse")
    rooms.enrolment.enrol(van.name, rooms.enrolment.issue_code(van.name, "setup"), van.key.public_bytes)
    deliveries = van.deliveries()
    for first in range(0, len(deliveries), 50):
        rooms.ingest.take(deliveries[first : first + 50])
    rooms.watch.judge_marked()


def _box(span: str) -> str:
    return f"BOX-{span.replace(' ', '')}"


def _logger(number: int) -> str:
    return f"C0:FF:EE:00:00:0{number}"


def _open(browser: Browser, hub: Hub, slowdown: int) -> tuple[BrowserContext, Page]:
    context = browser.new_context(base_url=hub.url, locale="nb-NO", viewport={"width": 1280, "height": 900})
    context.add_cookies([{"name": "coldchain", "value": hub.secret, "url": hub.url}])
    context.add_init_script(CLOCKS)
    page = context.new_page()
    context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": slowdown})
    return context, page


def _scan(browser: Browser, hub: Hub, slowdown: int, box: str, times: int) -> float:
    """Scan the same box again and again, as a receiver does all day; the first scan is not counted."""
    context, page = _open(browser, hub, slowdown)
    page.goto("/bench")
    taken: list[float] = []
    for _ in range(times + 1):
        page.evaluate("() => { window.scanned = undefined; }")
        page.keyboard.type(box)
        page.keyboard.press("Enter")
        taken.append(_await(page, "scanned"))
    context.close()
    return median(taken[1:])


def _chart(browser: Browser, hub: Hub, slowdown: int, address: str, times: int) -> tuple[float, float, int]:
    taken, weight = [], [0.0, 0.0]
    for _ in range(times):
        context, page = _open(browser, hub, slowdown)
        page.goto(address)
        taken.append(_await(page, "charted"))
        weight = page.evaluate(WEIGH)
        context.close()
    return median(taken), weight[0], int(weight[1])


def _work(hub: Hub, box: str, times: int, *, is_first: bool = False) -> float:
    """Return the milliseconds of processor that a scan of a box takes, in the median."""
    caller = make_caller("kari", frozenset(Role), Way.SESSION, printed_name="Kari")
    rooms, taken = hub.rooms, []
    for _ in range(times):
        if is_first:
            archive = Archive(rooms.store)
            rooms = replace(rooms, archive=archive, curves=Curves(archive))
        began_s = time.thread_time()
        render_bench(rooms, caller, ENGLISH, box, is_part=True)
        taken.append(1000 * (time.thread_time() - began_s))
    return median(taken)


def _await(page: Page, what: str) -> float:
    handle = page.wait_for_function("what => window[what] ?? false", arg=what, polling=20, timeout=120_000)
    return float(handle.json_value())


def measure(browser: Browser, hub: Hub, times: int) -> list[Figures]:
    """Return the figures of all spans and slowdowns."""
    found = []
    for number, (span, hours) in enumerate(SPANS_H.items(), 1):
        for slowdown in SLOWDOWNS:
            scan_ms = _scan(browser, hub, slowdown, _box(span), times)
            chart_ms, kib, requests = _chart(browser, hub, slowdown, f"/bench?code={_box(span)}", times)
            since, until = (iso(at_s).replace("+00:00", "Z") for at_s in (0, hours * 3600))
            explorer = f"/explore?logger={_logger(number)}&since={since}&until={until}"
            explorer_ms, _, _ = _chart(browser, hub, slowdown, explorer, times)
            hub_ms, first_ms = (_work(hub, _box(span), times, is_first=is_first) for is_first in (False, True))
            readings = hours * 3600 // STEP_S + 1
            found.append(
                Figures(span, readings, slowdown, scan_ms, chart_ms, hub_ms, first_ms, explorer_ms, kib, requests)
            )
            click.echo(_say(found[-1]), err=True)
    return found


def _say(one: Figures) -> str:
    return (
        f"{one.span:>5} {one.readings:>7} readings, processor /{one.slowdown}: scan {one.scan_ms:6.0f} ms"
        f" ({one.scan_ms / GOAL_MS:.2f} of the goal), hub {one.hub_ms:5.0f} ms of it, {one.first_ms:5.0f} ms at first,"
        f" chart {one.chart_ms:6.0f} ms,"
        f" explorer {one.explorer_ms:6.0f} ms, {one.page_kib:5.0f} KiB"
        f" in {one.requests} requests"
    )


@click.command(help=__doc__)
@click.option("--times", default=7, show_default=True, type=click.IntRange(min=1), help="Measure each so many times.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(*, times: int, as_json: bool) -> None:
    """Fill a hub, measure its pages, print the figures."""
    if CHROMIUM is None:
        click.echo("skipped: chromium is not installed (tools/system-packages test)")
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        serving_hub(Path(folder), fill, hours=max(SPANS_H.values())) as hub,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        found = measure(browser, hub, times)
        browser.close()
    if as_json:
        document: list[dict[str, Any]] = [asdict(one) for one in found]
        click.echo(json.dumps(document, indent=2))
    else:
        slowest = max(one.scan_ms for one in found if one.slowdown == 1)
        click.echo("\n".join(_say(one) for one in found))
        click.echo(f"goal: a scan within {GOAL_MS} ms: {'met' if slowest <= GOAL_MS else 'missed'} ({slowest:.0f} ms)")


if __name__ == "__main__":
    main()
