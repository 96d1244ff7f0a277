/** Interpreter of the environment that `setup.mjs` makes. */
export const python: string;
/** Whether `ORTUNE_REQUIRE_PARITY=1` makes the absence of the environment an error. */
export const required: boolean;
/** Whether the environment is there, complete, and has the pinned packages. */
export function isReady(): boolean;
