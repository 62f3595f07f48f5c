// Lists that are filled by one look after another: a store may hold millions, and each look ends after a moment.

import {ask, query} from "./ask.js";
import {count, el} from "./dom.js";

let route = 0; // grows with each view: what comes for an earlier one is dropped

export const newRoute = () => { route += 1; return route; };
export const routeNow = () => route;
export const isCurrent = (mine) => mine === route;

/** Ask until a look is complete, or `each` returns that it is enough. */
export async function follow(path, each) {
  const mine = route;
  let after = null;
  for (;;) {
    const answer = await ask(after === null ? path : `${path}&${query({after})}`);
    if (mine !== route || each(answer) === false || answer.isComplete) return;
    after = answer.next;
  }
}

/** A list that goes on until there is enough to read or nothing more to look at; `wanted` is how many are enough. */
export function looking({path, items, make, words, wanted, name}) {
  const list = el("ol", {class: name});
  const progress = el("progress", {max: 1, value: 0, "aria-label": "how far the look has come"});
  const told = el("span", {"aria-live": "polite"}, "looking");
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
      told.textContent = words(total, answer);
      if (answer.isComplete) return;
    }
    button.hidden = false;
  };
  const start = () => go().catch((error) => { told.textContent = error.message; button.hidden = false; });
  button.addEventListener("click", start);
  start();
  return [list, el("div", {class: "look"}, progress, told, button)];
}

export const looked = (answer) => answer.isComplete ? "all" : `${count(answer.seen)} of`;
