// The passage that the person points at, or has reached with the keyboard.
import { effect, signal } from '@preact/signals';
import { writing } from './writing';
export const pointed = signal(null);
effect(() => {
    if (writing.value)
        pointed.value = null;
});
