// The same with threads.
export { default } from './sutra-quantizer-st.d.mts';
