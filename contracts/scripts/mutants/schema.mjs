// All mutants in one contract, each behind a comparison of its number with a constant that is written into the compiled
// code. One compilation instead of hundreds.

import { insert } from "./insert.mjs";

/** What stands for the number of the mutant until it is known. */
const PLACEHOLDER = "6d7574616e742d6e756d6265722d676f65732d686572652d6d7574616e742121";
const MOST_ATTEMPTS = 40;

/**
 * Compiles the sources with as many of the mutants in them as can be. Answers those that are, in the order of their
 * numbers, and the code for a number; zero is the contract without a fault.
 */
export function compileTogether(sources, mutants, compile) {
  let included = mutants.filter(({ around }) => around);
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const { texts, spans } = render(sources, included);
    const { code, errors } = compile({ ...sources, ...texts });
    if (code) return { included, codeOf: (number) => patched(code, number) };
    const guilty = new Set(errors.flatMap((error) => guiltyOf(spans, error)));
    if (guilty.size === 0) throw new Error(`the mutants do not compile together: ${errors[0]?.message}`);
    included = included.filter((mutant) => !guilty.has(mutant));
  }
  throw new Error("the mutants do not compile together");
}

function patched({ bytecode, deployed }, number) {
  const word = number.toString(16).padStart(64, "0");
  return { bytecode: bytecode.replaceAll(PLACEHOLDER, word), deployed: deployed.replaceAll(PLACEHOLDER, word) };
}

/** The files with the mutants in them, and where in the new files each of them is. */
function render(sources, included) {
  const [texts, spans] = [{}, []];
  for (const path of new Set(included.map((mutant) => mutant.path))) {
    const here = included.filter((mutant) => mutant.path === path);
    const insertions = here.map(({ around }, index) => {
      const number = included.indexOf(here[index]) + 1;
      const guard = around.isYul ? `eq(0x${PLACEHOLDER}, ${number})` : `(MUTANT == ${number})`;
      return { ...around, before: around.before.replaceAll("@", guard) };
    });
    const inserted = insert(sources[path], insertions);
    here.forEach((mutant, index) => {
      const [start, end] = inserted.spans[index];
      spans.push({ mutant, path, start, end });
    });
    texts[path] = `${inserted.text}\nuint256 constant MUTANT = 0x${PLACEHOLDER};\n`;
  }
  return { texts, spans };
}

/** The mutants within what an error is about, or the smallest that it is in. */
function guiltyOf(spans, { sourceLocation }) {
  if (!sourceLocation) return [];
  const { file, start, end } = sourceLocation;
  const here = spans.filter((span) => span.path === file);
  const within = here.filter((span) => start <= span.start && span.end <= end);
  const around = here.filter((span) => span.start <= start && end <= span.end);
  around.sort((a, b) => a.end - a.start - (b.end - b.start));
  return (within.length > 0 ? within : around.slice(0, 1)).map(({ mutant }) => mutant);
}
