// One user or company: as it is now, which features it has and why, and all that arrived for it. And the search for them.

import {ask, query} from "./ask.js";
import {address, badge, block, card, count, el, facts, link, many, short, text, TYPES, value, when} from "./dom.js";
import {looked, looking} from "./looking.js";
import {why} from "./why.js";

const called = (members) => typeof members.name === "string" ? short(members.name, 100) : "";

function attributes(members) {
  const all = Object.entries(members);
  if (all.length === 0) return text("p", "empty", "none");
  const rest = all.length > 200 ? [["…", `and ${count(all.length - 200)} more`]] : [];
  return facts([...all.slice(0, 200).map(([name, content]) => [short(name), short(value(content), 1000)]), ...rest]);
}

function arrivedRow(arrived, kind) {
  let item = null;
  try { item = JSON.parse(arrived.text); } catch { /* cut, since it is long: shown as it is */ }
  const sent = el("details", {}, el("summary", {}, "as sent"),
    block(item === null ? arrived.text : JSON.stringify(item, null, 2), "As it was sent"));
  return el("li", {}, when(arrived.at), el("span", {}, badge(arrived.type, TYPES[arrived.type] ?? "")),
    text("span", "what", summary(arrived, item, kind)),
    el("span", {class: "from"}, link("request", arrived.request, `request ${count(arrived.request)}`)), sent);
}

function summary(arrived, item, kind) {
  if (item === null || typeof item !== "object") return short(arrived.text);
  const parts = [];
  if (arrived.type.startsWith("delete-")) return item.deleteUsers ? "with its users that are in no other" : "by the management API";
  if (arrived.type === "event") parts.push(value(item.event ?? ""));
  if (arrived.type === "feedback") {
    parts.push([item.key ?? item.featureId ?? "", item.score === undefined || item.score === null ? "" : `score ${item.score}`,
      item.comment ? `“${short(value(item.comment), 160)}”` : ""].filter(Boolean).join(": "));
  }
  if (arrived.type === "feature-flag-event") parts.push(`${item.action} ${item.key}: ${value(item.evalResult ?? null)}`);
  if (kind !== "company" && item.companyId !== undefined && item.companyId !== null) parts.push(`company ${item.companyId}`);
  if (kind !== "user" && item.userId !== undefined && item.userId !== null) parts.push(`user ${item.userId}`);
  const members = Object.entries(item.attributes ?? {}).slice(0, 6).map(([name, content]) => `${name} ${short(value(content), 60)}`);
  if (members.length > 0) parts.push(members.join(", "));
  if (item.timestamp !== undefined && item.timestamp !== null) parts.push(`at ${item.timestamp}`);
  return parts.map(String).join(" · ") || "no attributes";
}

export function timeline(kind, id) {
  return card("What arrived, in order", ...looking({
    path: `timeline?${query({kind, id, limit: 50})}`,
    items: (answer) => answer.items,
    make: (arrived) => arrivedRow(arrived, kind),
    name: "timeline",
    wanted: 50,
    words: (total, answer) => `${many(total, "record")}; looked through ${looked(answer)} ${many(answer.total, "accepted call")}`,
  }));
}

const activity = (one) => [
  ["events", count(one.events)],
  ["first seen", one.firstSeen === null ? "never active" : when(one.firstSeen)],
  ["last seen", one.lastSeen === null ? "never active" : when(one.lastSeen)],
];

function head(kind, id, members) {
  return el("h2", {}, badge(kind, TYPES[kind]), " ", short(id), " ", text("span", "called", called(members)));
}

function chips(links, more) {
  return links.length === 0 ? "none" : el("div", {class: "chips"}, links, more > 0 ? `and ${count(more)} more` : null);
}

export async function showUser(id) {
  const user = await ask(`users/${encodeURIComponent(id)}`);
  const companies = user.companies.slice(0, 50).map((company) => link("company", company));
  const context = user.defaultCompany === null ? {user: id} : {user: id, company: user.defaultCompany};
  return [
    head("user", user.userId, user.attributes),
    el("div", {class: "halves"},
      card("Now", facts([
        ["default company", user.defaultCompany === null ? "none" : link("company", user.defaultCompany)],
        ["companies", chips(companies, user.companies.length - companies.length)],
        ...activity(user),
      ])),
      card("Attributes", attributes(user.attributes))),
    await why(context),
    timeline("user", id),
  ];
}

export async function showCompany(id) {
  const company = await ask(`companies/${encodeURIComponent(id)}?limit=50`);
  const users = company.users.map((user) => link("user", user));
  return [
    head("company", company.companyId, company.attributes),
    el("div", {class: "halves"},
      card("Now", facts([["users", chips(users, company.usersTotal - users.length)], ...activity(company)])),
      card("Attributes", attributes(company.attributes))),
    await why({company: id}),
    timeline("company", id),
  ];
}

export async function showSearch(words) {
  return [el("h2", {}, `“${words}”`), card("Users and companies", ...looking({
    path: `search?${query({text: words, limit: 20})}`,
    items: (answer) => answer.found,
    make: (found) => el("li", {}, el("a", {href: address(found.kind, found.id)},
      badge(found.kind, TYPES[found.kind]), el("span", {}, text("strong", "", found.id), found.name === null ? "" : ` ${found.name}`),
      text("span", "quiet number", many(found.events, "event")))),
    name: "found",
    wanted: 20,
    words: (total, answer) => `${count(total)} found; looked at ${looked(answer)} ${count(answer.total)}`,
  }))];
}
