/** `npx ortune download` with one source on a loopback server: `tsx command.ts URL-of-the-file MD5 ...the command's words`. */
import { commandFor } from '../../src/cli/download.ts';
import { run } from '../../src/cli/run.ts';

const [url = '', digest = ''] = process.argv.splice(2, 2);
await run(
  commandFor([
    {
      name: 'local',
      title: 'A file on a loopback server',
      to: 'files',
      files: [{ url, name: 'file.bin', checksum: { algorithm: 'md5', digest } }],
      use: (folder) => `--data ${folder}`,
    },
  ]),
);
