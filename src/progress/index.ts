export { digestOfData, digestOfFile, type Fingerprint } from './fingerprint.ts';
export { type Found, type Keeper, Progress } from './progress.ts';
