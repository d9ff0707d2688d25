// Branch coverage of the escrow: each condition, each operand of `&&` and `||` and each case in assembly has to come out
// both ways in some test. Prints those that did not, and exits with 1 when there is one.
// Forge's own report does not see assembly and, with this compiler pipeline, calls without arguments; so the conditions are
// made to log themselves, in one compilation of the escrow, and the tests are run with it.
import { insert } from "./mutants/insert.mjs";
import { compile, parse, readSources } from "./mutants/compiler.mjs";
import { rangeOf } from "./mutants/operators.mjs";
import { PARTS, Tests } from "./mutants/tests.mjs";

/** Log entries are numbers; this one and what follows mean branches. */
const FIRST = 770_000_000;

/**
 * Logs as forge-std's console does, in memory that nobody uses, and leaves the return data as it was: the identity
 * contract answers what it is given.
 */
const log = (number) => `
  let probe_data := add(mload(0x40), 0x10000)
  let probe_size := returndatasize()
  returndatacopy(probe_data, 0, probe_size)
  let probe_log := add(probe_data, probe_size)
  mstore(probe_log, shl(224, 0xf82c50f1))
  mstore(add(probe_log, 4), ${number})
  pop(staticcall(gas(), 0x000000000000000000636F6e736F6c652e6c6f67, probe_log, 0x24, 0, 0))
  pop(staticcall(gas(), 4, probe_data, probe_size, 0, 0))
`;
const LOGGER = `
function _took(uint256 branch) view returns (bool) {
  assembly ("memory-safe") { ${log("branch")} }
  return true;
}
`;

const branches = [];

/** A new branch; answers its number. */
function branch(path, source, node, outcome) {
  const [start, end] = rangeOf(node);
  const line = source.slice(0, start).split("\n").length;
  branches.push(`${path}:${line} ${source.slice(start, end).split("\n")[0]} is ${outcome}`);
  return FIRST + branches.length - 1;
}

/** The file with its conditions logging. */
function instrument(path, source, ast) {
  const insertions = [];
  const around = (node, before, after) => insertions.push({ range: rangeOf(node), before, after });
  const atBegin = (block, text) => around({ src: `${rangeOf(block)[0] + 1}:0` }, text, "");

  const condition = (node) => {
    const [yes, no] = [true, false].map((outcome) => branch(path, source, node, outcome));
    around(node, "((", `) ? _took(${yes}) : !_took(${no}))`);
  };
  const visitors = {
    IfStatement: (node) => condition(node.condition),
    Conditional: (node) => condition(node.condition),
    ForStatement: (node) => condition(node.condition),
    BinaryOperation(node) {
      if (["&&", "||"].includes(node.operator)) [node.leftExpression, node.rightExpression].forEach(condition);
    },
    FunctionDefinition(node) {
      const start = rangeOf(node)[0];
      const header = source.slice(start, node.body ? rangeOf(node.body)[0] : start);
      const at = header.search(/\bpure\b/);
      if (at >= 0) insertions.push({ range: [start + at, start + at + 4], before: "view /*", after: "*/" });
    },
    YulIf(node) {
      const [start, end] = rangeOf(node.condition);
      const [yes, no] = [true, false].map((outcome) => branch(path, source, node.condition, outcome));
      around(node, `if iszero(${source.slice(start, end)}) { ${log(no)} } `, "");
      atBegin(node.body, log(yes));
    },
    YulCase: (node) => atBegin(node.body, log(branch(path, source, node, "taken"))),
  };
  const visit = (node) => {
    if (node === null || typeof node !== "object") return;
    visitors[node.nodeType]?.(node);
    Object.values(node).forEach(visit);
  };
  visit(ast.nodes);
  return insert(source, insertions).text + LOGGER;
}

const tests = new Tests();
const sources = readSources(tests.settings);
const trees = parse(sources, tests.settings);
const instrumented = { ...sources };
for (const part of PARTS) {
  const path = `contracts/src/${part}.sol`;
  instrumented[path] = instrument(path, sources[path], trees[path]);
}
const { code, errors } = compile(instrumented, tests.settings);
if (!code) throw new Error(errors.map(({ formattedMessage }) => formattedMessage).join("\n"));

const output = await tests.output(code, ["-vv"]);
const taken = new Set([...output.matchAll(/^\s+(77\d{7})$/gm)].map(([, number]) => Number(number) - FIRST));
const missing = branches.filter((_, index) => !taken.has(index));
for (const branch of missing) console.log(`no test takes: ${branch}`);
console.log(`${branches.length - missing.length} of ${branches.length} branches taken`);
process.exitCode = missing.length > 0 ? 1 : 0;
