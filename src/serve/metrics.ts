import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { RequestRecord } from './options.ts';

/** Quantities that are read when somebody asks. */
export interface Levels {
  /** Requests worked on. */
  active(): number;
  /** Requests that wait for their turn. */
  queued(): number;
  /** Decoded pictures that wait for the model. */
  pictures(): number;
}

/** What the server tells Prometheus. Each server has a registry of its own: several may run in one process. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #requests: Counter;
  readonly #seconds: Histogram;
  readonly #batches: Histogram;
  readonly #inference: Histogram;
  readonly #decoding: Histogram;
  readonly #pictures: Counter;

  constructor(levels: Levels, maxBatch: number) {
    const registers = [this.#registry];
    this.#requests = new Counter({
      name: 'ortune_http_requests_total',
      help: 'Requests answered, or left by their client (status 499)',
      labelNames: ['route', 'status'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'ortune_http_request_seconds',
      help: 'From the headers of a request to the end of its answer',
      labelNames: ['route'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    });
    this.#batches = new Histogram({
      name: 'ortune_batch_pictures',
      help: 'Pictures computed together',
      buckets: [1, 2, 4, 8, 16, 32, 64, 128].filter((size) => size < maxBatch).concat(maxBatch),
      registers,
    });
    const buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
    const help = 'Seconds the model computed for a batch';
    this.#inference = new Histogram({ name: 'ortune_inference_seconds', help, buckets, registers });
    this.#decoding = new Histogram({
      name: 'ortune_decode_seconds',
      help: 'Seconds a picture took to decode, its wait for a decoder included',
      buckets,
      registers,
    });
    this.#pictures = new Counter({ name: 'ortune_pictures_total', help: 'Pictures classified', registers });
    const level = (name: string, description: string, read: () => number) =>
      new Gauge({
        name,
        help: description,
        registers,
        collect() {
          this.set(read());
        },
      });
    level('ortune_requests_active', 'Predictions worked on', levels.active);
    level('ortune_requests_queued', 'Predictions waiting for their turn', levels.queued);
    level('ortune_pictures_queued', 'Decoded pictures waiting for the model', levels.pictures);
    level('process_resident_memory_bytes', 'Resident memory of the process', () => process.memoryUsage.rss());
  }

  readonly type = Registry.PROMETHEUS_CONTENT_TYPE;

  /** In the text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  request({ route, status, seconds }: RequestRecord): void {
    this.#requests.inc({ route, status });
    this.#seconds.observe({ route }, seconds);
  }

  batch(pictures: number, seconds: number): void {
    this.#batches.observe(pictures);
    this.#inference.observe(seconds);
    this.#pictures.inc(pictures);
  }

  decoded(seconds: number): void {
    this.#decoding.observe(seconds);
  }
}
