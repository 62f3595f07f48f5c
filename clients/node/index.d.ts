/** What a record should say; what is left out may be anything. The first of these words that is given names its kind. */
export interface Wanted {
  /** The name of an event. */
  event?: string;
  /** The key of the flag that feedback is about, or its id. */
  feedback?: string;
  /** The id of a company. */
  company?: string | number;
  /** The id of a user. */
  user?: string | number;
  /** Some of the attributes; others may be there too. */
  attributes?: Record<string, unknown>;
  /** Of feedback. */
  score?: number;
  /** Of feedback. */
  comment?: string;
}

/** One record that the API accepted. */
export interface Sent {
  /** `event`, `feedback`, `company`, `user`, or another `type` of the API. */
  type: string;
  /** The record, as it was sent. */
  item: Record<string, unknown>;
  /** The number of the request that brought it. */
  request: number;
}

/** A request that was refused. */
export interface Refused {
  request: number;
  at: string;
  method: string;
  path: string;
  status: number | null;
  /** Why. */
  error: string;
  /** The mistakes in its body, each with the item that it is in. */
  wrong: { message: string; item: string | null }[];
}

/** A user, as Bucket knows it now. */
export interface User {
  userId: string;
  attributes: Record<string, unknown>;
  companies: string[];
  defaultCompany: string | null;
  firstSeen: string | null;
  lastSeen: string | null;
  events: number;
}

/** A company, as Bucket knows it now. */
export interface Company {
  companyId: string;
  attributes: Record<string, unknown>;
  users: string[];
  firstSeen: string | null;
  lastSeen: string | null;
  events: number;
}

/** A filter of a rule, as in the answer of `GET /features`. */
export interface Filter {
  type: string;
  [member: string]: unknown;
}

/** The options with which each SDK uses this environment, and no other host. */
export interface SdkOptions {
  /** `new ReflagClient(options.node)` of `@reflag/node-sdk`, `new BucketClient(...)` of `@bucketco/node-sdk`. */
  node: { secretKey: string; apiBaseUrl: string; flagsPushUrl: string; offline: false };
  /** `new ReflagClient({...options.browser, user})` of `@reflag/browser-sdk`. */
  browser: { publishableKey: string; apiBaseUrl: string; sseBaseUrl: string };
  /** `<ReflagProvider {...options.react}>` of `@reflag/react-sdk`. */
  react: { publishableKey: string; apiBaseUrl: string; sseBaseUrl: string };
}

/** A local Bucket API with keys, flags and records of its own. */
export interface Environment {
  /** The base URL for clients. */
  readonly url: string;
  readonly name: string;
  readonly secretKey: string;
  readonly publishableKey: string;
  readonly options: SdkOptions;

  /** Forget all that was sent, and define what the option `features` says. Call it before each test. */
  reset(): Promise<void>;
  /** Turn a flag on or off for everybody, whatever its rules say; one that is not there is made. */
  flag(key: string, how: { on: boolean; config?: string; payload?: unknown }): Promise<void>;
  /**
   * Define all flags anew: for each the filter that says for whom it is on, or a list of them, one of which is enough; or a
   * list of whole definitions, as in the answer of `GET /features`.
   */
  define(rules: Record<string, Filter | Filter[]> | Record<string, unknown>[]): Promise<void>;
  /** Order what should go wrong, in place of what was ordered before; nothing, if nothing is given (docs/emulator.md). */
  fault(...faults: { kind: string; [word: string]: unknown }[]): Promise<void>;
  /** Return everything that is there, for `restore`. */
  snapshot(): Promise<Record<string, unknown>>;
  /** Be as at a snapshot again. */
  restore(snapshot: Record<string, unknown>): Promise<void>;

  /** Return a user; it fails when none with this id has arrived. */
  user(id: string | number): Promise<User>;
  /** Return a company; it fails when none with this id has arrived. */
  company(id: string | number): Promise<Company>;
  /** Return the records that have arrived and are like this, in their order. */
  records(wanted: Wanted): Promise<Sent[]>;
  /** Return the requests that were refused, in their order. */
  refused(): Promise<Refused[]>;
  /** Return the first record that is like this; wait for it, 2,000 ms at most, if it has not arrived yet. */
  expect(wanted: Wanted, how?: { withinMs?: number }): Promise<Sent>;
  /**
   * Make sure that no record like this has arrived. What is on its way is not seen: first expect something that is sent
   * later, or give a time, which the call then always takes.
   */
  expectNone(wanted: Wanted, how?: { withinMs?: number }): Promise<void>;
  /** Return what a person wants to know of a test that failed: what arrived, and what was refused. */
  told(): Promise<string>;
}

/** An environment, and the emulator that it is in. */
export interface Emulator extends Environment {
  /** Make another environment in the same emulator. */
  environment(name?: string): Promise<Environment>;
  /** End the emulator; of one that ran before, only take the environment away. */
  stop(): Promise<void>;
}

export interface EmulatorOptions {
  /** An emulator that runs already; by default the one that `BUCKET_EMULATOR_URL` names, or none. */
  url?: string;
  /** What starts one, `["bucket-loader"]` by default; for example `["python3", "-m", "bucket_loader"]`. */
  command?: string[];
  /** Evaluate rules and keep lists as the API did in 2025, or as since autumn 2026 (default); of one that is started. */
  evaluation?: "2025" | "2026";
  /** Refuse what Bucket takes, and then drops or changes without an error; of one that is started. */
  strict?: boolean;
  /** The body of `GET /features`, or a file with it: what each environment begins with, and has again after a reset. */
  features?: string | { features: Record<string, unknown>[] };
}

/** Start an emulator, or find the one that runs already, and make an environment there. It ends with this process. */
export function startEmulator(options?: EmulatorOptions): Promise<Emulator>;
