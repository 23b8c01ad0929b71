"""All pages for quality staff."""

from __future__ import annotations

from gateway.hub.web.quality import acts, alerts, audit, explorer, inbox, indicators, queue

PAGES = (queue, acts, explorer, indicators, alerts, inbox, audit)
