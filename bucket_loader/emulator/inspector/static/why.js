// Which features a user or company has, and why: each rule, each condition with the value that it met, and where that is from.

import {ask, ENVIRONMENT, query} from "./ask.js";
import {address, badge, card, count, el, link, said, short, text, when} from "./dom.js";
import {follow} from "./looking.js";

const FEATURES = 100; // more are shown when they are asked for
const MARKS = {
  yes: ["✓", "holds: ", "good"], no: ["✗", "does not hold: ", "bad"], "not asked": ["·", "not asked: ", "quiet"],
  "not told": ["?", "not told: ", "quiet"],
};

/** A card with every feature; `subjects` are the ids by kind: of a user, and of its default company. */
export async function why(subjects) {
  const context = Object.fromEntries(Object.entries(subjects).map(([kind, id]) => [`context.${kind}.id`, id]));
  const {explanations} = await ask(`/explanations?${query({environment: ENVIRONMENT, ...context})}`);
  if (explanations.length === 0) return card("Features, and why", text("p", "empty", "No feature is defined."));
  const list = el("ul", {class: "why"});
  const show = (some) => {
    list.append(...some.map(feature));
    for (const [kind, id] of Object.entries(subjects)) tellOrigins(list, kind, id);
  };
  const more = el("button", {type: "button", onclick: () => { more.remove(); show(explanations.slice(FEATURES)); }},
    `Show all ${count(explanations.length)}`);
  show(explanations.slice(0, FEATURES));
  const on = explanations.filter((one) => one.isEnabled).length;
  return card(`Features, and why: ${count(on)} of ${count(explanations.length)} on`, list,
    explanations.length > FEATURES ? more : null);
}

function feature(one) {
  return el("li", {}, el("details", {},
    el("summary", {}, badge(one.isEnabled ? "on" : "off", one.isEnabled ? "good" : ""), " ",
      text("strong", "", one.key), " ", text("span", "quiet", one.because)),
    one.rules.map((rule, at) => el("div", {class: "rule"},
      el("p", {class: "quiet"}, `Rule ${at + 1} ${rule.matches ? "matches" : "does not match"}`,
        rule.condition.holds === "yes" && !rule.matches ? ": it met an error, and then its conditions do not count" : ""),
      el("ul", {class: "conditions"}, condition(rule.condition)))),
    el("p", {}, el("a", {href: address("feature", one.key)}, "Who else has it"))));
}

function condition(one) {
  const [mark, words, look] = MARKS[one.holds];
  const inner = one.conditions.length === 0 ? null : el("ul", {class: "conditions"}, one.conditions.map(condition));
  return el("li", {},
    el("span", {class: `mark ${look}`, "aria-hidden": "true"}, mark), said(words),
    el("span", {class: "condition"}, one.text, met(one)), inner);
}

function met(one) {
  if (one.error !== null) return text("span", "met error", ` — ${one.error}`);
  if (one.holds === "not asked") return text("span", "met quiet", " — not asked: it was decided before");
  if (one.field === null || one.value === null) return null;
  const shown = Array.isArray(one.value) ? `[${one.value.join(", ")}]` : JSON.stringify(one.value);
  return el("span", {class: "met"}, " — it is ", text("code", "", short(shown, 300)), el("span", {class: "origin", "data-field": one.field}));
}

/** Say at each value which record last set it: a look that may take a while, and fills in what it finds. */
function tellOrigins(list, kind, id) {
  const known = {};
  follow(`origins?${query({kind, id})}`, (answer) => {
    Object.assign(known, answer.attributes);
    if (!answer.isComplete) return true;
    for (const place of list.querySelectorAll(".origin")) {
      const name = attributeOf(known, kind, place.dataset.field);
      if (name === null) continue;
      place.replaceChildren(", set by ", link("request", known[name].request, `request ${known[name].request}`), " ",
        when(known[name].at));
    }
    return true;
  }).catch(() => {}); // the page itself says when the emulator does not answer
}

/** The attribute that a field is from: `user.a.b` is `a.b`, or `b` in `a`. */
function attributeOf(known, kind, field) {
  const parts = field.split(".");
  if (parts[0] !== kind) return null;
  for (let end = parts.length; end > 1; end -= 1) {
    const name = parts.slice(1, end).join(".");
    if (Object.hasOwn(known, name)) return name;
  }
  return null;
}
