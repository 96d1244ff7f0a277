import { downloadCommand } from '../src/cli/download.ts';
import { run } from '../src/cli/run.ts';

await run(downloadCommand);
