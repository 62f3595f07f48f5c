// The tracking client, unmodified, in a page: it is the oldest, puts its key in the path, and knows flags that are on alone.
import bucket from "client";
import { offer } from "./page.js";

offer(async (documented) => {
  documented({ bucket });
  const context = { user: { id: "u1" }, company: { id: "42", plan: "pro" } };
  const own = async () => ({
    user: (await bucket.user("u1", { name: "Ada" }, { active: false })).status,
    company: (await bucket.company("42", { plan: "pro" })).status,
    track: (await bucket.track("opened", { where: "menu" })).status,
    flags: await bucket.getFeatureFlags({ context }),
    feedback: (await bucket.feedback({ featureId: "fe_1", score: 4 })).status,
  });
  return { client: () => bucket, look: () => bucket.getFeatureFlags({ context }), own };
});
