"""News: the observations of the segments that wait, by logger and by the certificate of their time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.core.observations import Observation
from gateway.hub.projection.certificates import NONE, Certificates
from gateway.hub.projection.portions import Portion
from gateway.hub.projection.settling import Told


@dataclass(slots=True)
class Heard:
    """What waits of one logger, and the epochs that it came in."""

    observations: list[Observation] = field(default_factory=list)
    epochs: set[int] = field(default_factory=set)


def gather_heard(waiting: Iterable[Portion]) -> dict[str, Heard]:
    """Return what waits, by logger."""
    heard: defaultdict[str, Heard] = defaultdict(Heard)
    for portion in waiting:
        own: defaultdict[str, list[Observation]] = defaultdict(list)
        for _, content in portion.contents:
            for observation in content.observations:
                own[observation.logger].append(observation)
        for logger, observations in own.items():
            heard[logger].observations += observations
            heard[logger].epochs.add(portion.epoch_id)
    return heard


def tell(heard: Mapping[str, Heard], certificates: Mapping[str, Certificates]) -> Iterator[Told]:
    """Yield what is new, at least one observation each, by the certificate of its time."""
    for logger, one in heard.items():
        for offset_c, observations in _corrected_alike(one.observations, certificates.get(logger, NONE)):
            yield Told(logger, offset_c, observations, one.epochs)


def _corrected_alike(
    observations: Sequence[Observation], certificates: Certificates
) -> Iterable[tuple[float, Sequence[Observation]]]:
    if len(certificates.offsets_c) == 1:
        return [(certificates.offsets_c[0], observations)]
    alike: dict[float, list[Observation]] = {}
    for observation in observations:
        alike.setdefault(certificates.offset_c(observation.measured_at_ms), []).append(observation)
    return alike.items()
