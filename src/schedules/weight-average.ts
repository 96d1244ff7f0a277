/** Running averages of the parameters. */
export interface AverageOptions {
  /** Share of the average that an update keeps, e.g. 0.999: it then spans about the last thousand updates. */
  readonly decay: number;
  /**
   * Whether the decay grows to that, so that the first, poor weights are soon forgotten: after t updates it is at most
   * 1 - (1 + t)^(-2/3), timm's ModelEmaV3 with its own gamma and power.
   */
  readonly warmUp?: boolean;
}

/**
 * The decay of an update.
 *
 * @param update counted from 0: the first one takes the weights as they are, as in PyTorch and timm
 */
export function averageDecay(update: number, { decay, warmUp = false }: AverageOptions): number {
  if (update <= 0) return 0;
  return warmUp ? Math.min(decay, 1 - (1 + update) ** (-2 / 3)) : decay;
}
