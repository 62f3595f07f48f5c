// Evaluates cases (JSON on stdin: {now, cases}) with both published packages; prints {package: [result, ...]}.
// Run it where the packages are installed: node evaluate.js < cases.json
const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const require_here = createRequire(process.cwd() + "/");

const { now, cases } = JSON.parse(readFileSync(0, "utf-8"));
const packages = {
  "@bucketco/flag-evaluation": (pack) => (rules, context) =>
    pack.evaluateFeatureRules({ context, featureKey: "f", rules }),
  "@reflag/flag-evaluation": (pack) => (rules, context) => pack.evaluateFlagRules({ context, flagKey: "f", rules }),
};

console.error = () => {}; // they say there what is no number and no date
globalThis.Date = class extends Date {
  constructor(...given) {
    given.length ? super(...given) : super(now);
  }
};

const results = {};
for (const [name, adapt] of Object.entries(packages)) {
  const evaluate = adapt(require_here(name));
  results[name] = cases.map(({ rules, context }) => {
    const numbered = rules.map((filter, index) => ({ filter, value: index }));
    const { value, ruleEvaluationResults, missingContextFields } = evaluate(numbered, context);
    return { matched: value ?? null, results: ruleEvaluationResults, missing: missingContextFields };
  });
}
console.log(JSON.stringify(results));
