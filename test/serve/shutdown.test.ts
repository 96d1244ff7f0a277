import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Outcome, runProcess } from '../cli/command.ts';
import { RawClient, servedBy, untilMetric, uploadHead } from './raw.ts';
import { form, png, post, Workshop } from './workshop.ts';

let workshop: Workshop;
beforeAll(async () => {
  workshop = await Workshop.open();
});
afterAll(() => workshop.close());

describe('closing', () => {
  it('finishes what runs, refuses what is new, and ends idle connections', async () => {
    const server = await workshop.serve();
    const bytes = await png();
    const [silent, idle, busy] = [
      await RawClient.connect(server),
      await RawClient.connect(server),
      await RawClient.connect(server),
    ];
    idle.send('GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n');
    await idle.until(/"ok"/);
    busy.send(uploadHead(bytes.length));
    await untilMetric(server, 'ortune_requests_active', 1);
    const closing = server.close();
    expect(server.close()).toBe(closing);
    await Promise.all([silent.ended(), idle.ended()]);
    await expect(post(server, bytes)).rejects.toThrow();
    busy.send(bytes);
    expect(await busy.ended()).toMatch(/^HTTP\/1\.1 200 .*\r\nConnection: close\r\n.*"pictures"/s);
    await closing;
  });

  it('waits for nobody longer than a request may take', async () => {
    const server = await workshop.serve({ timeout: 1 });
    const slow = await RawClient.connect(server);
    slow.send(uploadHead(1000));
    await untilMetric(server, 'ortune_requests_active', 1);
    const started = performance.now();
    await server.close();
    expect(performance.now() - started).toBeLessThan(10_000);
    expect(await slow.ended()).toMatch(/^(HTTP\/1\.1 408 |$)/);
  });

  it('lets go of the port', async () => {
    const first = await workshop.serve();
    const port = Number(new URL(first.url).port);
    await first.close();
    const second = await workshop.serve({ port });
    expect((await post(second, await png())).status).toBe(200);
  });
});

describe('the command', () => {
  const script = new URL('../../scripts/ortune.mjs', import.meta.url).pathname;

  /** Runs it until it serves, does something, and then ends it by the signals. */
  async function run(flags: readonly string[], act: (url: string) => Promise<void>, ...signals: NodeJS.Signals[]) {
    let serving: Promise<void> | undefined;
    const args = ['--model', workshop.path('model.onnx'), '--port', '0', '--threads', '1', ...flags];
    const outcome = runProcess(workshop.folder, [process.execPath, script, 'serve', ...args], {
      watch: (child) => {
        serving = servedBy(child).then(async ({ url }) => {
          await act(url);
          for (const signal of signals) {
            child.kill(signal);
            await new Promise((resolve) => setTimeout(resolve, 300));
          }
        });
      },
    });
    return (await Promise.all([outcome, serving]))[0] as Outcome;
  }

  it('says how to try it, logs requests, and ends well at kill', async () => {
    const { code, stdout, stderr } = await run(
      ['--verbose'],
      async (url) => {
        const response = await fetch(`${url}/predict`, { method: 'POST', body: form(['a.png', await png()]) });
        expect(response.status).toBe(200);
      },
      'SIGTERM',
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^Serving .*model\.onnx \(3 classes\): http:\/\/127\.0\.0\.1:\d+\nTry: curl -F picture=@photo\.jpg /,
    );
    expect(stderr).toMatch(/^\d{4}-\S+Z POST \/predict 200 \d+\.\d ms\nFinishing what runs/);
  });

  it('warns of an open address, and ends at once at the second Ctrl-C', async () => {
    const { code, stderr } = await run(
      ['--host', '0.0.0.0'],
      async (url) => {
        const client = await RawClient.connect({
          url: url.replace('0.0.0.0', '127.0.0.1'),
          classes: [],
          close: async () => {},
        });
        client.send(uploadHead(1000));
        await new Promise((resolve) => setTimeout(resolve, 200));
      },
      'SIGINT',
      'SIGINT',
    );
    expect(code).toBe('SIGINT');
    expect(stderr).toContain('no password');
  });

  it('without a model says what to do', async () => {
    const { code, stderr } = await runProcess(workshop.folder, [
      process.execPath,
      script,
      'serve',
      '--model',
      'absent',
    ]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Error: expected a fine-tuned model at absent/);
  });
});
