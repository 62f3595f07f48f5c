// The emulator's page: which view is shown, and how it keeps up. The other files are the views and what they are made of.

import {ask, ENVIRONMENT, MAIN, query, TITLE} from "./ask.js";
import {$, address, capital, clock, el, fill, short, text} from "./dom.js";
import {showFeature} from "./features.js";
import {isCurrent, newRoute} from "./looking.js";
import {listenForMore, refreshOverview} from "./overview.js";
import {showCompany, showSearch, showUser, timeline} from "./people.js";
import {showRequest} from "./requests.js";
import {showTable, TABLES} from "./tables.js";

const REFRESH_MS = 2000;
const ENVIRONMENTS_MS = 10000;
const OVERVIEW = "overview";

// Each view returns its nodes, or these and how it is brought up to date when something has come.
const VIEWS = {
  user: showUser, company: showCompany, request: showRequest, search: showSearch,
  feature: (key) => showFeature(key, turned),
};
// The tab that a view belongs to.
const TAB_OF = {user: "users", company: "companies", request: "requests"};

let refreshView = null; // of the view that is shown
let lastState = "";

// --- which view ----------------------------------------------------------------------------------------------------

/** Read the address: the overview, a table, one thing by its name, or none of these. */
function readAddress() {
  const [, kind, , rest] = /^#\/([\w-]*)(\/([^]*))?$/.exec(location.hash || "#/") ?? [];
  let name = rest ?? "";
  try { name = decodeURIComponent(name); } catch { /* typed by hand: taken as it is */ }
  if (kind === "" && name === "") return {kind: OVERVIEW};
  if (TABLES.includes(kind) && name === "") return {kind, isTable: true};
  if (Object.hasOwn(VIEWS, kind ?? "") && name !== "") return {kind, name};
  return {kind: null, name: location.hash};
}

async function show() {
  const mine = newRoute();
  const asked = readAddress();
  refreshView = null;
  lastState = "";
  selectTab(asked);
  $("overview").hidden = asked.kind !== OVERVIEW;
  $("view").hidden = asked.kind === OVERVIEW;
  $("search-text").value = asked.kind === "search" ? asked.name : "";
  document.title = [asked.name === undefined ? asked.kind === OVERVIEW ? null : capital(asked.kind) : short(asked.name, 60), TITLE]
    .filter(Boolean).join(" · ");
  if (asked.kind === OVERVIEW) $("view").replaceChildren();
  else {
    $("view").replaceChildren(text("p", "quiet", "looking"));
    const found = await made(asked);
    if (!isCurrent(mine)) return;
    const {nodes, refresh = null} = Array.isArray(found) ? {nodes: found} : found;
    refreshView = refresh;
    $("view").replaceChildren(...nodes);
    window.scrollTo(0, 0);
  }
  if (document.activeElement === document.body && asked.kind !== OVERVIEW) $("main").focus({preventScroll: true});
  await refresh();
}

async function made({kind, name, isTable}) {
  if (isTable) return showTable(kind);
  if (kind === null) {
    return [el("h2", {}, "There is no such page"),
      el("p", {}, "The address ", text("code", "", short(name, 200)), " leads nowhere. Go to the ", el("a", {href: "#/"}, "overview"), ".")];
  }
  try {
    return await VIEWS[kind](name);
  } catch (error) {
    const parts = [el("h2", {}, name), text("p", "quiet", error.status === undefined ? "The emulator does not answer." : error.message)];
    if (error.status === 404 && (kind === "user" || kind === "company")) parts.push(timeline(kind, name)); // it may have been deleted
    return parts;
  }
}

// --- tabs ----------------------------------------------------------------------------------------------------------

const tabs = [OVERVIEW, ...TABLES].map((name) => el("a", {
  role: "tab", id: `tab-${name}`, href: name === OVERVIEW ? "#/" : `#/${name}`, "aria-controls": "panel",
}, capital(name)));

function selectTab({kind}) {
  const selected = `tab-${TAB_OF[kind] ?? (TABLES.includes(kind) ? kind : OVERVIEW)}`;
  for (const tab of tabs) {
    tab.setAttribute("aria-selected", String(tab.id === selected));
    tab.tabIndex = tab.id === selected ? 0 : -1;
  }
  $("panel").setAttribute("aria-labelledby", selected);
}

function moveInTabs(event) {
  const place = tabs.indexOf(document.activeElement);
  const next = {ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: tabs.length - 1}[event.key];
  if (place < 0 || next === undefined) return;
  event.preventDefault();
  const tab = tabs[(next + tabs.length) % tabs.length];
  location.hash = tab.getAttribute("href");
  tab.focus();
  tab.scrollIntoView({block: "nearest", inline: "nearest"});
}

// --- keeping up ----------------------------------------------------------------------------------------------------

let isRefreshing = false;
let isStale = false; // what is being shown now was asked before a change
let lastEnvironments = 0;
let lastAnswer = new Date();
let soon = 0;

function told(isLive, words) {
  $("status").className = isLive ? "live" : "lost";
  if ($("status-text").textContent !== words) $("status-text").textContent = words;
}

/** Dim what is shown while nobody answers, and say since when. */
function tellConnection(isThere, words) {
  told(isThere, words);
  document.body.classList.toggle("is-lost", !isThere);
  $("lost").hidden = isThere;
  if (isThere) lastAnswer = new Date();
  const since = `No answer since ${clock(lastAnswer)}. What is shown is from then. The page asks again every two seconds.`;
  const shown = isThere ? "" : since;
  if ($("lost").textContent !== shown) $("lost").textContent = shown;
}

/** Offer the environments where there are several; the one that is shown is always among them. */
async function showEnvironments() {
  const names = (await ask("/environments")).environments.map((environment) => environment.name);
  if (!names.includes(ENVIRONMENT)) names.push(ENVIRONMENT);
  fill($("environment"), names, (name) => name, (name) => el("option", {value: name}, name));
  $("environment").value = ENVIRONMENT;
  $("environment").hidden = names.length === 1;
}

async function refresh() {
  if (isRefreshing || document.hidden) return;
  isRefreshing = true;
  try {
    await refreshAll();
    tellConnection(true, "live");
  } catch (error) {
    if (error.status === undefined) tellConnection(false, "no answer");
    else told(false, error.message);
  } finally {
    isRefreshing = false;
  }
  if (!isStale) return;
  isStale = false;
  await refresh();
}

async function refreshAll() {
  if (Date.now() - lastEnvironments > ENVIRONMENTS_MS) {
    await showEnvironments();
    lastEnvironments = Date.now();
  }
  const state = await ask("state");
  clearTimeout(soon);
  if (!$("overview").hidden) {
    const again = await refreshOverview(state, turned);
    if (again !== null) soon = setTimeout(refresh, again);
  } else if (refreshView !== null && JSON.stringify(state) !== lastState) {
    const isFirst = lastState === "";
    lastState = JSON.stringify(state);
    if (!isFirst) await refreshView();
  }
}

/** Show what a switch has changed; `error` is what went wrong, if something did. */
async function turned(error) {
  if (error !== null) told(false, error.message);
  if (!$("overview").hidden) {
    isStale = isRefreshing;
    await refresh();
  } else {
    await show();
    $("view").querySelector(".switch :checked")?.focus();
  }
}

// --- what a person does --------------------------------------------------------------------------------------------

$("tabs").append(...tabs);
$("tabs").addEventListener("keydown", moveInTabs);
$("skip").addEventListener("click", () => $("main").focus());
listenForMore(refresh);
$("environment").addEventListener("change", () => {
  const name = $("environment").value;
  location.assign(name === MAIN ? location.pathname : `?${query({environment: name})}`);
});
$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const words = $("search-text").value.trim();
  if (words !== "") location.hash = address("search", words);
});
document.addEventListener("keydown", (event) => {
  const isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    $("search-text").focus();
    $("search-text").select();
  }
  if (event.key === "Escape" && event.target === $("search-text")) $("search-text").blur();
});
document.addEventListener("visibilitychange", refresh);
window.addEventListener("hashchange", show);
setInterval(refresh, REFRESH_MS);
show();
