import { previewCommand } from '../src/cli/preview.ts';
import { run } from '../src/cli/run.ts';

await run(previewCommand);
