/** Pictures whose predicted class had a probability above `from`, up to and with `to`. */
export interface CalibrationBin {
  readonly from: number;
  readonly to: number;
  readonly pictures: number;
  /** Mean probability of the predicted class; `null` without pictures. */
  readonly confidence: number | null;
  /** Share that was right; `null` without pictures. */
  readonly accuracy: number | null;
}

/** How far probabilities are from the shares that are right. */
export interface CalibrationResult {
  /** Mean over pictures of |accuracy - confidence| of their bin, 0 to 1; `null` without pictures. */
  readonly error: number | null;
  readonly bins: readonly CalibrationBin[];
}

/**
 * Expected calibration error (Guo et al., "On calibration of modern neural networks", ICML 2017, equations 2 and 3):
 * whether of the pictures that a model is 80 % sure of, 80 % are right. Equally wide bins, (a, b].
 */
export class Calibration {
  readonly #pictures: Float64Array;
  readonly #confidence: Float64Array;
  readonly #correct: Float64Array;

  constructor(bins = 15) {
    this.#pictures = new Float64Array(bins);
    this.#confidence = new Float64Array(bins);
    this.#correct = new Float64Array(bins);
  }

  add(confidence: number, correct: boolean): void {
    const bins = this.#pictures.length;
    const bin = Math.min(Math.max(Math.ceil(confidence * bins) - 1, 0), bins - 1);
    this.#pictures[bin]! += 1;
    this.#confidence[bin]! += confidence;
    this.#correct[bin]! += correct ? 1 : 0;
  }

  result(): CalibrationResult {
    const all = this.#pictures.reduce((sum, count) => sum + count, 0);
    const gaps = this.#confidence.reduce((sum, confidence, bin) => sum + Math.abs(confidence - this.#correct[bin]!), 0);
    const bins = Array.from(this.#pictures, (pictures, bin) => ({
      from: bin / this.#pictures.length,
      to: (bin + 1) / this.#pictures.length,
      pictures,
      confidence: pictures > 0 ? this.#confidence[bin]! / pictures : null,
      accuracy: pictures > 0 ? this.#correct[bin]! / pictures : null,
    }));
    return { error: all > 0 ? gaps / all : null, bins };
  }
}
