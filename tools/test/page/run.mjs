// The page's side of wasm_in_browser.mjs: a worker runs the module named after the #, so that lines arrive as they come.
const worker = new Worker('worker.mjs', { type: 'module' });

/** @type {Promise<string>} */
const report = new Promise((done, failed) => {
  worker.onmessage = ({ data }) => {
    if (data.line !== undefined) console.log(data.line);
    else if (data.report) done(data.report);
    else failed(new Error(data.error));
  };
  worker.onerror = (event) => failed(new Error(event.message));
});
Object.assign(globalThis, { sutraReport: report });
worker.postMessage(location.hash.slice(1));
