export type { EngineStart } from './sutra-st.d.mts';
export { default } from './sutra-st.d.mts';
