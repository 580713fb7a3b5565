// The page scrolls with the text only while the reader is at its end; somebody who reads further up is left alone.
import { effect } from '@preact/signals';
import { writing } from '../../state/writing';
const NEAR = 72;
const AFTERWARDS_MS = 300;
export function followEnd() {
    const page = document.documentElement;
    let atEnd = true;
    let lastTop = 0;
    const look = () => {
        // Only the reader's own scrolling up lets go of the end: growth of the text does not.
        if (page.scrollTop < lastTop || page.scrollHeight - page.scrollTop - page.clientHeight < NEAR) {
            atEnd = page.scrollHeight - page.scrollTop - page.clientHeight < NEAR;
        }
        lastTop = page.scrollTop;
    };
    addEventListener('scroll', look, { passive: true });
    // The line for the next words appears after the last token: it is followed, too.
    let until = 0;
    const follow = new ResizeObserver(() => {
        if (atEnd && (writing.value || performance.now() < until))
            page.scrollTop = page.scrollHeight;
    });
    follow.observe(document.body);
    effect(() => {
        if (writing.value)
            look();
        else
            until = performance.now() + AFTERWARDS_MS;
    });
}
