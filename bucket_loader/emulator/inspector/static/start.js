// What an empty emulator shows: where it is, with which key, and three commands to begin with.

import {ask, ENVIRONMENT} from "./ask.js";
import {copied, el, text} from "./dom.js";

/** Fill the card of an empty page, once. */
export async function showStart(card) {
  if (card.children.length > 0) return;
  const {environments} = await ask("/environments");
  const known = environments.find((one) => one.name === ENVIRONMENT);
  if (known === undefined || card.children.length > 0) return;
  const key = known.secretKey;
  const here = location.origin;
  const commands = [
    ["Send one user", `curl ${here}/user -H 'Authorization: Bearer ${key}' -H 'Content-Type: application/json' `
      + `-d '{"userId": "ada", "attributes": {"plan": "pro"}}'`],
    ["Run a pipeline into it", `BUCKET_BASE_URL=${here} BUCKET_SECRET_KEY=${key} bucket-loader run pipeline.yaml`],
    ["Define a feature", `curl -X PUT ${here}/_emulator/features -d '{"features": [{"key": "reports", "targeting": {"version": 1, `
      + `"rules": [{"filter": {"type": "context", "field": "user.plan", "operator": "IS", "values": ["pro"]}}]}}]}'`],
  ];
  card.append(
    el("div", {class: "title"}, el("h2", {}, "Nothing has been sent yet")),
    el("div", {class: "start"},
      text("p", "", "This is a Bucket API on your machine. Give a client this address and this key, or copy a command."),
      el("h3", {}, "Address"), copied(here, "the address"),
      el("h3", {}, "Secret key"), copied(key, "the secret key"),
      commands.map(([name, command]) => [el("h3", {}, name), copied(command, `the command: ${name}`)])));
}
