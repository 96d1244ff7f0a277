/**
 * One GET, redirects followed. By node:http and not fetch, which would unzip a `.tgz` that a server labels
 * `Content-Encoding: x-gzip`, as Apache's standard settings do: the file would not be the one whose checksum is known.
 */
import { Agent as HttpAgent, type IncomingHttpHeaders, type IncomingMessage, get as overHttp } from 'node:http';
import { Agent as HttpsAgent, get as overHttps } from 'node:https';

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const MOST_REDIRECTS = 10;

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Bytes as they come. To be read or destroyed. */
  readonly body: IncomingMessage;
}

/** A server's answer that no waiting will change. */
export class HttpError extends Error {
  override readonly name = 'HttpError';
}

/**
 * @param idleMs the connection counts as broken after so long without a byte
 * @throws HttpError for redirects that lead nowhere; the system's error when there is no connection
 */
export async function request(
  address: string,
  options: { headers: Record<string, string>; idleMs: number; signal?: AbortSignal | undefined },
): Promise<Answer> {
  let url = new URL(address);
  for (let hop = 0; hop <= MOST_REDIRECTS; hop++) {
    const body = await get(url, options);
    const { statusCode: status = 0, headers } = body;
    if (!REDIRECTS.has(status)) return { status, headers, body };
    body.destroy();
    url = nextAddress(url, status, headers.location);
  }
  throw new HttpError(`${address} leads to more than ${MOST_REDIRECTS} other addresses in turn`);
}

function nextAddress(url: URL, status: number, location: string | undefined): URL {
  const next = location === undefined || !URL.canParse(location, url.href) ? undefined : new URL(location, url);
  if (!next) throw new HttpError(`${url.href} answered ${status} without a usable address to go to`);
  const fits = next.protocol === 'https:' || (next.protocol === 'http:' && url.protocol === 'http:');
  if (!fits) throw new HttpError(`${url.href} leads to ${next.href}, which is not as safe an address`);
  return next;
}

function get(
  url: URL,
  { headers, idleMs, signal }: { headers: Record<string, string>; idleMs: number; signal?: AbortSignal | undefined },
): Promise<IncomingMessage> {
  const [start, Agent] =
    url.protocol === 'https:' ? ([overHttps, HttpsAgent] as const) : ([overHttp, HttpAgent] as const);
  // No kept connection: one that the server closed meanwhile would count as broken. Older Node passes over `proxyEnv`.
  const agent = { keepAlive: false, proxyEnv: process.env };
  return new Promise((resolve, reject) => {
    let answer: IncomingMessage | undefined;
    const sent = start(
      url,
      {
        headers: { ...headers, 'accept-encoding': 'identity', 'user-agent': 'ortune' },
        agent: new Agent(agent),
        ...(signal && { signal }),
      },
      (body) => {
        answer = body;
        resolve(body);
      },
    );
    sent.setTimeout(idleMs, () => {
      (answer ?? sent).destroy(new Error(`nothing came for ${idleMs / 1000} s`));
    });
    sent.on('error', reject);
  });
}

/** A remark for who cannot connect though a proxy is set: Node goes through it from 24.5 (22.21) on. */
export function proxyRemark(): string {
  const name = ['https_proxy', 'HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY'].find((name) => process.env[name]);
  if (name === undefined || process.allowedNodeEnvironmentFlags.has('--use-env-proxy')) return '';
  return ` ${name} is set, but Node ${process.versions.node} knows no proxies: use Node 24.5 or newer, or fetch by hand.`;
}
