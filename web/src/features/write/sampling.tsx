// How the model writes, in plain words; folded away until somebody wants it.
import { change, DEFAULTS, LIMITS, MAX_SEED, settings } from '../../state/settings';
import { lastRun } from '../../state/writing';
import { Button } from '../../ui/button';
import { Popover } from '../../ui/popover';

type Limited = keyof typeof LIMITS;

interface SliderProps {
  name: Limited;
  label: string;
  term: string;
  says: (value: number) => string;
}

function Slider({ name, label, term, says }: SliderProps) {
  const value = settings.value[name];
  const id = `setting-${name}`;
  return (
    <div class="setting">
      <label for={id}>
        {label} <span class="soft">{term}</span>
      </label>
      <output for={id} class="figures">
        {name === 'maxTokens' ? value : value.toFixed(2)}
      </output>
      <input
        id={id}
        type="range"
        {...LIMITS[name]}
        value={value}
        aria-describedby={`${id}-says`}
        onInput={(event) => change({ [name]: event.currentTarget.valueAsNumber })}
      />
      <p id={`${id}-says`} class="soft">
        {says(value)}
      </p>
    </div>
  );
}

const saysTemperature = (value: number): string => {
  if (value === 0) return 'Always the likeliest word: the same text every time.';
  if (value < 0.6) return 'Careful. Little surprises, and some repetition.';
  if (value <= 1) return 'Lively, and mostly in order.';
  return 'Wild. Surprising words, and often nonsense.';
};

const saysTopP = (value: number): string =>
  value === 1
    ? 'Every word has a chance.'
    : `Chooses among the likeliest words that make up ${Math.round(value * 100)} %.`;

const saysPenalty = (value: number): string =>
  value === 1 ? 'Words may come again as they like.' : 'Words that were there become less likely.';

const saysLength = (value: number): string => `About ${Math.round((value * 0.75) / 10) * 10} words at a time.`;

export function Sampling() {
  return (
    <Popover label="How it writes" icon="sliders" class="sampling">
      <Slider name="temperature" label="Boldness" term="temperature" says={saysTemperature} />
      <Slider name="topP" label="Choice of words" term="top-p" says={saysTopP} />
      <Slider name="repetitionPenalty" label="Variety" term="repetition penalty" says={saysPenalty} />
      <Slider name="maxTokens" label="Length" term="most tokens" says={saysLength} />
      <Seed />
      <Button kind="quiet" icon="undo" onClick={() => change(DEFAULTS)}>
        Back to the defaults
      </Button>
    </Popover>
  );
}

/** The dice: leave them to chance, or throw the same again. */
function Seed() {
  const last = lastRun.value?.seed;
  return (
    <div class="setting">
      <label for="setting-seed">
        Seed <span class="soft">the dice</span>
      </label>
      <input
        id="setting-seed"
        class="number figures"
        type="number"
        min={0}
        max={MAX_SEED}
        step={1}
        placeholder="new every time"
        value={settings.value.seed ?? ''}
        aria-describedby="setting-seed-says"
        onInput={(event) =>
          change({ seed: event.currentTarget.value === '' ? null : event.currentTarget.valueAsNumber })
        }
      />
      <p id="setting-seed-says" class="soft">
        The same number, words and settings write the same text.
      </p>
      {last !== undefined && last !== settings.value.seed && (
        <Button kind="quiet" onClick={() => change({ seed: last })}>
          Use that of the last text, {last}
        </Button>
      )}
    </div>
  );
}
