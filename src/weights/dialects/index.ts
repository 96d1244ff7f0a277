import type { Dialect } from './dialect.ts';
import { paddle } from './paddle.ts';
import { torchvision } from './torchvision.ts';

export type { Dialect, SourceName } from './dialect.ts';

/** Every dialect that ortune knows; to add one, write its table beside the others and name it here. */
export const DIALECTS: readonly [Dialect, ...Dialect[]] = [paddle, torchvision];
