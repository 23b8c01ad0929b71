// What a test asks of a page, in one object that the browser gets before the page's own scripts.
(() => {
  const isSeen = (element) => element.checkVisibility({ visibilityProperty: true }) && element.getClientRects().length > 0;
  const name = (element) => {
    const id = element.id ? "#" + element.id : "." + element.className;
    return element.tagName.toLowerCase() + id + " " + (element.textContent || element.value || "").trim().slice(0, 30);
  };
  const ACTED = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]:not([tabindex='-1'])";

  // Everything that Tab stops at, in the order of the document; of radio buttons of one name one alone.
  function stops() {
    const radios = new Map();
    return Array.from(document.querySelectorAll(ACTED + ", .scroll, pre")).filter((one) => {
      if (one.disabled || one.tabIndex < 0 || !isSeen(one)) return false;
      if (!one.matches(ACTED) && !(one.scrollWidth > one.clientWidth || one.scrollHeight > one.clientHeight)) return false;
      if (one.type !== "radio") return true;
      const group = Array.from(document.getElementsByName(one.name)).filter((other) => other.form === one.form);
      const chosen = group.find((other) => other.checked) || group[0];
      if (chosen !== one || radios.has(one.name)) return false;
      return radios.set(one.name, true);
    });
  }

  // Targets below a size; a link within a sentence is exempt (WCAG 2.5.8), a field's label counts with it.
  function small(least) {
    return Array.from(document.querySelectorAll(ACTED)).filter((one) => {
      if (!isSeen(one) || one.closest(".skip, .u-over, .sr")) return false;
      const label = one.closest("label") || one;
      const box = label.getBoundingClientRect();
      const isInText = one.tagName === "A" && getComputedStyle(one).display === "inline";
      return !isInText && (box.width < least || box.height < least);
    }).map((one) => name(one) + " " + JSON.stringify(one.getBoundingClientRect().toJSON()));
  }

  // Boxes that reach beyond the right edge, and text that is cut off without a way to scroll to it.
  function cut() {
    const width = document.documentElement.clientWidth;
    const found = document.documentElement.scrollWidth > width ? ["the page is " + document.documentElement.scrollWidth + " px wide"] : [];
    for (const one of document.querySelectorAll("body *")) {
      if (!isSeen(one) || one.closest("svg, .sr, .scroll, pre, .picture, .skip")) continue;
      const style = getComputedStyle(one);
      if (one.matches("input, select, textarea")) continue; // they scroll by themselves
      const hides = ["hidden", "clip"].includes(style.overflowX) && one.scrollWidth > one.clientWidth + 1;
      if (hides) found.push("cut off: " + name(one));
      if (found.length && one.getBoundingClientRect().right > width + 1) found.push("wide: " + name(one));
    }
    return found.slice(0, 6);
  }

  // Lists of blocks that still have to be scrolled sideways.
  function wide() {
    const lists = Array.from(document.querySelectorAll(".stacks"), (list) => list.closest(".scroll") || list);
    return lists.filter((one) => isSeen(one) && one.scrollWidth > one.clientWidth + 1).map(name);
  }

  // Times of the clock that have no offset near them: in their block, in the table's head, or in its caption.
  function unplaced() {
    const time = /(^|[^\d:+−-])([01]\d|2[0-3]):[0-5]\d(?!\d)/;
    const offset = /[+−-]\d\d:\d\d|:\d\dZ/;
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
      const text = walker.currentNode.nodeValue;
      const about = walker.currentNode.parentElement;
      if (!time.test(text) || offset.test(text) || !about || about.closest("textarea, code, pre, script")) continue;
      if (/^\s*\d\d:\d\d\s*$/.test(text) && about.closest(".hint")) continue; // an example of what to type, no moment
      const near = about.closest("table, svg, figure, li, dl, p, form, section");
      if (!near || !offset.test(near.textContent)) found.push(text.trim().slice(0, 60));
    }
    return found;
  }

  // The way of the keyboard: where each Tab stopped, and whether one could see it there.
  const walk = { stops: [], unseen: [] };
  const looks = (one) => {
    const style = getComputedStyle(one);
    const box = one.type === "radio" && one.nextElementSibling ? getComputedStyle(one.nextElementSibling) : style;
    return [style, box].some((each) => (each.outlineStyle !== "none" && parseFloat(each.outlineWidth) >= 1) || each.boxShadow !== "none");
  };
  const isCovered = (one) => {
    const box = one.getBoundingClientRect();
    const x = Math.min(Math.max(box.left + box.width / 2, 1), innerWidth - 2);
    const y = Math.min(Math.max(box.top + box.height / 2, 1), innerHeight - 2);
    const over = document.elementFromPoint(x, y);
    return over && !one.contains(over) && !over.contains(one) && !over.closest("label")?.contains(one);
  };
  document.addEventListener("keyup", (event) => {
    if (event.key !== "Tab" || !walk.isOn) return;
    const at = document.activeElement;
    if (walk.stops[walk.stops.length - 1] === at) return; // day, month and year of a date are stops of their own
    walk.stops.push(at);
    if (at === document.body) return;
    if (!looks(at)) walk.unseen.push("no focus to be seen: " + name(at));
    if (isCovered(at)) walk.unseen.push("covered by something: " + name(at));
  }, true);
  function begin(most) {
    const all = stops().slice(0, most);
    walk.stops = [all[0]];
    walk.unseen = [];
    walk.expected = all;
    walk.isOn = true;
    all[0].focus();
    return all.length + 6 * all.filter((one) => /^(date|time)/.test(one.type)).length;
  }
  function end() {
    walk.isOn = false;
    const faults = walk.unseen.slice();
    walk.expected.forEach((one, i) => {
      if (faults.length < 5 && walk.stops[i] !== one) {
        faults.push("stop " + i + " is " + (walk.stops[i] ? name(walk.stops[i]) : "nothing") + ", not " + name(one));
      }
    });
    return faults;
  }

  window.inspection = { small, cut, wide, unplaced, begin, end };
})();
