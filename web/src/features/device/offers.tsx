import type { Probe } from 'sutra-web';
import { probed, type Storage, storage } from '../../state/device';
import { memoryBytes, ready } from '../../state/engine';
import { artefact, bytes, growth, plural } from '../../ui/format';
import { Icon } from '../../ui/icon';

interface Offer {
  readonly name: string;
  readonly is: string;
  readonly good: boolean;
  readonly means: string;
}

function offersOf(probe: Probe): Offer[] {
  return [
    {
      name: 'SIMD',
      is: probe.simd ? 'yes' : 'no',
      good: probe.simd,
      means: probe.simd
        ? 'Several numbers are worked on at once.'
        : 'The engine needs it and cannot run in this browser.',
    },
    {
      name: 'Relaxed SIMD',
      is: probe.relaxedSimd ? 'yes' : 'no',
      good: probe.relaxedSimd,
      means: probe.relaxedSimd
        ? 'The processor’s own dot products are used.'
        : 'This browser does not have it (or gets it wrong); plain SIMD is used, at about half the speed.',
    },
    { name: 'Threads', is: String(probe.threads), good: probe.threads > 1, means: threadsMean(probe) },
    {
      name: 'Isolated from other pages',
      is: probe.crossOriginIsolated ? 'yes' : 'no',
      good: probe.crossOriginIsolated,
      means: 'Browsers share memory between threads only in pages that are.',
    },
  ];
}

function threadsMean(probe: Probe): string {
  if (probe.threads > 1) return 'Processor cores share the work.';
  if (!probe.crossOriginIsolated)
    return 'The server did not send the headers (COOP and COEP) that allow shared memory, so one core does the work.';
  return navigator.hardwareConcurrency > 1
    ? 'Shared memory does not work here, so one core does the work.'
    : 'This device has one core for the page.';
}

/** What the browser has, which build that led to, and what is in use of memory and storage. */
export function Offers() {
  const probe = probed.value;
  if (!probe) return <p class="soft">Looking…</p>;
  return (
    <section aria-labelledby="offers-heading">
      <h2 id="offers-heading">What this browser offers</h2>
      <p class="device-verdict">
        {probe.artefact
          ? `The ${artefact(ready.value?.model.runtime.artefact ?? probe.artefact)} build runs here. `
          : 'The engine cannot run here. '}
        {ready.value?.model.runtime.why ?? probe.why}
      </p>
      <dl class="offers">
        {offersOf(probe).map((offer) => (
          <div key={offer.name} class="offer">
            <dt>{offer.name}</dt>
            <dd class="offer-is figures">
              <Icon name={offer.good ? 'check' : 'close'} /> {offer.is}
            </dd>
            <dd class="offer-means soft">{offer.means}</dd>
          </div>
        ))}
        <Room probe={probe} kept={storage.value} />
      </dl>
    </section>
  );
}

function Room({ probe, kept }: { probe: Probe; kept: Storage | null }) {
  const model = ready.value?.model;
  return (
    <>
      <div class="offer">
        <dt>Memory</dt>
        <dd class="offer-is figures">{memoryBytes.value > 0 ? bytes(memoryBytes.value) : '–'}</dd>
        <dd class="offer-means soft">
          {probe.memoryBytes > 0
            ? `In use by the engine; the device has at least ${bytes(probe.memoryBytes)}. `
            : 'In use by the engine; the browser does not say what the device has. '}
          {model && `A text takes ${bytes(model.info.stateBytes)}, ${growth(model.info)}.`}
        </dd>
      </div>
      <div class="offer">
        <dt>Storage</dt>
        <dd class="offer-is figures">{kept ? bytes(kept.usedBytes) : '–'}</dd>
        <dd class="offer-means soft">
          {kept
            ? `In use for models, your text and this page, of ${bytes(kept.quotaBytes)}. ${kept.persisted ? 'The browser has promised to keep it.' : 'The browser may delete it when the device runs out of space.'}`
            : 'The browser does not say.'}
        </dd>
      </div>
      <div class="offer">
        <dt>Cores</dt>
        <dd class="offer-is figures">{plural(navigator.hardwareConcurrency, 'core').replace(/ cores?$/, '')}</dd>
        <dd class="offer-means soft">That the browser shows to pages.</dd>
      </div>
    </>
  );
}
