// The bench without waiting: a scan replaces the result, the field never loses the scanner, verdicts update by themselves.
"use strict";

const form = document.querySelector("form.scan");
const field = document.getElementById("code");
const result = document.getElementById("result");
const said = document.getElementById("said");
const REFRESH_MS = 1000;
let asked = 0;
let shown = field.value.trim();

function isTypingElsewhere() {
  const at = document.activeElement;
  return at && at !== field && /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName);
}

function announce() {
  const parts = Array.from(result.querySelectorAll("[data-said]"), (part) => part.dataset.said);
  said.textContent = parts.join(". ");
}

async function show(code, isNew) {
  const number = ++asked;
  const address = "/bench?code=" + encodeURIComponent(code);
  if (isNew) result.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(address, { headers: { "X-Fragment": "1" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const text = await answer.text();
    if (number !== asked) return;
    const open = new Set(Array.from(result.querySelectorAll("details"), (d, i) => (d.open ? i : -1)));
    result.innerHTML = text;
    if (!isNew) result.querySelectorAll("details").forEach((d, i) => { d.open = open.has(i); });
    shown = code;
    if (isNew) {
      history.pushState({ code }, "", address);
      document.title = (code ? code + " · " : "") + "Bench · Coldchain";
      announce();
    }
  } catch (error) {
    if (isNew) location.assign(address);
  } finally {
    if (number === asked) result.removeAttribute("aria-busy");
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  field.select();
  show(field.value.trim(), true);
});

// A keyboard-wedge scanner types wherever the focus is: what is typed outside a field belongs to the scan box.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || isTypingElsewhere() || document.activeElement === field) return;
  if (event.key.length === 1 && event.key !== " ") {
    field.focus();
    field.select();
  }
});

window.addEventListener("popstate", () => {
  field.value = new URLSearchParams(location.search).get("code") || "";
  show(field.value.trim(), false);
});

let waiting = null;
function refresh() {
  if (waiting !== null || !shown) return;
  waiting = setTimeout(() => { waiting = null; show(shown, false); }, REFRESH_MS);
}

function concerns(event) {
  const about = JSON.parse(event.data).consignment;
  return Array.from(result.querySelectorAll("[data-consignment]")).some((part) => part.dataset.consignment === about);
}

if ("EventSource" in window) {
  const live = new EventSource("/api/v1/events");
  for (const kind of ["judgement", "breach", "consignment"]) {
    live.addEventListener(kind, (event) => { if (concerns(event)) refresh(); });
  }
}
setInterval(() => { if (result.querySelector(".behind")) refresh(); }, 5000);
field.focus();
field.select();
