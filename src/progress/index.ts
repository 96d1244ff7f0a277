export { digestOfData, digestOfFile, type Fingerprint } from './fingerprint.ts';
export { type Found, isKept, type Keeper, Progress } from './progress.ts';
