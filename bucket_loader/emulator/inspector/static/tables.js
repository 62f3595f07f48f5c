// What was sent, as tables: filter as one types, pages, and all of it as CSV.

import {ask, query, where} from "./ask.js";
import {badge, capital, count, el, link, short, text, when} from "./dom.js";
import {isCurrent, routeNow} from "./looking.js";

const ROWS = 50;
const COLUMNS = 30; // more are in the CSV
const TYPING_MS = 150;
const ATTRIBUTE = "attributes.";
export const TABLES = ["users", "companies", "events", "feedback", "requests", "rejected"];

const ABOUT = {
  users: "Each user, as it is now, in the order in which they came.",
  companies: "Each company, as it is now, in the order in which they came.",
  events: "Each event, as it was sent, in order.",
  feedback: "Each feedback, as it was sent, in order.",
  requests: "The latest calls of the API. Open one to see its headers, its body and its answer.",
  rejected: "What Bucket refused, and the rows that the loader itself rejected and never sent.",
};
const EMPTY = {
  rejected: "Nothing was refused. Rows that the loader itself rejects stand here after `rehearse --keep`, and with `emulator --state`.",
};

/** One table: what is shown of it now, and how to go on. */
export function showTable(name) {
  const mine = routeNow();
  const view = {name, text: "", pages: ["0.0"], rows: [], columns: [], answer: null, isCurrent: () => isCurrent(mine)};
  const filter = el("input", {type: "search", id: "filter", autocomplete: "off", spellcheck: "false", maxlength: "200",
    placeholder: "Filter: rows that hold this text", "aria-label": `Filter ${name}`});
  const csv = el("a", {class: "button", download: `${name}.csv`}, "Download CSV");
  const body = el("div", {class: "table", id: "table", tabindex: "0", role: "region", "aria-label": capital(name)});
  const told = el("p", {class: "quiet number", id: "table-note", role: "status"}, "looking");
  const back = el("button", {type: "button", id: "page-back", onclick: () => turn(view, -1)}, "← Previous");
  const on = el("button", {type: "button", id: "page-on", onclick: () => turn(view, 1)}, "Next →");
  Object.assign(view, {filter, csv, body, told, back, on});
  let typing = 0;
  filter.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => { view.text = filter.value.trim(); view.pages = ["0.0"]; load(view); }, TYPING_MS);
  });
  load(view);
  const nodes = [
    el("div", {class: "head-line"}, el("h2", {}, capital(name)), text("p", "quiet", ABOUT[name])),
    el("div", {class: "tools"}, filter, csv),
    el("section", {class: "card", "aria-label": `Rows of ${name}`}, body, el("div", {class: "pager"}, told, back, on)),
  ];
  return {nodes, refresh: () => renew(view)};
}

/** Look for the rows of the page that is shown; a look ends after a moment, so there may be several. */
async function load(view) {
  const asked = [view.text, view.pages.length, (view.load = (view.load ?? 0) + 1)];
  const isLate = () => !view.isCurrent() || asked[2] !== view.load;
  view.csv.href = where(`tables/${view.name}/csv?${query({text: view.text})}`);
  const found = {rows: [], columns: new Set()};
  let after = view.pages.at(-1);
  try {
    for (;;) {
      const answer = await ask(`tables/${view.name}?${query({text: view.text, after, limit: ROWS - found.rows.length})}`);
      if (isLate()) return;
      found.rows.push(...answer.rows);
      answer.columns.forEach((column) => found.columns.add(column));
      Object.assign(view, {rows: found.rows, columns: [...found.columns], answer});
      if (answer.isComplete || found.rows.length >= ROWS) break;
      view.told.textContent = `looked through ${count(answer.seen)} of ${count(answer.total)}`;
      after = answer.next;
    }
  } catch (error) {
    if (!isLate()) view.told.textContent = error.message;
    return;
  }
  show(view);
}

function turn(view, step) {
  if (step > 0) view.pages.push(view.answer.next);
  else view.pages.pop();
  load(view).then(() => view.body.scrollTo(0, 0));
}

/** Show what has come since; never while somebody is in the table, nor on a later page. */
function renew(view) {
  if (view.pages.length === 1 && !view.body.contains(document.activeElement) && getSelection().isCollapsed) load(view);
}

function show(view) {
  const {rows, pages, answer, text: wanted} = view;
  const first = (pages.length - 1) * ROWS;
  const of = answer.isComplete ? first + rows.length : answer.rowsTotal;
  const columns = view.columns.slice(0, COLUMNS);
  const hidden = view.columns.length - columns.length;
  view.told.textContent = [
    rows.length === 0 ? "no rows" : `rows ${count(first + 1)} to ${count(first + rows.length)}`,
    rows.length > 0 && (of ?? null) !== null ? `of ${count(of)}` : "",
    wanted === "" ? "" : `that hold “${short(wanted, 40)}”`,
  ].filter(Boolean).join(" ") + [
    hidden > 0 ? `; ${count(hidden)} more columns in the CSV` : "",
    answer.leftOut > 0 ? `; ${count(answer.leftOut)} older ones are not kept` : "",
  ].join("");
  const focus = document.activeElement;
  view.back.disabled = pages.length === 1;
  view.on.disabled = answer.isComplete;
  if (focus === view.on && view.on.disabled) view.back.focus();
  if (focus === view.back && view.back.disabled) view.on.focus();
  view.body.replaceChildren(rows.length === 0
    ? text("p", "empty", wanted === "" ? EMPTY[view.name] ?? `No ${view.name} yet.` : "No row holds this text.")
    : el("table", {}, el("caption", {class: "only-said"}, capital(view.name)),
      el("thead", {}, el("tr", {}, columns.map(heading))),
      el("tbody", {}, rows.map((row) => el("tr", {}, columns.map((column) => cell(view.name, column, row[column])))))));
}

function heading(column) {
  const isAttribute = column.startsWith(ATTRIBUTE);
  return el("th", {scope: "col", class: isAttribute ? "attribute" : null},
    short(isAttribute ? column.slice(ATTRIBUTE.length) : column, 60) || "(no name)");
}

const TIMES = new Set(["at", "first seen", "last seen"]);
const WIDE = new Set(["what", "where", "reason", "error", "comment"]);

function cell(table, column, content) {
  if (content === undefined || content === "") return el("td", {});
  if (content === null) return el("td", {class: "quiet"}, "null");
  const shown = TIMES.has(column) ? when(content) : linked(table, column, content) ?? short(content, 400);
  return el("td", {class: WIDE.has(column) ? "wide" : null, title: content.length > 40 ? short(content, 1000) : null},
    column === "what" ? text("code", "", shown) : shown);
}

/** What a cell leads to, if it leads somewhere. */
function linked(table, column, content) {
  if (column === "userId") return link("user", content, short(content, 100));
  if (column === "companyId" || column === "default company") return link("company", content, short(content, 100));
  if (column === "request") return link("request", content, count(Number(content)));
  if (table === "rejected" && column === "where" && content.startsWith("request ")) {
    return link("request", content.slice("request ".length), content);
  }
  if (column === "status") return badge(content, content < "300" ? "good" : "bad");
  if (table === "rejected" && column === "by") return badge(content, content === "Bucket" ? "bad" : "warn");
  return null;
}
