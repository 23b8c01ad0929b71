// The code of a hand-in stands behind the # of its address, which no server ever sees: it is posted from here.
"use strict";

const given = decodeURIComponent(location.hash.slice(1));
if (given) {
  history.replaceState(null, "", location.pathname); // not into the history, nor into a shared address
  const form = document.createElement("form");
  form.method = "post";
  form.action = "/hand-in/open";
  const code = document.createElement("input");
  code.type = "hidden";
  code.name = "code";
  code.value = given;
  form.append(code);
  document.body.append(form);
  form.submit();
}

// Typing a moment chooses it.
const moment = document.getElementById("collected_at");
if (moment) {
  moment.addEventListener("input", () => {
    document.querySelector('input[name="collected"][value="at"]').checked = true;
  });
}
