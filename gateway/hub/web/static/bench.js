// The bench without waiting: a scan replaces the result, the field never loses the scanner, verdicts update by themselves.
"use strict";

const form = document.querySelector("form.scan");
const field = document.getElementById("code");
const result = document.getElementById("result");
const said = document.getElementById("said");
const REFRESH_MS = 1000;
const RECEIVE = "+RECEIVE"; // on the printed card: no code begins with a plus
let asked = 0;
let shown = field.value.trim();
let isEdited = false;
let told = tell();

function isTypingElsewhere() {
  const at = document.activeElement;
  return at && at !== field && /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName);
}

// What is shown, in a sentence for who does not see it.
function tell() {
  return Array.from(result.querySelectorAll("[data-said]"), (part) => part.dataset.said).join(". ");
}

function announce(isNew) {
  const before = told;
  told = tell();
  if (isNew || told !== before) said.textContent = told;
}

function reached() {
  return Array.from(result.querySelectorAll("a, button, summary, [tabindex]"));
}

// What makes a place of the keyboard the same: a button with all that its form sends, else the element without content.
function describe(place) {
  return place ? (place.form || place.cloneNode(false)).outerHTML + (place.tagName === "SUMMARY" ? place.textContent : "") : "";
}

// What replaces the result by itself leaves the keyboard where it was, if the same is still there.
function replace(text, isNew) {
  const open = new Set(Array.from(result.querySelectorAll("details"), (d, i) => (d.open ? i : -1)));
  const at = reached().indexOf(document.activeElement);
  const was = describe(reached()[at]);
  result.innerHTML = text;
  if (isNew) return;
  result.querySelectorAll("details").forEach((d, i) => { d.open = open.has(i); });
  if (at >= 0 && describe(reached()[at]) === was) reached()[at].focus({ preventScroll: true });
}

async function show(code, isNew) {
  const number = ++asked;
  const address = "/bench?code=" + encodeURIComponent(code);
  if (shown !== code) isEdited = false;
  shown = code;
  result.setAttribute("aria-busy", "true");
  if (isNew) result.classList.add("leaving");
  try {
    const answer = await fetch(address, { headers: { "X-Fragment": "1" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const text = await answer.text();
    if (number !== asked) return;
    replace(text, isNew);
    announce(isNew);
    if (isNew) {
      history.pushState({ code }, "", address);
      document.title = (code ? code + " · " : "") + result.dataset.title;
    }
  } catch (error) {
    if (isNew) location.assign(address);
  } finally {
    if (number === asked) {
      result.removeAttribute("aria-busy");
      result.classList.remove("leaving");
    }
  }
}

// The card on the bench receives what is shown, if it is one consignment that can be received.
function receiveShown() {
  const forms = result.querySelectorAll("form.receive");
  field.value = shown;
  field.select();
  if (forms.length === 1) forms[0].requestSubmit();
  else said.textContent = result.dataset.none;
}

// Somebody writes there: what they type stays, and what they have seen is what the form carries.
function isBeingDecided() {
  return Array.from(result.querySelectorAll("textarea, select")).some((one) => one === document.activeElement || one.value !== "");
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (field.value.trim().toUpperCase() === RECEIVE) return receiveShown();
  field.select();
  isEdited = false;
  show(field.value.trim(), true);
});

// A keyboard-wedge scanner types wherever the focus is: what is typed outside a field belongs to the scan box, and
// what is typed over a code that is shown already replaces it, unless someone has begun to edit it.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || isTypingElsewhere()) return;
  if (event.key.length !== 1 || (event.key === " " && document.activeElement !== field)) {
    if (document.activeElement === field && event.key !== "Shift") isEdited = true;
    return;
  }
  if (document.activeElement !== field || (!isEdited && field.value === shown)) field.select();
  field.focus();
  isEdited = true;
});
field.addEventListener("pointerdown", () => { isEdited = true; });

window.addEventListener("popstate", () => {
  field.value = new URLSearchParams(location.search).get("code") || "";
  field.select();
  show(field.value.trim(), false);
});

let waiting = null;
function refresh() {
  if (waiting !== null || !shown) return;
  waiting = setTimeout(() => {
    waiting = null;
    if (result.hasAttribute("aria-busy") || isBeingDecided()) refresh(); // a scan under way must not be overtaken
    else show(shown, false);
  }, REFRESH_MS);
}

function concerns(event) {
  const about = JSON.parse(event.data).consignment;
  return Array.from(result.querySelectorAll("[data-consignment]")).some((part) => part.dataset.consignment === about);
}

if ("EventSource" in window) {
  const live = new EventSource("/api/v1/events?after=" + result.dataset.told);
  for (const kind of ["judgement", "breach", "consignment", "decision"]) {
    live.addEventListener(kind, (event) => { if (concerns(event)) refresh(); });
  }
}
setInterval(() => { if (result.querySelector(".behind")) refresh(); }, 5000);
field.focus();
field.select();
