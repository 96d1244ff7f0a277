import { finetuneCommand } from '../src/cli/finetune.ts';
import { run } from '../src/cli/run.ts';

await run(finetuneCommand);
