import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';
import { describe } from 'vitest';
import { required } from './parity/setup.mjs';

/** Debian's `chromium`; another Chromium or Chrome is named by `ORTUNE_CHROMIUM`. */
const CHROMIUM = process.env['ORTUNE_CHROMIUM'] || '/usr/bin/chromium';

/** Whether there is a browser to look at pages with. */
export const browserAvailable = existsSync(CHROMIUM);

/** A Chromium without a window that asks nobody for anything but what a page wants. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** Tests that need a browser: skipped, saying why, where there is none, unless they are demanded. */
export function describeInBrowser(name: string, tests: () => void): void {
  const absent = !browserAvailable && !required;
  // The summary counts skipped tests but does not say why.
  if (absent) console.warn(`skipped: ${name}; install chromium, or name one by ORTUNE_CHROMIUM`);
  describe.skipIf(absent)(name, tests);
}
