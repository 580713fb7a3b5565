// Debian packages: installed on the machine where that is possible, or fetched from a newer suite into a private
// folder, which needs no rights and leaves the machine's own package lists alone.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { capture, folder, onPath, run, say, UserError } from '../lib/run.mjs';

/** @param {string} name */
function isInstalled(name) {
  return capture('dpkg-query', ['-s', name])?.includes('install ok installed') ?? false;
}

/**
 * Makes sure that packages are installed; says what to do where it cannot install them itself.
 * @param {string} purpose shown to the person
 * @param {string[]} names
 */
export function aptInstall(purpose, names) {
  if (!onPath('apt-get')) {
    throw new UserError(
      `${purpose}: this is no Debian-like system; please install what the Debian packages ${names.join(', ')} contain`,
    );
  }
  const missing = names.filter((name) => !isInstalled(name));
  if (missing.length === 0) return;
  const isRoot = process.getuid?.() === 0;
  if (!isRoot && capture('sudo', ['-n', 'true']) === null) {
    throw new UserError(
      `${purpose}: not root and no sudo without a password; please run: sudo apt-get install ${missing.join(' ')}`,
    );
  }
  say('setup', `${purpose}: installing ${missing.join(', ')}`);
  const apt = isRoot ? ['apt-get'] : ['sudo', '-n', 'apt-get'];
  const options = ['-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3', '-qq', '-y', '--no-install-recommends'];
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const aptGet = (/** @type {string[]} */ ...args) => capture(apt[0], [...apt.slice(1), ...options, ...args], { env });
  // Old package lists name versions that the mirror no longer has: they are refreshed once, then a failure is final.
  if (aptGet('install', ...missing) !== null) return;
  aptGet('update');
  if (aptGet('install', ...missing) !== null) return;
  throw new UserError(
    `${purpose}: apt-get could not install ${missing.join(', ')}; please check the network and run: apt-get update && apt-get install ${missing.join(' ')}`,
  );
}

/** The mirror this machine gets its own Debian release from, or null where that is not known. */
function debianMirror() {
  const release = /^VERSION_CODENAME=(.*)$/m.exec(readIfThere('/etc/os-release'))?.[1];
  const isDebian = /^ID=debian$/m.test(readIfThere('/etc/os-release'));
  if (!isDebian || !release) return null;
  const targets =
    capture('apt-get', ['indextargets', '--format', '$(CODENAME)|$(REPO_URI)', 'Created-By: Packages']) ?? '';
  return (
    targets
      .split('\n')
      .find((line) => line.startsWith(`${release}|`))
      ?.split('|')[1] ?? null
  );
}

/** @param {string} path */
function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Where newer things come from than the machine's own release has. */
export const newerSuite = 'forky';

/** @type {{work: string, apt: (purpose: string, args: string[]) => void} | null} */
let view = null;

/**
 * A private view of the newer suite with its own package lists, opened once: nothing on the machine changes.
 * @param {string} purpose
 */
function openNewerSuite(purpose) {
  if (view) return view;
  const mirror = debianMirror();
  if (mirror === null) {
    throw new UserError(
      `${purpose}: cannot be fetched, because this is no Debian system with a package mirror; please install it yourself (see tools/README.md)`,
    );
  }
  const work = mkdtempSync(join(tmpdir(), 'sutra-apt-'));
  process.once('exit', () => rmSync(work, { recursive: true, force: true }));
  for (const name of ['state/lists/partial', 'cache/archives/partial']) folder(join(work, name));
  const signed = '[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]';
  const lines = ['deb', 'deb-src'].map((kind) => `${kind} ${signed} ${mirror} ${newerSuite} main\n`);
  writeFileSync(join(work, 'sources.list'), lines.join(''));
  // An empty status file: nothing counts as installed, so that a download brings every library a program needs.
  writeFileSync(join(work, 'state/status'), '');
  const settings = {
    'Dir::State': join(work, 'state'),
    'Dir::State::status': join(work, 'state/status'),
    'Dir::Cache': join(work, 'cache'),
    'Dir::Etc::sourcelist': join(work, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    'APT::Sandbox::User': '',
    'APT::Install-Recommends': 'false',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '3',
    'Acquire::Check-Valid-Until': 'false', // a mirror may be a snapshot
  };
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  const opened = {
    work,
    /** @param {string} what @param {string[]} args */
    apt(what, args) {
      try {
        run('apt-get', [...options, '-q', '-y', ...args], { quiet: true, cwd: work });
      } catch {
        throw new UserError(
          `${what}: the Debian mirror did not deliver it (see above); check the network, or install it yourself (see tools/README.md)`,
        );
      }
    },
  };
  opened.apt(purpose, ['update']);
  view = opened;
  return opened;
}

/**
 * Unpacks packages of the newer suite, and all that they depend on, below a folder.
 * @param {string} purpose
 * @param {string[]} names
 * @param {string} target
 */
export function unpackPackages(purpose, names, target) {
  const { apt, work } = openNewerSuite(purpose);
  apt(purpose, ['clean']);
  apt(purpose, ['install', '--download-only', ...names]);
  const archives = join(folder(join(work, 'cache/archives')));
  folder(target);
  for (const file of readdirSync(archives)) {
    if (file.endsWith('.deb')) run('dpkg-deb', ['-x', join(archives, file), target], { quiet: true });
  }
}

/**
 * Unpacks the upstream source of a package of the newer suite.
 * @param {string} purpose
 * @param {string} name
 * @param {string} target
 */
export function unpackSource(purpose, name, target) {
  const { apt, work } = openNewerSuite(purpose);
  apt(purpose, ['source', '--download-only', name]);
  const archive = readdirSync(work).find((file) => file.startsWith(`${name}_`) && /\.orig\.tar\.\w+$/.test(file));
  if (!archive) throw new UserError(`${purpose}: the Debian source package ${name} has no upstream archive`);
  run('tar', ['-xf', join(work, archive), '-C', folder(target), '--strip-components=1'], { quiet: true });
}
