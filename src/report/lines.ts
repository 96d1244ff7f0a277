import { join } from 'node:path';
import { formatReport as formatDataReport } from '../check-data/index.ts';
import { formatExport } from '../export/format.ts';
import type { TrainingEvent } from '../training/index.ts';
import { formatReport } from '../weights/index.ts';

/** The tutorial prints every hundredth batch, the first included. */
const BATCHES_PER_LINE = 100;

export interface LineOptions {
  /** Names of weights too, not only their counts. */
  readonly verbose?: boolean;
  /** Tells of each weight that was loaded, from here, as the tutorial does, instead of counting them. */
  readonly loadedFrom?: string | undefined;
}

/** What is told of an event in lines: the tutorial's own for batches and tests. */
export function linesOf(event: TrainingEvent, { verbose = false, loadedFrom }: LineOptions): string[] {
  switch (event.type) {
    case 'phase':
      return ['', event.text];
    case 'data-report':
      return [formatDataReport(event.report, verbose)];
    case 'dataset': {
      const { kind, split, classes, train, valid, test, warnings } = event.dataset;
      const counts = [`${train.length} to train`, ...(valid.length > 0 ? [`${valid.length} to validate`] : [])];
      return [
        `Data: ${kind}, split ${split}: ${classes.length} classes, ${counts.join(', ')}, ${test.length} to test`,
        ...warnings.map((warning) => `Note: ${warning}`),
      ];
    }
    case 'note':
      return [`Note: ${event.text}`];
    case 'bad-images':
      return [
        ...event.images.map(({ file, reason }) => `Left out: ${file}: ${reason}`),
        `${event.images.length} broken pictures left out`,
      ];
    case 'weights':
      if (loadedFrom === undefined) return [formatReport(event.report, { verbose })];
      return event.report.loaded.map((name) => `Load model: ${join(loadedFrom, name)}`);
    case 'device':
      return [`Device: ${event.device}, ${event.threads} threads${kernelsOf(event)} (${event.reason})`];
    case 'batch':
      if (event.batch % BATCHES_PER_LINE !== 0) return [];
      return [`Pass:${event.pass}, Batch:${event.batch}, ${costAndAccuracy(event)}`];
    case 'pass':
      return [
        `Pass:${event.pass}: ${event.picturesPerSecond.toFixed(1)} img/s, ${percent(event.dataWait)} waiting for pictures`,
      ];
    case 'overflow':
      return [`Pass:${event.pass}, Batch:${event.batch}: gradients overflowed, update left out`];
    case 'rollback': {
      const { pass, batches } = event.to;
      return [`Back to pass ${pass}, batch ${batches}, at a tenth of the rate: ${event.reason}`];
    }
    case 'test': {
      const name = event.part === 'test' ? 'Test' : 'Valid';
      const own = `${name}:${event.pass}, ${costAndAccuracy(event.batchMean ?? event)}`;
      if (!event.batchMean) return [own];
      return [own, `${name}:${event.pass}, each picture counting the same: ${costAndAccuracy(event)}`];
    }
    case 'head-fit':
      return [
        `Head ${event.tried}, regularisation ${event.regularisation.toPrecision(3)}, on pictures held out: ${costAndAccuracy(event)}`,
      ];
    case 'stopped':
      return [
        event.best === undefined
          ? `Stopped in pass ${event.pass}, as asked`
          : `Stopped after pass ${event.pass}: none was better than pass ${event.best}`,
      ];
    case 'exported':
      return [formatExport(event.record)];
    case 'saved':
      return [`Saved: ${event.folder} (${event.seconds.toFixed(1)} s)`];
    case 'start':
    case 'kept':
    case 'progress':
      return [];
  }
}

const costAndAccuracy = ({ cost, accuracy }: { cost: number; accuracy: number }) =>
  `Cost:${cost.toFixed(5)}, Accuracy:${accuracy.toFixed(5)}`;

/** A share as a percentage. */
export const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

/** What trains beside ONNX Runtime's own kernels. */
function kernelsOf({ kernels, layers }: TrainingEvent & { type: 'device' }): string {
  const updates = kernels === 'native' ? ', native updates' : '';
  return layers ? `${updates}, convolutions by oneDNN ${layers.version} (${layers.instructionSet})` : updates;
}
