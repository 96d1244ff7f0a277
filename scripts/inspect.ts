import { inspectCommand } from '../src/cli/inspect.ts';
import { run } from '../src/cli/run.ts';

await run(inspectCommand);
