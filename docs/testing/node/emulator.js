// One emulator for all workers: `globalSetup` of vitest and of jest alike. Each file of tests then gets keys of its own.
import { startEmulator } from "bucket-emulator";

export default async function setup() {
  const emulator = await startEmulator();
  process.env.BUCKET_EMULATOR_URL = emulator.url;
  return () => emulator.stop(); // vitest calls it; with jest the emulator ends when jest does
}
