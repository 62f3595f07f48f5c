import { startEmulator } from "bucket-emulator";
import { Shop } from "./shop.js";

let bucket, shop;

beforeAll(async () => {
  bucket = await startEmulator();
});
beforeEach(() => bucket.reset());
afterEach(() => shop.close());
afterAll(() => bucket.stop());

async function open() {
  shop = new Shop(bucket.options.node);
  await shop.open();
}

test("a feature is shown when it is on", async () => {
  await bucket.flag("huddle", { on: true });
  await open();

  expect(shop.shows("huddle", { id: "c1" })).toBe(true);
});

test("a feature is switched while the shop is open", async () => {
  await bucket.flag("huddle", { on: true });
  await open();
  expect(shop.shows("huddle", { id: "c1" })).toBe(true);

  await bucket.flag("huddle", { on: false });

  while (shop.shows("huddle", { id: "c1" })) await new Promise(setImmediate); // it is pushed to the SDK
});

test("only who pays sees the feature", async () => {
  await bucket.define({ huddle: { type: "context", field: "company.plan", operator: "IS", values: ["pro"] } });
  await open();

  expect(shop.shows("huddle", { id: "c1", plan: "pro" })).toBe(true);
  expect(shop.shows("huddle", { id: "c2", plan: "free" })).toBe(false);
});

test("the greeting is the one of the variant", async () => {
  await bucket.flag("greeting", { on: true, config: "loud", payload: { text: "HELLO" } });
  await open();

  expect(shop.greeting({ id: "c1" })).toBe("HELLO");
});
