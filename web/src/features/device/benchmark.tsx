import { announce } from '../../state/announce';
import { type BenchmarkResult, benchmark, benchmarkResult, runBenchmark } from '../../state/benchmark';
import { ready } from '../../state/engine';
import { writing } from '../../state/writing';
import { Button } from '../../ui/button';
import { architecture, artefact, bytes, milliseconds, plural, speed } from '../../ui/format';
import { ProgressBar } from '../../ui/progress_bar';

export function Benchmark() {
  const running = benchmark.value;
  const result = benchmarkResult.value;
  return (
    <section aria-labelledby="benchmark-heading">
      <h2 id="benchmark-heading">How fast it is here</h2>
      <p class="soft">
        Reads 512 tokens and writes 128 with the loaded model, three times after a warm-up, and takes the middle of
        each.
      </p>
      {running ? (
        <div class="device-running">
          <ProgressBar fraction={running.fraction} label="Measuring" />
          <Button icon="stop" onClick={running.cancel}>
            Cancel
          </Button>
        </div>
      ) : (
        <Button kind="primary" disabled={!ready.value || writing.value !== null} onClick={() => void runBenchmark()}>
          Measure
        </Button>
      )}
      {result && <Result result={result} />}
    </section>
  );
}

function Result({ result }: { result: BenchmarkResult }) {
  const copy = async () => {
    await navigator.clipboard.writeText(JSON.stringify(result, null, 1));
    announce('The result is copied.');
  };
  return (
    <div class="result">
      <dl class="result-figures figures">
        <div>
          <dt>Reading</dt>
          <dd>
            {speed(result.prefillTokensPerS)} <span class="soft">tokens/s</span>
          </dd>
        </div>
        <div>
          <dt>Writing</dt>
          <dd>
            {speed(result.decodeTokensPerS)} <span class="soft">tokens/s</span>
          </dd>
        </div>
        <div>
          <dt>First token</dt>
          <dd>{milliseconds(result.firstTokenMs)}</dd>
        </div>
        <div>
          <dt>Memory</dt>
          <dd>{bytes(result.wasmBytes)}</dd>
        </div>
      </dl>
      <p class="soft figures">
        {result.model}, {architecture(result.architecture)}, {result.quantisation}, {artefact(result.artefact)},{' '}
        {plural(result.threads, 'thread')}
      </p>
      <Button icon="copy" onClick={() => void copy()}>
        Copy the result
      </Button>
    </div>
  );
}
