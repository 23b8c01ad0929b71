"""What a page says of the time that nothing was measured: the longest gap, and how gaps were counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.core.configuration import Examination
from gateway.core.profiles import Profile
from gateway.core.verdicts import Judgement, Verdict
from gateway.language import Speech
from gateway.language.profiles import say_duration, say_gap_course
from gateway.language.speech import N_


def gap_facts(judgement: Judgement, speech: Speech) -> Iterator[tuple[str, str]]:
    """Yield the longest gap as a name with its text; nothing where there is none."""
    if not judgement.gaps:
        return
    longest = max(judgement.gaps, key=lambda gap: gap.ends_ms - gap.begins_ms)
    form = speech.gettext(N_("{duration}, from {moment}"))
    duration = say_duration(longest.ends_ms - longest.begins_ms, speech)
    yield speech.gettext(N_("Longest gap")), form.format(duration=duration, moment=speech.moment(longest.begins_ms))


def explain_gaps(
    judgement: Judgement, examination: Examination | None, profiles: Mapping[str, Profile], speech: Speech
) -> str:
    """Return how the gaps of a judgement were counted, "" where there are none or the profiles differ about them."""
    names = [judgement.profile] if examination is None else [examination.profile, *_switched(examination)]
    policies = {profiles[name].gap if name in profiles else None for name in names}
    policy = policies.pop()
    if not judgement.gaps or policy is None or policies:
        return ""
    said = say_gap_course(policy, speech)
    if judgement.verdict is Verdict.ACCEPT:
        said += " " + speech.gettext(N_("Even so, every requirement was met."))
    return said


def _switched(examination: Examination) -> Iterator[str]:
    return (switch.profile for switch in examination.switches)
