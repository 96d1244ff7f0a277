/** ortune's own folder, with its package.json. */
export const root: string;
/** ortune's own version. */
export const version: string;
/** The version of onnxruntime-node that ortune is tested with. */
export const servingVersion: string;
/** Where setup puts what it makes: `ORTUNE_HOME`, else `native/` of a clone, else a folder of the user's cache. */
export const home: string;
export function homeFolder(from: { isInstalled: boolean; env: Record<string, string | undefined> }): string;
/** The training library and oneDNN, and `current.json`, which names those in use. */
export const runtimeFolder: string;
