// The public types of sutra-web. Everything a user of the package can see is declared here; the code behind it is in
// client.ts (main thread) and worker.ts (the thread that owns the engine).
export {};
