// Puts one published client, unmodified, through its paces against an emulator, and prints what it said and saw.
// node clients.js '{"client": ..., "url": ..., "secretKey": ..., "publishableKey": ...}', where the clients are installed.
const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const { setTimeout: pause } = require("node:timers/promises");
const installed = createRequire(process.cwd() + "/");

const { client: name, url, secretKey, publishableKey } = JSON.parse(process.argv[2]);
const said = [];
const logger = { debug() {}, info() {} };
for (const level of ["warn", "error"]) {
  logger[level] = console[level] = (...words) => said.push(`${level}: ${words.map(readable).join(" ")}`);
}
const readable = (word) => (word instanceof Error ? word.stack : typeof word === "string" ? word : JSON.stringify(word));

const USER = { id: "u1", name: "Ada", age: 36 };
const COMPANY = { id: 42, name: "Acme", plan: "pro" };

// What a browser does that node's fetch does not: it asks first, and reads nothing that it is not allowed to.
const hosts = new Set();
const nodeFetch = globalThis.fetch;
async function browserFetch(target, options = {}) {
  hosts.add(new URL(target).host);
  const origin = "http://shop.test";
  if (options.method === "POST") {
    const asked = Object.keys(options.headers).map((header) => header.toLowerCase());
    const asking = { Origin: origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": asked.join() };
    const allowed = (await nodeFetch(target, { method: "OPTIONS", headers: asking })).headers;
    const names = (allowed.get("access-control-allow-headers") ?? "").split(",").map((header) => header.trim());
    const missing = asked.filter((header) => !names.includes(header));
    if (missing.length) throw new TypeError(`the preflight allows no ${missing}`);
  }
  const { credentials, keepalive: _, ...rest } = options;
  const response = await nodeFetch(target, { ...rest, headers: { ...rest.headers, Origin: origin } });
  const [shared, withCredentials] = ["origin", "credentials"].map((name) => response.headers.get(`access-control-allow-${name}`));
  const lacksCredentials = credentials === "include" && withCredentials !== "true";
  if (shared !== origin || lacksCredentials) throw new TypeError("CORS");
  return response;
}

function browser(file) {
  const { JSDOM } = installed("jsdom");
  const { window } = new JSDOM("<!doctype html><body>", { url: "http://shop.test/", runScripts: "outside-only" });
  window.fetch = browserFetch;
  for (const level of ["warn", "error"]) window.console[level] = console[level];
  for (const known of ["TextEncoder", "AbortController", "AbortSignal", "structuredClone"]) window[known] ??= globalThis[known];
  window.eval(readFileSync(`${process.cwd()}/node_modules/${file}`, "utf-8"));
  return window;
}

async function nodeClient(Client, words) {
  globalThis.fetch = (target, options) => (hosts.add(new URL(target).host), nodeFetch(target, options));
  const client = new Client({ secretKey, apiBaseUrl: url, logger, flagsSyncMode: "polling" });
  await client.initialize();
  await client.updateUser("u1", { attributes: { name: "Ada", age: 36 } });
  await client.updateCompany("42", { userId: "u1", attributes: { name: "Acme", plan: "pro" } });
  await client.track("u1", "opened", { companyId: "42", attributes: { where: "menu" } });
  await client.track("u1", "closed");
  await client.flush();
  const context = { user: { ...USER }, company: { ...COMPANY } };
  const local = client[words.all](context);
  const seen = { local: shown(local), checked: local.huddle.isEnabled, config: local.huddle.config };
  const bound = client.bindClient(context);
  await bound.track("bound");
  await client.flush();
  seen.remote = shown(await client[words.allRemote]("u1", "42"));
  seen.one = shown({ huddle: await client[words.oneRemote]("huddle", "u1", "42") });
  await client.flush();
  process.removeAllListeners("beforeExit").removeAllListeners("exit"); // it is flushed already, and the timers go on
  return seen;
}

function shown(flags) {
  return Object.fromEntries(Object.entries(flags).map(([key, flag]) => [key, [flag.isEnabled, flag.config]]));
}

async function browserClient(Client, words) {
  const options = { publishableKey, apiBaseUrl: url, user: USER, company: COMPANY, logger, toolbar: false };
  const client = new Client({ ...options, ...words.options, other: { page: "home" }, trackingQueue: { flushDelayMs: 10 } });
  await client.initialize();
  const flag = client[words.one]("huddle");
  const seen = { enabled: flag.isEnabled, config: flag.config, off: client[words.one]("dull").isEnabled };
  seen.track = (await client.track("opened", { where: "menu" })).status;
  await flag.track();
  await client.updateUser({ role: "admin" });
  await client.updateCompany({ seats: 5 });
  seen.again = client[words.one]("huddle").isEnabled;
  const feedback = await client.feedback({ [words.feedbackKey]: "huddle", score: 4, comment: "good" });
  seen.feedbackId = (await feedback.json()).feedbackId;
  await client.feedback({ [words.feedbackKey]: "huddle", score: 5, feedbackId: seen.feedbackId });
  await pause(200); // what it sends in the background
  await client.stop();
  return seen;
}

async function trackingClient() {
  const { bucket } = browser("@bucketco/tracking-sdk/dist/bucket-tracking-sdk.browser.js");
  bucket.init(publishableKey, { host: url });
  const seen = {};
  seen.user = (await bucket.user("u1", { name: "Ada" }, { active: false })).status;
  seen.company = (await bucket.company("42", { plan: "pro" })).status;
  seen.track = (await bucket.track("opened", { where: "menu" })).status;
  seen.flags = await bucket.getFeatureFlags({ context: { user: USER, company: COMPANY } });
  seen.feedback = (await bucket.feedback({ featureId: "fe_1", score: 4 })).status;
  bucket.reset();
  return seen;
}

const flagWords = {
  all: "getFlags", allRemote: "getFlagsRemote", oneRemote: "getFlagRemote", one: "getFlag", feedbackKey: "flagKey",
  options: { feedback: { enableAutoFeedback: false } }, // it would listen for them, and jsdom has no EventSource
}; // prettier-ignore
const featureWords = {
  all: "getFeatures", allRemote: "getFeaturesRemote", oneRemote: "getFeatureRemote", one: "getFeature", feedbackKey: "featureKey",
}; // prettier-ignore
const clients = {
  "@bucketco/node-sdk": () => nodeClient(installed("@bucketco/node-sdk").BucketClient, featureWords),
  "@reflag/node-sdk": () => nodeClient(installed("@reflag/node-sdk").ReflagClient, flagWords),
  "@bucketco/browser-sdk": () =>
    browserClient(browser("@bucketco/browser-sdk/dist/bucket-browser-sdk.umd.js").BucketBrowserSDK.BucketClient, featureWords),
  "@reflag/browser-sdk": () =>
    browserClient(browser("@reflag/browser-sdk/dist/reflag-browser-sdk.umd.js").ReflagBrowserSDK.ReflagClient, flagWords),
  "@bucketco/tracking-sdk": trackingClient,
};

clients[name]().then(
  (seen) => {
    process.stdout.write(JSON.stringify({ said, seen, hosts: [...hosts] }), () => process.exit(0));
  },
  (error) => {
    process.stderr.write(error.stack + "\n" + said.join("\n"));
    process.exit(1);
  },
);
