/** White space at the edges of a paragraph is not shown; the passages keep it. */
function trimmed(paragraph) {
    const last = paragraph.length - 1;
    return paragraph.map((fragment, at) => {
        const begun = at === 0 ? fragment.text.trimStart() : fragment.text;
        return { ...fragment, text: at === last ? begun.trimEnd() : begun };
    });
}
export function paragraphsOf(passages, from, to) {
    const paragraphs = [[]];
    for (let index = from; index < to; index++) {
        const passage = passages[index];
        const parts = passage.text.split(/\n\s*\n\s*/);
        const last = Math.max(0, parts.findLastIndex((part) => part.trim() !== ''));
        for (const [at, text] of parts.entries()) {
            if (at > 0)
                paragraphs.push([]);
            if (text.trim() !== '' || at === last)
                paragraphs.at(-1)?.push({ passage, index, text, ends: at === last });
        }
    }
    return paragraphs.filter((paragraph) => paragraph.length > 0).map(trimmed);
}
