"""The end of the demonstration: verdicts, the account of readings, breaches and alerts; for people and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.core.verdicts import Judgement, Verdict
from gateway.demo.board import VERDICT_COLOURS, VERDICT_WORDS, clock_face
from gateway.demo.reception import KnownAlert, KnownBreach
from gateway.demo.reckoning import Account, Finding
from gateway.language import ENGLISH
from gateway.language.reasons import say_reason

FINDINGS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Judged:
    """One verdict, and the one that the scenario was made for (None if it says nothing)."""

    judgement: Judgement
    expected: Verdict | None

    @property
    def is_as_expected(self) -> bool:
        """Whether it is the expected one."""
        return self.expected is None or self.judgement.verdict is self.expected


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is said at the end.

    breaches every one that was raised, also those that later readings withdrew or merged into another
    rate    domain seconds in a real second
    pages   where each box's verdict can be seen, by box
    zone    in which times are told
    missing what was still missing when waiting for it was given up, empty if nothing
    starts  how often the vehicle's process was started
    """

    account: Account
    judged: Sequence[Judged]
    breaches: Sequence[KnownBreach]
    alerts: Sequence[KnownAlert]
    rate: float
    pages: Mapping[str, str]
    zone: tzinfo
    missing: str = ""
    starts: int = 1

    @property
    def is_good(self) -> bool:
        """Nothing lost, doubled or altered, and every verdict as it should be."""
        return self.account.is_clean and all(judged.is_as_expected for judged in self.judged)

    def alerts_of(self, breach: KnownBreach) -> int:
        """How many alerts one breach has."""
        return sum(alert.breach == breach.id for alert in self.alerts)

    def delay_ms(self, alert: KnownAlert) -> int | None:
        """Domain milliseconds from the breach to the alert leaving the hub; None while it has not left."""
        triggered = {breach.id: breach.triggered_at_ms for breach in self.breaches}
        if alert.sent_at_ms is None or alert.breach not in triggered:
            return None
        return alert.sent_at_ms - triggered[alert.breach]

    def delays_s(self) -> list[float]:
        """Real seconds from breach to alert."""
        delays = [self.delay_ms(alert) for alert in self.alerts]
        return [delay / 1000 / self.rate for delay in delays if delay is not None]

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        delays_s = self.delays_s()
        return {
            "recorded": self.account.recorded,
            "delivered": self.account.delivered,
            "lost": len(self.account.lost),
            "duplicated": len(self.account.duplicated),
            "altered": len(self.account.altered),
            "backfilled": self.account.backfilled,
            "breaches": len(self.breaches),
            "alerts": len(self.alerts),
            "alert_delay_s": round(max(delays_s), 3) if delays_s else None,
            "alert_delay_domain_s": round(max(delays_s) * self.rate, 1) if delays_s else None,
            "vehicle_starts": self.starts,
            "missing": self.missing,
            "verdicts": [_verdict_json(judged) for judged in self.judged],
            "breach_list": [self._breach_json(breach) for breach in self.breaches],
            "findings": [
                {"kind": kind, "logger": finding.logger, "at_ms": finding.at_ms, "what": finding.what}
                for kind, finding in _findings(self.account)
            ],
            "pages": dict(self.pages),
        }

    def _breach_json(self, breach: KnownBreach) -> dict[str, Any]:
        return {**breach.model_dump(mode="json"), "alerts": self.alerts_of(breach)}


def _verdict_json(judged: Judged) -> dict[str, Any]:
    judgement = judged.judgement
    return {
        "consignment": judgement.consignment,
        "item": judgement.item,
        "examination": judgement.examination,
        "verdict": judgement.verdict.value,
        "expected": judged.expected and judged.expected.value,
        "reasons": [
            {"code": reason.code, "verdict": reason.verdict.value, "parameters": dict(reason.parameters)}
            for reason in judgement.reasons
        ],
        "monitored_fraction": judgement.figures.monitored_fraction,
        "backfilled": judgement.figures.backfilled,
    }


def print_report(report: Report, console: Console) -> None:
    """Print it, reasons in the words of the bench page."""
    console.print()
    console.print(_verdict_table(report))
    console.print()
    _print_account(report, console)
    _print_breaches(report, console)
    if report.missing:
        console.print(Text(f"Not everything arrived in time: {report.missing}", style="bold red"))
    for judged in report.judged:
        if not judged.is_as_expected and judged.expected is not None:
            judgement = judged.judgement
            text = f"Not as expected: {judgement.item} {judgement.examination} should be {judged.expected.value}"
            console.print(Text(text, style="bold red"))
    console.print()
    console.print("The profiles count as approved in this demonstration only. Accept releases nothing.", style="dim")
    for box, page in report.pages.items():
        console.print(f"{box}  {page}", highlight=False, soft_wrap=True)


def _verdict_table(report: Report) -> Table:
    table = Table(title="Verdicts at the bench", title_justify="left", title_style="bold", show_lines=True)
    table.add_column("Consignment", no_wrap=True)
    table.add_column("Item", no_wrap=True)
    table.add_column("For", no_wrap=True)
    table.add_column("Verdict", no_wrap=True)
    table.add_column("Why", min_width=30)
    for judged in report.judged:
        judgement = judged.judgement
        reasons = "\n".join(say_reason(reason, ENGLISH) for reason in judgement.reasons)
        table.add_row(
            judgement.consignment,
            judgement.item,
            judgement.examination,
            Text(VERDICT_WORDS[judgement.verdict.value], style=f"bold {VERDICT_COLOURS[judgement.verdict.value]}"),
            Text(reasons or f"All requirements met, {judgement.figures.monitored_fraction:.0%} monitored."),
        )
    return table


def _print_account(report: Report, console: Console) -> None:
    account, zone = report.account, report.zone
    style = "bold green" if account.is_clean else "bold red"
    console.print(
        Text.assemble(
            f"Readings: recorded {account.recorded}, delivered {account.delivered}, ",
            (f"lost {len(account.lost)}, duplicated {len(account.duplicated)}, altered {len(account.altered)}", style),
            f", backfilled {account.backfilled}: compared with what the loggers measured",
        ),
        soft_wrap=True,
    )
    for kind, finding in _findings(account)[:FINDINGS_SHOWN]:
        console.print(
            f"  {kind}: {finding.logger} at {clock_face(finding.at_ms, zone)}: {finding.what}",
            style="red",
            soft_wrap=True,
        )


def _print_breaches(report: Report, console: Console) -> None:
    for breach in report.breaches:
        extreme = "" if breach.extreme_c is None else f", {breach.extreme_c:.1f} °C at the extreme"
        console.print(
            f"Breach: {breach.consignment} {breach.item} {breach.examination}: {breach.rule}, {breach.minutes:.0f} min"
            f"{extreme}; {breach.state}, first seen by {breach.found_by}, {report.alerts_of(breach)} alert",
            highlight=False,
            soft_wrap=True,
        )
    delays_s = report.delays_s()
    if delays_s:
        console.print(
            f"From breach to alert: {median(delays_s):.2f} s real time in the median, {max(delays_s):.2f} s at most"
            f" (at {report.rate:g} x: {median(delays_s) * report.rate:.0f} s and {max(delays_s) * report.rate:.0f} s"
            " of the day)",
            highlight=False,
            soft_wrap=True,
        )


def _findings(account: Account) -> list[tuple[str, Finding]]:
    kinds = (("lost", account.lost), ("duplicated", account.duplicated), ("altered", account.altered))
    return [(kind, finding) for kind, findings in kinds for finding in findings]
