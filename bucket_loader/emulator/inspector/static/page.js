// The emulator's page. Text goes into the document as text, never as HTML: a record may hold anything.
"use strict";

const REFRESH_MS = 2000;
const SLOW_MS = 10000; // how often who has what is worked out again
const SHOWN = {refused: 4, requests: 12, features: 10};
const MORE = {refused: 20, requests: 50, features: 50};
const MOST = {refused: 200, requests: 500, features: 500};
// Every other count is called by its name.
const LABELS = {feature_events: "Feature checks", unassociated_events: "Unassociated"};
const TYPES = {user: "good", company: "blue", event: "", feedback: "violet", "feature-flag-event": "warn"};

const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en-US");
const count = (value) => number.format(value);
const many = (value, one, more = one + "s") => `${count(value)} ${value === 1 ? one : more}`;
const capital = (words) => words[0].toUpperCase() + words.slice(1);
const two = (value) => String(value).padStart(2, "0");
let shown = {...SHOWN};
let route = 0; // grows with each view: an answer that comes for an earlier one is dropped

function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name === "onclick") node.addEventListener("click", value);
    else node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

const text = (tag, name, content) => el(tag, {class: name}, content);
const badge = (label, look = "") => text("span", `badge ${look}`, label);
const link = (kind, id, label) => el("a", {href: `#/${kind}/${encodeURIComponent(id)}`}, label ?? id);

/** Make a list hold these items, and leave alone what is there already: whoever reads it loses neither place nor focus. */
function fill(list, items, key, make) {
  const known = new Map([...list.children].map((child) => [child.dataset.key, child]));
  const nodes = items.map((item) => {
    const name = String(key(item));
    const node = known.get(name) ?? make(item);
    node.dataset.key = name;
    return node;
  });
  const wanted = new Set(nodes);
  for (const child of [...list.children]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, index) => {
    if (list.children[index] !== node) list.insertBefore(node, list.children[index] ?? null);
  });
}

/** Show a moment in the reader's own time; the exact one is in the title. */
function when(moment) {
  const at = new Date(moment);
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  const isToday = at.toDateString() === new Date().toDateString();
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return el("time", {class: "when", datetime: moment, title: moment}, isToday ? clock : `${day} ${clock}`);
}

const MAIN = "main";
const ENVIRONMENT = new URLSearchParams(location.search).get("environment") ?? MAIN;
const TITLE = ENVIRONMENT === MAIN ? "Bucket emulator" : `${ENVIRONMENT} · Bucket emulator`;
const HERE = ENVIRONMENT === MAIN ? "" : `environments/${encodeURIComponent(ENVIRONMENT)}/`;

/** Ask about the environment that is shown; a path that begins with / is about all of them. */
async function ask(path, options = {}) {
  const where = `_emulator/${path[0] === "/" ? path.slice(1) : HERE + path}`;
  const answer = await fetch(where, {cache: "no-store", ...options});
  const body = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(body.error?.message ?? answer.statusText), {status: answer.status});
  return body;
}

const query = (members) => new URLSearchParams(members).toString();

// --- words ---------------------------------------------------------------------------------------------------------

const OPERATORS = {
  IS: "is", IS_NOT: "is not", ANY_OF: "is one of", NOT_ANY_OF: "is none of", CONTAINS: "contains",
  NOT_CONTAINS: "does not contain", GT: "is more than", LT: "is less than", SET: "is set", NOT_SET: "is not set",
  IS_TRUE: "is true", IS_FALSE: "is false", DATE_AFTER: "is on or after", DATE_BEFORE: "is on or before",
};

function condition(filter, isInside = false) {
  switch (filter.type) {
    case "constant":
      return filter.value ? "everyone" : "nobody";
    case "context": {
      const values = filter.values ?? [];
      if (filter.operator === "AFTER") return `${filter.field} is within the last ${values[0]} days`;
      if (filter.operator === "BEFORE") return `${filter.field} is more than ${values[0]} days ago`;
      return [filter.field, OPERATORS[filter.operator] ?? filter.operator, values.join(", ")].join(" ").trim();
    }
    case "rolloutPercentage":
      return `${filter.partialRolloutThreshold / 1000} % by ${filter.partialRolloutAttribute}`;
    case "group": {
      if (filter.filters.length === 0) return filter.operator === "and" ? "everyone" : "nobody";
      const parts = filter.filters.map((inner) => condition(inner, filter.filters.length > 1));
      const joined = parts.join(filter.operator === "and" ? " and " : " or ");
      return isInside && parts.length > 1 ? `(${joined})` : joined;
    }
    case "negation":
      return `not (${condition(filter.filter)})`;
    default:
      return `nobody: a filter of type ${String(filter.type)} is not known`;
  }
}

const targeting = (feature) => feature.targeting.rules.length === 0
  ? ["nobody: it has no rules"] : feature.targeting.rules.map((rule) => condition(rule.filter));

const FAULTS = {
  status: (fault) => `answers ${fault.status}${fault.retry_after === null ? "" : `, with Retry-After ${fault.retry_after}`}`,
  latency: (fault) => `waits ${fault.seconds} s before it answers`,
  cut_before: () => "closes the connection without an answer; applies nothing",
  cut_after: () => "applies the call, then closes the connection without an answer",
  truncated: () => "applies the call, and breaks off in the middle of the answer",
  endless: () => "applies the call, and sends an answer that never ends",
  dripping: (fault) => `applies the call, and sends the answer byte by byte, ${fault.seconds} s apart`,
  success_false: (fault) => `answers ${fault.status} with success: false`,
  html: (fault) => `answers ${fault.status} with a web page`,
  redirect: (fault) => `answers ${fault.status}, and sends the caller to ${fault.to}`,
  partial_400: () => "applies the first half of the records, then answers 400",
  rate_limit: (fault) => `answers ${fault.status} beyond ${count(fault.records_per_second)} records a second`,
  outage: (fault) => `closes every connection from ${fault.from_s} s to ${fault.to_s} s after it was ordered`,
  poison: (fault) => `answers ${fault.status} to any body that contains ${JSON.stringify(fault.match)}`,
};

function isSpent(fault, age) {
  return fault.struck === fault.times || (fault.kind === "outage" && age >= fault.to_s) || fault.rate === 0;
}

// --- the overview --------------------------------------------------------------------------------------------------

function showCounts(state) {
  for (const name of Object.keys(state)) {
    let tile = $(`count-${name}`);
    if (tile === null) {
      tile = el("div", {}, el("dt", {}, LABELS[name] ?? capital(name.replaceAll("_", " "))), el("dd", {id: `count-${name}`}));
      $("counts").append(tile);
      if (name === "unassociated_events") tile.title = "Events whose user belongs to no company";
    } else {
      tile = tile.parentElement;
    }
    const figure = tile.querySelector("dd");
    if (figure.textContent !== count(state[name])) figure.textContent = count(state[name]);
    tile.className = state[name] === 0 ? "zero" : name === "refused" ? "bad" : "";
  }
}

function verdict(call) {
  if (call.status === null) return badge("cut, no answer", "bad");
  if (call.error !== null) return badge(`${call.status} ${call.status < 400 || call.status > 499 ? "failed" : "refused"}`, "bad");
  return badge(call.status < 300 ? `${call.status} accepted` : String(call.status), call.status < 300 ? "good" : "warn");
}

function requestRow(call) {
  return el("li", {},
    when(call.at),
    el("span", {class: "call"}, el("span", {class: "mono"}, `${call.method} ${call.path}`),
      call.fault === null ? null : [" ", badge(`fault: ${call.fault}`, "warn")]),
    text("span", "records quiet number", call.records === null ? "" : many(call.records, "record")),
    el("span", {class: "verdict"}, verdict(call)),
    call.error === null ? null : text("p", "error", short(briefly(call), 160)));
}

const briefly = (call) => call.wrong.length === 0 ? call.error
  : call.wrong[0].message + (call.wrong.length > 1 ? ", and more" : "");

/** Put the field of a mistake apart from what is wrong with it: "[3].userId: must ...". */
function mistake(wrong) {
  const parts = /^([\w.[\]]{1,200}): ([^]*)$/.exec(wrong.message);
  const said = parts === null ? [wrong.message] : [text("code", "field", parts[1]), ` ${parts[2]}`];
  return el("div", {class: "mistake"}, el("p", {}, said), wrong.item === null ? null : el("pre", {tabindex: "0"}, wrong.item));
}

function refusalRow(call) {
  return el("li", {},
    el("div", {class: "head"}, verdict(call), text("span", "mono", `${call.method} ${call.path}`),
      call.fault === null ? null : badge(`fault: ${call.fault}`, "warn"),
      text("span", "quiet", `request ${count(call.request)}`),
      call.wrong.length > 0 || call.fault !== null ? null : text("span", "", call.error), when(call.at)),
    call.wrong.map(mistake));
}

function showRequests(latest, refused, state) {
  fill($("requests"), latest, (call) => call.request, requestRow);
  fill($("refused"), refused, (call) => call.request, refusalRow);
  $("requests-note").textContent = latest.length === 0 ? "nothing has been sent yet"
    : `${count(latest.length)} of ${count(state.requests)}`;
  $("refused-note").textContent = `${count(refused.length)} of ${count(state.refused)}`;
  $("refused-card").hidden = refused.length === 0;
  more("requests", latest.length >= shown.requests && latest.length < state.requests);
  more("refused", refused.length >= shown.refused && refused.length < state.refused);
}

function more(name, isThere) {
  $(`${name}-more`).hidden = !isThere || shown[name] >= MOST[name];
}

function showFaults(order) {
  const active = order.faults.filter((fault) => !isSpent(fault, order.ageSeconds));
  $("faults").hidden = active.length === 0;
  $("faults").textContent = active.length === 0 ? ""
    : `${many(active.length, "fault is", "faults are")} active: ${active.map((fault) => fault.kind).join(", ")}. `
      + "Answers are not what they would be.";
  $("faults-note").textContent = order.faults.length === 0 ? "none: every call gets its honest answer" : `seed ${order.seed}`;
  const list = order.faults.map((fault, place) => ({...fault, place, isSpent: isSpent(fault, order.ageSeconds)}));
  fill($("fault-list"), list, (fault) => JSON.stringify(fault), faultRow);
}

function faultRow(fault) {
  const often = fault.rate < 1 ? `${+(fault.rate * 100).toFixed(3)} % of calls` : "every call";
  const most = fault.times === null ? "" : `, ${many(fault.times, "time")} at most`;
  return el("li", {class: fault.isSpent ? "spent" : null},
    el("div", {}, text("span", "kind", fault.kind), " ",
      fault.isSpent ? badge("over") : badge("active", "warn"), " ",
      text("span", "quiet number", `struck ${many(fault.struck, "time")}`)),
    el("p", {}, `${(FAULTS[fault.kind] ?? (() => "does what its name says"))(fault)}; meets ${often}${most}`));
}

let features = [];

function showFeatures(answer, {overrides}) {
  features = answer.features;
  const some = features.slice(0, shown.features);
  $("features-note").textContent = features.length === 0 ? "none defined"
    : `${count(some.length)} of ${count(features.length)}`;
  $("features-note").title = `version ${answer.flagStateVersion}`;
  fill($("features"), some, (feature) => feature.key, featureRow);
  some.forEach((feature, place) => {
    const row = $("features").children[place];
    setSwitch(row.querySelector(".switch"), feature, isOverridden(overrides, feature));
    const rules = JSON.stringify(feature.targeting.rules);
    if (row.dataset.rules === rules) return; // who reads it loses nothing
    row.dataset.rules = rules;
    row.querySelector(".whom").replaceChildren(
      ...targeting(feature).slice(0, 3).map((rule, at) => el("p", {}, at === 0 ? rule : `or ${rule}`)));
  });
  more("features", features.length > shown.features);
}

function featureRow(feature) {
  return el("li", {},
    el("div", {class: "head"},
      el("a", {class: "key", href: `#/feature/${encodeURIComponent(feature.key)}`}, feature.key), switchOf(feature.key)),
    el("div", {class: "whom"}), el("div", {class: "who"}));
}

// --- overriding a feature ------------------------------------------------------------------------------------------

const POSITIONS = {rules: "Rules", on: "On", off: "Off"};
let switches = 0; // each group of radio buttons needs a name of its own

/** Make a switch with three positions: as the rules say, on for everybody, off for everybody. */
function switchOf(key) {
  switches += 1;
  const name = `switch-${switches}`;
  const group = el("fieldset", {class: "switch"}, el("legend", {}, `Who has ${key}`), Object.entries(POSITIONS).map(
    ([position, label]) => el("label", {}, el("input", {type: "radio", name, value: position}), el("span", {}, label))));
  group.addEventListener("change", (event) => turn(key, event.target.value));
  return group;
}

const isOverridden = (overrides, feature) => overrides.some((one) => one.key === feature.key);

/** Show the position of a switch; a whole definition as an override is none of the three. */
function setSwitch(group, feature, isTurned) {
  const rule = feature.targeting.rules.length === 1 ? feature.targeting.rules[0].filter : {};
  const forced = rule.type === "constant" ? (rule.value ? "on" : "off") : null;
  for (const input of group.querySelectorAll("input")) {
    input.checked = input.value === (isTurned ? forced : "rules");
  }
  group.classList.toggle("overridden", isTurned);
}

async function turn(key, position) {
  const path = `features/${encodeURIComponent(key)}`;
  try {
    if (position === "rules") await ask(path, {method: "DELETE"});
    else await ask(path, {method: "PUT", body: JSON.stringify({isEnabled: position === "on"})});
  } catch (error) {
    if (error.status !== 404) told(false, error.message); // 404: it was lifted elsewhere
  }
  lastHolders = 0;
  if (!$("overview").hidden) {
    isStale = isRefreshing;
    await refresh();
  } else {
    await show();
    $("view").querySelector(".switch :checked")?.focus();
  }
}

/** Work out who has what, one feature after another and never for long. */
async function countHolders() {
  const rows = [...$("features").children].slice(0, 20);
  for (const [place, row] of rows.entries()) {
    const feature = features[place];
    if (feature === undefined || $("overview").hidden || document.hidden) return;
    const shares = [];
    for (const kind of ["company", "user"]) {
      const answer = await ask(`holders?${query({feature: feature.key, kind, limit: 0})}`);
      if (answer.total > 0) shares.push(share(kind, answer));
    }
    row.querySelector(".who").replaceChildren(...shares);
  }
}

function share(kind, answer) {
  const label = kind === "company" ? "companies" : "users";
  const checked = answer.isComplete ? count(answer.checked) : `the first ${count(answer.checked)}`;
  return el("div", {class: "share number"}, el("span", {}, label),
    el("progress", {max: Math.max(1, answer.checked), value: answer.have, "aria-label": `share of ${label}`}),
    el("span", {}, `${count(answer.have)} of ${checked}`));
}

// --- one user, company or feature; search --------------------------------------------------------------------------

const back = () => el("p", {class: "back"}, el("a", {href: "#/"}, "← Everything"));
const value = (anything) => typeof anything === "string" ? anything : JSON.stringify(anything);
const short = (words, most = 300) => words.length > most ? `${words.slice(0, most)}…` : words;

function facts(pairs) {
  return el("dl", {class: "facts"}, pairs.map(([name, content]) => [el("dt", {}, name), el("dd", {}, content)]));
}

const called = (members) => typeof members.name === "string" ? short(members.name, 100) : "";

function attributes(members) {
  const all = Object.entries(members);
  if (all.length === 0) return text("p", "empty", "none");
  const rest = all.length > 200 ? [["…", `and ${count(all.length - 200)} more`]] : [];
  return facts([...all.slice(0, 200).map(([name, content]) => [short(name), short(value(content), 1000)]), ...rest]);
}

function card(title, ...children) {
  return el("section", {class: "card"}, el("div", {class: "title"}, el("h3", {}, title)), ...children);
}

/**
 * A list that is filled by one look after another, until there is enough to read or nothing more to look at.
 * `wanted` is how many items make enough.
 */
function looking({path, items, make, words, wanted, name}) {
  const list = el("ol", {class: name});
  const progress = el("progress", {max: 1, value: 0, "aria-label": "how far the look has come"});
  const said = el("span", {"aria-live": "polite"}, "looking");
  const button = el("button", {type: "button", hidden: ""}, "Show more");
  const mine = route;
  let after = null;
  let total = 0;
  const go = async () => {
    button.hidden = true;
    let found = 0;
    for (let looks = 0; found < wanted && looks < 40; looks += 1) {
      const answer = await ask(after === null ? path : `${path}&${query({after})}`);
      if (mine !== route) return;
      after = answer.next;
      found += items(answer).length;
      total += items(answer).length;
      list.append(...items(answer).map(make));
      progress.max = Math.max(1, answer.total);
      progress.value = answer.isComplete ? progress.max : answer.seen;
      progress.hidden = answer.isComplete;
      said.textContent = words(total, answer);
      if (answer.isComplete) return;
    }
    button.hidden = false;
  };
  const start = () => go().catch((error) => { said.textContent = error.message; button.hidden = false; });
  button.addEventListener("click", start);
  start();
  return [list, el("div", {class: "look"}, progress, said, button)];
}

function arrivedRow(arrived, kind) {
  let item = null;
  try { item = JSON.parse(arrived.text); } catch { /* cut, since it is long: shown as it is */ }
  return el("li", {}, when(arrived.at), el("span", {}, badge(arrived.type, TYPES[arrived.type] ?? "")),
    text("span", "what", summary(arrived, item, kind)),
    el("details", {}, el("summary", {}, `as sent, in request ${count(arrived.request)}`),
      el("pre", {}, item === null ? arrived.text : JSON.stringify(item, null, 2))));
}

function summary(arrived, item, kind) {
  if (item === null || typeof item !== "object") return short(arrived.text);
  const said = [];
  if (arrived.type.startsWith("delete-")) return item.deleteUsers ? "with its users that are in no other" : "by the management API";
  if (arrived.type === "event") said.push(value(item.event ?? ""));
  if (arrived.type === "feedback") {
    said.push([item.key ?? item.featureId ?? "", item.score === undefined || item.score === null ? "" : `score ${item.score}`,
      item.comment ? `“${short(value(item.comment), 160)}”` : ""].filter(Boolean).join(": "));
  }
  if (arrived.type === "feature-flag-event") said.push(`${item.action} ${item.key}: ${value(item.evalResult ?? null)}`);
  if (kind !== "company" && item.companyId !== undefined && item.companyId !== null) said.push(`company ${item.companyId}`);
  if (kind !== "user" && item.userId !== undefined && item.userId !== null) said.push(`user ${item.userId}`);
  const members = Object.entries(item.attributes ?? {}).slice(0, 6).map(([name, content]) => `${name} ${short(value(content), 60)}`);
  if (members.length > 0) said.push(members.join(", "));
  if (item.timestamp !== undefined && item.timestamp !== null) said.push(`at ${item.timestamp}`);
  return said.map(String).join(" · ") || "no attributes";
}

function timeline(kind, id) {
  return card("What arrived, in order", ...looking({
    path: `timeline?${query({kind, id, limit: 50})}`,
    items: (answer) => answer.items,
    make: (arrived) => arrivedRow(arrived, kind),
    name: "timeline",
    wanted: 50,
    words: (total, answer) => `${many(total, "record")}; looked through ${answer.isComplete ? "all" : count(answer.seen)
      + " of"} ${many(answer.total, "accepted call")}`,
  }));
}

async function showUser(id) {
  const user = await ask(`users/${encodeURIComponent(id)}`);
  const companies = user.companies.slice(0, 50).map((company) => link("company", company));
  return [
    el("h2", {}, badge("user", TYPES.user), " ", user.userId, " ", text("span", "called", called(user.attributes))),
    el("div", {class: "halves"},
      card("Now", facts([
        ["default company", user.defaultCompany === null ? "none" : link("company", user.defaultCompany)],
        ["companies", companies.length === 0 ? "none" : el("div", {class: "chips"}, companies,
          user.companies.length > 50 ? `and ${count(user.companies.length - 50)} more` : null)],
        ["events", count(user.events)],
        ["first seen", user.firstSeen === null ? "never active" : when(user.firstSeen)],
        ["last seen", user.lastSeen === null ? "never active" : when(user.lastSeen)],
      ])),
      card("Attributes", attributes(user.attributes))),
    timeline("user", id),
  ];
}

async function showCompany(id) {
  const company = await ask(`companies/${encodeURIComponent(id)}?limit=50`);
  const users = company.users.map((user) => link("user", user));
  return [
    el("h2", {}, badge("company", TYPES.company), " ", company.companyId, " ", text("span", "called", called(company.attributes))),
    el("div", {class: "halves"},
      card("Now", facts([
        ["users", users.length === 0 ? "none" : el("div", {class: "chips"}, users,
          company.usersTotal > users.length ? `and ${count(company.usersTotal - users.length)} more` : null)],
        ["events", count(company.events)],
        ["first seen", company.firstSeen === null ? "never active" : when(company.firstSeen)],
        ["last seen", company.lastSeen === null ? "never active" : when(company.lastSeen)],
      ])),
      card("Attributes", attributes(company.attributes))),
    timeline("company", id),
  ];
}

async function showFeature(key) {
  const [answer, overrides] = await Promise.all([ask("features"), ask("overrides")]);
  const feature = answer.features.find((one) => one.key === key);
  if (feature === undefined) throw new Error("There is no such feature");
  const variants = (feature.config?.variants ?? []).map((variant) => el("p", {},
    text("strong", "", variant.key), ` for ${condition(variant.filter)}: `, text("code", "", short(value(variant.payload ?? null), 500))));
  const who = (kind) => {
    let checked = 0;
    let have = 0;
    return card(kind === "company" ? "Companies that have it" : "Users who have it", ...looking({
      path: `holders?${query({feature: key, kind, limit: 100})}`,
      items: (looked) => looked.items,
      make: (holder) => el("li", {}, el("a", {href: `#/${kind}/${encodeURIComponent(holder.id)}`},
        text("strong", "", holder.id), el("span", {}, holder.name ?? ""),
        text("span", "quiet", holder.variant === null ? "" : holder.variant))),
      name: "found",
      wanted: 50,
      words: (_, looked) => {
        checked += looked.checked;
        have += looked.have;
        return `${count(have)} of ${looked.isComplete ? "" : "the first "}${count(checked)}`;
      },
    }));
  };
  const group = switchOf(key);
  setSwitch(group, feature, isOverridden(overrides.overrides, feature));
  return [
    el("div", {class: "head"}, el("h2", {}, badge("feature"), " ", feature.key), group),
    feature.description === null ? null : text("p", "quiet", feature.description),
    card("On for", el("div", {class: "rules"}, targeting(feature).slice(0, 100).map((rule) => el("p", {}, rule)))),
    variants.length === 0 ? null : card("Variants", el("div", {class: "rules"}, variants.slice(0, 100))),
    el("div", {class: "halves"}, who("company"), who("user")),
  ];
}

async function showSearch(words) {
  return [el("h2", {}, `“${words}”`), card("Users and companies", ...looking({
    path: `search?${query({text: words, limit: 20})}`,
    items: (answer) => answer.found,
    make: (found) => el("li", {}, el("a", {href: `#/${found.kind}/${encodeURIComponent(found.id)}`},
      badge(found.kind, TYPES[found.kind]), el("span", {}, text("strong", "", found.id), found.name === null ? "" : ` ${found.name}`),
      text("span", "quiet number", many(found.events, "event")))),
    name: "found",
    wanted: 20,
    words: (total, answer) => `${count(total)} found; looked at ${answer.isComplete ? "all" : count(answer.seen) + " of"} ${count(answer.total)}`,
  }))];
}

const VIEWS = {user: showUser, company: showCompany, feature: showFeature, search: showSearch};

async function show() {
  route += 1;
  const mine = route;
  const [, kind, rest] = /^#\/(\w+)\/([^]+)$/.exec(location.hash) ?? [];
  const view = Object.hasOwn(VIEWS, kind ?? "") ? VIEWS[kind] : null;
  $("overview").hidden = view !== null;
  $("view").hidden = view === null;
  if (view === null) {
    document.title = TITLE;
    $("view").replaceChildren();
    $("search-text").value = "";
    lastHolders = 0;
    return refresh();
  }
  let name = rest;
  try { name = decodeURIComponent(rest); } catch { /* typed by hand: taken as it is */ }
  document.title = `${short(name, 60)} · ${TITLE}`;
  $("search-text").value = kind === "search" ? name : "";
  refresh();
  $("view").replaceChildren(back(), text("p", "quiet", "looking"));
  let parts;
  try {
    parts = await view(name);
  } catch (error) {
    parts = [el("h2", {}, name), text("p", "quiet", error.message)];
    if (error.status === 404 && kind in TYPES) parts.push(timeline(kind, name)); // it was there, and was deleted
  }
  if (mine !== route) return;
  $("view").replaceChildren(back(), ...parts.filter((part) => part !== null));
  window.scrollTo(0, 0);
  if (document.activeElement === document.body) $("view").focus({preventScroll: true});
}

// --- keeping up ----------------------------------------------------------------------------------------------------

let isRefreshing = false;
let isStale = false; // what is being shown now was asked before a change
let lastHolders = 0;
let lastCounted = "";
let lastVersion = null;
let known = "";

function told(isLive, words) {
  $("status").className = isLive ? "live" : "lost";
  if ($("status-text").textContent !== words) $("status-text").textContent = words;
}

let lastEnvironments = 0;

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
    if (Date.now() - lastEnvironments > SLOW_MS) {
      await showEnvironments();
      lastEnvironments = Date.now();
    }
    const state = await ask("state");
    if (!$("overview").hidden) await refreshOverview(state);
    told(true, "live");
  } catch (error) {
    told(false, error.status === undefined ? "the emulator does not answer" : error.message);
  } finally {
    isRefreshing = false;
  }
  if (!isStale) return;
  isStale = false;
  lastHolders = 0;
  await refresh();
}

async function refreshOverview(state) {
  showCounts(state);
  showFaults(await ask("faults"));
  const now = JSON.stringify([state, shown]);
  if (now !== known) {
    const [latest, refused] = await Promise.all([
      ask(`requests?limit=${shown.requests}`), ask(`requests?refused=true&limit=${shown.refused}`)]);
    if (state.requests < (JSON.parse(known || "[{}]")[0].requests ?? 0)) { // emptied: numbers begin again
      $("requests").replaceChildren();
      $("refused").replaceChildren();
    }
    showRequests(latest.requests, refused.requests, state);
    known = now;
  }
  const overrides = await ask("overrides");
  if (overrides.flagStateVersion !== lastVersion || Date.now() - lastHolders > SLOW_MS) {
    const answer = await ask("features");
    showFeatures(answer, overrides);
    lastHolders = Date.now();
    lastVersion = overrides.flagStateVersion;
    const counted = JSON.stringify([answer, state.users, state.companies, state.requests, shown.features]);
    if (counted !== lastCounted) {
      await countHolders();
      lastCounted = counted;
    }
  }
}

for (const name of Object.keys(SHOWN)) {
  $(`${name}-more`).addEventListener("click", () => {
    shown[name] = Math.min(MOST[name], shown[name] + MORE[name]);
    lastHolders = 0;
    refresh();
  });
}
$("environment").addEventListener("change", () => {
  const name = $("environment").value;
  location.assign(name === MAIN ? location.pathname : `?${query({environment: name})}`);
});
$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const words = $("search-text").value.trim();
  if (words !== "") location.hash = `#/search/${encodeURIComponent(words)}`;
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
