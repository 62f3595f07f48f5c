// Calls of the API: in a line, with their mistakes, and word by word.

import {ask} from "./ask.js";
import {badge, block, card, count, el, facts, link, many, short, text, when} from "./dom.js";

export function verdict(call) {
  if (call.status === null) return badge("cut, no answer", "bad");
  if (call.error !== null) return badge(`${call.status} ${call.status < 400 || call.status > 499 ? "failed" : "refused"}`, "bad");
  return badge(call.status < 300 ? `${call.status} accepted` : String(call.status), call.status < 300 ? "good" : "warn");
}

const fault = (call) => call.fault === null ? null : [" ", badge(`fault: ${call.fault}`, "warn")];
const named = (call) => `${call.method} ${call.path}`;

export function requestRow(call) {
  return el("li", {},
    when(call.at),
    el("span", {class: "call"}, el("a", {class: "mono", href: `#/request/${call.request}`}, named(call)), fault(call)),
    text("span", "records quiet number", call.records === null ? "" : many(call.records, "record")),
    el("span", {class: "verdict"}, verdict(call)),
    call.error === null ? null : text("p", "error", short(briefly(call), 160)));
}

const briefly = (call) => call.wrong.length === 0 ? call.error
  : call.wrong[0].message + (call.wrong.length > 1 ? ", and more" : "");

/** Put the field of a mistake apart from what is wrong with it: "[3].userId: must ...". */
function mistake(wrong) {
  const parts = /^([\w.[\]]{1,200}): ([^]*)$/.exec(wrong.message);
  const words = parts === null ? [wrong.message] : [text("code", "field", parts[1]), ` ${parts[2]}`];
  return el("div", {class: "mistake"}, el("p", {}, words), wrong.item === null ? null : block(wrong.item, "What was sent there"));
}

export function refusalRow(call) {
  return el("li", {},
    el("div", {class: "head"}, verdict(call), text("span", "mono", named(call)), fault(call),
      link("request", call.request, `request ${count(call.request)}`),
      call.wrong.length > 0 || call.fault !== null ? null : text("span", "", call.error), when(call.at)),
    call.wrong.map(mistake));
}

export async function showRequest(id) {
  const {call, query, sent, answered} = await ask(`requests/${encodeURIComponent(id)}`);
  const gone = text("p", "empty", "The emulator keeps this of the latest calls alone, in memory, and no longer of this one.");
  const noAnswer = call.status === null ? text("p", "empty", "The connection was cut: there was no answer.") : gone;
  return [
    el("h2", {}, badge("request"), " ", count(call.request), " ", text("span", "called mono", named(call))),
    card("What became of it", facts([
      ["at", when(call.at)],
      ["answer", [verdict(call), fault(call)]],
      call.records === null ? null : ["accepted", many(call.records, "record")],
      query === "" ? null : ["query", text("code", "", query)],
      call.error === null || call.wrong.length > 0 ? null : ["error", call.error],
    ].filter((pair) => pair !== null)), el("div", {class: "rules"}, call.wrong.map(mistake))),
    el("div", {class: "halves"},
      card("Sent", ...part(sent, "What was sent") ?? [gone]),
      card("Answered", ...part(answered, "What was answered") ?? [noAnswer])),
  ];
}

function part(told, name) {
  if (told === null) return null;
  const length = text("p", "quiet length", told.length === 0 ? "no body"
    : `${many(told.length, "byte")}${told.isCut ? `, cut here after ${count(told.body.length)}` : ""}`);
  return [
    facts(told.headers.map((header) => [text("span", "mono", header.name), text("span", "mono", header.value)])),
    el("div", {class: "body"}, length, told.length === 0 ? null : block(pretty(told), name)),
  ];
}

function pretty({body, isCut}) {
  if (isCut) return body;
  try { return JSON.stringify(JSON.parse(body), null, 2); } catch { return body; }
}
