// The code of a hand-in stands behind the # of its address, which no server ever sees: it is posted from here.
"use strict";

function openGiven() {
  const given = location.hash.slice(1);
  if (!given) return;
  history.replaceState(null, "", location.pathname); // not into the history, nor into an address that is shared
  const form = document.createElement("form");
  form.method = "post";
  form.action = "/hand-in/open";
  form.hidden = true;
  const code = document.createElement("input");
  code.name = "code";
  code.value = given;
  form.append(code);
  document.body.append(form);
  form.submit();
}

openGiven();
window.addEventListener("hashchange", openGiven); // another label, scanned into a page that is open

// Typing a moment chooses it.
const moment = document.getElementById("collected_at");
if (moment) {
  moment.addEventListener("input", () => {
    document.querySelector('input[name="collected"][value="at"]').checked = true;
  });
}
