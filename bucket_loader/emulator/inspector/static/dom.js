// Making what is shown. Text goes into the document as text, never as HTML: a record may hold anything.

const number = new Intl.NumberFormat("en-US");
const two = (value) => String(value).padStart(2, "0");

export const $ = (id) => document.getElementById(id);
export const count = (value) => number.format(value);
export const many = (value, one, more = one + "s") => `${count(value)} ${value === 1 ? one : more}`;
export const capital = (words) => words[0].toUpperCase() + words.slice(1);
export const short = (words, most = 300) => words.length > most ? `${words.slice(0, most)}…` : words;
export const value = (anything) => typeof anything === "string" ? anything : JSON.stringify(anything);

// How each type of record looks.
export const TYPES = {user: "good", company: "blue", event: "", feedback: "violet", "feature-flag-event": "warn"};

export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, content] of Object.entries(properties)) {
    if (content === null || content === undefined) continue;
    if (name === "onclick") node.addEventListener("click", content);
    else node.setAttribute(name, content);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

export const text = (tag, name, content) => el(tag, {class: name}, content);
export const badge = (label, look = "") => text("span", `badge ${look}`, label);
export const address = (kind, id) => `#/${kind}/${encodeURIComponent(id)}`;
export const link = (kind, id, label) => el("a", {href: address(kind, id)}, label ?? id);
/** Text for those who hear the page, beside a sign for those who see it. */
export const said = (words) => text("span", "only-said", words);

/** Make a list hold these items, and leave alone what is there already: whoever reads it loses neither place nor focus. */
export function fill(list, items, key, make) {
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

/** Show a moment in the reader's own time. */
export function clock(at) {
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** Show a moment in the reader's own time; the exact one is in the title. */
export function when(moment) {
  const at = new Date(moment);
  const isToday = at.toDateString() === new Date().toDateString();
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return el("time", {class: "when", datetime: moment, title: moment}, isToday ? clock(at) : `${day} ${clock(at)}`);
}

export function card(title, ...children) {
  return el("section", {class: "card"}, el("div", {class: "title"}, el("h3", {}, title)), ...children);
}

export function facts(pairs) {
  return el("dl", {class: "facts"}, pairs.map(([name, content]) => [el("dt", {}, name), el("dd", {}, content)]));
}

/** A text that is long or of several lines; it can be scrolled with the keyboard. */
export const block = (content, name) => el("pre", {tabindex: "0", "aria-label": name, role: "group"}, content);

/** A text with a button that copies it; where the browser does not allow that, the text is selected. */
export function copied(content, name) {
  const shown = el("code", {}, content);
  const button = el("button", {type: "button", "aria-label": `Copy ${name}`, "aria-live": "polite"}, "Copy");
  const tell = (word) => { button.textContent = word; button.setAttribute("aria-label", `${word} ${name}`); };
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(content);
      tell("Copied");
      setTimeout(() => tell("Copy"), 1500);
    } catch {
      getSelection().selectAllChildren(shown);
      tell("Selected");
    }
  });
  return el("div", {class: "copied"}, shown, button);
}
