// The one loaded model. Loading another leaves the present one in place until the new one is ready; a crash of the
// engine's worker is an error like any other and is answered with a fresh start.
import { computed, signal } from '@preact/signals';
import { type LoadProgress, load, type SutraErrorLike, type SutraModel } from 'sutra-web';
import { addOpened, type Choice, removeOpened } from './catalog';
import { isAbort, problem, report } from './problem';
import { writeValue } from './storage';

export interface Ready {
  readonly choice: Choice;
  readonly model: SutraModel;
}

export interface Loading {
  readonly choice: Choice;
  readonly progress: LoadProgress | null;
  readonly cancel: () => void;
}

export const ready = signal<Ready | null>(null);
export const loading = signal<Loading | null>(null);

/** Size of the engine's memory now; 0 while nobody asked. */
export const memoryBytes = signal(0);

/** The name to speak of: what is there, or what is coming. */
export const modelName = computed(() => ready.value?.choice.name ?? loading.value?.choice.name ?? '');

// A second crash within this time is not answered with another automatic start.
const CRASH_PAUSE_MS = 20_000;
let lastCrash = Number.NEGATIVE_INFINITY;

export async function measureMemory(): Promise<void> {
  const use = await ready.value?.model.memory().catch(() => undefined);
  if (use) memoryBytes.value = use.wasmBytes;
}

/** Loads a model. True when it is the present one afterwards. */
export async function open(choice: Choice): Promise<boolean> {
  loading.value?.cancel();
  const controller = new AbortController();
  const mine = (progress: LoadProgress | null) => {
    if (!controller.signal.aborted) loading.value = { choice, progress, cancel };
  };
  const cancel = () => {
    controller.abort();
    loading.value = null;
  };
  mine(null);
  try {
    const model = await load(choice.source, { manifest: choice.manifest, signal: controller.signal, onProgress: mine });
    if (controller.signal.aborted) {
      await model.dispose();
      return false;
    }
    const before = ready.value;
    problem.value = null;
    ready.value = { choice, model };
    loading.value = null;
    void model.lost.then((error) => lost(choice, model, error));
    await before?.model.dispose();
    await measureMemory();
    if (!choice.opened) await writeValue('model', choice.key);
    if (model.tokenizer.vocabularySize === 0) problem.value = withoutTokenizer(choice);
    return true;
  } catch (error) {
    if (controller.signal.aborted || isAbort(error)) return false;
    loading.value = null;
    report(`“${choice.name}” could not be loaded`, error, { label: 'Load it again', run: () => void open(choice) });
    return false;
  }
}

const withoutTokenizer = (choice: Choice) => ({
  sentence: `“${choice.name}” came without a tokenizer, so it can neither read nor write text.`,
  hint: `Drop its ${TOKENIZER_FILES.join(' or ')} here, and it will be added.`,
  details: '',
});

const TOKENIZER_FILES = ['tokenizer.json', 'rwkv_vocab_v20230424.txt'];

/** The files of a model that was opened, with the tokenizer that it lacked; or just the files. */
function completed(name: string, files: readonly File[]): { name: string; files: readonly File[] } {
  const opened = ready.value?.choice;
  const isTokenizer = files.length > 0 && files.every((file) => TOKENIZER_FILES.includes(file.name));
  if (!isTokenizer || !opened?.opened || !Array.isArray(opened.source)) return { name, files };
  removeOpened(opened);
  return { name: opened.name, files: [...(opened.source as File[]), ...files] };
}

/** Loads files that a person opened or dropped; they stay on the list only if they are a model. */
export async function openFiles(given: string, dropped: readonly File[]): Promise<void> {
  const { name, files } = completed(given, dropped);
  const choice = addOpened(name, files);
  if (!(await open(choice))) {
    removeOpened(choice);
    if (problem.value) problem.value = withoutAction(problem.value);
  }
}

const withoutAction = ({ sentence, hint, details }: NonNullable<typeof problem.value>) => ({ sentence, hint, details });

function lost(choice: Choice, model: SutraModel, error: SutraErrorLike): void {
  if (ready.value?.model !== model || error.code !== 'worker_crashed') return;
  ready.value = null;
  const again = performance.now() - lastCrash < CRASH_PAUSE_MS;
  lastCrash = performance.now();
  if (!again)
    void open(choice).then(() => report('The engine stopped and was started again; your text is as it was', error));
  else report('The engine stopped twice in a row', error, { label: 'Start it again', run: () => void open(choice) });
}
