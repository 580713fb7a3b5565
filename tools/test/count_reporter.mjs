// A node:test reporter that writes the run's own counts.

/** @param {AsyncIterable<{type: string, data: any}>} events */
export default async function* countReporter(events) {
  for await (const { type, data } of events) {
    // There is one summary for each file, and one without a file for the whole run.
    if (type === 'test:summary' && !data.file) yield JSON.stringify(data.counts);
  }
}
