// Runs a test module and sends its lines and its report to the page.
import { runModule } from '../run_module.mjs';

self.onmessage = async ({ data: address }) => {
  try {
    const { default: createModule } = await import(address);
    const report = await runModule(createModule, (line) => self.postMessage({ line }));
    self.postMessage({ report });
  } catch (error) {
    self.postMessage({ error: String(error) });
  }
};
