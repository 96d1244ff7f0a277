import { pretrainCommand } from '../src/cli/pretrain.ts';
import { run } from '../src/cli/run.ts';

await run(pretrainCommand);
