// Two servers: one with the headers that allow shared memory, one without.
const first = Number(process.env.SUTRA_E2E_PORT ?? 4273);

export const isolatedPort = first;
export const plainPort = first + 1;
export const plainUrl = `http://localhost:${plainPort}/`;
