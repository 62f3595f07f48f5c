// A local Bucket API for tests in Node: the emulator of bucket-loader in a process of its own, in the words of a test.
// docs/testing.md is the guide; the types are in index.d.ts.
import { AssertionError } from "node:assert";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";

const LOOK_MS_MAX = 500; // a request that came first may be accepted last: all is looked at again after that time
const REFUSED = "/requests?refused=true&limit=1000"; // all that the emulator keeps
const UNKNOWN_KEY = 401;

export async function startEmulator({ url = process.env.BUCKET_EMULATOR_URL, command, evaluation, strict, features } = {}) {
  const defined = typeof features === "string" ? JSON.parse(readFileSync(features, "utf-8")) : features;
  const program = url ? undefined : await start(command ?? ["bucket-loader"], { evaluation, strict });
  const base = (url ?? program.url).replace(/\/+$/, "");
  try {
    const emulator = new Emulator(base, await makeEnvironment(base), defined, program?.child);
    await emulator.reset();
    return emulator;
  } catch (error) {
    program?.child.kill();
    throw error;
  }
}

// --- one environment: a pair of keys, and what is stored for them ------------------------------------------------------

class Environment {
  #control;
  #features;
  #began;

  constructor(url, { name, secretKey, publishableKey }, features) {
    Object.assign(this, { url, name, secretKey, publishableKey });
    this.#features = features;
    this.#control = `${url}/_emulator/environments/${encodeURIComponent(name)}`;
    const browser = { publishableKey, apiBaseUrl: url, sseBaseUrl: url };
    this.options = {
      node: { secretKey, apiBaseUrl: url, flagsPushUrl: `${url}/sse/server`, offline: false },
      browser,
      react: browser,
    };
  }

  async reset() {
    await this.#call("POST", "/reset");
    if (this.#features) await this.#call("PUT", "/features", this.#features);
    this.#began = Date.now();
  }

  async flag(key, { on, config, payload }) {
    const variant = config === undefined ? {} : { config: { key: config, payload } };
    await this.#call("PUT", `/features/${encodeURIComponent(key)}`, { isEnabled: on, ...variant });
  }

  async define(rules) {
    const features = Array.isArray(rules) ? rules : Object.entries(rules).map(definition);
    await this.#call("PUT", "/features", { features });
  }

  async fault(...faults) {
    await this.#call("PUT", "/faults", faults.length ? { faults } : {});
  }

  async snapshot() {
    return await this.#call("GET", "/snapshot");
  }

  async restore(snapshot) {
    await this.#call("PUT", "/snapshot", snapshot);
  }

  async user(id) {
    return await this.#call("GET", `/users/${encodeURIComponent(id)}`);
  }

  async company(id) {
    return await this.#call("GET", `/companies/${encodeURIComponent(id)}`);
  }

  async records(wanted) {
    return (await this.#arrived(typeOf(wanted))).filter((record) => !differences(record, wanted).length);
  }

  async refused() {
    return (await this.#call("GET", REFUSED)).requests.reverse();
  }

  async expect(wanted, { withinMs = 2000 } = {}) {
    const { arrived, found } = await this.#wait(wanted, withinMs);
    if (found) return found;
    const lines = [`not sent within ${withinMs} ms: ${JSON.stringify(wanted)}`, nearest(arrived, wanted)];
    throw failed([...lines, await this.told()].join("\n"));
  }

  async expectNone(wanted, { withinMs = 0 } = {}) {
    const { found } = await this.#wait(wanted, withinMs);
    if (found) throw failed(`sent, with request ${found.request}: ${JSON.stringify(found.item)}`);
  }

  async told() {
    const { requests, refused, ...counts } = await this.#call("GET", "/state");
    const names = Object.entries(counts).filter(([, count]) => count);
    const lines = [`arrived: ${names.map((pair) => pair.join(" ")).join(", ") || "nothing"}`];
    lines.push(`refused: ${refused} of ${requests} requests`, ...(await this.refused()).flatMap(shown));
    const ofNobody = (await call("GET", `${this.url}/_emulator${REFUSED}`)).requests.reverse();
    const since = ofNobody.filter(({ status, at }) => status === UNKNOWN_KEY && Date.parse(at) >= this.#began);
    if (since.length) lines.push("refused since then, from whichever test, since nobody has this key:");
    return [...lines, ...since.flatMap(shown)].join("\n");
  }

  async #wait(wanted, withinMs) {
    const type = typeOf(wanted);
    const end = performance.now() + withinMs;
    for (;;) {
      const left = end - performance.now();
      const arrived = await this.#arrived(type);
      const found = arrived.find((record) => !differences(record, wanted).length);
      if (found || left <= 0) return { arrived, found };
      const after = Math.max(0, ...arrived.map(({ request }) => request));
      const wait = `${Math.ceil(Math.min(left, LOOK_MS_MAX))}ms`;
      await this.#call("GET", `/journal?${new URLSearchParams({ after, type, wait })}`);
    }
  }

  async #arrived(type) {
    return await this.#call("GET", `/journal?${new URLSearchParams({ type })}`);
  }

  #call(method, path, document) {
    return call(method, this.#control + path, document);
  }
}

class Emulator extends Environment {
  #features;
  #child;

  constructor(url, environment, features, child) {
    super(url, environment, features);
    this.#features = features;
    this.#child = child;
  }

  async environment(name) {
    const environment = new Environment(this.url, await makeEnvironment(this.url, name), this.#features);
    await environment.reset();
    return environment;
  }

  async stop() {
    if (!this.#child) {
      await call("DELETE", `${this.url}/_emulator/environments/${encodeURIComponent(this.name)}`);
    } else if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, "exit");
      this.#child.ref();
      this.#child.kill();
      await ended;
    }
  }
}

function shown({ request, status, method, path, error, wrong }) {
  const items = wrong.filter(({ item }) => item !== null).map(({ item }) => `    sent: ${item}`);
  return [`request ${request}: ${status} ${method} ${path}: ${error}`, ...items];
}

function definition([key, rules]) {
  return { key, targeting: { version: 1, rules: [rules].flat().map((filter) => ({ filter })) } };
}

// --- the process: it ends when this one does, since its stdin ends then --------------------------------------------------

function start([program, ...before], { evaluation, strict }) {
  const words = [...before, "emulator", "--port", "0", "--ends-with-stdin"];
  if (evaluation !== undefined) words.push("--evaluation", String(evaluation));
  if (strict) words.push("--strict");
  const child = spawn(program, words, { stdio: "pipe" });
  return new Promise((resolve, reject) => {
    let said = "";
    let complaint = "";
    child.stderr.on("data", (text) => (complaint = (complaint + text).slice(-4000)));
    child.once("error", (error) => reject(new Error(`${program} cannot be started (pip install bucket-loader): ${error.message}`)));
    child.once("exit", (code) => reject(new Error(`the emulator did not start, exit ${code}: ${complaint}`)));
    child.stdout.on("data", (text) => {
      said += text;
      if (!said.includes("\n")) return;
      let url;
      try {
        ({ url } = JSON.parse(said));
      } catch {
        child.kill();
        reject(new Error(`${program} does not start an emulator, it says: ${said.slice(0, 500)}`));
        return;
      }
      for (const held of [child, child.stdin, child.stdout, child.stderr]) held.unref(); // the tests end without `stop` too
      resolve({ child, url });
    });
  });
}

// --- the control API -----------------------------------------------------------------------------------------------------

function makeEnvironment(base, name = `node-${randomBytes(3).toString("hex")}`) {
  return call("POST", `${base}/_emulator/environments`, { name });
}

async function call(method, url, document) {
  const body = document === undefined ? undefined : JSON.stringify(document);
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(url, { method, headers, body }).catch(({ message, cause }) => {
    const advice = "start one with `bucket-loader emulator`, or unset BUCKET_EMULATOR_URL if it names one that has gone";
    throw new Error(`no emulator answers at ${url}: ${cause?.message || cause?.code || message}; ${advice}`);
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${url}: ${reason(text)}`);
  if (!answer.headers.get("content-type").includes("ndjson")) return JSON.parse(text);
  return text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

function reason(text) {
  try {
    const { message, validationErrors } = JSON.parse(text).error;
    return [message, ...validationErrors.map((one) => one.message)].join("; ");
  } catch {
    return text.slice(0, 500);
  }
}

// --- what was sent, held against what a test expects -----------------------------------------------------------------------

// For each kind of record, by its `type`: where the API has what a word means. The first word names the kind.
const WHO = { user: ["userId"], company: ["companyId"] };
const FIELDS = {
  event: { event: ["event"], ...WHO, attributes: ["attributes"] },
  feedback: { feedback: ["key", "featureId"], ...WHO, score: ["score"], comment: ["comment"] },
  company: { company: ["companyId"], user: ["userId"], attributes: ["attributes"] },
  user: { user: ["userId"], attributes: ["attributes"] },
};

function typeOf(wanted) {
  const type = Object.keys(FIELDS).find((kind) => kind in wanted);
  if (!type) throw new TypeError(`say what is expected: ${Object.keys(FIELDS).join(", ")}`);
  const strange = Object.keys(wanted).filter((word) => !(word in FIELDS[type]));
  if (strange.length) throw new TypeError(`a record of type ${type} has no ${strange.join(", ")}`);
  return type;
}

function compared({ item }, wanted) {
  const fields = FIELDS[typeOf(wanted)];
  return Object.entries(wanted).flatMap(([word, value]) => {
    if (word === "attributes") {
      return Object.entries(value).map(([name, one]) => [`attributes.${name}`, one, item.attributes?.[name]]);
    }
    return [[word, value, item[fields[word].find((at) => at in item)]]];
  });
}

function isSame(name, value, sent) {
  if (typeof value?.asymmetricMatch === "function") return value.asymmetricMatch(sent); // expect.any(Number)
  if (name in WHO && sent !== undefined) return String(value) === String(sent); // clients send texts or numbers
  return isDeepStrictEqual(value, sent);
}

function differences(record, wanted) {
  return compared(record, wanted)
    .filter((part) => !isSame(...part))
    .map(([name, value, sent]) => `${name}: ${JSON.stringify(sent) ?? "absent"}, expected ${JSON.stringify(value)}`);
}

function nearest(records, wanted) {
  const type = typeOf(wanted);
  if (!records.length) return `no record of type ${type} has arrived`;
  const closeness = (record) => compared(record, wanted).reduce((sum, part) => sum + likeness(...part), 0);
  const best = records.reduce((one, other) => (closeness(other) > closeness(one) ? other : one));
  const lines = differences(best, wanted).map((line) => `    ${line}`);
  return [`the nearest of ${records.length} of type ${type} came with request ${best.request}, and differs:`, ...lines].join("\n");
}

function likeness(name, value, sent) {
  if (isSame(name, value, sent)) return 1;
  if (typeof value !== "string" || typeof sent !== "string") return 0;
  const pairs = (text) => new Set([...text.toLowerCase()].map((sign, at, all) => sign + (all[at + 1] ?? "")));
  const [ours, theirs] = [pairs(value), pairs(sent)];
  return (0.9 * [...ours].filter((pair) => theirs.has(pair)).length) / Math.max(ours.size, theirs.size, 1);
}

function failed(message) {
  return new AssertionError({ message });
}
