import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The state of the git repository that a folder is in. */
export interface GitState {
  readonly commit: string;
  /** Whether files that git tracks have changed since. */
  readonly dirty: boolean;
}

/** @returns `undefined` where there is no repository, no commit or no git */
export async function gitState(folder: string): Promise<GitState | undefined> {
  const git = async (...args: string[]) => (await run('git', args, { cwd: folder })).stdout.trim();
  try {
    const commit = await git('rev-parse', 'HEAD');
    // Without the index's lock: somebody may be using git at this moment.
    const changes = await git('--no-optional-locks', 'status', '--porcelain', '--untracked-files=no');
    return { commit, dirty: changes !== '' };
  } catch {
    return undefined;
  }
}
