import { useEffect } from 'preact/hooks';
import { lookAtDevice } from '../../state/device';
import { report } from '../../state/problem';
import { Benchmark } from './benchmark';
import { Offers } from './offers';
import { SelfTest } from './self_test';

export function Device() {
  useEffect(() => {
    lookAtDevice().catch((error: unknown) => report('This browser could not be examined', error));
  }, []);
  return (
    <div class="device">
      <h1>This device</h1>
      <Offers />
      <Benchmark />
      <SelfTest />
    </div>
  );
}
