// What the pages of all clients for browsers have in common: `step(NAME, WORDS)`, which is called from outside.
import documented from "documented";

// `open` takes what the docs say and further options; it returns the client, what shows its flags, and its paces if it has others.
export function offer(open) {
  let client, look, own;
  const steps = {
    async start({ options, given }) {
      ({ client, look, own } = await open((names) => documented({ ...given, ...names }), options));
    },
    look: () => look(),
    again: ({ method, words }) => client()[method](...words).then(() => null),
    paces: () => (own ? own() : paces(client(), look)),
    stop: () => client().stop?.(),
    optIn: ({ key, optedIn }) => client().setOptIn(key, { optedIn }).then((response) => response.status),
  };
  window.step = (name, words) => steps[name](words);
}

async function paces(client, look) {
  const isNew = Boolean(client.getFlag);
  const [get, key] = isNew ? ["getFlag", "flagKey"] : ["getFeature", "featureKey"];
  const seen = { track: (await client.track("opened", { where: "menu" })).status };
  const flag = client[get]("huddle");
  seen.checked = flag.isEnabled;
  await flag.track();
  await client.updateUser({ role: "admin" });
  await client.updateCompany({ seats: 5 });
  seen.again = look().huddle;
  const feedback = await client.feedback({ [key]: "huddle", score: 4, comment: "good" });
  seen.feedbackId = (await feedback.json()).feedbackId;
  await client.feedback({ [key]: "huddle", score: 5, feedbackId: seen.feedbackId });
  return seen;
}
