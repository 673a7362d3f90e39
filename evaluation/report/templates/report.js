"use strict";
const facts = JSON.parse(document.getElementById("facts").textContent);
const form = document.getElementById("filter");
const rows = [...document.querySelectorAll("#rows > .row")];
const [OUTCOME, TRUE, PREDICTED, KIND, SIZE, CONFIDENCE, PRICE] = [0, 1, 2, 3, 4, 5, 6];
const IN_FORM = ["category", "kind", "sort", "from", "to"];

// The state is the part of the address behind "#", so that links, reloading and Back work.
function state() {
  return Object.fromEntries(new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : ""));
}

function isPaired(record) { // see Record.is_paired
  return record[OUTCOME] === "hit" || (record[TRUE] !== null && record[PREDICTED] !== null && record[TRUE] !== record[PREDICTED]);
}

function isInCell(record, wanted) { // a cell of the confusion matrix
  const sides = isPaired(record) ? [[record[TRUE], record[PREDICTED]]] : [[record[TRUE], null], [null, record[PREDICTED]]];
  return sides.some(([t, p]) => (t ?? p) !== null && String(t ?? "none") === wanted.true && String(p ?? "none") === wanted.predicted);
}

function isWanted(record, wanted) {
  const isHit = record[OUTCOME] === "hit", isTrue = record[TRUE] !== null, isPredicted = record[PREDICTED] !== null;
  const outcomes = {
    hit: isHit, fp: !isHit && isPredicted, fn: !isHit && isTrue,
    near: record[OUTCOME] === "near", far: record[OUTCOME] === "wrong" && isTrue,
  };
  const of = { fp: [record[PREDICTED]], fn: [record[TRUE]] }[wanted.outcome] ?? [record[TRUE], record[PREDICTED]];
  return (!wanted.category || of.map(String).includes(wanted.category))
    && (!wanted.kind || record[KIND] === wanted.kind)
    && (!wanted.outcome || outcomes[wanted.outcome])
    && (!wanted.size || record[SIZE] === wanted.size)
    && (!wanted.confidence || String(record[CONFIDENCE]) === wanted.confidence)
    && (!wanted.true || isInCell(record, wanted));
}

function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function describe(wanted) {
  const name = id => facts.categories[id];
  const parts = [];
  if (wanted.outcome) parts.push({ hit: "hits", fp: "false alarms", fn: "missed", near: "near misses", far: "other missed" }[wanted.outcome]);
  if (wanted.size) parts.push(`${wanted.size} segments`);
  if (wanted.confidence) parts.push(`confidence ${wanted.confidence / 10} to ${(+wanted.confidence + 1) / 10}`);
  if (wanted.true === "none") parts.push(`invented ${name(wanted.predicted)}`);
  else if (wanted.predicted === "none") parts.push(`missed ${name(wanted.true)}`);
  else if (wanted.true) parts.push(wanted.true === wanted.predicted ? `${name(wanted.true)}: hits` : `${name(wanted.true)} predicted as ${name(wanted.predicted)}`);
  return parts.join(", ");
}

function apply() {
  const wanted = state();
  for (const name of IN_FORM) form.elements[name].value = wanted[name] ?? "";
  const isFiltered = Object.keys(wanted).some(key => !["sort", "from", "to"].includes(key));
  document.body.classList.toggle("filtered", isFiltered);
  const found = facts.photos.map((photo, number) => {
    const matches = photo.records.map(record => isWanted(record, wanted));
    const price = photo.records.reduce((sum, record, i) => sum + (matches[i] ? record[PRICE] : 0), 0);
    const fits = photo.pq >= (wanted.from || 0) && photo.pq <= (wanted.to || 100);
    return { ...photo, number, matches, price, fits: fits && (!isFiltered || matches.includes(true)) };
  });
  const order = { worst: (a, b) => a.pq - b.pq, best: (a, b) => b.pq - a.pq, price: (a, b) => b.price - a.price }[wanted.sort];
  if (order) found.sort(order); else { // the random order of the rows
    const place = new Map(facts.shown.map((number, i) => [number, i]));
    found.sort((a, b) => (place.get(a.number) ?? Infinity) - (place.get(b.number) ?? Infinity) || a.number - b.number);
  }
  const byNumber = new Map(rows.map(row => [+row.dataset.photo, row]));
  const others = [];
  let shown = 0;
  for (const photo of found) {
    const row = byNumber.get(photo.number);
    if (!row) { if (photo.fits) others.push(photo); continue; }
    row.hidden = !photo.fits;
    shown += photo.fits;
    for (const mark of row.querySelectorAll("[data-record]")) mark.classList.toggle("match", isFiltered && photo.matches[mark.dataset.record]);
    row.parentNode.append(row);
  }
  document.getElementById("status").textContent = `${shown} of ${counted(rows.length, "photo")}`;
  document.getElementById("extra").textContent = describe(wanted);
  const list = document.getElementById("others");
  list.hidden = !others.length;
  if (!shown) list.open = true;
  list.querySelector("summary").textContent = `${counted(others.length, "more photo")} without pictures; "pipeline.py report RUN --rows ${facts.photos.length}" shows all`;
  list.querySelector("p").textContent = others.slice(0, 500).map(photo => `${photo.name} (PQ ${photo.pq.toFixed(1)})`).join(", ") + (others.length > 500 ? ", ..." : "");
}

function open() {
  apply();
  if (!location.hash.includes("=")) return;
  const heading = document.querySelector("#photos h2");
  heading.focus({ preventScroll: true });
  heading.scrollIntoView();
}

addEventListener("hashchange", open);
form.addEventListener("input", event => {
  if (!event.target.name) return;
  const wanted = state();
  for (const name of IN_FORM) { delete wanted[name]; if (form.elements[name].value) wanted[name] = form.elements[name].value; }
  history.replaceState(null, "", `#${new URLSearchParams(wanted)}`);
  apply();
});
form.addEventListener("submit", event => event.preventDefault());
form.addEventListener("reset", event => { event.preventDefault(); history.replaceState(null, "", "#photos"); apply(); });
document.getElementById("marks").addEventListener("change", event => document.body.classList.toggle("plain", !event.target.checked));

for (const row of rows) for (const item of row.querySelectorAll(".list li")) { // show which segment an error is
  const point = isOn => {
    row.classList.toggle("pointed", isOn);
    for (const mark of row.querySelectorAll(`.picture [data-record="${item.dataset.record}"]`)) mark.classList.toggle("at", isOn);
  };
  for (const name of ["pointerenter", "focusin"]) item.addEventListener(name, () => point(true));
  for (const name of ["pointerleave", "focusout"]) item.addEventListener(name, () => point(false));
}

const table = document.getElementById("table");
for (const heading of table.tHead.rows[0].cells) heading.firstElementChild.addEventListener("click", () => {
  const column = heading.cellIndex, isText = column === 0;
  const before = heading.getAttribute("aria-sort"), first = isText ? "ascending" : "descending";
  const direction = before === null ? first : before === "ascending" ? "descending" : "ascending";
  for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", direction);
  const value = row => row.cells[column].dataset.value, sign = direction === "ascending" ? 1 : -1;
  const compare = isText ? (a, b) => value(a).localeCompare(value(b)) : (a, b) => value(a) - value(b);
  [...table.tBodies[0].rows].sort((a, b) => sign * compare(a, b)).forEach(row => table.tBodies[0].append(row));
});

open();
