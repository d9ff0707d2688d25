// Puts text around ranges of a source that lie within or beside each other.

/**
 * `insertions`: `{ range, before, after }`, what is outside first. Answers the new text, and for each insertion where it
 * is now: `[start, end]`.
 */
export function insert(source, insertions) {
  const places = new Map();
  const at = (position) => {
    if (!places.has(position)) places.set(position, { ends: [], begins: [] });
    return places.get(position);
  };
  for (const insertion of insertions) {
    at(insertion.range[0]).begins.push(insertion);
    at(insertion.range[1]).ends.unshift(insertion);
  }
  const bytes = Buffer.from(source);
  const [spans, pieces] = [new Map(), []];
  let [length, from] = [0, 0];
  const add = (text) => {
    pieces.push(text);
    length += Buffer.byteLength(text);
  };
  const begin = (insertion) => {
    spans.set(insertion, [length]);
    add(insertion.before);
  };
  const end = (insertion) => {
    add(insertion.after);
    spans.get(insertion).push(length);
  };
  for (const position of [...places.keys()].sort((a, b) => a - b)) {
    add(bytes.subarray(from, position).toString());
    const { ends, begins } = places.get(position);
    const isEmpty = ({ range }) => range[0] === range[1];
    ends.filter((insertion) => !isEmpty(insertion)).forEach(end);
    for (const insertion of begins) {
      begin(insertion);
      if (isEmpty(insertion)) end(insertion);
    }
    from = position;
  }
  add(bytes.subarray(from).toString());
  return { text: pieces.join(""), spans: insertions.map((insertion) => spans.get(insertion)) };
}
