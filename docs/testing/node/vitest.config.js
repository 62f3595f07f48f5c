export default { test: { globals: true, globalSetup: "./emulator.js" } };
