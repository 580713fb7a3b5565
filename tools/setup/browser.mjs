// A Chromium for the browser tests: the one that is there, else Debian's.
import { capture, onPath, say, UserError } from '../lib/run.mjs';
import { aptInstall } from './apt.mjs';

const kNames = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];

/** @returns {string} the path of the browser */
export function setupBrowser() {
  const found = process.env.CHROME_BIN || firstOnPath() || installed();
  const version = capture(found, ['--version'])?.trim();
  if (!version)
    throw new UserError(`browser: '${found} --version' does not run; please install Chromium and set CHROME_BIN`);
  say('setup', `browser: using ${found} (${version})`);
  return found;
}

function firstOnPath() {
  return kNames.map(onPath).find((path) => path !== null);
}

function installed() {
  // The fonts are for screenshots: without any, a page has boxes for letters.
  aptInstall('browser', ['chromium', 'fonts-liberation', 'fonts-dejavu-core']);
  const path = firstOnPath();
  if (!path)
    throw new UserError('browser: the package chromium brought no program; please install Chromium and set CHROME_BIN');
  return path;
}
