/** The addon to load: the one that setup has built, else the platform package's; `undefined` where there is neither. */
export function findAddon(): string | undefined;
/** onnxruntime-node's main file: the project's own, else the one that setup has installed. */
export function findServing(): string | undefined;
