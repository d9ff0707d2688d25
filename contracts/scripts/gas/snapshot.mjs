// What everything cost when somebody last looked and agreed: contracts/gas.json.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../foundry.mjs";

const FILE = join(root, "contracts/gas.json");

/** Each measured cost under its name. */
function costs({ rows, caps }) {
  const named = rows.flatMap(({ title, authorize, settle }) => [
    [`${title}: authorize`, authorize],
    [`${title}: settle`, settle],
  ]);
  return Object.fromEntries([...named, ...caps.map(({ title, gas }) => [`least gasPerCall: ${title}`, gas])]);
}

export const readSnapshot = () => JSON.parse(readFileSync(FILE, "utf8"));

export const writeSnapshot = (measured) => writeFileSync(FILE, `${JSON.stringify(costs(measured), null, 2)}\n`);

/** A sentence for each cost that is higher than in the snapshot, or not in it. */
export function rises(snapshot, measured) {
  return Object.entries(costs(measured))
    .filter(([name, gas]) => !(gas <= snapshot[name]))
    .map(([name, gas]) => `${name}: ${gas} is above ${snapshot[name]} (npm run gas -- --update accepts it)`);
}
