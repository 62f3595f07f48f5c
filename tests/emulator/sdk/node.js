// A client for servers, unmodified, in a process of its own: each line on stdin is a step, each line on stdout what came of it.
// node node.js CLIENT, where the clients are installed.
const { createRequire } = require("node:module");
const { createInterface } = require("node:readline");

const installed = createRequire(process.cwd() + "/")(process.argv[2]);
const Client = installed.ReflagClient ?? installed.BucketClient;
const noun = installed.ReflagClient ? "Flag" : "Feature";

const said = [];
const readable = (word) => (word instanceof Error ? word.stack : typeof word === "string" ? word : JSON.stringify(word));
for (const level of ["debug", "info", "log"]) console[level] = () => {};
for (const level of ["warn", "error"]) console[level] = (...words) => said.push(words.map(readable).join(" "));

const hosts = new Set();
const realFetch = globalThis.fetch;
globalThis.fetch = (target, options) => (hosts.add(new URL(target).host), realFetch(target, options));

const shown = (flags) => Object.fromEntries(Object.entries(flags).map(([key, flag]) => [key, [flag.isEnabled, flag.config]]));
let client, context;

const steps = {
  async start({ code, options, given }) {
    class Chosen extends Client {
      constructor(documented) {
        super({ ...documented, ...options });
      }
    }
    const names = { ReflagClient: Chosen, BucketClient: Chosen, ...given };
    client = new Function(...Object.keys(names), `return (${code})`)(...Object.values(names));
    context = { user: given.user, company: given.company };
    await client.initialize();
  },
  look: () => shown(client[`get${noun}s`](context)),
  bootstrap: () => client.getFlagsForBootstrap(context),
  again: ({ method, words }) => client[method](...words),
  async paces() {
    const { user, company } = context;
    await client.updateUser(user.id, { attributes: { name: user.name, age: user.age } });
    await client.updateCompany(company.id, { userId: user.id, attributes: { name: company.name, plan: company.plan } });
    await client.track(user.id, "opened", { companyId: company.id, attributes: { where: "menu" } });
    await client.track(user.id, "closed");
    await client.flush();
    await client.bindClient(structuredClone(context)).track("bound");
    const checked = client[`get${noun}`](context, "huddle").isEnabled;
    await client.flush();
    const remote = shown(await client[`get${noun}sRemote`](user.id, company.id));
    const one = shown({ huddle: await client[`get${noun}Remote`]("huddle", user.id, company.id) });
    return { checked, local: steps.look(), remote, one };
  },
  stop: () => client.flush(),
  told: () => ({ said, hosts: [...hosts] }),
};

createInterface({ input: process.stdin }).on("line", async (line) => {
  const { step, ...words } = JSON.parse(line);
  const answer = {};
  try {
    answer.value = await steps[step](words);
  } catch (error) {
    answer.error = `${error.stack}\n${said.join("\n")}`;
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
});
