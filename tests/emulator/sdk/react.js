// A client for React, unmodified, in a page: it shows its flags as its hooks return them.
import * as sdk from "client";
import { createElement, useEffect } from "react";
import { createRoot } from "react-dom/client";
import { offer } from "./page.js";

const Provider = sdk.ReflagProvider ?? sdk.BucketProvider;
const useFlag = sdk.useFlag ?? sdk.useFeature;
let shown = {};
let client;

function Flags({ keys, ready }) {
  client = sdk.useClient();
  const flags = keys.map((key) => useFlag(key)); // always the same keys
  const isLoading = flags.some((flag) => flag.isLoading);
  if (!isLoading) shown = Object.fromEntries(flags.map(({ key, isEnabled, config }) => [key, [isEnabled, { ...config }]]));
  useEffect(() => {
    if (!isLoading) ready();
  }, [isLoading]);
  return JSON.stringify(shown);
}

offer(async (documented, options) => {
  const Chosen = (props) => createElement(Provider, { ...props, ...options });
  const root = createRoot(document.body.appendChild(document.createElement("main")));
  await new Promise((ready) => {
    const children = createElement(Flags, { keys: ["huddle", "dull"], ready });
    root.render(documented({ ReflagProvider: Chosen, BucketProvider: Chosen, children }));
  });
  return { client: () => client, look: () => JSON.parse(document.querySelector("main").innerText) };
});
