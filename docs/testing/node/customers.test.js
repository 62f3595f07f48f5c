import { startEmulator } from "bucket-emulator";
import { Shop } from "./shop.js";

let bucket, shop;

beforeAll(async () => {
  bucket = await startEmulator();
});
beforeEach(async () => {
  await bucket.reset();
  shop = new Shop(bucket.options.node);
  await shop.open();
});
afterEach(() => shop.close());
afterAll(() => bucket.stop());

test("a customer arrives with plan and roles", async () => {
  shop.signUp("u1", "c1", { plan: "pro", roles: ["admin", "buyer"] });

  await bucket.expect({ user: "u1", attributes: { plan: "pro" } });

  expect((await bucket.user("u1")).attributes).toEqual({ plan: "pro", roles: ["admin", "buyer"] });
});

test("a customer belongs to a company", async () => {
  shop.signUp("u1", "c1", { plan: "pro", roles: [] });

  await bucket.expect({ company: "c1", user: "u1" });

  expect((await bucket.company("c1")).users).toEqual(["u1"]);
});

test("signing up is one event", async () => {
  shop.signUp("u1", "c1", { plan: "free", roles: [] });

  await bucket.expect({ event: "signed up", user: "u1", company: "c1" });

  expect(await bucket.records({ event: "signed up" })).toHaveLength(1);
  expect(await bucket.refused()).toEqual([]);
});

test("an order is told with its amount", async () => {
  shop.order("u1", "tea", 4.5);

  await bucket.expect({ event: "ordered", user: "u1", attributes: { amount: expect.any(Number) } });
});

test("a guest's order is nobody's business", async () => {
  shop.order(undefined, "gin", 20);
  shop.order("u1", "tea", 4.5);

  await bucket.expect({ event: "ordered", attributes: { article: "tea" } });

  await bucket.expectNone({ event: "ordered", attributes: { article: "gin" } });
});

test("what is not sent is shown beside the nearest", async () => {
  shop.order("u1", "gin", 20);
  shop.order("u1", "tee", 4.5);
  await bucket.expect({ event: "ordered", attributes: { article: "tee" } });

  const missing = bucket.expect({ event: "ordered", attributes: { article: "tea" } }, { withinMs: 0 });

  await expect(missing).rejects.toThrow('attributes.article: "tee", expected "tea"');
});
