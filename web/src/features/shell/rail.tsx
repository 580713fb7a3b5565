import { addressOf, type Place, place } from '../../state/place';
import { Icon, type IconName, Sign } from '../../ui/icon';

const PLACES: readonly { to: Place; name: string; icon: IconName }[] = [
  { to: 'write', name: 'Write', icon: 'write' },
  { to: 'device', name: 'This device', icon: 'device' },
];

/** The places of the page: at the left on wide screens, at the bottom on phones. */
export const Rail = () => (
  <nav class="rail" aria-label="Places">
    <span class="rail-sign">
      <Sign />
      <span class="visually-hidden">Sutra</span>
    </span>
    <ul>
      {PLACES.map(({ to, name, icon }) => (
        <li key={to}>
          <a class="rail-place" href={addressOf(to)} aria-current={place.value === to ? 'page' : undefined}>
            <Icon name={icon} />
            <span>{name}</span>
          </a>
        </li>
      ))}
    </ul>
  </nav>
);
