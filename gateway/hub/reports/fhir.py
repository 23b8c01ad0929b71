"""A report as FHIR R4: a Bundle of Devices, Specimens and Observations for laboratory systems, without any patient.

Source: hl7.org/fhir/R4. Units are UCUM. What the Observations are called are codes of this program's own, without a
system, with words beside them: no terminology has codes for temperatures of a transport.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import msgspec

from gateway.core.configuration import Consignment, Item
from gateway.core.exposure import to_ms
from gateway.core.profiles import Kind
from gateway.core.verdicts import Excursion, Judgement
from gateway.hub.reports.document import Judged, ReportDocument, encode_document, number_of
from gateway.hub.times import to_oslo
from gateway.language import Language, Speech, speech_of
from gateway.language.reasons import say_reason
from gateway.language.speech import N_, plain
from gateway.language.verdicts import ACCEPT_NOTE, say_verdict

Resource = dict[str, Any]


def encode_bundle(document: ReportDocument, language: Language) -> bytes:
    """Return the Bundle as JSON; the same document gives the same bytes."""
    bundle = make_bundle(document, speech_of(language))
    return msgspec.json.format(msgspec.json.encode(bundle), indent=1) + b"\n"


def make_bundle(document: ReportDocument, speech: Speech) -> Resource:
    """Return the Bundle."""
    return _Bundler(document, speech).bundle()


class _Bundler:
    def __init__(self, document: ReportDocument, speech: Speech) -> None:
        self._document = document
        self._consignment: Consignment = document.consigned
        self._speech = speech
        self._number = number_of(encode_document(document))
        self._is_final = self._consignment.received_at is not None and document.delivered_ms is None

    def bundle(self) -> Resource:
        entries = [*self._devices(), *self._specimens(), *self._observations()]
        return {
            "resourceType": "Bundle",
            "id": self._number,
            "language": self._speech.language.value,
            "identifier": {"value": self._number},
            "type": "collection",
            "timestamp": _moment(self._document.as_of_ms),
            "entry": [{"fullUrl": self._url(of), "resource": resource} for of, resource in entries],
        }

    def _url(self, of: str) -> str:
        return uuid5(NAMESPACE_URL, f"coldchain {self._number} {of}").urn

    def _refer(self, of: str) -> Resource:
        return {"reference": self._url(of)}

    def _devices(self) -> Iterator[tuple[str, Resource]]:
        known = {ride.logger: ride for ride in self._document.rides}
        for address, ride in sorted(known.items()):
            device: Resource = {
                "resourceType": "Device",
                "identifier": [{"value": address}],
                "type": self._concept("temperature-logger", N_("Temperature logger")),
            }
            device |= {"serialNumber": ride.serial} if ride.serial else {}
            device |= {"modelNumber": ride.model} if ride.model else {}
            calibration = ride.calibration
            if calibration is not None:
                form = self._speech.gettext(N_("Calibration certificate {certificate}, due {moment}"))
                due = self._speech.moment(to_ms(calibration.due_at))
                device["note"] = [{"text": form.format(certificate=calibration.certificate, moment=due)}]
            yield f"device {address}", device

    def _specimens(self) -> Iterator[tuple[str, Resource]]:
        received_at = self._consignment.received_at
        for item in self._consignment.items:
            if item.kind is not Kind.SAMPLE:
                continue
            specimen: Resource = {"resourceType": "Specimen", "identifier": [{"value": item.code}]}
            if received_at is not None:
                specimen["receivedTime"] = _moment(to_ms(received_at))
            if item.collected_at is not None:
                specimen["collection"] = {"collectedDateTime": _moment(to_ms(item.collected_at))}
            yield f"specimen {item.code}", specimen

    def _observations(self) -> Iterator[tuple[str, Resource]]:
        items = {item.code: item for item in self._consignment.items}
        for judged in self._document.judgements:
            judgement = judged.judgement
            item = items.get(judgement.item)
            if item is None:  # it is no longer part of the consignment
                continue
            of = f"observation {judgement.item} {judgement.examination}"
            parts = [(f"{of} {n}", one) for n, one in enumerate(judgement.excursions)]
            summary = self._summary(item, judged)
            if parts:
                summary["hasMember"] = [self._refer(name) for name, _ in parts]
            yield of, summary
            yield from ((name, self._excursion(item, judgement, one)) for name, one in parts)

    def _summary(self, item: Item, judged: Judged) -> Resource:
        judgement, speech = judged.judgement, self._speech
        figures = judgement.figures
        rides = [ride for ride in self._document.rides if ride.from_ms <= judgement.through_ms]
        loggers = sorted({ride.logger for ride in rides})
        summary = self._observation(item, N_("Transport temperature"), "transport-temperature")
        begins_ms = min((ride.from_ms for ride in rides), default=judgement.through_ms)
        summary["effectivePeriod"] = {"start": _moment(begins_ms), "end": _moment(judgement.through_ms)}
        if len(loggers) == 1:
            summary["device"] = self._refer(f"device {loggers[0]}")
        summary["valueCodeableConcept"] = {
            "coding": [{"code": judgement.verdict.value}],
            "text": say_verdict(judgement.verdict, speech, item.kind),
        }
        reasons = [plain(say_reason(reason, speech)) for reason in judgement.reasons]
        version = speech.gettext(N_("{name}, version {version}"))
        profile = version.format(name=judgement.profile, version=judgement.profile_version)
        told = [*reasons, profile, speech.gettext(ACCEPT_NOTE)]
        summary["note"] = [{"text": text} for text in told]
        summary["component"] = [
            self._component("lowest", N_("Lowest"), figures.min_c, "°C", "Cel"),
            self._component("highest", N_("Highest"), figures.max_c, "°C", "Cel"),
            self._component("mean", N_("Mean"), figures.mean_c, "°C", "Cel"),
            self._component("mean-kinetic", N_("Mean kinetic temperature"), figures.mkt_c, "°C", "Cel"),
            self._component("monitored", N_("Share monitored"), figures.monitored_fraction * 100, "%", "%"),
            self._component("unmonitored", N_("Not monitored"), figures.unmonitored_ms / 60_000, "min", "min"),
            self._component("readings", N_("Readings"), figures.readings, "1", "1"),
            self._component("backfilled", N_("Fetched later from the logger"), figures.backfilled, "1", "1"),
        ]
        return summary

    def _excursion(self, item: Item, judgement: Judgement, excursion: Excursion) -> Resource:
        told = self._observation(item, N_("Temperature excursion"), "temperature-excursion")
        period = {"start": _moment(excursion.started_at_ms)}
        if excursion.ended_at_ms is not None:
            period["end"] = _moment(excursion.ended_at_ms)
        told["effectivePeriod"] = period
        told["valueQuantity"] = _quantity(excursion.extreme_c, "°C", "Cel")
        broken = excursion.triggered_at_ms is not None
        told["note"] = [{"text": f"{judgement.profile} / {excursion.rule}"}]
        told["component"] = [
            self._component("duration", N_("Duration"), excursion.minutes, "min", "min"),
            {"code": self._concept("rule-broken", N_("Rule broken")), "valueBoolean": broken},
        ]
        return told

    def _observation(self, item: Item, title: str, code: str) -> Resource:
        observation: Resource = {
            "resourceType": "Observation",
            "status": "final" if self._is_final else "preliminary",
            "code": self._concept(code, title),
        }
        if item.kind is Kind.SAMPLE:
            observation["specimen"] = self._refer(f"specimen {item.code}")
        else:
            observation["focus"] = [{"identifier": {"value": item.code}}]
        return observation

    def _component(self, code: str, title: str, value: float | None, unit: str, ucum: str) -> Resource:
        component: Resource = {"code": self._concept(code, title)}
        if value is None:
            absent = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
            return component | {"dataAbsentReason": {"coding": [{"system": absent, "code": "not-performed"}]}}
        return component | {"valueQuantity": _quantity(value, unit, ucum)}

    def _concept(self, code: str, title: str) -> Resource:
        return {"coding": [{"code": code}], "text": self._speech.gettext(title)}


def _quantity(value: float, unit: str, ucum: str) -> Resource:
    return {"value": round(value, 3), "unit": unit, "system": "http://unitsofmeasure.org", "code": ucum}


def _moment(at_ms: int) -> str:
    local: datetime = to_oslo(at_ms)
    return local.isoformat(timespec="milliseconds")
