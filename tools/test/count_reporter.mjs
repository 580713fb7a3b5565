// A node:test reporter that writes the run's own counts, and how files' processes ended that did not report themselves.

/** @param {AsyncIterable<{type: string, data: any}>} events */
export default async function* countReporter(events) {
  /** @type {string[]} */
  const deaths = [];
  for await (const { type, data } of events) {
    const { exitCode, signal } = data.details?.error ?? {};
    if (type === 'test:fail' && exitCode !== undefined) deaths.push(`${data.name}: exit ${exitCode}, signal ${signal}`);
    // There is one summary for each file, and one without a file for the whole run.
    if (type === 'test:summary' && !data.file) yield JSON.stringify({ counts: data.counts, deaths });
  }
}
