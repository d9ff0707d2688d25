// Waiting for something with a bound, and never for a time.

const PATIENCE_MS = 45_000;
const PAUSE_MS = 50;

export async function until(what, isSo) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await isSo();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await new Promise((done) => setTimeout(done, PAUSE_MS));
  }
}
