// Puts a panel of the top layer beside what opened it, inside the window. Through the CSSOM: the policy of the page
// allows no style attributes.
const GAP = 8;
export function placeNear(panel, anchor) {
    const from = anchor.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = panel;
    const right = document.documentElement.clientWidth - GAP;
    const left = Math.max(GAP, Math.min(from.left, right - width));
    const below = from.bottom + GAP;
    const fitsBelow = below + height <= innerHeight - GAP;
    const top = fitsBelow ? below : Math.max(GAP, from.top - GAP - height);
    panel.style.setProperty('left', `${left}px`);
    panel.style.setProperty('top', `${top}px`);
}
