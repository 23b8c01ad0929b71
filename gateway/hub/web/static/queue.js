// Keys through the queue: j and k move, Enter opens (it is a link that has the focus), x selects, a acknowledges.
"use strict";

const list = document.getElementById("queue");
const reason = document.getElementById("reason");
const picked = document.getElementById("picked");
const keys = document.getElementById("keys");
const switchOn = document.getElementById("keys-on");
const STORED = "coldchain-keys";

function rows() {
  return Array.from(list.querySelectorAll(".queued"));
}

function current() {
  const at = document.activeElement;
  return rows().findIndex((row) => row.contains(at));
}

function move(step) {
  const all = rows();
  const at = current();
  const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + step));
  const link = all[next].querySelector("a.opens");
  link.focus();
  all[next].scrollIntoView({ block: "nearest" });
}

function boxOf(row) {
  return row ? row.querySelector("input[type=checkbox]") : null;
}

function tell() {
  if (!picked) return;
  const count = list.querySelectorAll("input:checked").length;
  picked.textContent = count ? picked.dataset.some.replace("{n}", String(count)) : picked.dataset.none;
}

function select() {
  const box = boxOf(rows()[current()]);
  if (!box) return;
  box.checked = !box.checked;
  tell();
}

function acknowledge() {
  if (!reason) return;
  if (!list.querySelector("input:checked")) {
    const box = boxOf(rows()[current()]);
    if (!box) return;
    box.checked = true;
    tell();
  }
  reason.focus();
}

const ACTS = { j: () => move(1), k: () => move(-1), x: select, a: acknowledge };

function isTyping(at) {
  return at instanceof HTMLElement && (/^(TEXTAREA|SELECT)$/.test(at.tagName) || (at.tagName === "INPUT" && at.type !== "checkbox"));
}

if (list && keys) {
  keys.hidden = false;
  switchOn.checked = localStorage.getItem(STORED) !== "off";
  switchOn.addEventListener("change", () => localStorage.setItem(STORED, switchOn.checked ? "on" : "off"));
  list.addEventListener("change", tell);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || !switchOn.checked || isTyping(event.target)) return;
    const act = ACTS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
