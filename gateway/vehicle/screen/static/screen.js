// The screen lives only as long as the vehicle answers: three seconds without an answer and it turns grey by itself.
"use strict";

const ASK_MS = 800;
const STALE_MS = 2500; // with the time between two looks, grey within three seconds
const REST_MS = 60000; // nobody has touched it for so long: back to how the boxes stand
const FORGET_BADGE_MS = 120000; // whoever scans after that is somebody else
const ANSWERS_MAX = 3; // three tubes in one home, the last on top
const SEEN_MAX = 200;

const now = document.getElementById("now");
const answer = document.getElementById("answer");
const form = document.getElementById("scan");
const field = document.getElementById("code");
const sound = document.getElementById("sound");
const known = { box: "", holder: "" };
let heardAt = -Infinity;
let forgetting = 0;
let resting = 0;
let shown = "";

// --- how it stands

function look() {
  document.body.classList.toggle("stale", performance.now() - heardAt > STALE_MS);
}

function fill(text) {
  const opened = Array.from(now.querySelectorAll("details[open]"), (one) => one.className);
  const focused = Array.from(now.querySelectorAll("summary")).indexOf(document.activeElement);
  now.innerHTML = text;
  now.querySelectorAll("details").forEach((one) => { one.open = opened.includes(one.className); });
  if (focused >= 0) now.querySelectorAll("summary")[focused]?.focus({ preventScroll: true });
  shown = text;
}

async function ask() {
  const began = performance.now();
  try {
    const reply = await fetch("/screen/now", { signal: AbortSignal.timeout(2000), cache: "no-store" });
    if (!reply.ok) throw new Error(String(reply.status));
    const text = await reply.text();
    if (text !== shown) fill(text); // what has not changed keeps its focus
    heardAt = began; // what is shown is at least as old as the question
    listen();
  } catch (error) {
    // Nothing to say here: silence is what turns the screen grey.
  }
  look();
  setTimeout(ask, Math.max(0, ASK_MS - (performance.now() - began)));
}

// --- a new breach is heard

let audio = null;
const seen = new Set(JSON.parse(sessionStorage.getItem("seen") || "[]"));

function unlock() {
  if (audio === null) audio = new AudioContext();
  if (audio.state === "suspended") audio.resume().then(showSound, showSound);
  showSound();
}

function showSound() {
  sound.hidden = audio !== null && audio.state === "running";
}

function beep() {
  if (audio === null || audio.state !== "running") return false;
  for (let n = 0; n < 6; n += 1) {
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    const at = audio.currentTime + n * 0.3;
    tone.frequency.value = n % 2 ? 880 : 1320;
    volume.gain.setValueAtTime(0.5, at);
    volume.gain.exponentialRampToValueAtTime(0.001, at + 0.25);
    tone.connect(volume).connect(audio.destination);
    tone.start(at);
    tone.stop(at + 0.27);
  }
  document.body.dataset.beeps = String(Number(document.body.dataset.beeps || 0) + 1);
  return true;
}

function listen() {
  const alarms = now.firstElementChild.dataset.alarms.split(" ").filter(Boolean);
  const fresh = alarms.filter((alarm) => !seen.has(alarm));
  if (fresh.length && beep()) { // unheard while the browser forbids sound: then as soon as it may
    fresh.forEach((alarm) => seen.add(alarm));
    sessionStorage.setItem("seen", JSON.stringify(Array.from(seen).slice(-SEEN_MAX)));
  }
}

// --- scanning

function remember(box, boxName, holder) {
  known.box = box;
  known.holder = holder;
  for (const [name, text] of [["box", boxName], ["holder", holder]]) {
    const shown = document.getElementById(name);
    shown.textContent = text ? shown.dataset.label + ": " + text : "";
  }
  clearTimeout(forgetting);
  if (holder) forgetting = setTimeout(() => remember(box, boxName, ""), FORGET_BADGE_MS);
}

async function post(path, body) {
  const reply = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Coldchain-Screen": "1" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(10000),
  });
  const kept = reply.headers.get("content-type").startsWith("text/html");
  if (!kept) throw new Error(String(reply.status));
  const made = document.createElement("template");
  made.innerHTML = await reply.text();
  return made.content.firstElementChild;
}

// One after another: what was scanned first is in the log first, and a tube goes into the box scanned before it.
let queue = Promise.resolve();
function inTurn(work) {
  queue = queue.then(work).catch(() => {
    answer.replaceChildren(document.getElementById("failed").content.cloneNode(true));
  });
}

function show(part, replaced) {
  if (replaced) {
    replaced.replaceWith(part);
    return;
  }
  const isNextTube = part.dataset.asks === "yes" && answer.querySelector('[data-asks="yes"]') !== null;
  for (const old of Array.from(answer.children)) {
    if (!isNextTube || old.dataset.asks !== "yes" || old.dataset.item === part.dataset.item) old.remove();
  }
  answer.prepend(part);
  while (answer.children.length > ANSWERS_MAX) answer.lastElementChild.remove();
  part.scrollIntoView({ block: "nearest" }); // on a telephone the boxes may stand above it
}

async function scan(code) {
  const mode = form.elements.mode.value;
  const part = await post("/screen/scan", { mode, code, box: known.box, holder: known.holder });
  remember(part.dataset.box, part.dataset.boxName, part.dataset.holder);
  show(part, null);
}

async function act(button) {
  const old = button.closest(".answer");
  const { id, minutes } = button.dataset;
  const part = button.classList.contains("ago")
    ? await post("/screen/ago", { id, minutes: Number(minutes) })
    : await post("/screen/undo", { id, holder: known.holder });
  if (old.isConnected) show(part, old);
}

function choose(radio) {
  radio.checked = true;
  document.getElementById("asked").textContent = radio.dataset.asked;
  document.body.classList.toggle("working", radio.value !== "look");
  answer.replaceChildren();
  remember("", "", "");
}

// Codes that are commands stand on a sheet, for hands in gloves: of several answers they mean the one on top.
async function take(code) {
  const command = document.querySelector('[data-command="' + CSS.escape(code.toUpperCase()) + '"]');
  if (command === null) await scan(code);
  else if (command.name === "mode") choose(command);
  else await act(command);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  unlock();
  const code = field.value.trim();
  field.value = "";
  field.focus();
  if (code) inTurn(() => take(code));
});

form.addEventListener("change", (event) => {
  if (event.target.name === "mode") inTurn(async () => choose(event.target));
});

answer.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) inTurn(() => act(button));
});

// A keyboard-wedge scanner types wherever the focus is: it belongs to the field.
document.addEventListener("keydown", (event) => {
  unlock();
  if (event.ctrlKey || event.altKey || event.metaKey || document.activeElement === field) return;
  if (event.key.length === 1 && event.key !== " ") field.focus();
});
document.addEventListener("pointerdown", unlock);

// Whoever drives away after a scan leaves the page where the field is: it goes back to the top by itself.
function rest() {
  clearTimeout(resting);
  resting = setTimeout(() => window.scrollTo({ top: 0 }), REST_MS);
}
for (const kind of ["keydown", "pointerdown", "wheel", "touchmove"]) document.addEventListener(kind, rest, { passive: true });
document.addEventListener("click", (event) => {
  if (!event.target.closest("button, a, summary")) field.focus({ preventScroll: true });
});
sound.addEventListener("click", () => { unlock(); setTimeout(beep, 100); });

form.elements.mode.value = "look"; // a browser that reloads remembers what was chosen, and not what was scanned
field.focus();
ask();
setInterval(look, 250);
