import { dataTargets } from './data.ts';
import { modelTargets } from './models.ts';
import { recordTargets } from './records.ts';
import type { Target } from './target.ts';
import { weightTargets } from './weights.ts';

/** Every reader of files that others may have made. */
export const TARGETS: readonly Target[] = [...weightTargets, ...modelTargets, ...dataTargets, ...recordTargets];
