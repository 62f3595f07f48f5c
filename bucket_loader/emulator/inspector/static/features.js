// Features: whom each is for, how many have it and who, and a switch that stands in front of its rules.

import {ask, query} from "./ask.js";
import {address, badge, card, count, el, short, text, value} from "./dom.js";
import {isCurrent, looking, routeNow} from "./looking.js";

const NOBODY = ["nobody: it has no rules"];
const POSITIONS = {rules: "Rules", on: "On", off: "Off"};
let switches = 0; // each group of radio buttons needs a name of its own

let defined = {features: [], flagStateVersion: null};

/** Everything that is known of features; the definitions are asked again when they have another version. */
export async function askFeatures() {
  const [{overrides, flagStateVersion}, counts] = await Promise.all([ask("overrides"), ask("counts")]);
  if (flagStateVersion !== defined.flagStateVersion) defined = await ask("features");
  const counted = new Map(counts.features.map((feature) => [feature.key, feature]));
  return {features: defined.features, version: defined.flagStateVersion, overrides, counts, counted};
}

export function featureRow(feature, onTurned) {
  return el("li", {},
    el("div", {class: "head"},
      el("a", {class: "key", href: address("feature", feature.key)}, feature.key), switchOf(feature.key, onTurned)),
    el("div", {class: "whom"}), el("div", {class: "who"}));
}

/** Bring a row up to date; who reads it loses nothing where nothing has changed. */
export function updateRow(row, feature, known) {
  setSwitch(row.querySelector(".switch"), feature, isOverridden(known.overrides, feature));
  const counted = known.counted.get(feature.key);
  if (counted === undefined) return;
  const rules = JSON.stringify(counted.rules);
  if (row.dataset.rules !== rules) {
    row.dataset.rules = rules;
    row.querySelector(".whom").replaceChildren(...whom(counted).slice(0, 3)
      .map((rule, at) => el("p", {}, at === 0 ? rule : `or ${rule}`)));
  }
  const shares = JSON.stringify([counted, known.counts.companies, known.counts.users, known.counts.isComplete]);
  if (row.dataset.shares === shares) return;
  row.dataset.shares = shares;
  row.querySelector(".who").replaceChildren(...sharesOf(counted, known.counts));
}

const whom = (counted) => counted.rules.length === 0 ? NOBODY : counted.rules;

/** How many have a feature, of those who were counted; all bars are of one width. */
function sharesOf(counted, counts) {
  return ["companies", "users"].filter((kind) => counts[kind] > 0).map((kind) => {
    const of = `${counts.isComplete ? "" : "the first "}${count(counts[kind])}`;
    return el("div", {class: "share number"}, el("span", {}, kind),
      el("progress", {max: counts[kind], value: counted[kind], "aria-label": `share of ${kind}`}),
      el("span", {}, `${count(counted[kind])} of ${of}`));
  });
}

// --- overriding a feature ------------------------------------------------------------------------------------------

/** Make a switch with three positions: as the rules say, on for everybody, off for everybody. */
function switchOf(key, onTurned) {
  switches += 1;
  const name = `switch-${switches}`;
  const group = el("fieldset", {class: "switch"}, el("legend", {}, `Who has ${key}`), Object.entries(POSITIONS).map(
    ([position, label]) => el("label", {}, el("input", {type: "radio", name, value: position}), el("span", {}, label))));
  group.addEventListener("change", async (event) => onTurned(await turn(key, event.target.value)));
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

/** Turn a switch; return what went wrong, if something did. */
async function turn(key, position) {
  const path = `features/${encodeURIComponent(key)}`;
  try {
    if (position === "rules") await ask(path, {method: "DELETE"});
    else await ask(path, {method: "PUT", body: JSON.stringify({isEnabled: position === "on"})});
  } catch (error) {
    return error.status === 404 ? null : error; // 404: it was lifted elsewhere
  }
  return null;
}

// --- one feature ---------------------------------------------------------------------------------------------------

export async function showFeature(key, onTurned) {
  const known = await askFeatures();
  const feature = known.features.find((one) => one.key === key);
  if (feature === undefined) throw Object.assign(new Error("There is no such feature"), {status: 404});
  const shares = el("div", {class: "rules"});
  const counting = (latest) => {
    const counted = latest.counted.get(key);
    if (counted !== undefined) shares.replaceChildren(...sharesOf(counted, latest.counts));
  };
  counting(known);
  if (!known.counts.isComplete) countOn(routeNow(), counting);
  const group = switchOf(key, onTurned);
  setSwitch(group, feature, isOverridden(known.overrides, feature));
  const variants = (feature.config?.variants ?? []).slice(0, 100).map((variant) => el("p", {},
    text("strong", "", variant.key), ": ", text("code", "", short(value(variant.payload ?? null), 500))));
  return {
    nodes: [
      el("div", {class: "head"}, el("h2", {}, badge("feature"), " ", feature.key), group),
      feature.description === null ? null : text("p", "quiet", feature.description),
      el("div", {class: "halves"},
        card("On for", el("div", {class: "rules whom"}, whom(known.counted.get(key)).slice(0, 100)
          .map((rule, at) => el("p", {}, at === 0 ? rule : `or ${rule}`)))),
        card("How many have it", shares)),
      variants.length === 0 ? null : card("Variants", el("div", {class: "rules"}, variants)),
      el("div", {class: "halves"}, who(key, "company"), who(key, "user")),
    ].filter((node) => node !== null),
    refresh: async () => counting(await askFeatures()),
  };
}

/** Ask until everybody was counted, while this view is shown. */
async function countOn(mine, counting) {
  for (let isComplete = false; !isComplete && isCurrent(mine);) {
    const latest = await askFeatures();
    counting(latest);
    isComplete = latest.counts.isComplete;
  }
}

function who(key, kind) {
  return card(kind === "company" ? "Companies that have it" : "Users who have it", ...looking({
    path: `holders?${query({feature: key, kind, limit: 100})}`,
    items: (answer) => answer.items,
    make: (holder) => el("li", {}, el("a", {href: address(kind, holder.id)},
      text("strong", "", holder.id), el("span", {}, holder.name ?? ""),
      text("span", "quiet", holder.variant === null ? "" : holder.variant))),
    name: "found",
    wanted: 50,
    words: (total, answer) => answer.isComplete ? `${count(total)} in all` : `the first ${count(total)}`,
  }));
}
