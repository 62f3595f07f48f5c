// The vendor's SDK for node: `track` for every row, its own buffer of a hundred, several flushes under way at once.
//
// The SDK's buffer sends when it is full, within the call that filled it. Awaiting every call would be one request at a
// time; so a call that filled the buffer is awaited only when enough others are under way. It has no timestamp to give:
// the API will say that everything happened now. What it could not send it drops, and says so to its logger.

import { writeFileSync } from "node:fs";
import { DuckDBInstance } from "@duckdb/node-api";
import { ReflagClient } from "@reflag/node-sdk";

const CHUNK = 100;
const UNDER_WAY = 16; // 8 and 32 are no faster

let dropped = 0;
const quiet = () => {};
const logger = { debug: quiet, info: quiet, warn: () => (dropped += 1), error: () => (dropped += 1) };
const client = new ReflagClient({
  secretKey: process.env.BENCHMARK_KEY,
  apiBaseUrl: process.env.BENCHMARK_URL,
  batchOptions: { maxSize: CHUNK, intervalMs: 0, flushOnExit: false },
  flagsSyncMode: "in-request",
  logger,
});

const connection = await (await DuckDBInstance.create()).connect();
const cpu = process.cpuUsage();
const began = [Number(process.hrtime.bigint()) / 1e9, (cpu.user + cpu.system) / 1e6];
writeFileSync(process.env.BENCHMARK_BEGAN, began.join(" "));

const found = await connection.stream(`SELECT * FROM read_parquet('${process.env.BENCHMARK_FILE}')`);
const flushes = [];
let rows = 0;
for await (const page of found.yieldRowObjectJs()) {
  for (const row of page) {
    const tracked = client.track(row.user_id, row.feature_name, {
      companyId: row.account_id,
      attributes: {
        duration_seconds: row.duration_seconds,
        is_beta: row.is_beta,
        note: row.note,
        region: row.region,
        usage_count: row.usage_count,
      },
    });
    rows += 1;
    if (rows % CHUNK === 0) {
      flushes.push(tracked);
      if (flushes.length >= UNDER_WAY) await flushes.shift();
    }
  }
}
await Promise.all(flushes);
await client.flush();
console.log(JSON.stringify({ rows, dropped: dropped * CHUNK }));
process.exit(0);
