// The overview: how much there is, what was refused, the latest calls, the features, and what is ordered to go wrong.

import {ask} from "./ask.js";
import {$, badge, capital, count, el, fill, many, text} from "./dom.js";
import {askFeatures, featureRow, updateRow} from "./features.js";
import {refusalRow, requestRow} from "./requests.js";
import {showStart} from "./start.js";

const SHOWN = {refused: 4, requests: 12, features: 10};
const MORE = {refused: 20, requests: 50, features: 50};
const MOST = {refused: 200, requests: 500, features: 500};
const COUNTING_MS = 10; // between two looks while nobody sends
// Every other count is called by its name.
const LABELS = {feature_events: "Feature checks", unassociated_events: "Unassociated"};
// The counts that have a table.
const TABLES = new Set(["users", "companies", "events", "feedback", "requests"]);
const shown = {...SHOWN};

// --- counts and calls ----------------------------------------------------------------------------------------------

function tile(name) {
  const label = LABELS[name] ?? capital(name.replaceAll("_", " "));
  const table = name === "refused" ? "rejected" : TABLES.has(name) ? name : null;
  const made = el("div", {}, el("dt", {}, table === null ? label : el("a", {href: `#/${table}`}, label)), el("dd", {id: `count-${name}`}));
  if (name === "unassociated_events") made.title = "Events whose user belongs to no company";
  $("counts").append(made);
  return made;
}

function showCounts(state) {
  for (const name of Object.keys(state)) {
    const one = $(`count-${name}`)?.parentElement ?? tile(name);
    const figure = one.querySelector("dd");
    if (figure.textContent !== count(state[name])) figure.textContent = count(state[name]);
    one.className = state[name] === 0 ? "zero" : name === "refused" ? "bad" : "";
  }
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

/** Say that the loader rejected rows before it sent anything: no call tells of them. */
function showRejected({total}) {
  $("rejected-note").hidden = total === 0;
  $("rejected-note").replaceChildren(`The loader itself rejected ${many(total, "row")}, which it never sent: `,
    el("a", {href: "#/rejected"}, "see why"), ".");
}

function more(name, isThere) {
  $(`${name}-more`).hidden = !isThere || shown[name] >= MOST[name];
}

// --- faults --------------------------------------------------------------------------------------------------------

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

// --- features ------------------------------------------------------------------------------------------------------

function showFeatures(known, onTurned) {
  const some = known.features.slice(0, shown.features);
  $("features-note").textContent = known.features.length === 0 ? "none defined"
    : `${count(some.length)} of ${count(known.features.length)}`;
  $("features-note").title = `version ${known.version}`;
  fill($("features"), some, (feature) => feature.key, (feature) => featureRow(feature, onTurned));
  some.forEach((feature, place) => updateRow($("features").children[place], feature, known));
  more("features", known.features.length > shown.features);
}

// --- keeping up ----------------------------------------------------------------------------------------------------

let known = "";
let counted = "";

const isEmpty = (state) => Object.values(state).every((figure) => figure === 0);

/** Bring the overview up to date; returns when to look again if that is soon, since features are being counted. */
export async function refreshOverview(state, onTurned) {
  showCounts(state);
  $("start").hidden = !isEmpty(state);
  if (isEmpty(state)) await showStart($("start"));
  showFaults(await ask("faults"));
  const now = JSON.stringify([state, shown]);
  if (now !== known) {
    const [latest, refused, rejected] = await Promise.all([
      ask(`requests?limit=${shown.requests}`), ask(`requests?refused=true&limit=${shown.refused}`), ask("rejected?limit=0")]);
    showRejected(rejected);
    if (state.requests < (JSON.parse(known || "[{}]")[0].requests ?? 0)) { // emptied: numbers begin again
      $("requests").replaceChildren();
      $("refused").replaceChildren();
    }
    showRequests(latest.requests, refused.requests, state);
    known = now;
  }
  const features = await askFeatures();
  showFeatures(features, onTurned);
  const isQuiet = JSON.stringify(state) === counted; // nobody sends: there is time to count
  counted = JSON.stringify(state);
  return features.counts.isCurrent || !isQuiet && features.counts.isComplete ? null : COUNTING_MS;
}

/** Let the buttons show more, each of its list. */
export function listenForMore(refresh) {
  for (const name of Object.keys(SHOWN)) {
    $(`${name}-more`).addEventListener("click", () => {
      shown[name] = Math.min(MOST[name], shown[name] + MORE[name]);
      refresh();
    });
  }
}
