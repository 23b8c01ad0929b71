// Zoom and hover over the lines of several loggers. The server decimates, and says where ticks stand: its clock is
// Norway's, whatever zone this browser is in.
"use strict";

const figure = document.getElementById("explorer");
const place = document.getElementById("chart");
const told = document.getElementById("told");
const DASHES = [[], [9, 4], [2, 4], [12, 4, 2, 4], [6, 2], [1, 2]];
const LEAST_MS = 600000;
let loggers = [];
let chart = null;
let shown = null;
let asked = 0;
const before = [];

function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function colour(index) {
  return getComputedStyle(figure).getPropertyValue("--run-" + index).trim();
}

function two(number) {
  return String(number).padStart(2, "0");
}

// Offsets are the server's, since when each holds: the hour that comes twice reads +02:00 first and then +01:00.
function sayTime(at) {
  let minutes = shown.offsets[0][1];
  for (const [since, offset] of shown.offsets) if (at >= since) minutes = offset;
  const local = new Date(at + minutes * 60000);
  const sign = minutes < 0 ? "-" : "+";
  const size = Math.abs(minutes);
  return local.getUTCFullYear() + "-" + two(local.getUTCMonth() + 1) + "-" + two(local.getUTCDate()) + " " +
    two(local.getUTCHours()) + ":" + two(local.getUTCMinutes()) + " " + sign + two(Math.floor(size / 60)) + ":" + two(size % 60);
}

function sayDegrees(value) {
  return value == null ? "–" : value.toFixed(1).replace("-", "−").replace(".", figure.dataset.decimal) + " °C";
}

// One column of times for all. What one logger has and another has not is undefined, which is no gap; null is one, and
// lasts until that logger measures again: a line is drawn on across whatever is undefined.
function toColumns(series) {
  const times = Array.from(new Set(series.flatMap((one) => one.at))).sort((a, b) => a - b);
  const columns = [times];
  for (const one of series) {
    const places = new Map(one.at.map((at, i) => [at, i]));
    for (const values of [one.high, one.low]) {
      let before = undefined;
      columns.push(times.map((at) => {
        const here = places.has(at) ? values[places.get(at)] : undefined;
        if (here !== undefined) before = here;
        return here === undefined && before === null ? null : here;
      }));
    }
  }
  return columns;
}

// Behind the lines, what the profile allows; the server has left out the limits that are too far away.
function drawBands(drawn) {
  const { ctx, bbox } = drawn;
  ctx.save();
  ctx.fillStyle = token("--band");
  for (const [low, high] of shown.limits.bands) {
    const top = high === null ? bbox.top : Math.max(bbox.top, drawn.valToPos(high, "y", true));
    const bottom = low === null ? bbox.top + bbox.height : Math.min(bbox.top + bbox.height, drawn.valToPos(low, "y", true));
    if (bottom > top) ctx.fillRect(bbox.left, top, bbox.width, bottom - top);
  }
  ctx.restore();
}

function drawLimits(drawn) {
  const { ctx, bbox } = drawn;
  const scale = uPlot.pxRatio;
  const labelled = [];
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = token("--limit");
  ctx.lineWidth = 1.5 * scale;
  ctx.font = "600 " + 12 * scale + "px system-ui, sans-serif";
  ctx.textAlign = "right";
  ctx.textBaseline = "alphabetic";
  for (const limit of shown.limits.lines) {
    const y = drawn.valToPos(limit.at, "y", true);
    ctx.setLineDash((limit.kind === "band" ? [1.5, 4] : [6, 4]).map((size) => size * scale));
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    if (labelled.some((other) => Math.abs(other - y) < 13 * scale)) continue;
    labelled.push(y);
    ctx.fillText(limit.label, bbox.left + bbox.width - 4 * scale, y - 4 * scale);
  }
  ctx.restore();
}

// A degree around: what hardly moves shall not look like an alarm.
function range(_, low, high) {
  const values = shown.limits.lines.map((limit) => limit.at);
  if (low != null) values.push(low, high);
  return values.length ? [Math.min(...values) - 1, Math.max(...values) + 1] : [0, 25];
}

function options(series) {
  const lines = series.flatMap((one, i) => {
    const drawn = { stroke: colour(i), width: 1.6, dash: DASHES[i], points: { show: false }, value: (_, v) => sayDegrees(v) };
    return [{ label: one.logger + " " + figure.dataset.high, ...drawn }, { label: figure.dataset.low, ...drawn }];
  });
  const axis = { stroke: token("--soft"), grid: { stroke: token("--grid"), width: 1 }, ticks: { stroke: token("--grid"), width: 1 }, font: "12px system-ui, sans-serif" };
  return {
    width: place.clientWidth,
    height: 380,
    scales: { x: { time: false, range: () => [shown.from, shown.to] }, y: { range } },
    legend: { live: true },
    cursor: { drag: { x: true, y: false, setScale: false } },
    bands: series.map((_, i) => ({ series: [2 * i + 1, 2 * i + 2], fill: colour(i) + "30" })),
    series: [{ label: figure.dataset.time, value: (_, at) => (at == null ? "–" : sayTime(at)) }, ...lines],
    axes: [
      { ...axis, size: 52, splits: () => shown.ticks.map((tick) => tick[0]), values: () => shown.ticks.map((tick) => tick[1]) },
      { ...axis, size: 62, values: (_, values) => values.map((value) => String(value).replace("-", "−").replace(".", figure.dataset.decimal) + " °C") },
    ],
    hooks: { setSelect: [zoom], drawClear: [drawBands], draw: [drawLimits] },
  };
}

function draw(data) {
  shown = data;
  if (chart) chart.destroy();
  else place.replaceChildren();
  chart = new uPlot(options(data.series), toColumns(data.series), place);
  chart.over.addEventListener("dblclick", back);
  figure.dataset.ready = String(data.from);
}

async function show(since, until, isBack) {
  const number = ++asked;
  const query = new URLSearchParams({ since_ms: String(since), until_ms: String(until) });
  for (const logger of loggers) query.append("logger", logger);
  if (figure.dataset.profile) query.append("profile", figure.dataset.profile);
  figure.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch("/explore/data?" + query);
    if (!answer.ok) throw new Error(String(answer.status));
    const data = await answer.json();
    if (number !== asked) return;
    if (shown && !isBack) before.push([shown.from, shown.to]);
    const isFirst = shown === null;
    draw(data);
    if (!isFirst) history.replaceState(null, "", data.here);
  } catch (error) {
    told.textContent = figure.dataset.failed;
  } finally {
    if (number === asked) figure.removeAttribute("aria-busy");
  }
}

function zoom(drawn) {
  if (drawn.select.width < 5) return;
  const [since, until] = [drawn.posToVal(drawn.select.left, "x"), drawn.posToVal(drawn.select.left + drawn.select.width, "x")].map(Math.round);
  if (until - since >= LEAST_MS) show(since, until, false);
  else drawn.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
}

function back() {
  const last = before.pop();
  if (last) show(last[0], last[1], true);
}

if (figure && window.uPlot) {
  for (let i = 0; figure.dataset["logger-" + i] !== undefined || figure.hasAttribute("data-logger-" + i); i++) {
    loggers.push(figure.getAttribute("data-logger-" + i));
  }
  show(Number(figure.dataset.since), Number(figure.dataset.until), false);
  addEventListener("resize", () => { if (chart) chart.setSize({ width: place.clientWidth, height: 380 }); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (shown) draw(shown); });
}
