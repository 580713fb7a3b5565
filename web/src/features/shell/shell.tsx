import { announcement } from '../../state/announce';
import { place } from '../../state/place';
import { Device } from '../device/device';
import { DropZone } from '../models/drop_zone';
import { Write } from '../write/write';
import { Notices } from './notices';
import { Rail } from './rail';
import { StatusLine } from './status_line';

export const Shell = () => (
  <div class="shell">
    <a class="skip visually-hidden" href="#main">
      Skip to the text
    </a>
    <Rail />
    <main class="main" id="main" tabIndex={-1}>
      <Notices />
      {place.value === 'write' ? <Write /> : <Device />}
    </main>
    <StatusLine />
    <DropZone />
    <LiveRegion />
  </div>
);

/** Speaks sentences as they become whole, and how the writing ended. */
const LiveRegion = () => (
  <div class="visually-hidden" role="status" aria-live="polite">
    {announcement.value}
  </div>
);
