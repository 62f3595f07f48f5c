// A client for browsers, unmodified, in a page.
import * as sdk from "client";
import { offer } from "./page.js";

const Client = sdk.ReflagClient ?? sdk.BucketClient;

offer(async (documented, options) => {
  class Chosen extends Client {
    constructor(given) {
      super({ ...given, ...options });
    }
  }
  const client = documented({ ReflagClient: Chosen, BucketClient: Chosen });
  await client.initialize();
  const flags = () => (client.getFlags ? client.getFlags() : client.getFeatures());
  const shown = ({ isEnabled, config }) => [isEnabled, { key: config?.key, payload: config?.payload }];
  const look = () => Object.fromEntries(Object.entries(flags()).map(([key, flag]) => [key, shown(flag)]));
  return { client: () => client, look };
});
