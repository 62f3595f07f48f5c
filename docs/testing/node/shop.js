// Somebody's shop, which tells Bucket what its customers do, and asks it which features they have. It knows no test.
import { ReflagClient } from "@reflag/node-sdk";

export class Shop {
  #client;

  constructor(options) {
    this.#client = new ReflagClient({ ...options, batchOptions: { intervalMs: 20 }, logLevel: "WARN" });
  }

  async open() {
    await this.#client.initialize();
  }

  // Nobody waits for what is told: it goes out in batches, a little later.
  signUp(user, company, { plan, roles }) {
    this.#client.updateUser(user, { attributes: { plan, roles } });
    this.#client.updateCompany(company, { userId: user, attributes: { plan } });
    this.#client.track(user, "signed up", { companyId: company });
  }

  order(user, article, amount) {
    if (user) this.#client.track(user, "ordered", { attributes: { article, amount } });
  }

  shows(feature, company) {
    return this.#client.getFlag({ company }, feature).isEnabled;
  }

  greeting(company) {
    const { isEnabled, config } = this.#client.getFlag({ company }, "greeting");
    return isEnabled ? config.payload.text : "Hello";
  }

  async close() {
    await this.#client.flush();
    this.#client.destroy();
  }
}
