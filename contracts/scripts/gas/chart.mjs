// The table as bars: what locking costs, then what settling costs, and where the limit is.
const [WIDTH, LABELS, ROW, TOP] = [760, 250, 26, 56];
const BAR = 14;
/** Room to the right of the longest bar for its number. */
const NUMBERS = 70;

// Readers may have a light or a dark page, and the picture has no background of its own.
const STYLE = `
text { font: 12px system-ui, sans-serif; fill: #1f2328; }
.lock { fill: #2f6fdb; } .settle { fill: #8fb8f6; } .limit { stroke: #c4314b; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .lock { fill: #4c8dff; } .settle { fill: #a9c9ff; } .limit { stroke: #ff7b8f; }
}`;

export function chart(rows) {
  const most = Math.max(...rows.map(({ sum, limit = 0 }) => Math.max(sum, limit)));
  const scale = (gas) => Math.round((gas / most) * (WIDTH - LABELS - NUMBERS));
  const bars = rows.map(({ title, authorize, sum, limit }, i) => {
    const y = TOP + i * ROW;
    const [lock, end] = [scale(authorize), scale(sum)];
    const mark = LABELS + scale(limit ?? 0);
    return [
      `<text x="${LABELS - 8}" y="${y + 11}" text-anchor="end">${title}</text>`,
      `<rect class="lock" x="${LABELS}" y="${y}" width="${lock}" height="${BAR}"/>`,
      `<rect class="settle" x="${LABELS + lock}" y="${y}" width="${end - lock}" height="${BAR}"/>`,
      limit ? `<line class="limit" x1="${mark}" x2="${mark}" y1="${y - 3}" y2="${y + BAR + 3}"/>` : "",
      `<text x="${LABELS + Math.max(end, scale(limit ?? 0)) + 8}" y="${y + 11}">${sum.toLocaleString("en")}</text>`,
    ].join("");
  });
  const legend = [
    `<text x="${LABELS}" y="18">Gas per preauthorization, whole transactions</text>`,
    `<rect class="lock" x="${LABELS}" y="28" width="12" height="12"/>`,
    `<text x="${LABELS + 18}" y="38">authorize</text>`,
    `<rect class="settle" x="${LABELS + 90}" y="28" width="12" height="12"/>`,
    `<text x="${LABELS + 108}" y="38">settle a part</text>`,
    `<line class="limit" x1="${LABELS + 205}" x2="${LABELS + 205}" y1="26" y2="42"/>`,
    `<text x="${LABELS + 212}" y="38">limit</text>`,
  ];
  const height = TOP + rows.length * ROW;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">
<title>Gas per preauthorization</title>
<style>${STYLE}
</style>
${[...legend, ...bars].join("\n")}
</svg>
`;
}
