// Where a Chromium is, and how it is started: by the system's package, because none is downloaded here.
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/usr/bin/google-chrome-stable"];

/** The browser's path; `undefined`: there is none. `CHROMIUM` names another. */
export function findChromium() {
  const named = process.env.CHROMIUM;
  return named ? named : PLACES.find((path) => existsSync(path));
}

/** Starts it without a window, on an empty profile, and with nothing that would ask the network by itself. */
export function launch() {
  return chromium.launch({
    executablePath: findChromium(),
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync",
    ],
  });
}
