import { Calibration, type CalibrationResult } from './calibration.ts';
import { type ClassResult, classResults, mean } from './classes.ts';
import { readRow } from './scores.ts';

/** Scores of some pictures with their labels. */
export interface ScoredBatch {
  /** float32 [pictures, classes], row by row. */
  readonly scores: Float32Array;
  readonly kind: 'probabilities' | 'logits';
  /** Index of each picture's class, [pictures]. */
  readonly labels: ArrayLike<number | bigint>;
  /** Names of the pictures, [pictures], by which the worst are listed; else they go by their place, counted from 0. */
  readonly pictures?: readonly string[];
}

/** A picture that the model was far off on. */
export interface TopLoss {
  readonly picture: string | number;
  readonly label: string;
  readonly predicted: string;
  /** That the model gave the label, and what it predicted. */
  readonly probability: number;
  readonly confidence: number;
  readonly cost: number;
}

/** A class that was taken for another. */
export interface Confusion {
  readonly label: string;
  readonly predicted: string;
  readonly pictures: number;
  /** Of the label's pictures. */
  readonly share: number;
}

/**
 * What `metrics.json` holds: plain data, the same after a way through JSON. Shares are from 0 to 1; what has no value,
 * such as the precision of a class that was never predicted, is `null`.
 */
export interface EvaluationResult {
  readonly pictures: number;
  /** Pictures with a score that is not finite: wrong in every count, predicted as no class. Their cost makes the mean `null`. */
  readonly notFinite: number;
  /** Mean cross-entropy in nats. */
  readonly cost: number | null;
  /** Share of pictures whose label has the largest score, or is among the five largest. */
  readonly top1: number | null;
  readonly top5: number | null;
  /** Mean over the classes that have pictures of the share that was right: scikit-learn's balanced accuracy. */
  readonly meanPerClass: number | null;
  /** Means over classes, each without those where it has no value. */
  readonly macro: { readonly precision: number | null; readonly recall: number | null; readonly f1: number | null };
  readonly calibration: CalibrationResult;
  readonly classes: readonly ClassResult[];
  /** Pictures by label (row) and predicted class (column). */
  readonly confusion: readonly (readonly number[])[];
  readonly mostConfused: readonly Confusion[];
  readonly topLosses: readonly TopLoss[];
}

/** How much of the worst is kept. */
export interface EvaluationOptions {
  /** Pairs and pictures to list. Default 20. */
  readonly listed?: number;
  /** Bins of the calibration. Default 15, as Guo et al. have it. */
  readonly bins?: number;
}

/** How well a model does on pictures whose classes are known, batch by batch, every picture counting the same. */
export class Evaluation {
  readonly #classes: readonly string[];
  readonly #listed: number;
  /** [label, predicted] */
  readonly #confusion: Uint32Array;
  readonly #support: Uint32Array;
  readonly #calibration: Calibration;
  #topLosses: TopLoss[] = [];
  #pictures = 0;
  #notFinite = 0;
  #cost = 0;
  #amongFive = 0;

  /** @param classes names by label */
  constructor(classes: readonly string[], { listed = 20, bins = 15 }: EvaluationOptions = {}) {
    this.#classes = classes;
    this.#listed = listed;
    this.#confusion = new Uint32Array(classes.length ** 2);
    this.#support = new Uint32Array(classes.length);
    this.#calibration = new Calibration(bins);
  }

  /** @throws Error when the lengths do not fit, or a label is none of the classes */
  add({ scores, kind, labels, pictures }: ScoredBatch): void {
    const classes = this.#classes.length;
    if (scores.length !== labels.length * classes || (pictures && pictures.length !== labels.length)) {
      throw new Error(
        `expected ${labels.length} x ${classes} scores, received ${scores.length}, with ${pictures?.length ?? 'no'} names`,
      );
    }
    for (let row = 0; row < labels.length; row++) {
      const label = Number(labels[row]);
      if (!(label in this.#support)) throw new Error(`label ${label} is none of ${classes} classes`);
      this.#addRow(scores.subarray(row * classes, (row + 1) * classes), kind, label, pictures?.[row]);
    }
    this.#keepWorst();
  }

  #addRow(scores: Float32Array, kind: ScoredBatch['kind'], label: number, name: string | undefined): void {
    const picture = name ?? this.#pictures;
    this.#pictures++;
    this.#support[label]! += 1;
    const row = readRow(scores, label, kind);
    if (!row) {
      this.#notFinite++;
      return;
    }
    const { predicted, confidence, probability, cost, rank } = row;
    this.#cost += cost;
    if (rank < 5) this.#amongFive++;
    this.#confusion[label * this.#classes.length + predicted]! += 1;
    this.#calibration.add(confidence, rank === 0);
    const [labelName, predictedName] = [this.#classes[label] as string, this.#classes[predicted] as string];
    this.#topLosses.push({ picture, label: labelName, predicted: predictedName, probability, confidence, cost });
  }

  #keepWorst(): void {
    this.#topLosses = this.#topLosses.sort((left, right) => right.cost - left.cost).slice(0, this.#listed);
  }

  /** All figures of what was added. */
  result(): EvaluationResult {
    const classes = classResults(this.#classes, this.#confusion, this.#support);
    const share = (count: number) => (this.#pictures > 0 ? count / this.#pictures : null);
    const correct = classes.reduce((sum, one) => sum + one.correct, 0);
    const recall = mean(classes.map((one) => one.recall));
    return {
      pictures: this.#pictures,
      notFinite: this.#notFinite,
      cost: this.#notFinite > 0 ? null : share(this.#cost),
      top1: share(correct),
      top5: share(this.#amongFive),
      meanPerClass: recall,
      macro: {
        precision: mean(classes.map(({ precision }) => precision)),
        recall,
        f1: mean(classes.map(({ f1 }) => f1)),
      },
      calibration: this.#calibration.result(),
      classes,
      confusion: this.#classes.map((_, label) => [
        ...this.#confusion.subarray(label * this.#classes.length, (label + 1) * this.#classes.length),
      ]),
      mostConfused: this.#mostConfused(),
      topLosses: this.#topLosses,
    };
  }

  #mostConfused(): Confusion[] {
    const size = this.#classes.length;
    const pairs: Confusion[] = [];
    for (const [place, pictures] of this.#confusion.entries()) {
      const [label, predicted] = [Math.floor(place / size), place % size];
      if (pictures === 0 || label === predicted) continue;
      pairs.push({
        label: this.#classes[label] as string,
        predicted: this.#classes[predicted] as string,
        pictures,
        share: pictures / this.#support[label]!,
      });
    }
    // Array.prototype.sort is stable: of equals the first in order of the labels.
    return pairs.sort((a, b) => b.pictures - a.pictures || b.share - a.share).slice(0, this.#listed);
  }
}
