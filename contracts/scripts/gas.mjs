// Prints what a preauthorization costs in whole-transaction gas (authorize + partial settle) on a real anvil, with an
// OpenZeppelin ERC-20 in its steady state, and draws it in docs/gas.svg. Exits with 1 when a cost is above its limit or
// above what it was: contracts/gas.json. With --update that file is written anew.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./foundry.mjs";
import { chart } from "./gas/chart.mjs";
import { measure } from "./gas/measure.mjs";
import { readSnapshot, rises, writeSnapshot } from "./gas/snapshot.mjs";

const measured = await measure();
const { rows, caps } = measured;

const cell = (value) => (value === undefined ? "" : value.toLocaleString("en")).padStart(10);
const line = (title, ...cells) => console.log(title.padEnd(36) + cells.join(""));
line("gas per preauth", ...["authorize", "settle", "sum", "limit"].map((title) => title.padStart(10)));
for (const { title, authorize, settle, sum, limit } of rows) line(title, ...[authorize, settle, sum, limit].map(cell));
console.log();
line("least gasPerCall", "gas".padStart(10));
for (const { title, gas } of caps) line(title, cell(gas));

writeFileSync(join(root, "docs/gas.svg"), chart(rows));

const complaints = rows
  .filter(({ sum, limit }) => limit && sum > limit)
  .map(({ title, sum, limit }) => `${title}: ${sum} is above the limit of ${limit}`);
if (process.argv.includes("--update")) writeSnapshot(measured);
else complaints.push(...rises(readSnapshot(), measured));
for (const complaint of complaints) console.error(complaint);
process.exit(complaints.length > 0 ? 1 : 0);
