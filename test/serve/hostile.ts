/** What is asked for by those who mean no good. */

/** Paths that are to lead out of what is served. */
export const PATHS = [
  '/..%2f..%2fetc%2fpasswd',
  '/%2e%2e/%2e%2e/etc/passwd',
  '/..\\..\\etc\\passwd',
  '/page.js/../../../package.json',
  '/.//page.js',
  '/page.js%00.html',
  '//etc/passwd',
  '/%c0%ae%c0%ae/etc/passwd',
  'http://a/page.js',
  'file:///etc/passwd',
  '/constructor',
  '/page.js#/../index.html',
];

/** Headers that leave open how long a body is, so that the rest of it would be taken for the next request. */
export const LENGTHS = [
  'Content-Length: 4\r\nContent-Length: 40\r\n',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n',
  'Transfer-Encoding: xchunked\r\n',
  'Content-Length: -1\r\n',
  'Content-Length: 1e3\r\n',
];
