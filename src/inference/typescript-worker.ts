/**
 * What a worker thread starts with, for a module beside the caller's. Run from source it is TypeScript, which a worker
 * cannot load before tsx is registered on its own thread: the main thread's loader does not reach it.
 *
 * @param caller `import.meta.url` of the module that starts the worker
 * @param name the worker's module without its extension, e.g. `'./worker'`
 */
export function workerEntry(caller: string, name: string): URL {
  if (!caller.endsWith('.ts')) return new URL(`${name}.js`, caller);
  const module = (url: string) => JSON.stringify(url);
  const tsx = module(import.meta.resolve('tsx/esm/api'));
  const entry = module(new URL(`${name}.ts`, caller).href);
  const code = `import { register } from ${tsx}; register(); await import(${entry});`;
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`);
}
