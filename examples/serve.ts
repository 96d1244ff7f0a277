/** Serves a model until Ctrl-C: `serve.ts infer_model [PORT]`. A page to try it is at the address it prints. */
import { serve } from 'ortune';

const [model = 'models/infer_model', port = '8080'] = process.argv.slice(2);

const server = await serve({
  model,
  port: Number(port),
  onRequest: ({ method, route, status, seconds }) => console.log(method, route, status, `${seconds.toFixed(3)} s`),
});
console.log(`${server.classes.join(', ')}: ${server.url}`);
process.once('SIGINT', () => server.close());
