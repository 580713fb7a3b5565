import { defineConfig, type Plugin } from 'vite';
import { VitePWA } from 'vite-plugin-pwa';

// The page brings its own policy, so that it is as strict on any static host as it is behind tools/serve.mjs.
// Built pages only: in development Vite injects styles and its client.
const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

function contentSecurityPolicy(): Plugin {
  return {
    name: 'sutra-content-security-policy',
    apply: 'build',
    transformIndexHtml: () => [
      {
        tag: 'meta',
        attrs: { 'http-equiv': 'Content-Security-Policy', content: POLICY },
        injectTo: 'head-prepend',
      },
    ],
  };
}

export default defineConfig({
  base: './',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: { target: 'es2022', assetsInlineLimit: 0, sourcemap: true, modulePreload: { polyfill: false } },
  worker: { format: 'es' },
  plugins: [
    contentSecurityPolicy(),
    VitePWA({
      // An update waits until the person agrees to a reload: see state/offline.ts.
      registerType: 'prompt',
      injectRegister: false,
      includeAssets: ['icons/*.png', 'icons/*.svg'],
      manifest: {
        id: './',
        name: 'Sutra',
        short_name: 'Sutra',
        description: 'A writing tool with a language model inside. Nothing leaves this device.',
        start_url: './',
        scope: './',
        display: 'standalone',
        background_color: '#fbf8f2',
        theme_color: '#fbf8f2',
        categories: ['productivity', 'utilities'],
        icons: [
          { src: 'icons/icon.svg', sizes: 'any', type: 'image/svg+xml' },
          { src: 'icons/icon-192.png', sizes: '192x192', type: 'image/png' },
          { src: 'icons/icon-512.png', sizes: '512x512', type: 'image/png' },
          { src: 'icons/maskable-512.png', sizes: '512x512', type: 'image/png', purpose: 'maskable' },
        ],
      },
      workbox: {
        globPatterns: ['**/*.{html,js,css,wasm,svg,png,webmanifest}'],
        // The page has no use for it yet.
        globIgnores: ['**/sutra-converter*', '**/sutra-quantizer*'],
        // The engine's four builds are up to 1 MB each; Workbox stops at 2 MiB by default.
        maximumFileSizeToCacheInBytes: 4 * 1024 * 1024,
        // The models are the package's to cache; the page's own documents are the only navigations.
        navigateFallbackDenylist: [/\/models\//],
        clientsClaim: true,
        cleanupOutdatedCaches: true,
      },
    }),
  ],
});
