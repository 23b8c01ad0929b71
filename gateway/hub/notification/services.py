"""Services that Apprise reaches. Those that are let through are named here, and what could read files is not."""

from __future__ import annotations

import logging
from functools import cache
from urllib.parse import parse_qsl, urlsplit

import apprise
from apprise import AppriseAsset
from apprise.plugins.base import NotifyBase

from gateway.core.errors import InputError
from gateway.hub.notification.guard import check_host
from gateway.hub.notification.outgoing import TIMEOUT_S, DeliveryError, Outgoing

PUBLIC = frozenset(
    {
        "46elks", "clicksend", "gchat", "msgbird", "nexmo", "opsgenie", "pagerduty", "plivo", "pover", "ses", "signl4",
        "sinch", "slack", "sns", "splunk", "tgram", "threema", "twilio", "victorops", "vonage", "webex", "wxteams",
    }
)  # fmt: skip
"""Services with addresses of their own; what stands where a host would is a key or a telephone number."""
ENCRYPTED = frozenset(
    {
        "gotifys", "jsons", "mailtos", "mmosts", "nctalks", "ntfys", "rockets", "smseagles", "workflow", "workflows",
    }
)  # fmt: skip
"""Services on a host that the URL names, over TLS."""
CLEAR = frozenset({"gotify", "json", "mailto", "mmost", "nctalk", "ntfy", "rocket", "smseagle"})
"""The same without TLS: only to hosts that the settings name."""
_REFUSED = frozenset(
    {
        "attach", "attach-as", "config", "overflow", "pgp", "pgpkey", "redirect", "retry", "template", "verify", "wait",
    }
)  # fmt: skip
"""Options that read files, switch checks off, or make one message many."""


class Service:
    """One service of Apprise."""

    def __init__(self, plugin: NotifyBase) -> None:
        self._plugin = plugin

    def carry(self, message: Outgoing) -> None:
        """Hand it over. Apprise says yes or no and keeps the reason to its own log, which may hold addresses."""
        text = f"{message.text}\n\n[{message.uid}]"  # few services take an id; whoever reads it twice sees that
        try:
            taken = self._plugin.notify(body=text, title=message.title)
        except Exception as error:
            raise DeliveryError(f"{self._plugin.service_name}: {type(error).__name__}") from error
        if not taken:
            raise DeliveryError(f"{self._plugin.service_name} did not take it")


def open_service(url: str, private: tuple[str, ...]) -> Service:
    """Return the service of an Apprise URL; raises InputError for one that is unknown or not let through."""
    scheme = urlsplit(url).scheme
    if scheme not in PUBLIC | ENCRYPTED | CLEAR:
        known = ", ".join(sorted({"https", "mailto:", *PUBLIC, *ENCRYPTED}))
        raise InputError("url", f"{scheme or 'it'} is none of: {known}")
    options = {name.lower().lstrip("+-:") for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
    if refused := sorted(options & _REFUSED):
        raise InputError("url", f"the option {refused[0]} is not let through")
    _quieten()
    plugin = apprise.Apprise.instantiate(url, asset=_asset())
    if not isinstance(plugin, NotifyBase):
        raise InputError("url", f"Apprise finds something missing or wrong in it ({scheme})")
    if scheme not in PUBLIC:
        for host in _hosts(plugin):
            check_host(host, private, clear=scheme in CLEAR and not _starts_tls(plugin))
    plugin.redirects = False
    plugin.verify_certificate = True
    plugin.socket_connect_timeout = plugin.socket_read_timeout = TIMEOUT_S
    return Service(plugin)


def _hosts(plugin: NotifyBase) -> set[str]:
    return {host for name in ("host", "smtp_host") if isinstance(host := getattr(plugin, name, None), str) and host}


def _starts_tls(plugin: NotifyBase) -> bool:
    return getattr(plugin, "secure_mode", "") in {"starttls", "ssl"}


@cache
def _asset() -> AppriseAsset:
    return AppriseAsset(
        app_id="Coldchain",
        app_desc="Coldchain Gateway",
        app_url="",
        image_url_mask="",
        http_redirects=False,
        storage_mode="memory",
        plugin_paths=[],
    )


@cache
def _quieten() -> None:
    """Keep Apprise's log to itself: at its finer levels it writes addresses with their keys."""
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    logging.getLogger("requests").setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
