// The passage that the person points at, or has reached with the keyboard.
import { effect, signal } from '@preact/signals';
import { writing } from './writing';

export interface Pointed {
  readonly version: string;
  readonly passage: string;
}

export const pointed = signal<Pointed | null>(null);

effect(() => {
  if (writing.value) pointed.value = null;
});
