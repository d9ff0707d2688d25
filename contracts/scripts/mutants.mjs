// Mutation testing of the escrow: each mutant is the escrow with one small fault, and a test has to notice it.
// Prints how many were noticed and each one that was not; exits with 1 when a survivor is not in mutants/equivalent.mjs,
// or when less than nine of ten are noticed.
//   --only TEXT    only mutants whose description holds TEXT ("Gate.sol:31")
//   --survivors    only those that survived the last time
// Most mutants are compiled together and told apart by a number in the code (schema.mjs), the others one by one, without
// the optimizer. A mutant's code takes the place of the escrow's in what forge built: the tests deploy what they find there
// (`dynamic_test_linking`), so none of them is compiled again.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./foundry.mjs";
import { compile, parse, readSources } from "./mutants/compiler.mjs";
import { EQUIVALENT } from "./mutants/equivalent.mjs";
import { mutantsOf } from "./mutants/operators.mjs";
import { compileTogether } from "./mutants/schema.mjs";
import { PARTS, Tests } from "./mutants/tests.mjs";

const LEAST_KILLED = 0.9;
const REPORT = join(root, "contracts/cache/mutants/report.json");

const option = (name) => process.argv.indexOf(name);
const only = option("--only") > 0 ? process.argv[option("--only") + 1] : "";
const lastSurvivors =
  option("--survivors") > 0 &&
  new Set(JSON.parse(readFileSync(REPORT, "utf8")).filter((mutant) => mutant.survived).map((mutant) => mutant.id));
const isWhole = !only && !lastSurvivors;

const tests = new Tests();
const sources = readSources(tests.settings);
const trees = parse(sources, tests.settings);

const mutants = PARTS.flatMap((part) => {
  const path = `contracts/src/${part}.sol`;
  return mutantsOf(path, sources[path], trees[path]);
}).filter(({ id }) => id.includes(only) && (!lastSurvivors || lastSurvivors.has(id)));

// ------------------------------------------------------------------------------------------------------------ the run

const { included, codeOf } = compileTogether(sources, mutants, (all) => compile(all, tests.settings));
await tests.mustPass(codeOf(0));

const report = [];
let invalid = 0;
for (const [index, mutant] of included.entries()) await judge(mutant, codeOf(index + 1));
for (const mutant of mutants.filter((mutant) => !included.includes(mutant))) {
  const { code } = compile({ ...sources, [mutant.path]: mutant.text }, tests.settings);
  if (code) await judge(mutant, code);
  else invalid += 1;
}

// --------------------------------------------------------------------------------------------------------- the result

const survivors = report.filter(({ survived }) => survived);
const killed = report.length - survivors.length;
const unexplained = survivors.filter(({ id }) => !(keyOf(id) in EQUIVALENT));
console.log(`${invalid} do not compile`);
for (const { id } of survivors) console.log(`survived: ${id}\n    ${EQUIVALENT[keyOf(id)] ?? "not explained"}`);
console.log(`${killed} of ${report.length} mutants killed (${((100 * killed) / report.length).toFixed(1)} %)`);
process.exitCode = unexplained.length > 0 || killed < LEAST_KILLED * report.length ? 1 : 0;

async function judge({ id }, code) {
  const killer = await tests.run(code);
  report.push({ id, survived: killer === undefined, killer });
  if (isWhole) writeFileSync(REPORT, JSON.stringify(report, null, 1));
  console.log(`${killer === undefined ? "SURVIVED" : "killed  "} ${id}${killer ? `  ${killer}` : ""}`);
}

/** A mutant's name without its line, which moves. */
function keyOf(id) {
  return id.replace(/:\d+/, "");
}
