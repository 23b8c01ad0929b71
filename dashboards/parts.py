"""What all dashboards share: InfluxQL targets, panels that draw gaps as gaps, variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from grafana_foundation_sdk.builders import stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.common import (
    GraphThresholdsStyleConfig,
    ReduceDataOptions,
    StackingConfig,
    TableSortByFieldState,
    VizLegendOptions,
)
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    ThresholdsConfig,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import (
    DataSourceRef,
    GraphDrawStyle,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TableAutoCellOptions,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DashboardSpecialValueMapOptions,
    DynamicConfigValue,
    SpecialValueMap,
    SpecialValueMatch,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
    VariableHide,
    VariableRefresh,
    VariableSort,
)

TAG = "coldchain"
TIME_ZONE = "Europe/Oslo"
SOURCE = DataSourceRef(type_val="influxdb", uid="${ds}")
READINGS_INTERVAL = "1m"
"""Readings come every 30 s: a shorter interval would draw gaps that are none."""
HEALTH_INTERVAL = "10m"
"""The same for the reports of gateways, every 5 minutes."""
ALL = ".*"
HEARD = "Last heard"
COLUMNS = {
    "started_at_ms": ("Began", "dateTimeAsIso"),
    "ended_at_ms": ("Ended", "dateTimeAsIso"),
    "extreme_c": ("Extreme", "celsius"),
    "minutes": ("Time beyond", "m"),
    "found_by": ("Found by", "none"),
    "clock_trusted": ("Clock trusted", "none"),
    "from_ms": ("Asked from", "dateTimeAsIso"),
    "to_ms": ("Asked to", "dateTimeAsIso"),
    "records": ("Records", "short"),
    "new_records": ("Of them new", "short"),
    "waiting": ("Segments waiting", "short"),
    "temperature": ("Temperature", "celsius"),
}
"""What a column of a table is called, and its unit; others are called what they are."""

Panel: TypeAlias = timeseries.Panel | statetimeline.Panel | stat.Panel | table.Panel

P = TypeVar("P", timeseries.Panel, statetimeline.Panel, stat.Panel, table.Panel)


class InfluxQuery(Dataquery):
    """A query in InfluxQL, which InfluxDB 2.x and 3 answer alike. The SDK has no class for it."""

    def __init__(self, ref_id: str, query: str, alias: str, result_format: str) -> None:
        self.ref_id = ref_id
        self.query = query
        self.alias = alias
        self.result_format = result_format

    def to_json(self) -> dict[str, object]:
        """Return the target as Grafana stores it."""
        return {
            "refId": self.ref_id,
            "datasource": SOURCE,
            "rawQuery": True,
            "query": self.query,
            "alias": self.alias,
            "resultFormat": self.result_format,
        }

    def dataquery_type(self) -> str:
        """Return the plugin's name."""
        return "influxdb"


@dataclass(frozen=True, slots=True)
class Target(Builder[InfluxQuery]):
    """Builds a query. `alias` names its series; `as_table` asks for rows rather than series."""

    query: str
    alias: str = ""
    as_table: bool = False
    ref_id: str = "A"

    def build(self) -> InfluxQuery:
        """Return the query."""
        return InfluxQuery(self.ref_id, self.query, self.alias, "table" if self.as_table else "time_series")


@dataclass(frozen=True, slots=True)
class About:
    """What a panel says of itself, and its size: of 24 columns, and in rows of 30 pixels."""

    title: str
    description: str
    unit: str
    width: int = 12
    height: int = 8


def named(*targets: Target) -> list[Target]:
    """Return targets with the names A, B, C and so on."""
    return [Target(one.query, one.alias, one.as_table, chr(ord("A") + place)) for place, one in enumerate(targets)]


def lines(about: About, interval: str, *targets: Target) -> timeseries.Panel:
    """Lines that end where nothing was measured."""
    panel = (
        timeseries.Panel().draw_style(GraphDrawStyle.LINE).line_width(1).fill_opacity(0).span_nulls(span_nulls=False)
    )
    return _finish_graph(panel, about, interval, targets)


def bars(
    about: About, interval: str, *targets: Target, stacked: bool = False, signed: bool = False
) -> timeseries.Panel:
    """Bars for each interval; none where there is nothing to count. `signed`: they may go below 0."""
    panel = timeseries.Panel().draw_style(GraphDrawStyle.BARS).fill_opacity(60).span_nulls(span_nulls=False)
    if not signed:
        panel.min(0)
    if stacked:
        panel.stacking(StackingConfig().mode(StackingMode.NORMAL).group("A"))
    return _finish_graph(panel, about, interval, targets)


def states(about: About, interval: str, meanings: dict[str, tuple[str, str]], *targets: Target) -> statetimeline.Panel:
    """A band for each series, coloured by its value; `meanings` gives the word and colour of each."""
    options = {
        value: ValueMappingResult(text=text, color=color, index=place)
        for place, (value, (text, color)) in enumerate(meanings.items())
    }
    nothing = SpecialValueMap(
        options=DashboardSpecialValueMapOptions(
            match=SpecialValueMatch.NULL, result=ValueMappingResult(text="nothing heard", color="text")
        )
    )
    mappings: list[ValueMapping] = [ValueMap(options=options), nothing]
    panel = statetimeline.Panel().merge_values(merge_values=True).mappings(mappings)
    panel.legend(_legend())
    panel.interval(interval).targets(list(named(*targets)))
    return _describe(panel, about)


def figure(about: About, target: Target, nothing: str = "0") -> stat.Panel:
    """One number; `nothing` is shown where there is none."""
    panel = stat.Panel().reduce_options(ReduceDataOptions().calcs(["lastNotNull"])).no_value(nothing)
    panel.thresholds(_absolute([Threshold(value=None, color="text")]))
    panel.targets([target])
    return _describe(panel, about)


def rows(about: About, target: Target) -> table.Panel:
    """A table; its columns are called, and shown in units, as COLUMNS says."""
    panel = table.Panel().targets([target]).filterable(filterable=True).cell_options(TableAutoCellOptions())
    for column in (name for name in COLUMNS if f'"{name}"' in target.query):
        _call(panel, column, *COLUMNS[column])
    return _describe(panel, about)


def last_heard(about: About, target: Target) -> table.Panel:
    """A table of when each was last heard, the longest silent first: over a week, or they would vanish in a day."""
    panel = rows(about, target).time_from("7d")
    panel.sort_by([TableSortByFieldState().display_name(HEARD).desc(desc=False)])
    _call(panel, "Time", HEARD, "dateTimeFromNow")
    return panel


def _call(panel: table.Panel, column: str, title: str, unit: str) -> None:
    properties = [DynamicConfigValue(id_val="displayName", value=title), DynamicConfigValue(id_val="unit", value=unit)]
    panel.override_by_name(column, properties)


def color_series(panel: timeseries.Panel, name: str, color: str, *, dashed: bool = False) -> None:
    """Give the series of that name a colour."""
    style = {"fill": "dash", "dash": [10, 10]} if dashed else {"fill": "solid"}
    fixed = {"mode": "fixed", "fixedColor": color}
    properties = [DynamicConfigValue(id_val="color", value=fixed)]
    properties.append(DynamicConfigValue(id_val="custom.lineStyle", value=style))
    panel.override_by_regexp(f"/{name}$/", properties)


def mark_whole(panel: timeseries.Panel) -> timeseries.Panel:
    """Draw a line at 100 %."""
    panel.thresholds(_absolute([Threshold(value=None, color="transparent"), Threshold(value=1, color="green")]))
    return panel.thresholds_style(GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))


def source_variable() -> DatasourceVariable:
    """Which InfluxDB."""
    return DatasourceVariable("ds").label("InfluxDB").type("influxdb")


def choice(name: str, label: str, query: str, *, many: bool = False) -> QueryVariable:
    """A drop-down filled by a query; `many` allows several, and all."""
    variable = QueryVariable(name).label(label).datasource(SOURCE).query(query)
    variable.refresh(VariableRefresh.ON_DASHBOARD_LOAD).sort(VariableSort.ALPHABETICAL_ASC)
    if many:
        variable.multi(multi=True).include_all(include_all=True).all_value(ALL)
    return variable


def hidden(name: str, query: str) -> QueryVariable:
    """A value that other queries need, read with the dashboard's other choices."""
    return choice(name, name, query).hide(VariableHide.HIDE_VARIABLE)


def board(uid: str, title: str, description: str, since: str) -> Dashboard:
    """An empty dashboard with the choice of the data source and links to the others."""
    link = DashboardLink("Cold chain").type(DashboardLinkType.DASHBOARDS).tags([TAG]).as_dropdown(as_dropdown=True)
    link.keep_time(keep_time=True).include_vars(include_vars=False)
    return (
        Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .timezone(TIME_ZONE)
        .time(since, "now")
        .refresh("1m")
        .readonly()
        .link(link)
        .with_variable(source_variable())
    )


def add(dashboard: Dashboard, *panels: Panel) -> None:
    """Add panels with the numbers that the SDK leaves out."""
    for number, panel in enumerate(panels, start=1):
        dashboard.with_panel(panel.id(number))


def _describe(panel: P, about: About) -> P:
    panel.title(about.title).description(about.description).datasource(SOURCE)
    panel.unit(about.unit).span(about.width).height(about.height)
    return panel


def _finish_graph(
    panel: timeseries.Panel, about: About, interval: str, targets: tuple[Target, ...]
) -> timeseries.Panel:
    panel.interval(interval).targets(list(named(*targets))).legend(_legend())
    return _describe(panel, about)


def _absolute(steps: list[Threshold]) -> ThresholdsConfig:
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def _legend() -> VizLegendOptions:
    shown = VizLegendOptions().show_legend(show_legend=True).placement(LegendPlacement.BOTTOM)
    return shown.display_mode(LegendDisplayMode.LIST).calcs([])
